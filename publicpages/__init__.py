"""Public pages: subscribe, confirm, preferences, unsubscribe and web version, with their texts and appearance."""
