"""The programs, databases and keys that a run needs; made before it, and cleared away after it."""
