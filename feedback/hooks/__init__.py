"""The webhooks of servers: their addresses and keys, and what becomes of a post."""
