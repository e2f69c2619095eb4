"""Records of feedback: figures, segment fields, contact page, erasure, retention."""
