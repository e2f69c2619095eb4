"""Our own SMTP or LMTP listener for bounces, complaints and mailto unsubscribes (``manage.py intake``)."""
