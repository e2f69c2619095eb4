"""Pages of what became of campaigns: figures of a campaign or a period, opens and clicks, recipients."""
