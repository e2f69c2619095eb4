"""The doctor against a real name server: a sound domain, seeded faults by name, and answers that say nothing."""

import datetime as dt
import ipaddress
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace

import pytest

from domains.inspection import Inspection, Inspector, Subject
from domains.lookups import SILENT_LOOKUPS, Lookups
from mail.records import spf, spf_chain
from mail.records.block_lists import BlockList
from mail.records.finding import COULD_NOT_ASK, Finding, Line, Record, State
from mail.records.transport import PolicySeen
from tests.domains.zones import DOMAIN, GOOD, MAILER, PIXEL_URL, POLICY, POLICY_URL, RELAY, SEEDED, SPF, Seeded, apex
from tests.peers.name_server import BOMB, GARBAGE, SILENT, Nameserver, running_nameserver

NOW = dt.datetime(2026, 11, 30, 9, 0, tzinfo=dt.UTC)
LISTS = (BlockList("Zen", "zen.lists.example", False), BlockList("Domains", "dbl.lists.example", True))
NOTHING_SEEN = PolicySeen()
WORST_LAST = (State.GOOD, State.LOOK, State.BROKEN)
SOUND = Seeded(Line.SPF, "", {}, State.GOOD)


@pytest.fixture(scope="module")
def server() -> Iterator[Nameserver]:
    with running_nameserver({}) as running:
        yield running


def look(server: Nameserver, seeded: Seeded, seconds: float = 5.0, sts: PolicySeen = NOTHING_SEEN) -> Inspection:
    server.zone, server.asked = seeded.zone(), []
    subject = Subject(
        DOMAIN,
        seeded.senders,
        tracking_host="links.acme.example",
        tracking_probe=PIXEL_URL,
        block_lists=LISTS,
        selectors=("s1",),
    )
    return Inspector(subject, Lookups([server.address], seconds=seconds), seeded.fetch, NOW, sts).inspect()


def finding(found: Inspection, line: Line) -> Finding:
    return next(each for each in found.findings if each.line is line)


def test_a_sound_domain_is_good_in_every_line(server: Nameserver) -> None:
    found = look(server, SOUND)

    assert [(each.line, each.state, each.sentence) for each in found.findings if each.state is not State.GOOD] == []
    assert [each.line for each in found.findings] == list(Line)
    assert [(row.server, row.spf, row.dkim) for row in found.rows] == [("Mailer", True, True), ("Relay", True, None)]
    assert len(server.asked) == len(set(server.asked)) < 80  # Nothing is asked twice.


@pytest.mark.parametrize("seeded", SEEDED, ids=str)
def test_a_seeded_fault_is_named(server: Nameserver, seeded: Seeded) -> None:
    found = finding(look(server, seeded), seeded.line)

    assert (found.fault, found.state) == (seeded.fault, seeded.state)
    assert seeded.says in f"{found.sentence} {found.record or ''}"
    assert found.sentence.endswith(".")


PERMITTED = ("192.0.2.25", "198.51.100.7", "192.0.2.26", "192.0.2.80", "203.0.113.9")


def _published(seeded: Seeded, record: Record) -> Seeded:
    """Return the zone with a record in place of what its name has of the same type and purpose."""
    known = seeded.zone().get(record.name, {})
    assert not isinstance(known, str)
    kept = [text for text in known.get("TXT", []) if seeded.line is Line.SPF and not _means_spf(str(text))]
    others = {kind: found for kind, found in known.items() if kind not in ("CNAME", record.kind)}
    return replace(seeded, changes={**seeded.changes, record.name: {**others, record.kind: [*kept, record.value]}})


def _means_spf(text: str) -> bool:
    return spf.is_spf(text) or spf.looks_like_spf(text)


def _permitted(server: Nameserver, seeded: Seeded) -> set[str]:
    """Return the addresses that the domain's SPF record allows; none if receivers cannot read it."""
    server.zone = seeded.zone()
    ask = Lookups([server.address])
    texts = [text for text in ask(DOMAIN, "TXT").records if spf.is_spf(text)]
    try:
        policy = spf.read(texts[0] if len(texts) == 1 else "v=spf1 none")
    except spf.SpfInvalid:
        return set()
    chain = spf_chain.Chain(ask)
    node = chain.follow(DOMAIN, policy)
    if chain.faults or policy.all == "+":  # Everybody is who that record must not allow.
        return set()
    return {one for one in PERMITTED if spf_chain.verdict(node, ipaddress.ip_address(one), ask) == "pass"}


@pytest.mark.parametrize("seeded", SEEDED, ids=str)
def test_the_record_to_publish_heals_its_line(server: Nameserver, seeded: Seeded) -> None:
    found = finding(look(server, seeded), seeded.line)
    if found.record is None:
        return

    healed = _published(seeded, found.record)
    after = finding(look(server, healed), seeded.line)

    assert after.fault != found.fault
    assert WORST_LAST.index(after.state) <= WORST_LAST.index(found.state)
    assert _permitted(server, seeded) <= _permitted(server, healed)


def test_faults_have_names_of_their_own() -> None:
    assert len({seeded.fault for seeded in SEEDED}) >= 80


@pytest.mark.parametrize("behaviour", ["SERVFAIL", "REFUSED", "FORMERR", GARBAGE, BOMB, SILENT])
def test_trouble_of_the_name_server_is_never_a_finding(server: Nameserver, behaviour: str) -> None:
    names = (DOMAIN, "_dmarc.acme.example", "s1._domainkey.acme.example", "_smtp._tls.acme.example")
    seeded = replace(SOUND, changes=dict.fromkeys(names, behaviour))

    found = look(server, seeded, seconds=0.08)

    unanswered = (Line.SPF, Line.DKIM, Line.DMARC, Line.ALIGNMENT, Line.MX, Line.TLS_RPT, Line.BIMI)
    for line in unanswered:
        assert (finding(found, line).state, finding(found, line).fault) == (State.UNKNOWN, COULD_NOT_ASK)
    assert {each.state for each in found.findings} == {State.UNKNOWN, State.GOOD}


def _hostile() -> Mapping[str, Seeded]:
    endless = {f"n{n}.example": {"TXT": [f"v=spf1 include:n{n + 1}.example a:n{n}.example -all"]} for n in range(300)}
    odd = b"v=spf1 \xff\xfe\x00 " + b"x" * 60_000
    return {
        "a loop of aliases": replace(SOUND, changes={"_dmarc.acme.example": {"CNAME": ["_dmarc.acme.example."]}}),
        "a hundred records": replace(SOUND, changes=apex([f"{n} {'x' * 500}" for n in range(100)])),
        "a long record": replace(SOUND, changes=apex(f"v=spf1 {'ip4:192.0.2.1 ' * 4_500}-all")),
        "octets that are no text": replace(SOUND, changes={DOMAIN: {"TXT": [odd], "MX": ["10 mx.acme.example."]}}),
        "control characters": replace(
            SOUND,
            changes={
                DOMAIN: {"TXT": [b"v=spf1 \x00\x1b[31mred -all"], "MX": ["10 mx.acme.example."]},
                "_dmarc.acme.example": {"TXT": [b"v=DMARC1; \x00\x1b[2J"]},
            },
            files={POLICY_URL: POLICY.replace("mode", "\x00mode").encode()},
        ),
        "an endless chain": replace(SOUND, changes={**endless, **apex("v=spf1 include:n0.example -all")}),
        "many hosts": replace(SOUND, changes=apex(MX=[f"{n} mx{n}.acme.example." for n in range(500)])),
        "many report addresses": replace(
            SOUND,
            changes={
                "_dmarc.acme.example": {
                    "TXT": ["v=DMARC1; p=none; rua=" + ",".join(f"mailto:a@r{n}.x.example" for n in range(400))]
                }
            },
        ),
        "a key of sixty thousand characters": replace(
            SOUND, changes={"s1._domainkey.acme.example": {"TXT": [f"v=DKIM1; p={'A' * 60_000}"]}}
        ),
    }


@pytest.mark.parametrize("name", _hostile())
def test_hostile_answers_are_bounded(server: Nameserver, name: str) -> None:
    began = time.thread_time()

    found = look(server, _hostile()[name])

    assert len(server.asked) <= 150
    assert all(len(each.seen) <= 4_000 and len(each.sentence) <= 1_000 for each in found.findings)
    said = "".join(f"{each.seen}{each.sentence}{each.record}" for each in found.findings) + found.sts.text
    assert not {"\x00", "\x1b"} & set(said)  # PostgreSQL refuses one, and a terminal obeys the other.
    assert time.thread_time() - began < 20  # Of a runaway, not of a slow machine.


def test_the_look_ends_when_its_look_ups_are_used_up(server: Nameserver) -> None:
    server.zone = dict(GOOD)
    subject = Subject(DOMAIN, (MAILER, RELAY), selectors=("s1",))

    found = Inspector(subject, Lookups([server.address], most=8), SOUND.fetch, NOW, PolicySeen()).inspect()

    assert finding(found, Line.SPF).state is State.GOOD
    assert finding(found, Line.MX).fault == COULD_NOT_ASK
    assert "too many look-ups" in finding(found, Line.MX).sentence


def test_name_servers_that_never_answer_are_given_up_soon() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        lookups = Lookups([f"127.0.0.1#{silent.getsockname()[1]}"], seconds=0.05)

        found = Inspector(Subject(DOMAIN, (MAILER, RELAY)), lookups, SOUND.fetch, NOW, PolicySeen()).inspect()

        silent.setblocking(False)
        asked = 0
        with suppress(BlockingIOError):
            while silent.recv(600):
                asked += 1
    assert {each.state for each in found.findings} == {State.UNKNOWN}
    assert SILENT_LOOKUPS <= asked <= 2 * SILENT_LOOKUPS


def test_a_policy_in_test_mode_for_over_ninety_days_and_a_forgotten_id_are_noticed(server: Nameserver) -> None:
    testing = replace(SOUND, files={POLICY_URL: POLICY.replace("enforce", "testing").encode()})

    first = look(server, testing)
    later = look(server, testing, sts=first.sts._replace(testing_since=NOW - dt.timedelta(days=91)))
    changed = look(server, SOUND, sts=first.sts)

    assert (finding(first, Line.MTA_STS).state, first.sts.testing_since) == (State.GOOD, NOW)
    assert finding(later, Line.MTA_STS).fault == "mta-sts-testing"
    assert finding(changed, Line.MTA_STS).fault == "mta-sts-id-unchanged"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"acme.example.dbl.lists.example": {"A": ["127.255.255.254"]}}, "public resolvers"),
        ({"acme.example.dbl.lists.example": {"A": ["127.255.255.255"]}}, "too often"),
        ({"test.dbl.lists.example": {"A": ["127.255.255.252"]}}, "typed wrong"),
        ({"test.dbl.lists.example": None}, "doesn't answer its test"),
        (
            {"invalid.dbl.lists.example": {"A": ["127.0.1.2"]}, "acme.example.dbl.lists.example": {"A": ["127.0.1.2"]}},
            "everybody",
        ),
        ({"acme.example.dbl.lists.example": {"A": ["203.0.113.9"]}}, "no listing"),
    ],
)
def test_an_error_of_a_block_list_is_no_listing(server: Nameserver, changes: dict[str, object], why: str) -> None:
    found = finding(look(server, replace(SOUND, changes=changes)), Line.BLOCK_LISTS)  # type: ignore[arg-type]

    assert (found.state, found.fault) == (State.UNKNOWN, COULD_NOT_ASK)
    assert why in found.sentence


def test_without_a_known_selector_nothing_is_called_broken(server: Nameserver) -> None:
    server.zone = {name: records for name, records in GOOD.items() if "_domainkey" not in name}

    found = Inspector(Subject(DOMAIN), Lookups([server.address]), SOUND.fetch, NOW, PolicySeen()).inspect()

    assert (finding(found, Line.DKIM).state, finding(found, Line.DKIM).fault) == (State.UNKNOWN, "")
    assert finding(found, Line.SPF).seen.startswith(SPF)
