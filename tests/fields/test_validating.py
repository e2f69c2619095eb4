"""What DNS says about a recipient's domain, asked of a real name server: which answers count, and how long it takes."""

import asyncio
import datetime as dt
import time
from collections.abc import Iterator

import pytest
from django.test import override_settings
from django.utils import timezone

from delivery.content import recipient_domains
from delivery.content.recipient_domains import NO_PROBLEM, AddressProblem, DomainCache, Validator
from delivery.models import Attempt, UnreachableDomain
from delivery.outcomes import unreachable_domains
from tests.fields.bench import Bench
from tests.peers.name_server import MX, SILENT, TRUNCATED, TRUNCATED_FOR_EVER, Nameserver, running_nameserver

MANY_ADDRESSES = {"A": [f"192.0.2.{number}" for number in range(100)]}
ZONE = {
    "mx.shop": MX,
    "two.shop": {"MX": ["10 a.mx.shop.", "20 b.mx.shop."]},
    "google.shop": {"MX": ["5 alt1.aspmx.l.google.com.", "1 ASPMX.l.Google.com."]},
    "microsoft.shop": {"MX": ["0 microsoft-shop.mail.protection.outlook.com."]},
    "new-microsoft.shop": {"MX": ["0 new-microsoft-shop.j-v1.mx.microsoft."]},
    "old-google.shop": {"MX": ["10 aspmx2.googlemail.com."]},
    "yandex.shop": {"MX": ["10 mx.yandex.net."]},
    "own.shop": {"MX": ["10 mail.own.co.uk."]},
    "beirut.shop": {"MX": ["10 mail.beirut.com.lb."]},
    "tripoli.shop": {"MX": ["10 mail.tripoli.com.lb."]},
    "hosted.shop": {"MX": ["10 w0123456.kasserver.com."]},
    "simple.shop": {"MX": ["10 inbound-smtp.us-east-1.amazonaws.com."]},
    "null.shop": {"MX": ["0 ."]},
    "web.shop": {"A": ["192.0.2.1"]},
    "new.shop": {"AAAA": ["2001:db8::1"]},
    "empty.shop": {"TXT": ["nothing"]},
    "alias.shop": {"CNAME": ["mx.shop."]},
    "loop.shop": {"CNAME": ["pool.shop."]},
    "pool.shop": {"CNAME": ["loop.shop."]},
    "large.shop": MANY_ADDRESSES,
    "broken.shop": "SERVFAIL",
    "closed.shop": "REFUSED",
    "silent.shop": SILENT,
    "long.shop": TRUNCATED,
    "endless.shop": TRUNCATED_FOR_EVER,
    "xn--bcher-kva.shop": {"MX": ["0 ."]},
}
MAY = ""


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    with running_nameserver(ZONE) as server:
        yield server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "LOOK_UP_SECONDS", 0.6)


def ask(nameserver: Nameserver, *addresses: str, cache: DomainCache | None = None) -> list[str]:
    """Return the problem of each address as a sentence, asked one after the other."""
    validator = Validator([nameserver.address], cache or DomainCache())

    async def in_turn() -> list[str]:
        return [(await validator.problem(address)).sentence for address in addresses]

    return asyncio.run(in_turn())


@pytest.mark.parametrize(
    ("domain", "problem"),
    [
        ("mx.shop", MAY),
        ("two.shop", MAY),
        ("web.shop", MAY),
        ("new.shop", MAY),
        ("alias.shop", MAY),
        ("large.shop", MAY),
        ("long.shop", MAY),
        ("nowhere.shop", "The domain nowhere.shop does not exist."),
        ("NoWhere.SHOP", "The domain nowhere.shop does not exist."),
        ("null.shop", "The domain null.shop says that it takes no mail."),
        ("bücher.shop", "The domain xn--bcher-kva.shop says that it takes no mail."),
        ("empty.shop", "The domain empty.shop has no mail server and no address."),
        ("customer.example", "The domain customer.example is reserved and receives no mail."),
        ("shop.test", "The domain shop.test is reserved and receives no mail."),
    ],
)
def test_a_domain_is_judged_by_its_records(nameserver: Nameserver, domain: str, problem: str) -> None:
    assert ask(nameserver, f"ann@{domain}") == [problem]


@pytest.mark.parametrize("domain", ["broken.shop", "closed.shop", "silent.shop", "endless.shop", "loop.shop"])
def test_unknown_is_never_invalid_and_takes_its_time_once(nameserver: Nameserver, domain: str) -> None:
    began = time.monotonic()

    problems = ask(nameserver, f"ann@{domain}", f"bob@{domain}")

    assert problems == [MAY, MAY]
    assert time.monotonic() - began < 1.1


def test_nobody_listening_is_unknown() -> None:
    with running_nameserver({}) as gone:
        pass

    assert ask(gone, "ann@mx.shop") == [MAY]


def test_a_second_name_server_answers_for_a_silent_first(
    nameserver: Nameserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipient_domains, "LOOK_UP_SECONDS", 5.0)
    with running_nameserver({"null.shop": SILENT}) as silent:
        validator = Validator([silent.address, nameserver.address], DomainCache())

        problem = asyncio.run(validator.problem("ann@null.shop"))

    assert problem.sentence == "The domain null.shop says that it takes no mail."
    assert silent.asked


def test_an_unusable_address_and_a_reserved_domain_ask_nobody(nameserver: Nameserver) -> None:
    problems = ask(nameserver, "ann", "ann@invalid", "a..b@mx.shop", f"{'x' * 65}@mx.shop", "ann@here.example")

    assert all(problems)
    assert nameserver.asked == []


def test_a_domain_is_asked_once_by_all_who_wait_for_it(nameserver: Nameserver) -> None:
    validator = Validator([nameserver.address], DomainCache())

    async def together() -> list[AddressProblem]:
        return await asyncio.gather(*(validator.problem(f"person{number}@web.shop") for number in range(200)))

    problems = asyncio.run(together())

    assert set(problems) == {NO_PROBLEM}
    assert nameserver.asked == [("web.shop", "MX"), ("web.shop", "A")]


def test_the_next_drain_of_the_process_knows_already(nameserver: Nameserver) -> None:
    cache = DomainCache()

    first, second = (ask(nameserver, "ann@nowhere.shop", cache=cache) for _ in range(2))

    assert first == second == ["The domain nowhere.shop does not exist."]
    assert nameserver.asked == [("nowhere.shop", "MX")]
    assert Validator([])._cache is Validator([])._cache


def test_what_was_unknown_is_asked_again_sooner(nameserver: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "UNKNOWN_SECONDS", 0.0)

    ask(nameserver, "ann@broken.shop", "bob@broken.shop", "ann@web.shop", "bob@web.shop")

    names = [name for name, kind in nameserver.asked if kind == "MX"]
    assert names.count("broken.shop") > 1
    assert names.count("web.shop") == 1


def test_many_domains_are_asked_at_once_and_no_more_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "LOOK_UPS_AT_ONCE", 10)
    monkeypatch.setattr(recipient_domains, "SILENT_LOOK_UPS", 1000)
    under_way = most = 0
    original = recipient_domains._ask

    async def counting(*args: object) -> str:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await original(*args)  # type: ignore[arg-type]
        finally:
            under_way -= 1

    monkeypatch.setattr(recipient_domains, "_ask", counting)
    domains = [f"d{number}.shop" for number in range(30)]
    with running_nameserver(dict.fromkeys(domains, SILENT)) as nameserver:
        validator = Validator([nameserver.address], DomainCache())

        async def together() -> None:
            validator.look_ahead(f"ann@{domain}" for domain in domains)
            await asyncio.gather(*(validator.problem(f"ann@{domain}") for domain in domains))

        began = time.monotonic()
        asyncio.run(together())

    assert most == 10
    assert 1.7 < time.monotonic() - began < 4  # Three rounds of 0.6 s, and not thirty.


def test_silent_name_servers_are_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "LOOK_UPS_AT_ONCE", 20)
    domains = [f"d{number}.shop" for number in range(2000)]
    with running_nameserver(dict.fromkeys(domains, SILENT)) as nameserver:
        validator = Validator([nameserver.address], DomainCache())

        async def together() -> list[AddressProblem]:
            return await asyncio.gather(*(validator.problem(f"ann@{domain}") for domain in domains))

        began = time.monotonic()
        problems = asyncio.run(together())

    assert set(problems) == {NO_PROBLEM}
    assert time.monotonic() - began < 5  # Not 2,000 times 0.6 s.


def test_an_answer_between_shows_that_they_are_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "SILENT_LOOK_UPS", 2)
    monkeypatch.setattr(recipient_domains, "LOOK_UP_SECONDS", 0.2)
    zone = {"one.shop": SILENT, "two.shop": SILENT, "mx.shop": MX, "null.shop": {"MX": ["0 ."]}}
    with running_nameserver(zone) as nameserver:
        problems = ask(nameserver, "a@one.shop", "a@mx.shop", "a@two.shop", "a@null.shop")

    assert problems[-1] == "The domain null.shop says that it takes no mail."


def test_the_cache_forgets_the_oldest_first() -> None:
    cache = DomainCache(most=2)
    for domain in ("one", "two", "three"):
        cache.put(domain, NO_PROBLEM, 60)

    assert [cache.get(domain) for domain in ("one", "two", "three")] == [None, NO_PROBLEM, NO_PROBLEM]


def test_a_drain_asks_for_all_domains_ahead_and_never_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipient_domains, "LOOK_UP_SECONDS", 1.5)
    monkeypatch.setattr(recipient_domains, "SILENT_LOOK_UPS", 1000)
    silent = [f"d{number}.shop" for number in range(8)]
    with (
        running_nameserver(dict.fromkeys(silent, SILENT)) as nameserver,
        override_settings(DNS_RESOLVERS=[nameserver.address]),
    ):
        bench.save(handles_email_validation=None, max_connections="1")
        began = time.monotonic()

        arrived = bench.campaign(*(f"ann@{domain}" for domain in silent), "bob@nowhere.shop")

    assert {mail.rcpt_to for mail in arrived} == {f"ann@{domain}" for domain in silent}
    assert time.monotonic() - began < 8  # One after the other they would take twelve seconds.


def test_what_a_worker_learns_of_domains_is_a_row_that_every_process_reads(
    bench: Bench, nameserver: Nameserver
) -> None:
    with override_settings(DNS_RESOLVERS=[nameserver.address]):
        bench.save(handles_email_validation=None)

        bench.campaign("ann@missing.shop", "bob@missing.shop", "cem@null.shop", "dora@mx.shop", "eve@broken.shop")

    now = timezone.now()
    kinds = dict(UnreachableDomain.objects.values_list("domain", "kind"))
    assert kinds == {"missing.shop": "no-domain", "null.shop": "no-mail"}
    assert set(Attempt.objects.filter(outcome="not_sent").values_list("rule", flat=True)) == {"no-domain", "no-mail"}
    assert sorted(unreachable_domains.known(now)) == ["missing.shop", "null.shop"]
    assert unreachable_domains.is_known("null.shop", now)
    assert not unreachable_domains.is_known("broken.shop", now)

    tomorrow = now + dt.timedelta(days=1, seconds=1)
    assert unreachable_domains.known(tomorrow) == []
    unreachable_domains.forget(tomorrow)
    assert not UnreachableDomain.objects.exists()


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("google.shop", "google.com"),
        ("microsoft.shop", "outlook.com"),
        ("new-microsoft.shop", "outlook.com"),
        ("old-google.shop", "google.com"),
        ("yandex.shop", "yandex.ru"),
        ("own.shop", "own.co.uk"),
        ("beirut.shop", "beirut.com.lb"),
        ("tripoli.shop", "tripoli.com.lb"),
        ("hosted.shop", "kasserver.com"),
        ("simple.shop", "amazonaws.com"),
        ("web.shop", "web.shop"),
        ("null.shop", "null.shop"),
        ("missing.shop", "missing.shop"),
        ("broken.shop", "broken.shop"),
    ],
)
def test_a_provider_is_the_registrable_domain_of_the_first_mx(
    nameserver: Nameserver, domain: str, provider: str
) -> None:
    cache = DomainCache()
    assert recipient_domains.provider_of(domain, cache) == domain, "nothing is asked"

    ask(nameserver, f"ann@{domain}", cache=cache)

    assert recipient_domains.provider_of(domain, cache) == provider


@pytest.mark.parametrize(
    ("domain", "provider"),
    [
        ("gmail.com", "google.com"),
        ("googlemail.com", "google.com"),
        ("hotmail.co.uk", "outlook.com"),
        ("live.nl", "outlook.com"),
        ("yahoo.com.br", "yahoodns.net"),
        ("yahoo.co.jp", "yahoo.co.jp"),  # Another company, with its own servers.
        ("live.tv", "live.tv"),
        ("gmx.at", "gmx.net"),
        ("proton.me", "protonmail.ch"),
        ("aol.com", "yahoodns.net"),
        ("me.com", "icloud.com"),
        ("live.example.com", "live.example.com"),
        ("yahoo.shop", "yahoo.shop"),
    ],
)
def test_the_providers_of_most_people_are_known_without_asking(domain: str, provider: str) -> None:
    assert recipient_domains.provider_of(domain, DomainCache()) == provider


def test_a_provider_is_remembered_longer_than_a_problem() -> None:
    cache = DomainCache()
    cache.put("google.shop", NO_PROBLEM, -1.0, "google.com")
    cache.put("google.shop", NO_PROBLEM, -1.0)  # Asked again, without an answer.

    assert cache.get("google.shop") is None
    assert recipient_domains.provider_of("google.shop", cache) == "google.com"
