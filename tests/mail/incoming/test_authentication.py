"""Authentication results as the large providers write them, and as forgers do."""

import pytest

from mail.incoming.authentication import Check, checks_of

GMAIL = (
    "mx.google.com; dkim=pass header.i=@acme.example header.s=s1 header.b=AbCdEf;"
    " dkim=fail header.i=@esp.example header.s=k1;"
    " spf=pass (google.com: domain of bounces@b.acme.example designates 192.0.2.1 as permitted sender)"
    " smtp.mailfrom=bounces@b.acme.example; dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=acme.example"
)
MICROSOFT = (
    "spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=acme.example; dkim=pass (signature was verified)"
    " header.d=acme.example;dmarc=bestguesspass action=none header.from=acme.example;compauth=pass reason=109"
)
FASTMAIL = (
    "mx1.messagingengine.com 1; dkim=pass (2048-bit rsa key sha256) header.d=acme.example header.i=@acme.example"
    ' header.b="a;b(c" header.s=s2; spf=softfail smtp.mailfrom="a b"; iprev=pass policy.iprev=192.0.2.1 (x.example)'
)


@pytest.mark.parametrize(
    ("header", "name", "checks"),
    [
        (
            GMAIL,
            "MX.google.com",
            [
                Check("dkim", "pass", "acme.example (s1)"),
                Check("dkim", "fail", "esp.example (k1)"),
                Check("spf", "pass", "bounces@b.acme.example"),
                Check("dmarc", "pass", "acme.example"),
            ],
        ),
        (
            MICROSOFT,
            "-",
            [
                Check("spf", "pass", "acme.example"),
                Check("dkim", "pass", "acme.example"),
                Check("dmarc", "bestguesspass", "acme.example"),
            ],
        ),
        (
            FASTMAIL,
            "mx1.messagingengine.com",
            [
                Check("dkim", "pass", "acme.example (s2)"),
                Check("spf", "softfail", "a b"),
                Check("iprev", "pass", "192.0.2.1"),
            ],
        ),
        ("mx.example; none", "mx.example", []),
        ("mx.example", "mx.example", []),
        (
            "mx.example; SPF = Pass (a (nested) comment) smtp.helo=h.example",
            "mx.example",
            [Check("spf", "pass", "h.example")],
        ),
    ],
)
def test_results_are_read(header: str, name: str, checks: list[Check]) -> None:
    assert checks_of([header], name) == checks


def test_only_the_topmost_header_under_the_servers_name_counts() -> None:
    forged = "mx.google.com; dkim=pass header.d=bank.example; spf=pass smtp.mailfrom=bank.example"
    real = "mx.google.com; dkim=fail header.d=bank.example"
    foreign = "relay.example; dkim=pass header.d=bank.example"

    assert checks_of([foreign, real, forged], "mx.google.com") == [Check("dkim", "fail", "bank.example")]
    assert checks_of([foreign], "mx.google.com") is None
    assert checks_of([real], "-") is None
    assert checks_of([], "mx.google.com") is None


@pytest.mark.parametrize("unit", ["(", ")", '"', ";", "dkim=pass ", "a.b=c ", "((;", "dkim=", "\x00", "\u202e"])
def test_hostile_headers_end(unit: str) -> None:
    found = checks_of(["mx.example; dkim=pass header.d=" + unit * 1_000_000], "mx.example")

    assert found is not None
    assert all(check.about.isprintable() for check in found)
