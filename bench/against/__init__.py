"""The same rounds with another commit in turn: ``python -m bench --against COMMIT``."""
