"""The first run: from an empty installation to its first campaign, in steps that Home of administrators shows."""
