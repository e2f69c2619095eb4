"""What a campaign says: built from its parts, and frozen when it is queued."""
