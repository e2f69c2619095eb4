"""What a failed test means, in words: the likely cause, and what to do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from smtpservers.destinations import Security
from smtpservers.smtp.connection import ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain, offers_sign_in
from smtpservers.smtp.endpoint import Endpoint
from tests.peers.conversation import DROP, in_pieces
from tests.peers.peer import Peer, running_peer


def talk(peer: Peer, *, size: int = 20, **fields: Any) -> tuple[Step, str]:
    """Send one message; return the first step that failed, and what it means."""
    usual: dict[str, Any] = {
        "server_id": 1,
        "name": "Peer",
        "host": "127.0.0.1",
        "port": peer.port,
        "security": Security.OPPORTUNISTIC,
        "ehlo_name": "mail.shop.example",
        "timeout": 5.0,
    }
    endpoint = Endpoint(**(usual | fields))
    steps: list[Step] = []

    async def run() -> None:
        try:
            connection = await connect(endpoint, steps.append)
        except ConnectionFailed:
            return
        await connection.send("a@shop.example", "b@x.example", b"x" * size + b"\r\n", before_dot=lambda: True)
        connection.close()

    asyncio.run(run())
    failed = next(step for step in steps if not step.is_ok)
    return failed, explain(failed, endpoint, offers_sign_in=offers_sign_in(steps))


def saying(event: str, reply: Any) -> Any:
    return lambda asked, _: reply if asked == event else None


# Nobody signed in

WANTS = "The server requires sign-in, and Username is empty."


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        ("mail", b"530 5.7.0 Authentication required"),
        ("mail", b"530 5.7.1 Must issue a STARTTLS command or log in"),
        ("mail", b"550 5.7.1 Client was not authenticated"),
        ("mail", b"553 5.7.1 Please sign in to send mail"),
        ("rcpt", b"554 5.7.1 Relay access denied"),
        ("rcpt", b"550 5.7.1 Unable to relay"),
        ("rcpt", b"550 relay not permitted"),
        ("rcpt", b"553 sorry, that domain is not allowed to be relayed through this MTA without authentication"),
        ("rcpt", b"550 5.7.1 You must be logged in"),
        ("data", b"530 5.7.0 Credentials first"),
    ],
)
def test_a_server_that_wants_a_sign_in_is_understood(tmp_path: Path, event: str, reply: bytes) -> None:
    with running_peer(tmp_path, saying(event, reply), ("AUTH PLAIN LOGIN",)) as peer:
        step, advice = talk(peer)

    assert step.code == int(reply[:3])
    assert advice.startswith(WANTS)


@pytest.mark.parametrize(
    ("event", "reply", "words"),
    [
        ("mail", b"550 5.1.8 Sender domain does not exist", "Check Mail from"),
        ("rcpt", b"550 5.1.1 No such user here", "Check the address"),
        ("rcpt", b"552 5.2.2 Mailbox full", "Check the address"),
        ("dot", b"554 5.6.0 Content refused", "The message was rejected"),
    ],
)
def test_other_refusals_keep_their_own_words(tmp_path: Path, event: str, reply: bytes, words: str) -> None:
    with running_peer(tmp_path, saying(event, reply), ("AUTH PLAIN",)) as peer:
        _, advice = talk(peer)

    assert words in advice
    assert WANTS not in advice


def test_who_is_signed_in_is_not_told_to_sign_in(tmp_path: Path) -> None:
    with running_peer(tmp_path, saying("rcpt", b"554 5.7.1 Relay access denied"), ("AUTH PLAIN",)) as peer:
        _, advice = talk(peer, username="ann", password="pencil")

    assert WANTS not in advice


# Greetings


@pytest.mark.parametrize(
    ("greeting", "service"),
    [
        (b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n", "answers as a web server"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "answers as SSH"),
        (b"* OK [CAPABILITY IMAP4rev1] Dovecot ready.\r\n", "answers as IMAP"),
        (b"+OK POP3 ready\r\n", "answers as POP3"),
        (b"RFB 003.008\n", "answers as a remote screen"),
        (b"\x15\x03\x01\x00\x02\x02P\r\n", "answers as something else"),
        ((b"J\x00\x00\x00\x0a8.0.36\x00mysql_native_password\x00", DROP), "answers as something else"),
        (b"hello?\r\n", "answers as something else"),
    ],
)
def test_a_port_of_another_service_is_called_so(tmp_path: Path, greeting: Any, service: str) -> None:
    with running_peer(tmp_path, saying("conn", greeting)) as peer:
        step, advice = talk(peer, timeout=2.0)

    assert step.name == "banner"
    assert "isn't a mail server" in advice
    assert service in advice
    assert "before greeting" not in advice


@pytest.mark.parametrize("greeting", [(30.0, b"220 late\r\n"), in_pieces(b"220 peer.example ESMTP ready\r\n", 10, 5.0)])
def test_a_late_greeting_may_need_a_longer_timeout(tmp_path: Path, greeting: Any) -> None:
    with running_peer(tmp_path, saying("conn", greeting)) as peer:
        step, advice = talk(peer, timeout=0.3)

    assert step.name == "banner"
    assert "Raise Timeout, which is 0.3 seconds now" in advice
    assert "needs implicit TLS" in advice


# For now, or for good

FOR_NOW = "is temporary: campaigns retry automatically."


@pytest.mark.parametrize(
    ("event", "reply"),
    [
        ("conn", b"421 4.3.2 Too busy"),
        ("ehlo", b"421 4.3.0 try later"),
        ("mail", b"451 4.3.0 local error"),
        ("rcpt", b"450 4.2.0 greylisted"),
        ("rcpt", b"452 4.2.2 full"),
        ("data", b"451 4.3.0 no"),
        ("dot", b"450 4.7.1 later"),
    ],
)
def test_a_temporary_answer_is_called_one(tmp_path: Path, event: str, reply: bytes) -> None:
    with running_peer(tmp_path, saying(event, reply)) as peer:
        _, advice = talk(peer)

    assert advice.endswith(f"The error {reply[:3].decode()} {FOR_NOW}")
    assert "final" not in advice


@pytest.mark.parametrize("event", ["conn", "mail", "rcpt", "dot"])
def test_a_final_answer_is_not(tmp_path: Path, event: str) -> None:
    with running_peer(tmp_path, saying(event, b"554 5.0.0 no")) as peer:
        _, advice = talk(peer)

    assert FOR_NOW not in advice


def test_a_message_larger_than_the_server_takes_has_a_step(tmp_path: Path) -> None:
    with running_peer(tmp_path, extensions=("SIZE 100",)) as peer:
        step, advice = talk(peer, size=500)

        assert peer.journal.events("mail") == []
    assert (step.name, step.code, step.is_ok) == ("MAIL", 552, False)
    assert "the server takes 100" in step.reply
    assert advice.startswith("Nothing was sent")


# Tokens


@pytest.mark.parametrize(
    ("provider", "event", "reply", "means"),
    [
        ("microsoft", "auth", b"535 5.7.3 Authentication unsuccessful", "the object ID of the app registration"),
        ("microsoft", "auth", b"535 5.7.139 SmtpClientAuthentication is disabled", "Run Set-CASMailbox"),
        (
            "microsoft",
            "rcpt",
            b"430 4.2.0 STOREDRV; mailbox logon failure",
            "no permission for the mailbox a@x.example",
        ),
        ("google", "auth", b"535 5.7.8 Username and Password not accepted", "isn't the user's primary address"),
        ("google", "auth", b"454 4.7.0 Too many login attempts", "can't check tokens right now"),
    ],
)
def test_a_refused_token_names_the_providers_usual_mistakes(
    tmp_path: Path, provider: str, event: str, reply: bytes, means: str
) -> None:
    with running_peer(tmp_path, saying(event, reply), ("AUTH XOAUTH2",)) as peer:
        step, words = talk(peer, username="a@x.example", oauth_provider=provider, token=lambda refused: "t")

    assert means in words
    assert "t\x01" not in f"{step}"
