"""The return path in a send test: a mail server is asked whether it takes a tagged bounce, and gets no message."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from delivery.content.return_paths import tag_of
from delivery.operators import return_path_check
from smtpservers.models import SmtpServer
from smtpservers.smtp.conversation import Step
from tests.delivery.making import make_server
from tests.peers.conversation import DROP, SILENT, Reply, Script
from tests.peers.name_server import SILENT as NO_ANSWER
from tests.peers.name_server import Nameserver, running_nameserver
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)
OURS = "bounces@ours.wiretest.net"
UNKNOWN = b"550 5.1.1 no such user"
BLOCKED = b"554 5.7.1 Client host [192.0.2.1] blocked using a block list"
ZONE = {
    "ours.wiretest.net": {"MX": ["20 no-such-host.invalid.", "10 localhost."]},
    "away.wiretest.net": {"MX": ["10 no-such-host.invalid."]},
    "many.wiretest.net": {"MX": ["40 fourth.invalid.", "30 third.invalid.", "20 second.invalid.", "10 first.invalid."]},
    "null.wiretest.net": {"MX": ["0 ."]},
    "dark.wiretest.net": NO_ANSWER,
}


@pytest.fixture
def nameserver(settings: LazySettings) -> Iterator[Nameserver]:
    with running_nameserver(ZONE) as running:
        settings.DNS_RESOLVERS = [running.address]
        yield running


def server_with(return_path: str = OURS, **fields: Any) -> SmtpServer:
    return make_server(25, return_path=return_path, **({"use_return_path": True} | fields))


def at_recipient(tagged: Reply, plain: Reply = None) -> Script:
    """Answer otherwise to a tagged address than to one without a tag."""

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event != "rcpt":
            return None
        return tagged if "+" in context["line"] else plain

    return script


def checked(peer: Peer, seconds: float = 5.0, **fields: Any) -> Step:
    (step,) = return_path_check.check(server_with(**fields), peer.port, seconds)
    assert step.name == "bounces"
    return step


def test_a_tagged_address_that_is_taken_is_told_and_no_message_is_sent(nameserver: Nameserver, tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        step = checked(peer)
        heard = [event["line"] for event in peer.journal.events("mail", "rcpt", "data", "quit")]

    assert (step.is_ok, step.code, step.details["asked"]) == (True, 250, "localhost")
    assert step.details["means"] == "localhost accepts bounces to the tagged address."
    recipient = re.fullmatch(r"RCPT TO:<(bounces\+[a-z2-7]{24}@ours\.wiretest\.net)>", step.sent)
    assert recipient
    assert tag_of(recipient[1]) == (0, 0)  # Nobody's, so that nothing follows from it.
    assert heard == ["MAIL FROM:<>", step.sent, "QUIT"]


@pytest.mark.parametrize(
    ("script", "fields", "is_ok", "means"),
    [
        (at_recipient(UNKNOWN), {}, False, "rejects the tagged address. Turn off Tag each return path, or let"),
        (at_recipient(b"553 5.1.3 bad +"), {}, False, "rejects the tagged address."),
        (at_recipient(BLOCKED), {}, False, "rejects the tagged address."),
        (at_recipient(UNKNOWN, UNKNOWN), {}, False, f"localhost rejects bounces to {OURS}. Correct Email return path"),
        (at_recipient(None, UNKNOWN), {"use_verp": False}, False, f"localhost rejects bounces to {OURS}."),
        (at_recipient(UNKNOWN), {"use_verp": False}, True, f"localhost accepts bounces to {OURS}."),
        (
            at_recipient(BLOCKED, BLOCKED),
            {},
            True,
            "Not checked: localhost replied about something else.",
        ),
        (at_recipient(b"450 4.2.0 greylisted"), {}, True, "Not checked: localhost replied about something else"),
        (at_recipient(UNKNOWN, b"451 later"), {}, True, "Not checked: localhost replied about something else"),
        (
            lambda event, context: b"550 no bounces" if event == "mail" else None,
            {},
            True,
            "Not checked: localhost refuses connections",
        ),
    ],
)
def test_an_answer_is_told_in_a_sentence(
    nameserver: Nameserver, tmp_path: Path, script: Script, fields: dict[str, Any], is_ok: bool, means: str
) -> None:
    with running_peer(tmp_path, script) as peer:
        step = checked(peer, **fields)

        assert step.is_ok is is_ok
        assert means in step.details["means"]
        assert peer.journal.events("data") == []


@pytest.mark.parametrize(
    "script",
    [
        lambda event, context: DROP if event == "conn" else None,
        lambda event, context: b"554 go away" if event == "conn" else None,
        lambda event, context: b"HTTP/1.1 400 Bad" if event == "conn" else None,
        lambda event, context: DROP if event == "rcpt" else None,
        lambda event, context: b"no SMTP at all" if event == "rcpt" else None,
        lambda event, context: SILENT if event in ("conn", "quit") else None,
        lambda event, context: SILENT if event == "rcpt" else None,
        lambda event, context: (b"250-", 0.2) * 100 if event == "rcpt" else None,
        lambda event, context: (0.5, b"220 ok\r\n" if event == "conn" else b"250 ok\r\n"),  # Too long altogether.
    ],
)
def test_a_mail_server_that_cannot_be_asked_is_no_finding(
    nameserver: Nameserver, tmp_path: Path, script: Script
) -> None:
    with running_peer(tmp_path, script) as peer:
        began = time.monotonic()
        step = checked(peer, seconds=1.0)

    assert step.is_ok
    assert step.reply.startswith("Not checked: ")
    assert time.monotonic() - began < 6


@pytest.mark.parametrize(
    ("return_path", "is_ok", "words"),
    [
        ("b@null.wiretest.net", False, "says that it takes no mail. Bounces would be lost. Correct Email return path"),
        ("b@gone.wiretest.net", False, "does not exist. Bounces would be lost"),
        ("b@away.wiretest.net", True, "Not checked: no-such-host.invalid couldn't be reached (there is no address"),
        ("b@many.wiretest.net", True, "Not checked: second.invalid couldn't be reached (there is no address"),
        ("b@dark.wiretest.net", True, "Not checked: DNS names no mail server for it."),
    ],
)
def test_what_dns_says_of_the_domain_comes_first(
    nameserver: Nameserver, return_path: str, is_ok: bool, words: str
) -> None:
    (step,) = return_path_check.check(server_with(return_path))

    assert step.is_ok is is_ok
    assert words in step.reply


@pytest.mark.parametrize(
    "fields",
    [{"return_path": ""}, {"use_return_path": False}],
)
def test_nobody_is_asked_without_a_return_path_that_could_work(nameserver: Nameserver, fields: dict[str, Any]) -> None:
    assert return_path_check.check(server_with(**fields)) == []
    assert nameserver.asked == []


def test_a_reserved_domain_is_not_asked_and_the_step_says_so(nameserver: Nameserver) -> None:
    (step,) = return_path_check.check(server_with("b@shop.example"))

    assert step.is_ok
    assert step.reply == "Not checked: shop.example is reserved for examples and receives no mail."
    assert nameserver.asked == []


def test_a_private_address_is_not_asked_where_these_are_forbidden(
    nameserver: Nameserver, tmp_path: Path, settings: LazySettings
) -> None:
    settings.FORBID_PRIVATE_HOSTS = True
    with running_peer(tmp_path) as peer:
        step = checked(peer)

        assert peer.journal.events() == []
    assert step.is_ok
    assert "couldn't be reached" in step.reply
