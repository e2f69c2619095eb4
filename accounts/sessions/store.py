"""The sessions of users: what their page tells of each, and how they end.

A session is named by an id of its own; its key opens it and leaves this module for the cookie alone.
"""

import datetime as dt
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.stagekit import LOGIN_SESSION_KEY
from allauth.account.utils import url_str_to_user_pk
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends import db
from django.contrib.sessions.backends.base import VALID_KEY_CHARS, SessionBase
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.models import UserSession
from accounts.sessions.browsers import browser_of, in_words
from adminpages.fresh_sign_in import DRIFT_SECONDS
from contacts.consent.ip_networks import network_of
from net.origins import origin_of

SIGN_IN = "sign_in"  # In the session: its id, browser and network.
KEY_LENGTH = 32  # As Django makes them.
# A stranger's session holds a question on its way to a key or the issuer, and anybody can have rows written.
STRANGERS_SECONDS = 20 * 60
WAYS = {
    "password": _("password"),
    "link": _("one-time link"),
    "socialaccount": _("single sign-on"),
    "totp": _("code from an app"),
    "webauthn": _("key"),
    "recovery_codes": _("recovery code"),
}


class SessionStore(db.SessionStore):
    """Django's sessions in the database, each with its user. While a second factor is awaited, it has one already."""

    @classmethod
    def get_model_class(cls) -> type[UserSession]:
        return UserSession

    def create_model_instance(self, data: Any) -> UserSession:
        row = super().create_model_instance(data)
        assert isinstance(row, UserSession)
        row.user_id = _user_id(data)
        return row

    def _validate_session_key(self, key: str | None) -> bool:
        """Whether it could be a key of ours. PostgreSQL refuses to look for one with a NUL, which a cookie can have."""
        return key is not None and len(key) == KEY_LENGTH and set(key) <= set(VALID_KEY_CHARS)

    def cycle_key(self) -> None:
        """Give the session a new key, in the same row. One that was ended since the request began stays ended.

        :raises SessionInterrupted: if it was ended.
        """
        self.keys()  # Reads the row, and forgets a key that has none.
        if self.session_key is None:
            super().cycle_key()
            return
        new_key = self._get_new_session_key()  # type: ignore[attr-defined]  # Django's stubs leave it out.
        if not UserSession.objects.filter(session_key=self.session_key).update(session_key=new_key):
            raise SessionInterrupted("The session was ended before the request completed.")
        self._session_key, self.modified = new_key, True

    def get_session_cookie_age(self) -> int:
        return int(settings.SESSION_COOKIE_AGE) if SESSION_KEY in self else STRANGERS_SECONDS


def _user_id(data: dict[str, Any]) -> int | None:
    if SESSION_KEY in data:
        return int(data[SESSION_KEY])
    half_signed_in = data.get(LOGIN_SESSION_KEY)
    return int(url_str_to_user_pk(half_signed_in["user_pk"])) if half_signed_in else None


@dataclass(frozen=True)
class OpenSession:
    id: str
    browser: str
    network: str  # The /24 or /48 of the sign-in; empty if unknown.
    ways: str  # How the user signed in: “password and key”.
    signed_in_at: dt.datetime
    seen_at: dt.datetime
    is_this: bool


def note_sign_in(request: HttpRequest, now: float) -> None:
    """Keep in the new session where and when it began.

    :param now: in seconds since 1970.
    """
    request.session[SIGN_IN] = {
        "id": secrets.token_hex(8),
        "browser": browser_of(request.META.get("HTTP_USER_AGENT", "")),
        "network": network_of(origin_of(request.META)),
    }
    request.session["signed_in_at"] = request.session["seen_at"] = now


def sessions_of(user: User, now: dt.datetime, this: SessionBase | None = None) -> list[OpenSession]:
    """Return the user's open sessions, the last used first.

    :param this: the session of the request, which is marked.
    """
    found = [_open_session(row, said, this) for row, said in _rows(user) if not _is_over(said, now)]
    return sorted(found, key=lambda session: (session.is_this, session.seen_at), reverse=True)


def end_session(user: User, session_id: str) -> bool:
    """End one session of the user; return whether there was one with this id."""
    keys = [row.session_key for row, said in _rows(user) if said[SIGN_IN]["id"] == session_id]
    ended: int = UserSession.objects.filter(session_key__in=keys).delete()[0]
    return ended > 0


def end_sessions(user: User, keep: SessionBase | None = None) -> int:
    """End all sessions of the user but one; return how many."""
    mine = UserSession.objects.filter(user_id=user.pk)
    ended: int = mine.exclude(session_key=keep.session_key if keep is not None else None).delete()[0]
    return ended


def end_all_sessions() -> int:
    """End every session of everybody; return how many users' sessions these were."""
    count = UserSession.objects.filter(user__isnull=False).count()
    UserSession.objects.all().delete()
    return count


def is_over(signed_in_at: float, seen_at: float, now: float) -> bool:
    """Whether a session has ended by now; all in seconds since 1970.

    A session from the future began while the clock was ahead. It is over, or it would last that much longer.
    """
    age, idle = now - signed_in_at, now - seen_at
    is_from_future = min(age, idle) < -DRIFT_SECONDS
    return is_from_future or age >= settings.SESSION_COOKIE_AGE or idle >= settings.SESSION_IDLE_SECONDS


def _rows(user: User) -> Iterator[tuple[UserSession, dict[str, Any]]]:
    """Yield the user's sessions with their contents."""
    for row in UserSession.objects.filter(user_id=user.pk):
        said = SessionStore().decode(row.session_data)
        if SIGN_IN in said:  # Else no key of ours signed it.
            yield row, said


def _is_over(said: dict[str, Any], now: dt.datetime) -> bool:
    """Whether the next click would end the session."""
    return is_over(said["signed_in_at"], said["seen_at"], now.timestamp())


def _open_session(row: UserSession, said: dict[str, Any], this: SessionBase | None) -> OpenSession:
    return OpenSession(
        **said[SIGN_IN] | {"browser": in_words(said[SIGN_IN]["browser"])},
        ways=gettext(" and ").join(_ways(said)) or gettext("another way"),
        signed_in_at=_instant(said["signed_in_at"]),
        seen_at=_instant(said["seen_at"]),
        is_this=this is not None and row.session_key == this.session_key,
    )


def _ways(said: dict[str, Any]) -> list[str]:
    """Return how the user signed in, from the records that the library keeps in the session."""
    ways = []
    for record in said.get(AUTHENTICATION_METHODS_SESSION_KEY, ()):
        if record.get("passwordless"):
            ways.append(gettext("passkey"))
        else:
            ways.append(str(WAYS.get(record.get("type") or record["method"], _("another way"))))
    return list(dict.fromkeys(ways))


def _instant(timestamp: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC)
