"""The preflight checks of a campaign, made before it is queued."""
