"""Words of delivery for the pages of rooms below it."""
