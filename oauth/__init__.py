"""OAuth accounts: sign-in to mail providers with tokens instead of passwords, for servers and mailboxes."""
