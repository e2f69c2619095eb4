"""The texts of the public pages, in eight languages. No database."""
