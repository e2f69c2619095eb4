"""The schedule of a campaign: start, end and sending hours, and the mailings that carry it."""
