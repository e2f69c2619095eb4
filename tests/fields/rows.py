"""The 39 fields of a server, one row each: what is typed into the form, and what is then seen.

Each row is tried twice: with the field's effect, and without it, that is with its switch off, empty, or with another
value where the field has no off. The observation is the same both times; only what it sees differs.
"""

import base64
import datetime as dt
import re
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import trustme
from django.conf import settings
from django.test import override_settings
from django.urls import reverse

from delivery.content.tokens import message_of
from delivery.models import Attempt, Message
from smtpservers.models import QuotaPeriod
from tests.fields.bench import LIST_PAGE, Bench, Mail
from tests.harness.send_test import tried
from tests.peers.name_server import running_nameserver

ANN = "ann@customer.example"
Changes = dict[str, Any]  # By the form's name; a function is asked once the row is prepared.


@dataclass(frozen=True)
class Row:
    """One field: the form's values and the two things that are seen."""

    number: int
    name: str  # The form's name of the field.
    on: Changes
    off: Changes
    observe: Callable[[Bench], Any]
    seen: Any  # What the observation returns with ``on`` …
    otherwise: Any  # … and with ``off``.
    prepare: Callable[[Bench], Changes] = field(default=lambda bench: {})  # Before the form; may add values.


# --- observations


def header(*names: str) -> Callable[[Bench], Any]:
    """Look at headers of a campaign's message."""

    def observe(bench: Bench) -> Any:
        headers = bench.first().headers
        values = tuple(headers[name] for name in names)
        return values if len(names) > 1 else values[0]

    return observe


def signed_in(bench: Bench) -> list[tuple[str, str]]:
    """Return the names and passwords that a server was told."""
    bench.test()
    return [_plain(line) for line in bench.said("auth")]


def _plain(line: str) -> tuple[str, str]:
    assert line.startswith("AUTH PLAIN ")
    _, username, password = base64.b64decode(line.split()[2]).decode().split("\0")
    return username, password


def sender(bench: Bench) -> tuple[str, str]:
    mail = bench.first()
    return str(mail.headers["From"]), mail.mail_from


def recipients(bench: Bench) -> list[str]:
    return sorted(mail.rcpt_to for mail in bench.campaign())


def envelope_sender(bench: Bench) -> tuple[str, bool]:
    """Return MAIL FROM, its tag as a star, and whether the message tells it: only the last server may."""
    mail = bench.first()
    return re.sub(r"\+[a-z2-7]{12,32}@", "+*@", mail.mail_from), "Return-Path" in mail.headers


def codes(bench: Bench) -> str:
    """Return the UTM codes that a plain link got, the same in both parts."""
    mail = bench.first()
    in_html, in_text = (link.partition("?")[2] for link in mail.links if link.startswith("https://shop.example/sale"))
    assert in_html == in_text
    return in_html


def codes_beside_own(bench: Bench) -> tuple[str, str, str]:
    """Return the codes of a plain link, of one with a term of its own, and of one that wants none."""
    mail = bench.first()
    return tuple(mail.link(f"https://shop.example/{page}") for page in ("sale", "new", "terms"))


def greeting(bench: Bench) -> str:
    """Return the first sentence as somebody without names reads it, the same in both parts."""
    mail = bench.first()
    in_text = mail.part("plain").splitlines()[0].partition(" https")[0]
    assert f"<p>{in_text}</p>" in mail.part("html").replace("\n", "")
    return in_text


# 1
def server_name(bench: Bench) -> Any:
    bench.test()
    return bench.names_asked_for


def with_certificate(bench: Bench) -> Changes:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    context.sni_callback = lambda connection, name, context: bench.names_asked_for.append(name)
    bench.peer = bench.start_peer(starttls=context)
    return {"use_tls": "on", "trusted_certificate": authority.cert_pem.bytes().decode()}


# 2
def which_port(bench: Bench) -> list[bool]:
    bench.test()
    return [bool(peer.journal.events("conn")) for peer in (bench.peer, bench.other)]


def with_other_peer(bench: Bench) -> Changes:
    bench.peer, bench.other = bench.start_peer(), bench.peer
    return {}


# 3
SILENCE = 7.0


def patience(bench: Bench) -> tuple[bool, bool]:
    """Return whether a server that is silent for seven seconds was waited for, and that five took five."""
    began = time.monotonic()
    is_accepted = bench.test().is_accepted
    took = time.monotonic() - began
    return is_accepted, took > SILENCE if is_accepted else 5.0 <= took < SILENCE


def with_silence(bench: Bench) -> Changes:
    over = threading.Event()
    bench.resources.callback(over.set)

    def be_silent(event: str, context: dict[str, Any]) -> None:
        if event == "mail":
            over.wait(SILENCE)

    bench.peer = bench.start_peer(be_silent)
    return {}


# 7
def tested_without_typing(bench: Bench) -> list[str]:
    page = reverse("delivery:send_test", args=[bench.server.pk])
    form = bench.client.get(page).context["form"]

    tried(bench.client, page, {bound.name: bound.value() or "" for bound in form})

    return [event["rcpt_to"] for event in bench.peer.journal.events("rcpt")]


# 8
def redirected(bench: Bench) -> list[tuple[str, str, str]]:
    arrived = bench.single(to="ann@")
    return [
        (mail.rcpt_to, mail.headers["X-Original-To"], mail.part("plain").partition("\n")[0].strip()) for mail in arrived
    ]


# 9, 10
def copies(bench: Bench) -> tuple[list[str], set[str | None], bool, int]:
    """Return who got the message, the Cc headers, whether a hidden recipient is named, and the quota used."""
    arrived = bench.campaign()
    return (
        sorted(mail.rcpt_to for mail in arrived),
        {mail.headers["Cc"] for mail in arrived},
        any(b"archive@" in mail.content for mail in arrived),
        QuotaPeriod.objects.get().used,
    )


# 11
def sent_or_waiting(bench: Bench) -> tuple[int, str]:
    mailing = bench.queue()
    arrived = bench.drain()
    mailing.refresh_from_db()
    return len(arrived), mailing.waiting_reason


# 12
def said_in_clear(bench: Bench) -> list[str]:
    bench.test()
    return [event["event"] for event in bench.peer.journal.events("auth", "mail", "dot")]


# 13
def asked_and_handed_over(bench: Bench) -> tuple[set[str], list[str], int]:
    """Return the domains DNS was asked for, who got mail, and the quota used."""
    arrived = bench.campaign("ann@nowhere.shop", "bob@here.shop")
    asked = {name for name, _ in bench.nameserver.asked}
    return asked, sorted(mail.rcpt_to for mail in arrived), QuotaPeriod.objects.get().used


def with_nameserver(bench: Bench) -> Changes:
    nameserver = bench.resources.enter_context(running_nameserver({"here.shop": {"MX": ["10 mail.here.shop."]}}))
    bench.resources.enter_context(override_settings(DNS_RESOLVERS=[nameserver.address]))
    bench.nameserver = nameserver
    return {}


# 14
def found_by_note(bench: Bench) -> tuple[list[str], bool]:
    """Return the servers that a search finds, and whether the history shows the note."""
    found = [server.name for server in bench.client.get(LIST_PAGE, {"q": "ticket 4711"}).context["cl"].queryset]
    bench.edit(bench.server, notes="Moved.")
    history = bench.client.get(f"{LIST_PAGE}{bench.server.pk}/history/").content.decode()
    return found, "Set up by ticket 4711" in history


# 15
def domain(bench: Bench) -> tuple[str, ...]:
    mail = bench.first()
    return (
        bench.said("ehlo")[0],
        mail.headers["Message-ID"].strip("<>").rpartition("@")[2],
        str(mail.headers["List-Id"]).strip(">").partition(".")[2],
    )


# 17
def language(bench: Bench) -> tuple[str, list[str], str]:
    """Return a test's subject, the words of the footer's link, and the language of the page behind it."""
    subject = str(bench.tested().headers["Subject"])
    mail = bench.first()
    page = bench.client.get(unsubscribe_link(mail)).content.decode()
    return subject, re.findall(r">(\w+)</a><br>", mail.part("html")), re.findall(r'<html lang="([^"]*)"', page)[0]


def unsubscribe_link(mail: Mail) -> str:
    return str(mail.headers["List-Unsubscribe"]).strip("<>")


# 18
def how_many_of_five(bench: Bench) -> int:
    return len(bench.campaign(*(f"person{number}@customer.example" for number in range(5))))


# 19
def after_the_tenth(bench: Bench) -> list[int]:
    """Return how many of three arrive on 8 February and how many on the 15th, when the quota is three."""
    arrived = []
    for day in (8, 15):
        now = dt.datetime(2026, 2, day, 12, tzinfo=dt.UTC)
        bench.queue(*(f"person{day}.{number}@customer.example" for number in range(3)), list_name=f"Day {day}")
        arrived.append(len(bench.drain(clock=lambda now=now: now)))
    return arrived


# 20
def where_links_lead(bench: Bench) -> set[str]:
    """Return where header and links lead, without their token, which must be the recipient's."""
    mail = bench.first()
    links = {unsubscribe_link(mail), *(link for link in mail.links if "/sale" not in link and "shop.example/" in link)}
    links |= {link for link in mail.links if link.startswith(settings.BASE_URL)}
    links = {link for link in links if not link.startswith(("https://shop.example/new", "https://shop.example/terms"))}
    (token,) = {link.rpartition("/")[2] for link in links}
    assert message_of(token) == Message.objects.get(email=ANN).pk
    return {link.rpartition("/")[0] for link in links}


# 21
def unsubscribe_count(bench: Bench) -> tuple[int, ...]:
    """Return how many headers there are of each kind, and how many links in the HTML and in the text."""
    mail = bench.first()
    start = f"{settings.BASE_URL}/u/"
    return (
        len(mail.headers.get_all("List-Unsubscribe", [])),
        mail.headers.get_all("List-Unsubscribe-Post", []).count("List-Unsubscribe=One-Click"),
        mail.part("html").count(start),
        mail.part("plain").count(start),
    )


# 30
def order(bench: Bench) -> tuple[list[str], str]:
    """Return the list's order, and which of two servers sent."""
    bench.save(display_order="20")
    names = [server.name for server in bench.client.get(LIST_PAGE).context["cl"].result_list]
    bench.first()
    return names, Attempt.objects.get().batch.server_name


# --- the table

RETURN_PATH = {"return_path": "bounces@shop.example", "use_return_path": "on"}
FROM_ITSELF = ("news@shop.example", False)
SPAM = {"spam_address": "fbl@shop.example", "use_spam_address": "on"}
SPAM_HEADERS = header("CFBL-Address", "X-Complaints-To", "X-Report-Abuse", "X-Abuse-Reports-To")
ABUSE = {"abuse_address": "abuse@shop.example", "use_abuse_address": "on"}
NONE_OF_FOUR = (None, None, None, None)
TERM = {"utm_term": "shoes", "always_utm_term": "on"}
CONTENT = {"utm_content": "header_link", "always_utm_content": "on"}
LOGIN = {"username": "ann", "password": "geheim-ü"}

ROWS = (
    Row(1, "host", {"host": "localhost"}, {"host": "127.0.0.1"}, server_name, ["localhost"], [None], with_certificate),
    Row(
        2,
        "port",
        {},
        {"port": lambda bench: str(bench.other.port)},
        which_port,
        [True, False],
        [False, True],
        with_other_peer,
    ),
    Row(3, "timeout_seconds", {}, {"timeout_seconds": "30"}, patience, (False, True), (True, True), with_silence),
    Row(4, "username", LOGIN, {}, signed_in, [("ann", "geheim-ü")], []),
    Row(
        5,
        "password",
        {**LOGIN, "api_key": "key-1"},
        {"username": "ann", "api_key": "key-1"},
        signed_in,
        [("ann", "geheim-ü")],
        [("ann", "key-1")],
    ),
    Row(
        6,
        "mail_from",
        {"mail_from": "Größe <info@shop.example>"},
        {},
        sender,
        ("Größe <info@shop.example>", "info@shop.example"),
        ("Example Shop <news@shop.example>", "news@shop.example"),
    ),
    Row(7, "mail_to", {"mail_to": "Ops <ops@shop.example>"}, {}, tested_without_typing, ["ops@shop.example"], []),
    Row(
        8,
        "mail_to_unknown",
        {"mail_to_unknown": "lost@shop.example"},
        {},
        redirected,
        [("lost@shop.example", "ann@", "Intended recipient: ann@")],
        [],
    ),
    Row(
        9,
        "mail_cc",
        {"mail_cc": "boss@shop.example, pat@shop.example"},
        {},
        copies,
        ([ANN, "boss@shop.example", "pat@shop.example"], {"boss@shop.example, pat@shop.example"}, False, 3),
        ([ANN], {None}, False, 1),
    ),
    Row(
        10,
        "mail_bcc",
        {"mail_bcc": "archive@shop.example"},
        {},
        copies,
        ([ANN, "archive@shop.example"], {None}, False, 2),
        ([ANN], {None}, False, 1),
    ),
    Row(
        11,
        "is_active",
        {},
        {"is_active": None},
        sent_or_waiting,
        (1, ""),
        (0, "No server can send this now: Server 1 is inactive."),
    ),
    Row(12, "use_tls", {**LOGIN, "use_tls": "on"}, LOGIN, said_in_clear, [], ["auth", "mail", "dot"]),
    Row(
        13,
        "handles_email_validation",
        {},
        {"handles_email_validation": None},
        asked_and_handed_over,
        (set(), ["ann@nowhere.shop", "bob@here.shop"], 2),
        ({"nowhere.shop", "here.shop"}, ["bob@here.shop"], 1),
        with_nameserver,
    ),
    Row(14, "notes", {"notes": "Set up by ticket 4711."}, {}, found_by_note, (["Server 1"], True), ([], False)),
    Row(
        15,
        "domain_name",
        {"domain_name": "Mail.Shop.example"},
        {},
        domain,
        ("EHLO mail.shop.example", "mail.shop.example", "mail.shop.example"),
        ("EHLO shop.example", "shop.example", "shop.example"),
    ),
    Row(
        16,
        "api_key",
        {"preset": "sendgrid", "api_key": "key-1"},
        {"preset": "sendgrid"},
        signed_in,
        [("apikey", "key-1")],
        [],
    ),
    Row(
        17,
        "language",
        {"language": "de"},
        {},
        language,
        ("[TEST] Testnachricht über Server 1", ["Abmelden"], "de"),
        ("[TEST] Test message through Server 1", ["Unsubscribe"], "en"),
    ),
    Row(18, "max_per_month", {"max_per_month": "3"}, {"max_per_month": "0"}, how_many_of_five, 3, 5),
    Row(
        19,
        "month_start_day",
        {"month_start_day": "10", "max_per_month": "3"},
        {"month_start_day": "1", "max_per_month": "3"},
        after_the_tenth,
        [3, 3],
        [3, 0],
    ),
    Row(
        20,
        "unsubscribe_url",
        {"unsubscribe_url": "https://shop.example/leave/{token}"},
        {},
        where_links_lead,
        {"https://shop.example/leave"},
        {f"{settings.BASE_URL}/u"},
    ),
    Row(21, "use_unsubscribe_link", {}, {"use_unsubscribe_link": None}, unsubscribe_count, (1, 1, 1, 1), (0, 0, 0, 0)),
    Row(22, "precedence", {"precedence": "list"}, {}, header("Precedence"), "list", "bulk"),
    Row(
        23,
        "use_precedence",
        {},
        {"use_precedence": None},
        header("Precedence", "X-Auto-Response-Suppress"),
        ("bulk", "OOF, AutoReply"),
        (None, None),
    ),
    Row(24, "return_path", RETURN_PATH, {}, envelope_sender, ("bounces+*@shop.example", False), FROM_ITSELF),
    Row(
        25,
        "use_return_path",
        RETURN_PATH,
        RETURN_PATH | {"use_return_path": None},
        envelope_sender,
        ("bounces+*@shop.example", False),
        FROM_ITSELF,
    ),
    Row(
        26,
        "spam_address",
        SPAM,
        {},
        SPAM_HEADERS,
        ("fbl@shop.example; report=arf", "fbl@shop.example", None, None),
        NONE_OF_FOUR,
    ),
    Row(
        27,
        "use_spam_address",
        SPAM,
        SPAM | {"use_spam_address": None},
        SPAM_HEADERS,
        ("fbl@shop.example; report=arf", "fbl@shop.example", None, None),
        NONE_OF_FOUR,
    ),
    Row(
        28,
        "abuse_address",
        ABUSE,
        {},
        SPAM_HEADERS,
        (None, None, "Please report abuse to abuse@shop.example", "abuse@shop.example"),
        NONE_OF_FOUR,
    ),
    Row(
        29,
        "use_abuse_address",
        ABUSE,
        ABUSE | {"use_abuse_address": None},
        SPAM_HEADERS,
        (None, None, "Please report abuse to abuse@shop.example", "abuse@shop.example"),
        NONE_OF_FOUR,
    ),
    Row(
        30,
        "display_order",
        {"display_order": "10"},
        {"display_order": "30"},
        order,
        (["Server 1", "Server 2"], "Server 1"),
        (["Server 2", "Server 1"], "Server 2"),
    ),
    Row(
        31,
        "unknown_first_name",
        {"unknown_first_name": "Friend"},
        {},
        greeting,
        "Dear Friend , known as Friend.",
        "Dear  , known as .",
    ),
    Row(
        32,
        "unknown_last_name",
        {"unknown_last_name": "Customer"},
        {},
        greeting,
        "Dear  Customer, known as Customer.",
        "Dear  , known as .",
    ),
    Row(33, "utm_source", {"utm_source": "Shop News"}, {}, codes, "utm_source=Shop%20News", ""),
    Row(34, "utm_medium", {"utm_medium": "email"}, {}, codes, "utm_medium=email", ""),
    Row(35, "utm_campaign", {"utm_campaign": "{{campaign.slug}}-q4"}, {}, codes, "utm_campaign=winter-q4", ""),
    Row(36, "utm_term", TERM, {}, codes_beside_own, ("utm_term=shoes", "utm_term=own", ""), ("", "utm_term=own", "")),
    Row(
        37,
        "utm_content",
        CONTENT,
        {},
        codes_beside_own,
        ("utm_content=header_link", "utm_term=own&utm_content=header_link", ""),
        ("", "utm_term=own", ""),
    ),
    Row(
        38,
        "always_utm_term",
        TERM,
        TERM | {"always_utm_term": None},
        codes_beside_own,
        ("utm_term=shoes", "utm_term=own", ""),
        ("", "utm_term=own", ""),
    ),
    Row(
        39,
        "always_utm_content",
        CONTENT,
        CONTENT | {"always_utm_content": None},
        codes_beside_own,
        ("utm_content=header_link", "utm_term=own&utm_content=header_link", ""),
        ("", "utm_term=own", ""),
    ),
)
