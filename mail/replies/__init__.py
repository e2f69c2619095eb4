"""What mail servers answer, and what it means."""
