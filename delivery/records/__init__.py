"""Records of sent mail: figures, search, and a person's data (contact page, export, erasure, retention)."""
