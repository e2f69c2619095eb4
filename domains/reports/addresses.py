"""The address that a domain's DMARC and TLS reports go to, as in ``dmarc+tag@bounces.example.com``.

The tag stands in public DNS, so it proves nothing; it only says that mail to the address is for us.
"""

from collections.abc import Sequence

from domains.senders import Sender

NAME = "dmarc"


def address_for(tag: str, domain: str, senders: Sequence[Sender]) -> str:
    """Return the address to publish: at the domain of a return path, whose mail reaches us.

    :param domain: of the reports; where no server has a return path of its own, they go there.
    """
    envelopes = [sender.envelope for sender in senders if sender.envelope and not sender.replaces_envelope]
    near = [envelope for envelope in envelopes if envelope == domain or envelope.endswith(f".{domain}")]
    return f"{NAME}+{tag}@{(near or envelopes or [domain])[0]}"


def tag_of(local_part: str) -> str:
    """Return the tag in a local part in lower case; empty without one."""
    name, _, tag = local_part.partition("+")
    return tag if name == NAME else ""
