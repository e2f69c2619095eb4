"""The ways in by password: whether they are open, how often one may fail, and which passwords are refused."""
