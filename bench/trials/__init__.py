"""Measurements that are no race between contestants."""
