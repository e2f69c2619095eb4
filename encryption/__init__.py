"""Secrets at rest: the encrypted model field, bytes under the same keys, and the change to another key."""
