"""The checks before sending, by what they read: a message, DNS, sessions with servers, settings, people, volume."""
