"""Tools for operators: send tests, notices and restored copies."""
