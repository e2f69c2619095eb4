"""Who somebody of the issuer is here, and which roles the issuer's groups give. It asks nobody and opens no session."""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.models import Identity
from accounts.single_sign_on.issuer import Claims
from delivery.operators.notices import ADMINISTRATORS, administrators, hold_administrators

SWITCHED_OFF = _("Your account here is switched off. Ask an administrator to switch it on.")
NO_ACCOUNT = _(
    "You have no account here yet. Ask an administrator to put you into a group that may use this site. To use another"
    " account, log out at your sign-in service first."
)
NOT_LINKED = _(
    "Your email address belongs to somebody else's account here, or to two. Ask an administrator to check who has it."
)
LAST_ADMIN = _("You keep the admin role for now: you're the last administrator. Make somebody else an admin.")
MOST_LOGGED = 500  # Characters of the groups that somebody has.
log = logging.getLogger(__name__)


class NoEntry(Exception):
    """The issuer knows the person, and they may not come in. The text is for the person, the reason for the log."""

    def __init__(self, text: str | Promise, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


def user_of(claims: Claims) -> tuple[User, str]:
    """Return the active user whom the claims belong to, with the roles of today, and a sentence for the user or "".

    The first time, a user is linked by e-mail, where settings allow it, or made, if a group gives a role.

    :raises NoEntry:
    """
    with transaction.atomic():
        # Who signs in at the same time waits here: no two lose the last admin, or become the same user.
        hold_administrators()
        identity = Identity.objects.select_related("user").filter(**_key(claims)).first()
        user = identity.user if identity is not None else _first_time(claims)
        if not user.is_active:
            raise NoEntry(SWITCHED_OFF, f"the user {user} is switched off.")
        return user, _give_roles(user, claims)


def is_user(user: User, claims: Claims) -> bool:
    return Identity.objects.filter(**_key(claims), user=user).exists()


def is_known_to_issuer(user: User) -> bool:
    return bool(settings.OIDC_ISSUER) and Identity.objects.filter(issuer=settings.OIDC_ISSUER, user=user).exists()


def _key(claims: Claims) -> dict[str, str]:
    return {"issuer": settings.OIDC_ISSUER, "subject": claims.subject}


def _first_time(claims: Claims) -> User:
    user = _linked_by_email(claims)
    if user is None:
        if not _roles_of(claims):
            raise NoEntry(NO_ACCOUNT, _why_no_account(claims))
        user = User(username=_free_username(claims), email=claims.email, is_staff=True)
        user.set_unusable_password()
        user.save()
        LogEntry.objects.log_actions(user.pk, [user], ADDITION, "Made by single sign-on.", single_object=True)
        log.warning("Single sign-on made the user %s.", user)
    Identity.objects.create(user=user, **_key(claims))
    return user


def _linked_by_email(claims: Claims) -> User | None:
    """Return the one user with this address; None if nobody has it, or addresses prove nothing.

    Only ASCII counts: databases and Python fold other letters differently, so that two addresses could become one.
    """
    if not claims.email or not claims.email.isascii():
        return None
    people = list(User.objects.filter(email__iexact=claims.email))
    if any(not person.is_active for person in people):  # They must not come back under a new name.
        raise NoEntry(SWITCHED_OFF, "a user with this e-mail address is switched off.")
    if not settings.OIDC_LINK_BY_EMAIL or not people:
        return None
    if len(people) > 1:
        raise NoEntry(NOT_LINKED, f"{' and '.join(map(str, people))} have the same e-mail address.")
    if is_known_to_issuer(people[0]):  # The address now belongs to another person, too.
        raise NoEntry(NOT_LINKED, f"their e-mail address is that of {people[0]}, who is linked to another subject.")
    log.warning("Single sign-on linked the user %s by e-mail.", people[0])
    return people[0]


def _why_no_account(claims: Claims) -> str:
    groups = str(sorted(claims.groups))[:MOST_LOGGED]
    held = f"held {groups}, none of which OIDC_ROLES names" if claims.groups else "held no groups"
    by_email = ", and no user has a verified e-mail address of theirs" if settings.OIDC_LINK_BY_EMAIL else ""
    return f"the claim {settings.OIDC_GROUPS_CLAIM} {held}{by_email}."


def _free_username(claims: Claims) -> str:
    wanted = next(_possible_usernames(claims), "user")
    taken = {
        name.lower() for name in User.objects.filter(username__istartswith=wanted).values_list("username", flat=True)
    }
    if wanted.lower() not in taken:
        return wanted
    return next(name for number in range(2, len(taken) + 3) if (name := f"{wanted}-{number}").lower() not in taken)


def _possible_usernames(claims: Claims) -> Iterator[str]:
    for name in (claims.username, claims.email):
        try:
            ASCIIUsernameValidator()(name)
        except ValidationError:
            continue
        if len(name) <= 140:  # A number may follow.
            yield name


# --- roles


def _roles_of(claims: Claims) -> set[str]:
    return {role for role, group in settings.OIDC_ROLES if group in claims.groups}


def _give_roles(user: User, claims: Claims) -> str:
    """Give and take away the roles that ``OIDC_ROLES`` names; other roles are left to administrators.

    A change ends the user's sessions, as any other does.
    """
    present = set(user.groups.values_list("name", flat=True))
    wanted = _roles_of(claims)
    taken = present & {role for role, _ in settings.OIDC_ROLES} - wanted
    told = ""
    if ADMINISTRATORS in taken and not user.is_superuser and _is_last_administrator(user):
        taken -= {ADMINISTRATORS}
        told = str(LAST_ADMIN)
        log.warning("Single sign-on left %s the admin role: there is no other administrator.", user)
    given = wanted - present
    user.groups.remove(*Group.objects.filter(name__in=taken))
    user.groups.add(*Group.objects.filter(name__in=given))
    if given or taken:
        changes = ", ".join([f"+{role}" for role in sorted(given)] + [f"−{role}" for role in sorted(taken)])
        LogEntry.objects.log_actions(
            user.pk, [user], CHANGE, f"Roles by single sign-on: {changes}.", single_object=True
        )
        log.warning("Single sign-on changed the roles of %s: %s", user, changes)
    return told


def _is_last_administrator(user: User) -> bool:
    return not administrators().filter(is_staff=True).exclude(pk=user.pk).exists()
