"""Reports of campaigns: figures, charts, recipients, timeline."""
