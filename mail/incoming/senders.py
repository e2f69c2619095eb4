"""Whether a mail was written by a mail system rather than by a person or their program."""

import re

from mail.incoming.addresses import addresses_in
from mail.incoming.mime import Part

_DAEMONS = re.compile(
    r"mail(?:er)?-?daemon|mail[-.]?(?:er|system|sys|delivery|delivery[-.]system)|mdaemon|uucp|postmaster"
    r"|system[ .]administrator|delivery-status|microsoftexchange[0-9a-f]*",
    re.IGNORECASE,
)
_DAEMON_NAME = re.compile(
    r"mail(?:er)?[- ]?daemon|mail delivery (?:sub)?system|delivery (?:subsystem|system|service)|\bpost ?master\b"
    r"|system ?administrator|mail ?administrator|mail (?:system|router|firewall|server)|microsoft (?:outlook|exchange)",
    re.IGNORECASE,
)
_NULL = re.compile(r"(?:mailer-daemon(?:@.*)?)?", re.IGNORECASE)  # Postfix spells the empty one as a name.
_CHARACTERS = 2_000
_FILES = ("application/", "image/", "audio/", "video/")


def has_null_sender(mail: Part) -> bool:
    """Whether the envelope sender was empty (RFC 5321 section 4.5.5), as the receiving server noted it."""
    return any(_NULL.fullmatch(value.strip().strip("<>").strip()) for value in mail.all("return-path"))


def has_own_sender(mail: Part) -> bool:
    """Whether the envelope sender was the address of a person or program, as the receiving server noted it."""
    paths = mail.all("return-path")
    return (
        bool(paths) and not has_null_sender(mail) and not any(_DAEMONS.fullmatch(_local_part(path)) for path in paths)
    )


def may_be_written_by_hand(mail: Part) -> bool:
    """Whether a mail from a daemon may be a person's: administrators write as postmaster, and spam as anybody."""
    return has_own_sender(mail) or _local_part(mail.first("from")).lower() == "postmaster"


def is_from_daemon(mail: Part) -> bool:
    """Whether From names a mail system by its address, or by its name where the envelope sender is empty."""
    if _DAEMONS.fullmatch(_local_part(mail.first("from"))):
        return True
    return has_null_sender(mail) and _DAEMON_NAME.search(mail.decoded("from")) is not None


def is_system(mail: Part) -> bool:
    """Whether a mail can be a bounce: its envelope sender is empty, or it is from a daemon.

    Spam likes to be from a daemon, with an envelope sender of its own and a file. Bounces return text and messages.
    """
    if has_null_sender(mail):
        return True
    has_file = any(part.type.startswith(_FILES) for part in mail.walk())
    return is_from_daemon(mail) and not (has_own_sender(mail) and has_file)


def _local_part(header: str) -> str:
    """Return the local part of the address in a header; of a bare word the word."""
    header = header[:_CHARACTERS]
    address = next(iter(addresses_in(header, most=1)), header)
    return (address.rpartition("@")[0] or address).strip(' <>"')
