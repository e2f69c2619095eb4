"""The tokens and links that go out with a message."""

from django.conf import settings

from mail import tokens

UNSUBSCRIBE = "unsubscribe"
NOBODY = 0  # In a token: it belongs to no recipient, and nothing follows from it.


def unsubscribe_url(message_id: int) -> str:
    """Return the link that lets the recipient of that message unsubscribe; it never expires."""
    return f"{settings.BASE_URL}/u/{tokens.make(UNSUBSCRIBE, message_id, settings.TOKEN_KEYS)}"


def message_of(token: str) -> int | None:
    """Return the message that an unsubscribe token was made for, or None when the token is not one of ours."""
    return tokens.read(UNSUBSCRIBE, token, settings.TOKEN_KEYS)


def opaque_id(message_id: int) -> str:
    """Return an id for CFBL-Feedback-ID that nobody can guess or forge (RFC 9477 section 3.2)."""
    return tokens.make("feedback", message_id, settings.TOKEN_KEYS)
