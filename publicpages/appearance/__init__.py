"""The appearance of the public pages."""
