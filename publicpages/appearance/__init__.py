"""How the public pages look."""
