"""Mailboxes that bounces and complaints arrive in: read by IMAP or POP3, and left alone as far as they are not ours."""
