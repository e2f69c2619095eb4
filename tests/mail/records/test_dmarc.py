"""DMARC: the walk up the tree of names, whose policy applies, alignment, and the record to paste."""

import pytest

from mail.records import alignment, dmarc
from mail.records.alignment import Identity
from mail.records.finding import State
from tests.mail.records.zone import TableAsk, txt


def test_the_walk_has_eight_steps_at_most_and_jumps_over_the_middle_of_long_names() -> None:
    long_name = "a.b.c.d.e.f.g.h.i.j.mail.example"

    assert list(dmarc.steps("a.b.example")) == ["a.b.example", "b.example", "example"]
    assert list(dmarc.steps(long_name)) == [
        long_name,
        *("f.g.h.i.j.mail.example", "g.h.i.j.mail.example", "h.i.j.mail.example", "i.j.mail.example"),
        *("j.mail.example", "mail.example", "example"),
    ]


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("shop.example", "shop.example"),
        ("news.shop.example", "shop.example"),
        ("a.b.shop.example", "shop.example"),
        ("customer.host.example", "customer.host.example"),  # One below a public suffix.
        ("a.customer.host.example", "customer.host.example"),
        ("x.unit.shop.example", "unit.shop.example"),  # It says itself that it is one.
        ("nothing.elsewhere", "nothing.elsewhere"),
    ],
)
def test_the_organisation_is_found_by_the_walk(domain: str, organisation: str) -> None:
    ask = TableAsk(
        txt(
            _dmarc__shop="v=DMARC1; p=reject",
            _dmarc__news__shop="v=DMARC1; p=none",
            _dmarc__unit__shop="v=DMARC1; p=none; psd=n",
            _dmarc__host="v=DMARC1; p=none; psd=y",
        )
    )

    assert dmarc.organisation_of(domain, ask) == organisation


@pytest.mark.parametrize(
    ("domain", "found_at", "policy"),
    [
        ("shop.example", "shop.example", "quarantine"),
        ("news.shop.example", "shop.example", "none"),  # By sp.
        ("own.shop.example", "own.shop.example", "reject"),
        ("twice.shop.example", "shop.example", "none"),  # Several records count as none.
    ],
)
def test_the_policy_is_the_own_one_or_that_of_the_organisation(domain: str, found_at: str, policy: str) -> None:
    ask = TableAsk(
        txt(
            _dmarc__shop="v=DMARC1; p=quarantine; sp=none",
            _dmarc__own__shop="v=DMARC1;p=reject",
            _dmarc__twice__shop=["v=DMARC1; p=reject", "v=DMARC1; p=none"],
        )
    )

    found = dmarc.policy_of(domain, ask)

    assert found is not None
    assert (found.domain, found.policy_for(domain)) == (found_at, policy)


@pytest.mark.parametrize(
    ("published", "proposed"),
    [
        ("v=DMARC1; p=none; pct=50; rf=afrf; ri=3600", "v=DMARC1; p=none; rua=mailto:d@a.example"),
        ("v=DMARC1; rua=mailto:x@a.example", "v=DMARC1; p=none; rua=mailto:x@a.example"),
        (
            "v=DMARC1; p=reject; sp=none; t=y; rua=mailto:x@a.example",
            "v=DMARC1; p=reject; sp=reject; rua=mailto:x@a.example",
        ),
        ('"v=DMARC1; p=reject"', "v=DMARC1; p=reject; rua=mailto:d@a.example"),
        (r"v=DMARC1\; p=quarantine\;", "v=DMARC1; p=quarantine; rua=mailto:d@a.example"),
        ("p=reject; v=DMARC1", "v=DMARC1; p=reject; rua=mailto:d@a.example"),
        (
            "v=dmarc1; p=reject; sp=quarantine; aspf=s",
            "v=DMARC1; p=reject; sp=quarantine; aspf=s; rua=mailto:d@a.example",
        ),
        (
            "v=DMARC1, p=reject, rua=mailto:x@a.example,mailto:y@a.example",
            "v=DMARC1; p=reject; rua=mailto:x@a.example,mailto:y@a.example",
        ),
        ("v=DMARC1 p=quarantine sp=reject", "v=DMARC1; p=quarantine; sp=reject; rua=mailto:d@a.example"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], "v=DMARC1; p=reject; rua=mailto:d@a.example"),
        (
            ["v=DMARC1; p=none; rua=mailto:x@a.example", "v=DMARC1; p=quarantine"],
            "v=DMARC1; p=quarantine; rua=mailto:x@a.example",
        ),
        ("v=dmarc1; p=rejekt", "v=DMARC1; p=none; rua=mailto:d@a.example"),
    ],
)
def test_the_record_to_paste_repairs_the_one_that_is_there(published: str | list[str], proposed: str) -> None:
    finding = dmarc.check("a.example", TableAsk(txt(_dmarc__a=published)), "d@a.example")

    assert finding.record is not None
    assert finding.record.value == proposed
    assert finding.record.name == "_dmarc.a.example"


@pytest.mark.parametrize("name", ["a.example", "_dmarc.a.example.a.example"])
def test_a_policy_at_a_wrong_name_is_proposed_for_the_right_one(name: str) -> None:
    table = {name: {"TXT": ["v=spf1 -all", "v=DMARC1; p=reject; rua=mailto:x@a.example"]}}

    finding = dmarc.check("a.example", TableAsk(table), "d@a.example")

    assert str(finding.record) == '_dmarc.a.example. IN TXT "v=DMARC1; p=reject; rua=mailto:x@a.example"'


def test_alignment_is_a_row_for_each_server() -> None:
    ask = TableAsk(txt(_dmarc__a="v=DMARC1; p=none; adkim=s"))
    identities = [
        Identity("Own", "bounce.a.example", "a.example"),
        Identity("Half", "provider.example", "a.example"),
        Identity("Strict", "a.example", "mail.a.example"),
        Identity("Neither", "provider.example", "provider.example"),
        Identity("Unknown", "", ""),
    ]

    rows = alignment.matrix("a.example", identities, ask)
    finding = alignment.check("a.example", rows)

    assert [(row.server, row.spf, row.dkim) for row in rows] == [
        ("Own", True, True),
        ("Half", False, True),
        ("Strict", True, False),
        ("Neither", False, False),
        ("Unknown", None, None),
    ]
    assert (finding.state, finding.fault) == (State.BROKEN, "alignment-none")
    assert finding.sentence.startswith("Mail of Neither fails DMARC")
    assert "Unknown: SPF ? ?, DKIM ? ?" in finding.seen
