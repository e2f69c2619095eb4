"""Segments: conditions, their SQL, and the audience that they and lists make up."""
