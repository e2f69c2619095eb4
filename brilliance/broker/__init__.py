"""The embedded broker, and the scheduler of beat."""
