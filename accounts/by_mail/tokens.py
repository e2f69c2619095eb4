"""The tokens of links by mail: signed, of one purpose, short-lived, and void as soon as what they stand on changes.

A token is made when its mail is composed, and kept nowhere. Its user's password or its invitation changes when the
link is used, which makes every token made before void.
"""

import datetime as dt
from typing import Any

from django.contrib.auth.models import User
from django.core import signing
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts import powers
from accounts.models import Invitation
from adminpages.fresh_sign_in import DRIFT_SECONDS

RESET_FOR = dt.timedelta(hours=1)
INVITED_FOR = dt.timedelta(days=7)
RESET, INVITE = "reset", "invite"
VALID_FOR = {RESET: RESET_FOR, INVITE: INVITED_FOR}
SALT = "accounts.by_mail.tokens"
END = "1"  # Mail programs drop a final dash from a link, but never a digit.


def make(subject: User | Invitation, now: dt.datetime) -> str:
    purpose = RESET if isinstance(subject, User) else INVITE
    said = {"for": purpose, "id": subject.pk, "at": int(now.timestamp()), "on": _ground(subject)}
    return signing.dumps(said, salt=SALT) + END


def read_reset(token: str, now: dt.datetime) -> User | None:
    """Return the user whose password the link may change; within a transaction nobody else uses it meanwhile."""
    if (said := _read(token, RESET, now)) is None:
        return None
    user = User.objects.select_for_update().filter(pk=said["id"]).first()
    return user if user is not None and _stands(said, user) and may_have_password(user) else None


def read_invitation(token: str, now: dt.datetime) -> Invitation | None:
    """Return the invitation that the link belongs to; within a transaction nobody else uses it meanwhile."""
    if (said := _read(token, INVITE, now)) is None:
        return None
    invitation = Invitation.objects.select_for_update(of=("self",)).filter(pk=said["id"]).first()
    if invitation is None or not _stands(said, invitation):
        return None
    inviter = invitation.invited_by
    may_invite = inviter.is_active and inviter.has_perm("accounts.add_invitation")
    return invitation if may_invite and powers.reaches(inviter, invitation.role) else None


def may_have_password(user: User) -> bool:
    """Whether the user signs in by a password: not who was switched off, and not who comes by single sign-on alone."""
    return user.is_active and user.has_usable_password()


def _read(token: str, purpose: str, now: dt.datetime) -> dict[str, Any] | None:
    try:
        said: dict[str, Any] = signing.loads(token.removesuffix(END), salt=SALT)
    except signing.BadSignature:
        return None
    age = now.timestamp() - said["at"]  # From the future: by a clock that was ahead and was set back since.
    is_in_time = -DRIFT_SECONDS < age < VALID_FOR[purpose].total_seconds()
    return said if said["for"] == purpose and is_in_time else None


def _stands(said: dict[str, Any], subject: User | Invitation) -> bool:
    return constant_time_compare(said["on"], _ground(subject))


def _ground(subject: User | Invitation) -> str:
    """Return a digest of what makes the subject's earlier tokens void when it changes."""
    if isinstance(subject, User):
        ground = f"{subject.password} {subject.last_login} {subject.email}"
    else:
        ground = f"{subject.email} {subject.round} {subject.invited_at.timestamp()}"
    return salted_hmac(SALT, f"{subject.pk} {ground}", algorithm="sha256").hexdigest()[:32]
