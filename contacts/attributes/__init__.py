"""Custom attributes of contacts, as administrators define them."""
