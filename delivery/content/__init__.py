"""One message made: composed, signed, with its files, tokens and return path."""
