"""The audience of a campaign, its size, and the size that is allowed."""
