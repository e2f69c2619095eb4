"""Forms of servers and routing rules."""
