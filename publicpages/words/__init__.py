"""What the public pages say, in eight languages. No database."""
