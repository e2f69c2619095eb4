"""Which mails of a mailbox are ours: by their headers alone."""

import itertools

import pytest
from django.conf import settings

from feedback.intake.addresses import OurAddresses, Purpose, our_addresses
from feedback.mailboxes.relevance import relevance
from mail import verp
from smtpservers.models import SmtpServer

TAGGED = verp.tagged("bounces@news.example.org", 7, 1, settings.TOKEN_KEYS)
UNSUBSCRIBE = verp.unsubscribe_addresses("news.example.org", settings.TOKEN_KEYS)(7)
FORGED = TAGGED.replace("+", "+a")[:-20] + "@news.example.org"
OURS = OurAddresses(
    return_paths=frozenset({"plain@news.example.org"}),
    reports=frozenset({"fbl@news.example.org"}),
    domains=frozenset({"news.example.org"}),
)


@pytest.mark.parametrize(
    ("head", "address", "purpose"),
    [
        (f"Delivered-To: {TAGGED}", TAGGED, Purpose.BOUNCE),
        (f"X-Original-To: {TAGGED.upper()}", TAGGED.upper(), Purpose.BOUNCE),
        (f"To: Somebody\r\n <{TAGGED}>", TAGGED, Purpose.BOUNCE),
        (f"Cc: <{UNSUBSCRIBE}>", UNSUBSCRIBE, Purpose.UNSUBSCRIBE),
        (f"To: postmaster@news.example.org, {TAGGED}", TAGGED, Purpose.BOUNCE),
        ("To: Plain@News.example.org", "Plain@News.example.org", Purpose.BOUNCE),
        ("To: <fbl@news.example.org>", "fbl@news.example.org", Purpose.REPORT),
        ("To: abuse@news.example.org", "abuse@news.example.org", Purpose.ROLE),
        ("Return-Path: <>\r\nTo: ann@example.net", "", None),
        ('Content-Type: Multipart/Report;\r\n report-type="delivery-status"', "", None),
        ("Content-Type: message/feedback-report", "", None),
    ],
    ids=itertools.count(),  # Tags differ from run to run.
)
def test_ours_is_what_bears_our_address_or_is_a_report(head: str, address: str, purpose: Purpose | None) -> None:
    found = relevance(f"{head}\r\nSubject: x\r\n\r\nbody".encode(), OURS)

    assert (found.is_ours, found.envelope_to, found.purpose) == (True, address, purpose)


@pytest.mark.parametrize(
    "head",
    [
        "To: ann@news.example.org",
        f"From: {TAGGED}\r\nTo: ann@example.net",  # Anybody can write that.
        f"To: {FORGED}",
        "Return-Path: <bob@example.net>\r\nTo: ann@example.net",
        "To: ann@example.net\r\n\r\nContent-Type: multipart/report",
        "\xff\xfe: nothing\r\n\r\n",
        "To: " + "a@b, " * 20_000,
        "To: postmaster",
        "",
    ],
    ids=itertools.count(),  # Tags differ from run to run.
)
def test_all_other_mail_is_not(head: str) -> None:
    assert not relevance(head.encode("latin-1"), OURS).is_ours


def test_our_addresses_are_those_that_servers_use(db: None) -> None:
    defaults = {"host": "relay.example.org", "mail_from": "a@example.org", "use_return_path": True}
    SmtpServer.objects.create(name="Tagged", return_path="tagged@a.example.org", **defaults)
    SmtpServer.objects.create(name="Plain", return_path="Plain@b.example.org", use_verp=False, **defaults)
    SmtpServer.objects.create(name="Long", return_path=f"{'l' * 60}@c.example.org", **defaults)
    SmtpServer.objects.create(
        name="Reports",
        use_spam_address=True,
        spam_address="fbl@d.example.org",
        abuse_address="unused@e.example.org",
        **{**defaults, "use_return_path": False, "return_path": "unused@f.example.org"},
    )

    assert our_addresses() == OurAddresses(
        return_paths=frozenset({"plain@b.example.org", f"{'l' * 60}@c.example.org"}),
        reports=frozenset({"fbl@d.example.org"}),
        domains=frozenset({"a.example.org", "b.example.org", "c.example.org", "d.example.org"}),
    )


@pytest.mark.parametrize(
    "head",
    [
        "To: dmarc@elsewhere.example\r\nSubject: Report Domain: acme.example Submitter: receiver.example Report-ID: 1",
        "To: dmarc@elsewhere.example\r\nSubject: Report domain: acme.example",
        "To: tls@elsewhere.example\r\nTLS-Report-Domain: acme.example\r\nSubject: Report",
    ],
)
def test_reports_about_domains_are_ours_wherever_they_were_sent_and_may_be_large(head: str) -> None:
    found = relevance(head.encode() + b"\r\n\r\n", OURS)

    assert found.is_ours
    assert found.most_bytes > 10 << 20


def test_mail_to_the_tag_of_a_domain_is_a_report_about_it() -> None:
    ours = OurAddresses(report_tags=frozenset({"abcdefghij"}))

    found = relevance(b"Delivered-To: DMARC+ABCDEFGHIJ@news.example.org\r\n\r\n", ours)

    assert (found.is_ours, found.purpose) == (True, Purpose.DOMAIN_REPORT)
    assert not relevance(b"Delivered-To: dmarc+@news.example.org\r\n\r\n", OURS).is_ours
