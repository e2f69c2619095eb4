"""The choice of the server for a message."""
