"""The outbox: how a message leaves, and an exact account of what became of it."""
