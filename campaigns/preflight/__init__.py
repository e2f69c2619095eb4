"""What is checked before a campaign is queued."""
