"""Attributes that administrators define for contacts."""
