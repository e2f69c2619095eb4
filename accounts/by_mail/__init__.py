"""Links by mail that let somebody choose a password: for a forgotten one, and for who is invited."""
