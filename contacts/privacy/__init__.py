"""The rights of people: their copy, erasure, retention, redaction."""
