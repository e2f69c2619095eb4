"""The embedded mailbox of the default set-up: a local SMTP server and the pages that show what it got."""
