"""Tokens and personal links of messages."""

from collections.abc import Callable, Sequence

from django.conf import settings

from mail import tokens
from mail.links.tracking import message_token

UNSUBSCRIBE = "unsubscribe"
PREFERENCES = "preferences"
TRACKING = "choice of tracking"
WEB_VERSION = "web version"
NOBODY = 0  # In a token: no recipient, so its link does nothing.


def unsubscribe_url(message_id: int) -> str:
    """Return the unsubscribe link of a message's recipient; it never expires."""
    return _urls("u", UNSUBSCRIBE)(message_id)


def preferences_url(message_id: int) -> str:
    """Return the link to the preferences of a message's recipient; it never expires."""
    return preferences_urls()(message_id)


def preferences_urls() -> Callable[[int], str]:
    """Return a function like :func:`preferences_url` that is fast for a million calls."""
    return _urls("p", PREFERENCES)


def tracking_url(message_id: int) -> str:
    """Return the link where a message's recipient chooses whether opens and clicks are counted; it never expires."""
    return tracking_urls()(message_id)


def tracking_urls() -> Callable[[int], str]:
    """Return a function like :func:`tracking_url` that is fast for a million calls."""
    return _urls("t", TRACKING)


def web_version_url(message_id: int) -> str:
    """Return the link that shows the message in a browser."""
    return web_version_urls()(message_id)


def web_version_urls() -> Callable[[int], str]:
    """Return a function like :func:`web_version_url` that is fast for a million calls."""
    return _urls("v", WEB_VERSION)


def _urls(page: str, purpose: str) -> Callable[[int], str]:
    start, make = _start(page), tokens.maker(purpose, settings.TOKEN_KEYS)
    return lambda message_id: start + make(message_id)


def _start(page: str) -> str:
    return f"{settings.BASE_URL}/{page}/"


def message_of(token: str, purpose: str = UNSUBSCRIBE) -> int | None:
    """Return the message that a token was made for; None if the token is not ours or has another purpose."""
    return tokens.read(purpose, token, settings.TOKEN_KEYS)


def columns_of_tokens(
    *, with_tracking: bool
) -> Callable[[Sequence[int], Sequence[bytes]], tuple[list[str], list[str], list[str]]]:
    """Return :func:`unsubscribe_urls_feedback_ids_and_tracking` for many messages at once, with their proofs.

    :param with_tracking: whether the third column is wanted; otherwise it is empty.
    """
    start, purposes = _start("u"), [UNSUBSCRIBE, "feedback", "tracking"][: 3 if with_tracking else 2]
    make = tokens.columns_of_several(purposes)

    def columns(message_ids: Sequence[int], proofs: Sequence[bytes]) -> tuple[list[str], list[str], list[str]]:
        signed, feedback_ids, *tracking = make(message_ids, proofs)
        return (
            [start + token for token in signed],
            feedback_ids,
            [message_token(one) for row in tracking for one in row],
        )

    return columns


def unsubscribe_urls_and_feedback_ids() -> Callable[[int], tuple[str, str]]:
    """Return a function from a message to its unsubscribe link and its CFBL-Feedback-ID.

    Nobody can guess or forge the ID (RFC 9477 section 3.2).
    """
    start, make = _start("u"), tokens.maker_of_several([UNSUBSCRIBE, "feedback"], settings.TOKEN_KEYS)

    def both(message_id: int) -> tuple[str, str]:
        token, feedback_id = make(message_id)
        return start + token, feedback_id

    return both


def unsubscribe_urls_feedback_ids_and_tracking() -> Callable[[int], tuple[str, str, str]]:
    """Return the same function with the personal token of pixel and links as third value, from the same hash."""
    start = _start("u")
    make = tokens.maker_of_several([UNSUBSCRIBE, "feedback", "tracking"], settings.TOKEN_KEYS)

    def all_three(message_id: int) -> tuple[str, str, str]:
        token, feedback_id, signed = make(message_id)
        return start + token, feedback_id, message_token(signed)

    return all_three
