"""Template tags of feedback for the pages of lower rooms."""
