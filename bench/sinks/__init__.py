"""The SMTP servers of the bench: sinks that take the mail, and servers that misbehave."""
