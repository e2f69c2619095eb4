"""What is held about what came back: figures, conditions, erasure, retention."""
