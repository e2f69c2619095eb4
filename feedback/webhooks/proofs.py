"""The proofs of origin that several providers share: keyed hashes, and a password in the request."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac

from feedback.webhooks.adapter import KeyField, Keys, Post, Unproved, World
from words.texts import text as _

KEY_MISSING = _("The key is missing here. Copy it from the provider's page.")
OWN_KEY_MISSING = _(
    "The signing key is missing here. Enter a long random one, and the same one in your relay's program."
)
PASSWORD_MISSING = _(
    "The password is missing here. Enter a username and a password, and the same ones at the provider."
)
KEY_WRONG = _("The signature is wrong. Compare the signing key with the provider's page.")
OWN_KEY_WRONG = _("The signature is wrong. Compare the signing key with the one in your relay's program.")
USED_BEFORE = _("This signature was used before.")
BASIC_HEADERS = ("authorization",)
BASIC_KEYS = (
    KeyField("username", _("Username"), _("Any word. Enter the same one at the provider."), is_secret=False),
    KeyField("password", _("Password"), _("A long random one. Enter the same one at the provider.")),
)


def prove_basic(post: Post, keys: Keys, world: World) -> None:
    """Prove HTTP Basic (RFC 7617) or, for a hook without a user name, a bearer token (RFC 6750).

    :raises Unproved: unless the request carries what the hook has.
    """
    password = needed(keys, "password", PASSWORD_MISSING)
    scheme, _blank, given = post.headers.get("authorization", "").partition(" ")
    username = keys.get("username", "")
    if scheme.lower() == "bearer":
        is_right = is_same(given.strip(), password)
    else:
        is_right = scheme.lower() == "basic" and is_same(given.strip(), _basic(username, password))
    if not is_right:
        raise Unproved(
            _("The username and password were wrong or missing.")
            if given
            else _("The username and password are missing.")
        )


def _basic(username: str, password: str) -> str:
    return base64.b64encode(f"{username}:{password}".encode()).decode()


def needed(keys: Keys, name: str, missing: str = KEY_MISSING) -> str:
    """Return a key that nothing is proved without.

    :param missing: says that there is none, and where it comes from.
    :raises Unproved: if the hook has none.
    """
    value = keys.get(name, "").strip()
    if not value:
        raise Unproved(missing)
    return value


def hmac_hex(key: str, signed: bytes) -> str:
    """Return HMAC-SHA256 in hexadecimal digits."""
    return hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def check_signature(given: str, *expected: str, wrong: str = KEY_WRONG) -> None:
    """Compare in constant time.

    :param wrong: says that the signature is none of ``expected``, and what to do.
    :raises Unproved: unless ``given`` is one of ``expected``.
    """
    if not given:
        raise Unproved(_("The signature is missing."))
    if not any(is_same(given, right) for right in expected):
        raise Unproved(wrong)


def check_age(at: dt.datetime | None, world: World, limit: dt.timedelta) -> None:
    """Refuse what was signed longer ago than ``limit``, or will be.

    :raises Unproved: for such an instant, or none.
    """
    if at is None or abs(world.now - at) > limit:
        raise Unproved(_("The signature is too old, or this server's clock is wrong."))


def decoded(text: str) -> bytes:
    """Return the bytes of base64.

    :raises Unproved: if it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unproved(_("The signature can't be read.")) from error


def is_same(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
