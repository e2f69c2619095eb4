"""Health endpoints for monitoring."""
