"""The tokens and links that go out with a message."""

from collections.abc import Callable

from django.conf import settings

from mail import tokens

UNSUBSCRIBE = "unsubscribe"
PREFERENCES = "preferences"
WEB_VERSION = "web version"
NOBODY = 0  # In a token: it belongs to no recipient, and nothing follows from it.


def unsubscribe_url(message_id: int) -> str:
    """Return the link that lets the recipient of that message unsubscribe; it never expires."""
    return unsubscribe_urls()(message_id)


def unsubscribe_urls() -> Callable[[int], str]:
    """Return what :func:`unsubscribe_url` does, for who makes a million of them."""
    return _urls("u", UNSUBSCRIBE)


def preferences_url(message_id: int) -> str:
    """Return the link to the settings of that message's recipient; it never expires."""
    return preferences_urls()(message_id)


def preferences_urls() -> Callable[[int], str]:
    """Return what :func:`preferences_url` does, for who makes a million of them."""
    return _urls("p", PREFERENCES)


def web_version_url(message_id: int) -> str:
    """Return the link that shows the message in a browser."""
    return web_version_urls()(message_id)


def web_version_urls() -> Callable[[int], str]:
    """Return what :func:`web_version_url` does, for who makes a million of them."""
    return _urls("v", WEB_VERSION)


def _urls(page: str, purpose: str) -> Callable[[int], str]:
    start, make = f"{settings.BASE_URL}/{page}/", tokens.maker(purpose, settings.TOKEN_KEYS)
    return lambda message_id: start + make(message_id)


def message_of(token: str, purpose: str = UNSUBSCRIBE) -> int | None:
    """Return the message that a token was made for, or None when the token is not one of ours for that purpose."""
    return tokens.read(purpose, token, settings.TOKEN_KEYS)


def opaque_ids() -> Callable[[int], str]:
    """Return what makes a message's CFBL-Feedback-ID, which nobody can guess or forge (RFC 9477 section 3.2)."""
    return tokens.maker("feedback", settings.TOKEN_KEYS)
