"""Who may be written to: consent, its history, and suppressions."""
