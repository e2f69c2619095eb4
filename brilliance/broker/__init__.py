"""The embedded broker and the clock of beat."""
