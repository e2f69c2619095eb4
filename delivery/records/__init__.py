"""Figures, and what is held about a person: their copy, erasure, retention."""
