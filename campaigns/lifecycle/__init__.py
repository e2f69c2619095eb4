"""The lifecycle of a campaign: approval, queue, start, pause, cancel, finish, archive."""
