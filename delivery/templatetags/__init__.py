"""Template tags of delivery for the pages of lower rooms."""
