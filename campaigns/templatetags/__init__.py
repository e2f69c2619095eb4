"""Template tags for the pages of campaigns."""
