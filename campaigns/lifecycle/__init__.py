"""What becomes of a campaign: approved, queued, paused, cancelled, archived."""
