"""Recipients that simulate failures: the start of the local part decides what happens to the mail."""

from enum import StrEnum


class Special(StrEnum):
    BOUNCE = "bounce"  # Refused for good at RCPT.
    FULL = "full"  # Refused for now at RCPT.
    SLOW = "slow"  # Accepted after SLOW_SECONDS.
    GREYLIST = "greylist"  # Refused for now at the first try, accepted at the next.
    DROP = "drop"  # Accepted, and the connection closed without an answer: the sender cannot know.
    # Accepted, and answered by mail after LATE_SECONDS:
    LATE_BOUNCE = "late-bounce"  # The next server of the way refused it for good.
    COMPLAIN = "complain"  # The reader called it spam.
    OUT_OF_OFFICE = "out-of-office"  # The reader's mailbox answers by itself.
    UNSUBSCRIBE = "unsubscribe"  # The reader's mail program writes to the address in List-Unsubscribe.
    # Accepted, and its pixel and counted links visited some seconds later:
    READS = "reads"  # By a person, who opens and clicks.
    APPLE_PRIVACY = "apple-privacy"  # By Apple's privacy proxy, which loads the pixel.
    GMAIL_PROXY = "gmail-proxy"  # By Gmail's image proxy, so soon that nobody knows who is behind it.
    LINK_SCANNER = "link-scanner"  # By a mail gateway, which follows every link.


SLOW_SECONDS = 3
LATE_SECONDS = 3


def special(recipient: str) -> Special | None:
    """Return what happens to mail for ``recipient``; None: it is accepted."""
    local_part = recipient.lower().lstrip('"')
    return next((kind for kind in Special if local_part.startswith(kind)), None)
