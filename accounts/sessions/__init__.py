"""Sessions that people can see: where each began, how it ends, and which changes end the others."""
