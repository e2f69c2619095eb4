"""SPF: what is readable, what it costs, and what it says about an address."""

import ipaddress

import pytest

from mail.records import spf, spf_chain
from mail.records.answers import Unanswered
from mail.records.finding import State
from mail.records.spf_chain import Include
from tests.mail.records.zone import TableAsk, txt


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1",
        "v=spf1 -all",
        "V=SPF1 MX A:mail.a.example/24//64 ~ALL",
        "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ip4:192.0.2.7 ?all",
        "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all",
        "v=spf1 include:_spf.a.example redirect=_spf.b.example",
        "v=spf1 a//64 mx/24 ptr ptr:a.example -all",
        "v=spf1 unknown-modifier=x exp=why.a.example -all",
        "v=spf1 a:mail.xn--bcher-kva.example -all",
    ],
)
def test_a_record_that_receivers_read_is_read(record: str) -> None:
    assert spf.is_spf(record)
    assert spf.read(record).text == record


@pytest.mark.parametrize(
    ("record", "part"),
    [
        ("v=spf1 ipv4:192.0.2.1 -all", "ipv4:192.0.2.1"),
        ("v=spf1 ip4:mail.a.example -all", "ip4:mail.a.example"),
        ("v=spf1 ip4:192.0.2.1/33 -all", "/33"),
        ("v=spf1 ip4:192.0.2.1/255.255.255.0 -all", "255.255.255.0"),
        ("v=spf1 ip6:192.0.2.1 -all", "2001:db8::1"),
        ("v=spf1 include=_spf.a.example -all", "include:_spf.a.example"),
        ("v=spf1 include -all", "needs a domain"),
        ("v=spf1 include: -all", "no valid domain"),
        ("v=spf1 include:a..example -all", "a..example"),
        ("v=spf1 a:192.0.2.1 -all", "Write ip4:"),
        ("v=spf1 a/40 -all", "prefix length"),
        ("v=spf1 all:a.example", "alone"),
        ("v=spf1 mx,a -all", "mx,a"),
        ("v=spf1 -all; include:a.example", "-all;"),
        ("v=spf1 redirect=a.example redirect=b.example", "twice"),
        ("v=spf1 exists:%{q}.a.example -all", "%{q}"),
        (f"v=spf1 {'ip4:192.0.2.1 ' * 300}-all", "too long"),
    ],
)
def test_a_record_that_breaks_is_refused_with_its_part(record: str, part: str) -> None:
    with pytest.raises(spf.SpfInvalid) as refused:
        spf.read(record)

    assert part in str(refused.value)


def test_look_ups_are_counted_through_the_chain_and_shown() -> None:
    ask = TableAsk(
        txt(
            top="v=spf1 include:one.example a mx exists:%{i}.x.example -all",
            one="v=spf1 include:two.example ip4:192.0.2.0/24 -all",
            two="v=spf1 ip4:198.51.100.0/24 redirect=three.example",
            three="v=spf1 ip4:203.0.113.0/24 ~all",
        )
    )

    finding = spf_chain.check("top.example", ask)

    assert finding.state == State.GOOD
    assert finding.sentence == "One record, 6 of 10 look-ups."
    assert finding.seen.splitlines()[1:] == [
        "6 of 10 look-ups",
        "include:one.example (2)",
        "  include:two.example (1)",
        "    redirect=three.example (0)",
    ]


@pytest.mark.parametrize(
    ("address", "verdict"),
    [
        ("192.0.2.9", "pass"),
        ("198.51.100.9", "pass"),  # By an include whose own end is softer.
        ("203.0.113.5", "fail"),  # Refused before the include that allows it.
        ("192.0.2.200", "pass"),  # By an MX.
        ("2001:db8::7", "pass"),
        ("2001:db8:1::7", "softfail"),
        ("100.64.0.1", "softfail"),
    ],
)
def test_the_verdict_on_an_address_follows_the_order_of_the_terms(address: str, verdict: str) -> None:
    table = {
        **txt(
            top="v=spf1 ip4:192.0.2.0/28 -ip4:203.0.113.5 include:one.example mx a:v6.example//64 ~all",
            one="v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 ?all",
        ),
        "mx.example": {"A": ["192.0.2.200"]},
        "v6.example": {"AAAA": ["2001:db8::1"]},
    }
    table["top.example"] = {**table["top.example"], "MX": ["10 mx.example."]}
    ask = TableAsk(table)
    node = spf_chain.Chain(ask).follow("top.example", spf.read(table["top.example"]["TXT"][0]))

    assert spf_chain.verdict(node, ipaddress.ip_address(address), ask) == verdict


def test_a_loop_and_an_endless_chain_end() -> None:
    loop = TableAsk(txt(a="v=spf1 include:b.example -all", b="v=spf1 include:a.example -all"))
    wide = {f"n{n}.example": {"TXT": [f"v=spf1 include:n{n + 1}.example include:n{n + 1}.example"]} for n in range(99)}
    endless = TableAsk(wide)

    assert spf_chain.check("a.example", loop).fault == "spf-include-loop"
    assert spf_chain.check("n0.example", endless).fault == "spf-too-many-lookups"
    assert len(endless.asked) < 40


def test_an_include_that_is_not_answered_is_no_finding() -> None:
    ask = TableAsk(txt(a="v=spf1 include:b.example +all"), silent=("b.example",))

    with pytest.raises(Unanswered):
        spf_chain.check("a.example", ask)


@pytest.mark.parametrize(
    ("records", "proposed"),
    [([], "v=spf1 mx ~all"), (["v=spf1 +all"], "v=spf1 mx ~all"), (["v=spf1 -all", "v=spf1 -all"], "v=spf1 -all")],
)
def test_a_record_that_allows_nobody_is_proposed_only_to_those_who_wanted_it(records: list[str], proposed: str) -> None:
    finding = spf_chain.check("a.example", TableAsk(txt(a=records)))

    assert finding.record is not None
    assert finding.record.value == proposed


@pytest.mark.parametrize(
    ("records", "proposed"),
    [
        ([], "v=spf1 include:spf.mail.example ip4:192.0.2.1 ~all"),
        (["v=spf1 mx -all", "v=spf1 a mx ~all"], "v=spf1 mx a include:spf.mail.example ip4:192.0.2.1 -all"),
        (['"v=spf1 mx ?all"'], "v=spf1 mx include:spf.mail.example ip4:192.0.2.1 ~all"),
        (["v=spf1 ptr ipv4:192.0.2.9 mx +all"], "v=spf1 ip4:192.0.2.9 mx include:spf.mail.example ip4:192.0.2.1 ~all"),
        (["v=spf1 redirect=c.example mx"], "v=spf1 mx include:spf.mail.example ip4:192.0.2.1 redirect=c.example"),
    ],
)
def test_the_record_to_paste_keeps_what_is_good_and_adds_what_is_missing(records: list[str], proposed: str) -> None:
    table = {**txt(a=records, c="v=spf1 -all"), "spf.mail.example": {"TXT": ["v=spf1 -all"]}}
    table["a.example"] = {**table["a.example"], "MX": ["10 mx.a.example."], "A": ["192.0.2.8"]}

    finding = spf_chain.check("a.example", TableAsk(table), [Include("spf.mail.example", "Mail")], relays=["192.0.2.1"])

    assert finding.record is not None
    assert finding.record.value == proposed
    assert spf.read(finding.record.value)


@pytest.mark.parametrize(
    ("record", "proposed"),
    [
        (
            "v=spf1 ipv4:192.0.2.3 ip:192.0.2.4 ipv6:2001:db8::1 -all",
            "ip4:192.0.2.3 ip4:192.0.2.4 ip6:2001:db8::1 -all",
        ),
        ("v=spf1 ip4 : 192.0.2.3 include: b.example - all", "ip4:192.0.2.3 include:b.example -all"),
        ("v=spf1 ip4:192.0.2.3, ip4:192.0.2.4;mx,a -all;", "ip4:192.0.2.3 ip4:192.0.2.4 mx a -all"),
        ("v=spf1 ip4=192.0.2.3 include=b.example \u2013all", "ip4:192.0.2.3 include:b.example -all"),
        ("v=spf1 192.0.2.9/24 a:192.0.2.7 ip6:192.0.2.1 ~all.", "ip4:192.0.2.0/24 ip4:192.0.2.7 ip4:192.0.2.1 ~all"),
        ("v=spf1 ip4:b.example ip4:198.51.100.1/255.255.255.0 ?all", "a:b.example ip4:198.51.100.0/24 ~all"),
        ("v=spf1 mx redirect:b.example", "mx redirect=b.example"),
        ("v=spf1 ipv6:2001:db8:: -all", "ip6:2001:db8:: -all"),
        # Receivers read no redirect beside all.
        ("v=spf1 mx redirect=b.example redirect=c.example -all", "mx -all"),
        # What may have allowed somebody is not taken back strictly.
        ("v=spf1 mx include:nowhere.example -all", "mx ~all"),
        ("v=spf1 include:a.example -all", "mx ~all"),
        ("v=spf1 ptr -all", "mx ~all"),
        ("v=spf1 a:x.example a:y.example a:z.example ip4:192.0.2.3 -all", "ip4:192.0.2.3 -all"),
        ("v=spf1 a:x.example a:y.example a:z.example -all", "mx ~all"),
    ],
)
def test_a_slip_is_repaired_as_it_was_meant(record: str, proposed: str) -> None:
    finding = spf_chain.check("a.example", _of_a(record))

    assert finding.record is not None
    assert finding.record.value == f"v=spf1 {proposed}"
    assert not spf_chain.check("a.example", _of_a(finding.record.value)).fault


@pytest.mark.parametrize(
    ("record", "unclear"),
    [
        ("v=spf1 ip4:192.0.2.300 -all", "ip4:192.0.2.300"),
        ("v=spf1 ip4:192.0.2.1/0.0.0.0 -all", "ip4:192.0.2.1/0.0.0.0"),
        ("v=spf1 mx include: -all", "include:-all"),
        ("v=spf1 mx spf.b.example -all", "spf.b.example"),
        ("v=spf1 mx a:b..example -all", "a:b..example"),
        ("v=spf1 redirect=b.example redirect=c.example", "redirect=b.example, redirect=c.example"),
    ],
)
def test_a_part_that_only_its_owner_knows_is_named_and_no_record_proposed(record: str, unclear: str) -> None:
    finding = spf_chain.check("a.example", _of_a(record))

    assert (finding.state, finding.fault, finding.record) == (State.BROKEN, "spf-syntax", None)
    assert f"Correct {unclear} yourself" in finding.sentence


def _of_a(record: str) -> TableAsk:
    table = {**txt(a=record, b="v=spf1 ip4:198.51.100.0/24 -all"), "mx.a.example": {"A": ["192.0.2.8"]}}
    table["a.example"] = {**table["a.example"], "MX": ["10 mx.a.example."], "A": ["192.0.2.8"]}
    table["b.example"] = {**table["b.example"], "A": ["192.0.2.9"]}
    return TableAsk(table)
