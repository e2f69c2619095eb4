"""What strangers see: the pages to subscribe, confirm, choose and unsubscribe, their words and their looks."""
