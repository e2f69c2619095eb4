"""Clues to the message that a mail is about: our own tags and numbers, wherever servers leave them."""

import re
from collections.abc import Mapping

from mail.incoming.addresses import addresses_in
from mail.incoming.mime import Part, decode_text, with_plain_line_ends
from mail.incoming.original import parts_of
from mail.incoming.report import Clues

_MOST = 20
_DELIVERED = ("delivered-to", "x-original-to", "envelope-to", "to")
_FOLDED = re.compile(r"\n[ \t]+")
_VALUE_CHARACTERS = 2_000
_HEADERS = re.compile(
    rf"^(message-id|cfbl-feedback-id|list-unsubscribe)[ \t]*:[ \t]*(.{{1,{_VALUE_CHARACTERS}}})", re.I | re.M
)
_BRACKETED = re.compile(r"<([^<>\s]+)>")


def clues_of(mail: Part, of_message: Mapping[str, str] | None = None, quoted: str = "") -> Clues:
    """Return the clues of a mail.

    :param of_message: the fields of a report that concern the message.
    :param quoted: the text of the original, where the mail has it in no part of its own.
    """
    texts = [decode_text(with_plain_line_ends(part.content())) for part in parts_of(mail)] + [quoted]
    message_ids: list[str] = []
    feedback_ids: list[str] = []
    urls: list[str] = []
    for text in texts:
        for name, value in _HEADERS.findall(_FOLDED.sub(" ", text)):
            match name.lower():
                case "message-id":
                    message_ids += [f"<{found}>" for found in _BRACKETED.findall(value)[:1]]
                case "cfbl-feedback-id":
                    feedback_ids.append(value.strip())
                case _:
                    urls += _BRACKETED.findall(value)
    envelope_id = (of_message or {}).get("original-envelope-id", "")
    return Clues(
        delivered_to=tuple(
            dict.fromkeys(
                address for name in _DELIVERED for value in mail.all(name) for address in addresses_in(value, _MOST)
            )
        )[:_MOST],
        envelope_ids=(envelope_id[:_VALUE_CHARACTERS],) if envelope_id else (),
        message_ids=tuple(message_ids[: -_MOST - 1 : -1]),
        feedback_ids=tuple(feedback_ids[: -_MOST - 1 : -1]),
        unsubscribe_urls=tuple(urls[: -_MOST - 1 : -1]),
    )
