"""When a campaign starts and ends, and which mailings carry it."""
