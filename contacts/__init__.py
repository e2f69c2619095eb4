"""People and consent: contacts, lists, subscriptions, suppressions, import and export."""
