"""What became of a campaign: figures, charts, recipients."""
