"""The tokens of accounts: given to the provider's own hosts alone, and renewed by one process at a time.

Whoever needs a token shortly before it ends renews it, if no other process is doing so: a conditional UPDATE decides.
The others use the present token until it ends.
"""

import datetime as dt
import logging
import random
import time
from collections.abc import Callable

from django.conf import settings
from django.db.models import F, Q

from encryption.keys import SecretUnreadable
from encryption.secret_field import Secret
from mail.reachability import is_loopback
from oauth import grants
from oauth.client import providers
from oauth.client.explanations import explain
from oauth.client.requests import SECONDS, Grant, GrantRefused, ProviderSilent
from oauth.models import OAuthAccount
from registry import Registry
from words.texts import text as _

log = logging.getLogger(__name__)

EARLY = dt.timedelta(
    minutes=5
)  # Before its end a token is renewed; a little more or less, so that not all are at once.
LAST = dt.timedelta(seconds=20)  # A token this near to its end may end while it is on its way.
CLAIMED_FOR = dt.timedelta(seconds=6 * SECONDS)  # After this a renewal without a result is tried by others.
NOT_TWICE = dt.timedelta(minutes=1)  # A token as new as this is not renewed because a mail server refused it.
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=30), dt.timedelta(minutes=15)  # After failures.
WAIT_SECONDS = SECONDS + 2  # For another process that is renewing, if there is no token to go on with.
LOOK_SECONDS = 0.1

State = OAuthAccount.State
# Other rooms' reasons why nothing may be renewed just now; each returns a sentence, or an empty text.
HOLDS: Registry[Callable[[dt.datetime], str]] = Registry()
# What other rooms do when the provider refuses an account, and when it works again. The sentence is empty then.
WATCHERS: Registry[Callable[[OAuthAccount, str, dt.datetime], None]] = Registry()


class NoToken(Exception):
    """There is no token to sign in with; the text is a sentence that says why.

    :param needs_person: whether it stays so until a person acts.
    :param awaits_account: whether it stays so until somebody connects the account.
    """

    def __init__(self, why: str, *, needs_person: bool, awaits_account: bool = False) -> None:
        super().__init__(why)
        self.needs_person = needs_person
        self.awaits_account = awaits_account


def token_for(account: OAuthAccount, host: str, now: dt.datetime, *, refused: str = "") -> str:
    """Return an access token of the account, renewed if it ends soon. May ask the provider, for 10 seconds at most.

    :param host: the mail server or API that it is for; it must be one of the provider's.
    :param refused: the token that this server has just refused, which is renewed before its time.
    :raises NoToken:
    """
    if why := why_not_to(account, host):
        raise NoToken(why, needs_person=True)
    present = _read(account)
    token = _usable(present, now, refused)
    if token and not _ends_soon(present, now):
        return token
    is_ours = renew(account.pk, now, unusable=None if token else present.access_token)
    latest = _read(account) if is_ours or token else _wait_for_others(account, now, refused)
    if found := _usable(latest, now, refused):
        return found
    if refused and (same := _usable(latest, now, "")):
        return same  # It is as good as new: the token is not what is wrong.
    awaits_person = latest.state in (State.NEW, State.REFUSED)
    raise NoToken(
        _(
            "OAuth account %(account)s: %(why)s",
            account=account.name,
            why=latest.last_error or _("There is no token yet. Open the account and connect it."),
        ),
        needs_person=awaits_person,
        awaits_account=awaits_person,
    )


def why_not_to(account: OAuthAccount, host: str) -> str:
    """Return why the account's tokens may not be sent to a host; empty if they may."""
    allowed = providers.token_hosts(account.flow, account.cloud)
    if host in allowed or (account.is_for_mail and _is_test_host(host)):
        return ""
    hosts = ", ".join(sorted(allowed))
    return _(
        "OAuth account %(account)s is for %(hosts)s only. Its tokens are never sent to %(host)s.",
        account=account.name,
        hosts=hosts,
        host=host,
    )


def _is_test_host(host: str) -> bool:
    try:
        return bool(settings.OAUTH_TEST_SERVER) and (host == "localhost" or is_loopback(host))
    except ValueError:
        return False


def _read(account: OAuthAccount) -> OAuthAccount:
    found = OAuthAccount.objects.filter(pk=account.pk).first()
    if found is None:
        raise NoToken(_("The OAuth account was deleted."), needs_person=True)
    if found.destination != account.destination:  # The caller signs in as the mailbox of before.
        raise NoToken(_("OAuth account %(account)s was edited.", account=account.name), needs_person=False)
    return found


def _usable(account: OAuthAccount, now: dt.datetime, refused: str) -> str:
    if account.expires_at is None or account.expires_at <= now + LAST:
        return ""
    try:
        token = account.access_token.reveal(account.destination)
    except SecretUnreadable:
        return ""
    return token if token != refused else ""


def _ends_soon(account: OAuthAccount, now: dt.datetime) -> bool:
    return account.expires_at is None or account.expires_at < now + EARLY


def _wait_for_others(account: OAuthAccount, now: dt.datetime, refused: str) -> OAuthAccount:
    """Wait while another process renews, and return what it left."""
    until = time.monotonic() + WAIT_SECONDS
    while True:
        latest = _read(account)
        is_renewing = latest.renewing_until is not None and latest.renewing_until > now
        if not is_renewing or time.monotonic() >= until or _usable(latest, now, refused):
            return latest
        time.sleep(LOOK_SECONDS)


# --- renewing


def renew_due(read_clock: Callable[[], dt.datetime]) -> int:
    """Renew the tokens that end soon, also of accounts that nobody uses just now: unused refresh tokens die.

    One account's unexpected error leaves the others their turn.

    :param read_clock: read for each account, since those before it may take their time.
    :return: how many were renewed.
    """
    now = read_clock()
    due = OAuthAccount.objects.filter(_due(now)).exclude(state=State.REFUSED)
    due = due.exclude(
        flow__in=[flow for flow in OAuthAccount.Flow.values if providers.needs_sign_in(flow)], refresh_token=""
    )
    renewed = 0
    for account_id in list(due.order_by("expires_at").values_list("pk", flat=True)):
        try:
            renewed += renew(account_id, read_clock())
        except Exception:  # Else the same account would keep all behind it from their tokens, round after round.
            log.exception("the renewal of an OAuth account failed")
    return renewed


def renew(account_id: int, now: dt.datetime, *, unusable: Secret | None = None, is_asked: bool = False) -> bool:
    """Renew an account's tokens if they end soon and no other process is at it; return whether it has new ones.

    :param unusable: a stored token that is renewed before its time, because a mail server refused it or no key opens
        it; unless another process has replaced it already.
    :param is_asked: whether a person asks for it: then neither the time nor an earlier refusal counts.
    """
    if why_held(now):
        return False
    account = claim(account_id, now) if is_asked else _claim_if_due(account_id, now, unusable)
    if account is None:
        return False
    try:
        grant = grants.renewed(account, now)
    except GrantRefused as error:
        note_refused(account, error, now)
    except ProviderSilent as error:
        note_silent(account, str(error), now)
    else:
        return store(account, grant, now)
    return False


def why_held(now: dt.datetime) -> str:
    """Return why nothing may be renewed just now; empty if it may."""
    return next((why for hold in HOLDS.values() if (why := hold(now))), "")


def _claim_if_due(account_id: int, now: dt.datetime, unusable: Secret | None) -> OAuthAccount | None:
    before_its_time = Q(access_token=unusable or "", renewed_at__lte=now - NOT_TWICE)
    is_due = _due(now) | before_its_time if unusable else _due(now)
    may_be = Q(retry_at=None) | Q(retry_at__lte=now)
    return claim(account_id, now, is_due & may_be & ~Q(state=State.REFUSED))


def claim(account_id: int, now: dt.datetime, condition: Q | None = None) -> OAuthAccount | None:
    """Take the renewal for this process; None if another one has it, or the condition does not hold."""
    until = now + CLAIMED_FOR + dt.timedelta(microseconds=random.randrange(1_000_000))  # So that it is ours alone.
    is_free = Q(renewing_until=None) | Q(renewing_until__lte=now)
    free = OAuthAccount.objects.filter(is_free, condition or Q(), pk=account_id)
    if not free.update(renewing_until=until):
        return None
    return OAuthAccount.objects.filter(pk=account_id, renewing_until=until).first()


def _due(now: dt.datetime) -> Q:
    return Q(expires_at=None) | Q(expires_at__lt=now + EARLY * random.uniform(0.8, 1.2))


def store(account: OAuthAccount, grant: Grant, now: dt.datetime) -> bool:
    """Store new tokens together, unless the account was edited or claimed by another process meanwhile."""
    identity = account.destination
    values = {"access_token": Secret.seal(grant.access_token, identity)}
    if grant.refresh_token:
        values["refresh_token"] = Secret.seal(grant.refresh_token, identity)
    is_stored = _settle(
        account,
        State.OK,
        now,
        **values,
        expires_at=now + dt.timedelta(seconds=grant.seconds),
        renewed_at=now,
        failures=0,
        last_error="",
    )
    if is_stored:
        _tell(account, "", now)
    return is_stored


def release(account: OAuthAccount) -> None:
    """Give the renewal back without a result: tokens and state stay as they are."""
    OAuthAccount.objects.filter(pk=account.pk, renewing_until=account.renewing_until).update(renewing_until=None)


def note_refused(account: OAuthAccount, error: GrantRefused, now: dt.datetime) -> str:
    """Store that the provider refused, and have other rooms act on it; return the sentence."""
    why = meaning_of(account, error)
    log.warning("the OAuth account %s is refused: %s", account.name, error.error)
    if _settle(account, State.REFUSED, now, last_error=why[:500], failures=F("failures") + 1):
        _tell(account, _("OAuth account %(account)s: %(why)s", account=account.name, why=why), now)
    return why


def meaning_of(account: OAuthAccount, error: GrantRefused) -> str:
    """Return what the provider's refusal means, as a sentence for the person who can mend it."""
    return explain(providers.provider_of(account.flow), account.needs_sign_in, error.error, error.words)


def note_silent(account: OAuthAccount, why: str, now: dt.datetime) -> str:
    """Store that the provider gave no usable response, and when it is asked again; return the sentence."""
    wait = min(FIRST_WAIT * 2 ** min(account.failures, 10), LONGEST_WAIT) * random.uniform(0.8, 1.2)
    log.warning("the OAuth account %s got no token: %s", account.name, why)
    _settle(account, State.TROUBLE, now, last_error=why[:500], failures=F("failures") + 1, retry_at=now + wait)
    return why


def _settle(account: OAuthAccount, state: str, now: dt.datetime, **values: object) -> bool:
    ours = OAuthAccount.objects.filter(pk=account.pk, renewing_until=account.renewing_until)
    since = {} if account.state == state else {"state_since": now}
    return bool(ours.update(**({"retry_at": None} | values | since), state=state, renewing_until=None))


def _tell(account: OAuthAccount, why: str, now: dt.datetime) -> None:
    for watch in WATCHERS.values():
        watch(account, why, now)
