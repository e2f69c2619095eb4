"""What is the same of two deliveries of one mail."""

import re

from mail.incoming.mime import split, with_plain_line_ends

# Written by the servers on the way, so they differ between a mailbox and a listener, or between two mailboxes.
_OF_DELIVERY = re.compile(
    rb"(?im)^(?:x-)?(?:received|delivered-to|original-to|envelope-to|return-path|received-spf|authentication-results"
    rb"|arc-[a-z-]+)[ \t]*:.*(?:\n[ \t].*)*\n?"
)


def fingerprint_bytes(content: bytes) -> bytes:
    """Return the mail without the header lines that differ between two deliveries of it. Never raises."""
    head, body = split(with_plain_line_ends(content))
    return _OF_DELIVERY.sub(b"", head + b"\n").rstrip(b"\n") + b"\n\n" + body
