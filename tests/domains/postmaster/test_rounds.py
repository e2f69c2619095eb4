"""The errand: what Google says is stored by domain and day, asked anew while it changes, and never asked too often."""

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.serializers import serialize
from django.utils import timezone

from delivery import identity
from delivery.models import Installation
from domains import tasks
from domains.models import PostmasterAccess, PostmasterDay, PostmasterDomain, SendingDomain
from domains.postmaster import client
from domains.postmaster.rounds import ask_due
from domains.reports.store import forget_old
from oauth.models import OAuthAccount
from oauth.tokens import renew
from tests.oauth.making import make_account
from tests.peers.postmaster import REASONS, PostmasterApi, denied
from tests.peers.token_server import CLIENT_SECRET, Answer, TokenServer, key_pem

pytestmark = pytest.mark.django_db(transaction=True)
ACME, SHOP = "acme.example", "news.shop.example"


class Clock:
    def __init__(self) -> None:
        self.now = timezone.now()  # Assertions of accounts are checked against the clock of this machine.

    def __call__(self) -> dt.datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += dt.timedelta(**span)

    def day(self, ago: int) -> dt.date:
        return self.now.astimezone(dt.UTC).date() - dt.timedelta(days=ago)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def acme() -> SendingDomain:
    return SendingDomain.objects.create(name=ACME)


@pytest.fixture
def account(server: TokenServer, api: PostmasterApi) -> OAuthAccount:
    """An account that is connected and sees a verified domain."""
    api.add(ACME)
    return connected(server)


def connected(server: TokenServer, **values: Any) -> OAuthAccount:
    account = make_account(**{"flow": "postmaster user", "server": server, "name": "Figures", **values})
    OAuthAccount.objects.filter(pk=account.pk).update(state=OAuthAccount.State.OK)
    return account


def go(clock: Clock, should_stop: Callable[[], bool] = lambda: False) -> int:
    return ask_due(clock, should_stop)


def access() -> PostmasterAccess:
    return PostmasterAccess.objects.get()


def known(domain: SendingDomain) -> PostmasterDomain:
    return PostmasterDomain.objects.get(domain=domain)


def rates(domain: SendingDomain) -> dict[dt.date, float | None]:
    return dict(PostmasterDay.objects.filter(domain=domain).order_by("day").values_list("day", "spam_rate"))


# --- read


def test_ten_days_are_read_over_all_pages_and_stored_by_day(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    kinds = ["spf", "dkim", "dmarc", "tls", "reject", "temp_fail"]
    kinds += [f"{kind}.{reason}" for kind, reasons in REASONS.items() for reason in reasons]
    for ago in range(1, 13):
        shares = {kind: ago / 1000 + place / 100 for place, kind in enumerate(sorted(kinds))}
        api.say(ACME, clock.day(ago), spam=ago / 10_000, **shares)
    api.requirements[ACME] = {"SPF": "COMPLIANT", "ONE_CLICK_UNSUBSCRIBE": "NEEDS_WORK"}

    assert go(clock) == 1

    assert rates(acme) == {clock.day(ago): ago / 10_000 for ago in range(1, 11)}
    row = PostmasterDay.objects.get(day=clock.day(10))
    place = {kind: place for place, kind in enumerate(sorted(kinds))}
    columns = (row.spf_rate, row.dkim_rate, row.dmarc_rate, row.tls_rate, row.rejected_rate, row.deferred_rate)
    assert columns == tuple(pytest.approx(0.01 + place[kind] / 100) for kind in kinds[:6])
    assert row.reasons == {kind.replace(".", "__"): pytest.approx(0.01 + place[kind] / 100) for kind in kinds[6:]}
    assert known(acme).requirements == {"SPF": True, "ONE_CLICK_UNSUBSCRIBE": False}
    assert (known(acme).read_at, known(acme).account, known(acme).problem) == (clock.now, account, "")
    assert len(api.asked) == 1 + 8 + 18 + 1  # 50 rates and 120 errors, with seven on a page.


def test_late_values_replace_the_early_ones_and_what_is_missing_stays(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    day = clock.day(2)
    api.say(ACME, day, spam=0.001, dkim=0.9, reject__other=0.02)
    go(clock)
    clock.later(hours=25)
    api.say(ACME, day, spam=0.004)
    del api.values[ACME, day, "dkim"]
    api.say(ACME, clock.day(1), spam=0.0)

    assert go(clock) == 1

    row = PostmasterDay.objects.get(day=day)
    assert (row.spam_rate, row.dkim_rate, row.reasons) == (0.004, 0.9, {"reject__other": 0.02})
    assert rates(acme)[clock.day(1)] == 0.0
    assert PostmasterDay.objects.count() == 2


def test_only_domains_that_are_listed_on_both_sides_are_asked_for(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    SendingDomain.objects.create(name="only-here.example")
    for number in range(20):
        api.add(f"only-there-{number}.example")
    api.add(SHOP)
    SendingDomain.objects.create(name=SHOP)

    go(clock)

    asked = {path.split("/")[1] for path in api.paths if path != "domains"}
    assert asked == {ACME, SHOP}
    assert api.paths.count("domains") == 4  # 22 domains, with seven on a page.


def test_an_account_is_asked_once_a_day(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    assert [go(clock), go(clock)] == [1, 0]
    asked = len(api.asked)
    clock.later(hours=21)
    assert go(clock) == 0
    clock.later(hours=3)

    assert go(clock) == 1
    assert len(api.asked) == 2 * asked


def test_an_account_that_nobody_connected_is_not_asked(
    server: TokenServer, api: PostmasterApi, acme: SendingDomain, clock: Clock
) -> None:
    make_account("postmaster user", server)
    connected(server, flow="google service", name="Mail")

    assert go(clock) == 0
    assert (api.asked, server.asked) == ([], [])


def test_a_copy_that_waits_to_be_confirmed_asks_nobody(
    server: TokenServer,
    api: PostmasterApi,
    account: OAuthAccount,
    acme: SendingDomain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert renew(account.pk, timezone.now(), is_asked=True)
    monkeypatch.setattr(identity, "_process", identity._Process())
    server.asked.clear()
    identity.check(timezone.now())
    Installation.objects.update(held_because="This database was restored.", held_since=timezone.now())

    tasks.ask_postmaster()
    assert ask_due(timezone.now, lambda: False) == 0

    assert (api.asked, server.asked) == ([], [])


def test_the_task_asks(api: PostmasterApi, account: OAuthAccount, acme: SendingDomain) -> None:
    tasks.ask_postmaster()

    assert known(acme).problem == ""


def test_a_round_that_is_cut_short_goes_on_where_it_stopped(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    shop = SendingDomain.objects.create(name=SHOP)
    api.add(SHOP)

    assert go(clock, lambda: PostmasterDomain.objects.exists()) == 1
    assert PostmasterDomain.objects.count() == 1
    assert go(clock) == 1

    assert {row.domain for row in PostmasterDomain.objects.all()} == {acme, shop}
    assert sum(path.endswith("complianceStatus") for path in api.paths) == 2


def test_a_second_account_leaves_a_domain_to_the_first(
    server: TokenServer, api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    connected(server, name="Other")

    assert go(clock) == 2

    assert sum(path.endswith("complianceStatus") for path in api.paths) == 1


# --- the token


def test_an_expired_token_is_renewed_once(
    server: TokenServer, api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    go(clock)
    api.refused |= set(server.said)
    OAuthAccount.objects.update(renewed_at=clock.now - dt.timedelta(minutes=50))
    PostmasterAccess.objects.update(next_at=clock.now)
    PostmasterDomain.objects.update(problem="denied")
    api.asked.clear()

    assert go(clock) == 1

    assert len(server.asked) == 2
    assert [asked.token for asked in api.asked[:2]] == [said for said in server.said if "access" in said]
    assert known(acme).problem == ""


def test_no_secret_is_in_logs_or_rows(
    server: TokenServer,
    api: PostmasterApi,
    account: OAuthAccount,
    acme: SendingDomain,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    go(clock)
    echoed = denied(message=f"The token {server.said[-1]} is not for this domain")
    for end in ("domains", "domainStats:query", "complianceStatus"):
        api.instead = {end: [echoed]}
        PostmasterDomain.objects.update(asked_at=clock.now - dt.timedelta(days=2))
        PostmasterAccess.objects.update(next_at=clock.now)
        assert go(clock) == 1

    rows = serialize("json", [*PostmasterAccess.objects.all(), *PostmasterDomain.objects.all()])
    assert "The token … is not for this domain" in rows
    for secret in (*server.said, CLIENT_SECRET, key_pem().splitlines()[5]):
        assert secret not in caplog.text + rows


# --- what goes wrong


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (denied(), "denied"),
        ((404, {}), "denied"),
        ((400, {"error": {"message": "Invalid"}}), "not understood"),
        ((302, {}), "not understood"),
    ],
)
def test_one_domain_that_cannot_be_read_leaves_the_others(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock, answer: Answer, problem: str
) -> None:
    shop = SendingDomain.objects.create(name=SHOP)
    api.add(SHOP)
    api.say(SHOP, clock.day(1), spam=0.0)
    api.instead = {f"{ACME}/domainStats:query": [answer]}

    go(clock)

    assert known(acme).problem == problem
    assert known(shop).problem == ""
    assert access().problem == ""
    clock.later(hours=1)
    assert go(clock) == 1
    assert known(acme).problem == ""


@pytest.mark.parametrize(
    ("values", "problem"), [({"permission": "NONE"}, "denied"), ({"verificationState": "UNVERIFIED"}, "unverified")]
)
def test_a_domain_that_the_list_calls_closed_is_not_asked_for(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock, values: dict[str, str], problem: str
) -> None:
    api.add(ACME, **values)

    go(clock)

    assert known(acme).problem == problem
    assert api.paths == ["domains"]


def test_a_domain_that_left_the_list_is_told(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    api.say(ACME, clock.day(1), spam=0.002)
    go(clock)
    api.domains.clear()
    clock.later(days=1)

    go(clock)

    assert known(acme).problem == "not listed"
    assert list(rates(acme).values()) == [0.002]


@pytest.mark.parametrize(
    ("answer", "problem", "wait"),
    [
        (denied("SERVICE_DISABLED"), "api off", dt.timedelta(hours=1)),
        (denied("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "scope", dt.timedelta(hours=1)),
        ((401, {}), "sign in", dt.timedelta(hours=1)),
        ((429, {}), "busy", dt.timedelta(minutes=15)),
        ((503, {}), "busy", dt.timedelta(minutes=15)),
        ((200, b"<html>"), "busy", dt.timedelta(minutes=15)),
        ((200, b"[" * 60_000), "busy", dt.timedelta(minutes=15)),
        ((200, b" " * (client.MOST_BYTES + 1) + b"{}"), "busy", dt.timedelta(minutes=15)),
    ],
)
@pytest.mark.parametrize("end", ["v2/domains", f"{ACME}/domainStats:query", f"{ACME}/complianceStatus"])
def test_what_is_wrong_with_the_account_is_told_and_asked_again_later(
    api: PostmasterApi,
    account: OAuthAccount,
    acme: SendingDomain,
    clock: Clock,
    answer: Answer,
    problem: str,
    wait: dt.timedelta,
    end: str,
) -> None:
    api.instead = {end.removeprefix("v2/"): [answer, answer]}

    go(clock)

    assert access().problem == problem
    assert 0.9 * wait <= access().next_at - clock.now <= wait
    assert not PostmasterDay.objects.exists()
    api.instead = {}
    clock.later(seconds=wait.total_seconds())
    assert go(clock) == 1
    assert (access().problem, access().failures, known(acme).problem) == ("", 0, "")


def test_a_google_that_stays_silent_is_asked_more_and_more_rarely(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    waits = []
    for _ in range(7):
        api.instead = {"domains": [(503, {})]}
        assert go(clock) == 1
        waits.append((access().next_at - clock.now).total_seconds() / 3600)
        clock.now = access().next_at

    most = [0.25, 0.5, 1, 2, 4, 6, 6]
    assert all(0.9 * hours <= wait <= hours for wait, hours in zip(waits, most, strict=True))


def test_rates_are_read_even_if_the_errors_are_not_understood(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    api.say(ACME, clock.day(1), spam=0.002)
    api.page_rows = 200
    rates_asked: list[Answer] = []
    answer = api.answer

    def without_errors(asked: Any) -> Answer:
        if asked.body and any(one["name"] == "reject" for one in asked.body["metricDefinitions"]):
            rates_asked.append((400, {}))
            return 400, {"error": {"message": "Unknown metric"}}
        return answer(asked)

    api.server.api = without_errors

    go(clock)

    assert rates_asked
    assert (known(acme).problem, list(rates(acme).values())) == ("", [0.002])


def test_pages_without_end_end(api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock) -> None:
    count = 0
    answer = api.answer

    def endless(asked: Any) -> Answer:
        nonlocal count
        status, body = answer(asked)
        count += 1
        return status, {**body, "nextPageToken": str(count)}

    api.server.api = endless

    go(clock)

    assert count == 3 * client.MOST_PAGES + 1
    assert known(acme).problem == ""


def test_an_account_that_google_refuses_says_so_and_waits(
    server: TokenServer, api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    server.answers = [(400, {"error": "unauthorized_client"})]

    go(clock)

    assert access().problem == "no token"
    assert api.asked == []
    clock.later(hours=2)
    assert go(clock) == 0  # Until somebody connects it again.
    OAuthAccount.objects.update(state=OAuthAccount.State.OK)
    assert go(clock) == 1
    assert known(acme).problem == ""


def test_an_unexpected_error_leaves_the_other_accounts(
    server: TokenServer,
    api: PostmasterApi,
    account: OAuthAccount,
    acme: SendingDomain,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connected(server, name="Other")
    asked = []
    real = client.list_domains

    def once(one: OAuthAccount, read_clock: Any) -> Any:
        asked.append(one)
        if len(asked) == 1:
            raise RuntimeError("nobody thought of it")
        return real(one, read_clock)

    monkeypatch.setattr(client, "list_domains", once)

    assert go(clock) == 2
    assert known(acme).problem == ""
    assert sorted(PostmasterAccess.objects.values_list("problem", flat=True)) == ["", "busy"]


def test_figures_are_kept_for_thirteen_months(acme: SendingDomain, clock: Clock) -> None:
    for ago in (399, 400, 401):
        PostmasterDay.objects.create(domain=acme, day=clock.day(ago))

    assert forget_old(clock.now) == 1

    assert set(rates(acme)) == {clock.day(399), clock.day(400)}


def test_an_account_goes_and_its_figures_stay(
    api: PostmasterApi, account: OAuthAccount, acme: SendingDomain, clock: Clock
) -> None:
    api.say(ACME, clock.day(1), spam=0.002)
    go(clock)

    account.delete()

    assert not PostmasterAccess.objects.exists()
    assert list(rates(acme).values()) == [0.002]
    assert known(acme).account is None
