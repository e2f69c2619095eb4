"""What operators do and are told: test sends, notices, restored copies."""
