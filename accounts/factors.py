"""Second factors: who has one, who needs one, which sessions proved one, and codes, each of which works once.

Secrets of authenticator apps are encrypted, recovery codes are hashed. Nothing here counts failures.
"""

import logging
import secrets
import time

from allauth.account.internal.flows.login import get_authentication_records, record_authentication
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

logger = logging.getLogger(__name__)

TOTP, WEBAUTHN, RECOVERY_CODES = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN, Authenticator.Type.RECOVERY_CODES
FACTORS = (TOTP, WEBAUTHN)  # Recovery codes stand in for one of these.
STEP_SECONDS = 30
STEPS_AROUND = (0, -1, 1)  # A clock may be a little off, and typing takes time (RFC 6238 section 5.2).
RECOVERY_CODE_COUNT = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # Without letters and digits that look alike.
KEY_LENGTH = 2  # Of a recovery code: finds its hash, so that one hash has to be computed and not ten.
CODE_LENGTH = 12
ASKED_FOR = "asked_for"  # In the session: the page of ours to go on to after a factor or password that was needed.
EXISTS = Exists(Authenticator.objects.filter(user_id=OuterRef("pk"), type__in=FACTORS))  # For a query of users.
BY_ISSUER = "by_issuer"  # In the session: the issuer of single sign-on has checked the second factor.


def of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Authenticator]:
    """Return the user's factors and recovery codes, the oldest first."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user.pk)
    return found.order_by("created_at", "pk")


def has_factor(user: AbstractBaseUser | AnonymousUser) -> bool:
    return of(user).filter(type__in=FACTORS).exists()


def had_factor(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether the user of a request had a second factor when it began; costs no query."""
    known = getattr(user, "had_factor", None)
    return has_factor(user) if known is None else bool(known)


def needs_factor(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Whether ``MFA_ROLES`` asks this user for a second factor. A superuser counts as an admin."""
    roles = settings.MFA_ROLES
    if roles in ("all", "none"):
        return roles == "all"
    assert isinstance(user, User)
    return (user.is_superuser and "admin" in roles) or user.groups.filter(name__in=roles).exists()


def lacks_factor(user: AbstractBaseUser | AnonymousUser) -> bool:
    return needs_factor(user) and not has_factor(user)


def is_checked_by_issuer(request: HttpRequest) -> bool:
    return settings.OIDC_MFA == "issuer" and bool(request.session.get(BY_ISSUER))


def is_proved(request: HttpRequest) -> bool:
    """Whether the user proved a second factor in this session, here or at an issuer that checks it for us."""
    records = get_authentication_records(request, request.user)
    return any(record["method"] == "mfa" for record in records) or is_checked_by_issuer(request)


def note_set_up(request: HttpRequest, type: str) -> None:
    """Note that the session proved the factor that its user has just set up."""
    if not is_proved(request):
        record_authentication(request, request.user, "mfa", type=type)


# --- codes of an authenticator app


def step_of(secret: str, code: str) -> int | None:
    """Return the time step whose code this is, if it is one of now."""
    now = int(time.time()) // STEP_SECONDS
    steps = [now + around for around in STEPS_AROUND]
    return next((at for at in steps if constant_time_compare(code, format_hotp_value(hotp_value(secret, at)))), None)


def add_totp(user: AbstractBaseUser, secret: str, step: int) -> bool:
    """Store an authenticator app, whose code of ``step`` was just used, in place of the one that the user has.

    Return False if another request stored one at the same time.
    """
    data = {"secret": get_adapter().encrypt(secret), "step": step}
    with transaction.atomic():
        of(user).filter(type=TOTP).delete()
        _, is_new = Authenticator.objects.get_or_create(user=user, type=TOTP, defaults={"data": data})
    return bool(is_new)


def spend_code(user: AbstractBaseUser, code: str) -> Authenticator | None:
    """Return the factor that the code belongs to, or None. The code works no second time, in no process."""
    plain = "".join(code.lower().split()).replace("-", "")
    with transaction.atomic():
        for factor in of(user).select_for_update().exclude(type=WEBAUTHN):
            spend = _spend_totp if factor.type == TOTP else _spend_recovery_code
            if spend(factor, plain):
                factor.save(update_fields=["data"])
                return factor
    return None


def _spend_totp(factor: Authenticator, code: str) -> bool:
    try:
        step = step_of(get_adapter().decrypt(factor.data["secret"]), code)
    except InvalidToken:  # Recovery codes still work.
        logger.error("None of FIELD_ENCRYPTION_KEYS opens the secret of an authenticator app.")
        return False
    if step is None or step <= factor.data["step"]:
        return False
    factor.data["step"] = step
    return True


def rotate_secrets() -> tuple[int, list[str]]:
    """Encrypt all secrets with the first key; return how many, and whose no key opens."""
    rotated, unreadable = 0, []
    for pk in Authenticator.objects.filter(type=TOTP).values_list("pk", flat=True):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update().select_related("user").filter(pk=pk).first()
            if factor is None:
                continue
            try:
                factor.data["secret"] = get_adapter().rotate(factor.data["secret"])
            except InvalidToken:
                unreadable.append(f"{factor.user} (authenticator app)")
                continue
            factor.save(update_fields=["data"])
            rotated += 1
    return rotated, unreadable


# --- recovery codes


def make_recovery_codes(user: AbstractBaseUser) -> list[str]:
    """Replace the user's recovery codes, and return the new ones, which are stored as hashes."""
    codes: dict[str, str] = {}
    while len(codes) < RECOVERY_CODE_COUNT:
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        codes[code[:KEY_LENGTH]] = code
    hashes = {key: make_password(code) for key, code in codes.items()}
    Authenticator.objects.update_or_create(user=user, type=RECOVERY_CODES, defaults={"data": {"hashes": hashes}})
    return [f"{code[:4]}-{code[4:8]}-{code[8:]}" for code in codes.values()]


def recovery_codes_left(user: AbstractBaseUser | AnonymousUser) -> int:
    found = of(user).filter(type=RECOVERY_CODES).first()
    return len(found.data["hashes"]) if found else 0


def _spend_recovery_code(factor: Authenticator, code: str) -> bool:
    hashes: dict[str, str] = factor.data["hashes"]
    key = code[:KEY_LENGTH]
    if len(code) != CODE_LENGTH or key not in hashes or not check_password(code, hashes[key]):
        return False
    del hashes[key]
    return True
