"""The forms of servers and routing rules."""
