"""The content of a campaign: built from its parts, and frozen when it is queued."""
