"""Servers that offer what they cannot do: ways of signing in, STARTTLS, EHLO itself."""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme

from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.destinations import Security
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.conversation import Extensions, Step
from smtpservers.smtp.diagnostics import explain
from smtpservers.smtp.endpoint import Endpoint
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import DROP
from tests.peers.peer import Peer, running_peer

OURS = trustme.CA()
TRUSTED = OURS.cert_pem.bytes().decode()
REFUSED = b"535 5.7.8 Error: authentication failed"


def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    OURS.issue_cert("127.0.0.1").configure_cert(context)
    return context


def talk(peer: Peer, **fields: Any) -> tuple[Connection | ConnectionFailed, list[Step], str]:
    """Connect and sign in; return what came of it, the steps, and the advice on the last one."""
    usual: dict[str, Any] = {
        "server_id": 1,
        "name": "Peer",
        "host": "127.0.0.1",
        "port": peer.port,
        "security": Security.STARTTLS,
        "ehlo_name": "mail.shop.example",
        "timeout": 5.0,
        "username": "ann",
        "password": "pencil",
        "trusted_certificate": TRUSTED,
    }
    endpoint = Endpoint(**(usual | fields))
    steps: list[Step] = []

    async def run() -> Connection | ConnectionFailed:
        try:
            connection = await connect(endpoint, steps.append)
        except ConnectionFailed as error:
            return error
        await connection.quit()
        return connection

    outcome = asyncio.run(run())
    return outcome, steps, explain(steps[-1], endpoint)


def refusing(*mechanisms: str, reply: Any = REFUSED) -> Callable[[str, Mapping[str, Any]], Any]:
    def script(event: str, context: Mapping[str, Any]) -> Any:
        return reply if event == "mechanism" and context["mechanism"] in mechanisms else None

    return script


def tried(peer: Peer) -> list[str]:
    return [event["line"].split()[1] for event in peer.journal.events("auth")]


@pytest.fixture
def peers(tmp_path: Path) -> Any:
    def make(script: Any, *mechanisms: str, **options: Any) -> Any:
        usual = {"accounts": {"ann": "pencil"}, "starttls": tls()}
        return running_peer(tmp_path, script, (f"AUTH {' '.join(mechanisms)}",), **(usual | options))

    return make


# Signing in


@pytest.mark.parametrize(
    ("offered", "refused", "expected"),
    [
        (("CRAM-MD5", "PLAIN"), ("CRAM-MD5",), ["CRAM-MD5", "PLAIN"]),
        (("CRAM-MD5", "LOGIN"), ("CRAM-MD5",), ["CRAM-MD5", "LOGIN"]),
        (("SCRAM-SHA-1", "LOGIN", "PLAIN"), ("SCRAM-SHA-1",), ["SCRAM-SHA-1", "PLAIN"]),
        (("SCRAM-SHA-256", "CRAM-MD5", "PLAIN"), ("SCRAM-SHA-256", "CRAM-MD5"), ["SCRAM-SHA-256", "PLAIN"]),
    ],
)
@pytest.mark.parametrize("reply", [REFUSED, b"535 nope", b"554 5.7.0 failed", b"501 5.5.2 cannot decode"])
def test_a_mechanism_that_does_not_work_gives_way_to_a_plain_one_over_tls(
    peers: Any, offered: tuple[str, ...], refused: tuple[str, ...], expected: list[str], reply: bytes
) -> None:
    with peers(refusing(*refused, reply=reply), *offered) as peer:
        outcome, steps, _ = talk(peer)

        assert isinstance(outcome, Connection)
        assert tried(peer) == expected
    assert outcome.learned_mechanism == expected[-1]
    assert f"{expected[0]}: " in steps[-1].details["passed over"]
    assert steps[-1].details["mechanism"] == expected[-1]


def test_the_explanation_names_what_was_tried(peers: Any) -> None:
    with peers(lambda *_: None, "CRAM-MD5", "LOGIN") as peer:
        outcome, _, advice = talk(peer, password="wrong")

        assert tried(peer) == ["CRAM-MD5", "LOGIN"], "and no third time"
    assert isinstance(outcome, ConnectionFailed)
    assert outcome.reply is not None
    assert outcome.reply.code == 535
    assert "rejected for ann by CRAM-MD5 and by LOGIN." in advice


def test_where_no_plain_one_is_offered_the_mechanism_is_named_and_may_be_at_fault(peers: Any) -> None:
    with peers(lambda *_: None, "CRAM-MD5") as peer:
        _, _, advice = talk(peer, password="wrong")

    assert "rejected for ann by CRAM-MD5." in advice
    assert "may offer CRAM-MD5 without supporting it. Choose PLAIN or LOGIN as Sign-in method." in advice


def test_nothing_is_said_in_clear_that_a_safer_way_was_refused_for(peers: Any) -> None:
    with peers(refusing("CRAM-MD5"), "CRAM-MD5", "PLAIN", starttls=None) as peer:
        outcome, _, _ = talk(peer, security=Security.OPPORTUNISTIC)

        assert tried(peer) == ["CRAM-MD5"]
    assert isinstance(outcome, ConnectionFailed)


@pytest.mark.parametrize("reply", [b"454 4.7.0 Temporary authentication failure", b"538 5.7.11 encryption needed"])
def test_another_answer_than_a_refusal_is_not_tried_around(peers: Any, reply: bytes) -> None:
    with peers(refusing("CRAM-MD5", reply=reply), "CRAM-MD5", "PLAIN") as peer:
        talk(peer)

        assert tried(peer) == (["CRAM-MD5"] if reply.startswith(b"4") else ["CRAM-MD5", "PLAIN"])


def test_a_server_that_hangs_up_with_its_refusal_has_refused(peers: Any) -> None:
    with peers(lambda event, _: (REFUSED + b"\r\n", DROP) if event == "auth" else None, "CRAM-MD5", "PLAIN") as peer:
        outcome, steps, _ = talk(peer)

    assert isinstance(outcome, ConnectionFailed)
    assert (outcome.stage, outcome.reply and outcome.reply.code) == (Stage.AUTH, 535)
    assert (steps[-1].code, steps[-1].details["mechanism"]) == (535, "CRAM-MD5")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1"])
def test_a_chosen_mechanism_is_the_only_one(peers: Any, mechanism: str) -> None:
    with peers(lambda *_: None, "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN") as peer:
        outcome, _, _ = talk(peer, mechanism=mechanism)
        refused, _, _ = talk(peer, mechanism=mechanism, password="wrong")

        assert isinstance(outcome, Connection)
        assert isinstance(refused, ConnectionFailed)
        assert tried(peer) == [mechanism, mechanism]


def test_a_chosen_mechanism_that_is_not_offered_is_said(peers: Any) -> None:
    with peers(lambda *_: None, "LOGIN") as peer:
        outcome, _, advice = talk(peer, mechanism="SCRAM-SHA-256")

    assert str(outcome) == "the server does not offer SCRAM-SHA-256, which was chosen (offered: LOGIN)"
    assert advice.startswith("Set Sign-in method to Automatic")


@pytest.mark.django_db(transaction=True)
def test_a_campaign_goes_out_and_is_refused_only_once(peers: Any) -> None:
    with peers(refusing("CRAM-MD5"), "CRAM-MD5", "PLAIN") as peer:
        server = make_server(
            peer.port,
            use_tls=True,
            trusted_certificate=TRUSTED,
            username="ann",
            password="pencil",
            messages_per_connection=2,
            max_connections=2,
        )
        make_mailing(make_list(10))
        run_drain()
        make_mailing(make_list(4, "More"))
        run_drain()

        assert len(peer.accepted()) == 14
        assert tried(peer).count("CRAM-MD5") == 1
    server.refresh_from_db()
    assert (server.learned_mechanism, server.paused_reason) == ("PLAIN", "")
    server.save()
    assert SmtpServer.objects.get().learned_mechanism == "", "an edited server is asked anew"


# What EHLO says


@pytest.mark.parametrize(
    ("lines", "mechanisms"),
    [
        ("AUTH=LOGIN PLAIN", {"LOGIN", "PLAIN"}),
        ("AUTH=PLAIN", {"PLAIN"}),
        ("AUTH LOGIN\nAUTH PLAIN CRAM-MD5", {"LOGIN", "PLAIN", "CRAM-MD5"}),
        ("AUTH CRAM-MD5\nAUTH=LOGIN\nSIZE 5", {"LOGIN", "CRAM-MD5"}),
        ("auth=login plain\nAuth  Scram-Sha-1", {"LOGIN", "PLAIN", "SCRAM-SHA-1"}),
        ("AUTH PLAIN=LOGIN", {"PLAIN", "LOGIN"}),
        ("AUTHOR PLAIN\nX-AUTH=LOGIN\nAUTH", set()),
    ],
)
def test_all_that_is_said_of_signing_in_is_joined(lines: str, mechanisms: set[str]) -> None:
    extensions = Extensions.parse(Reply.parse("250-peer\n" + "\n".join(f"250-{line}" for line in lines.split("\n"))))

    assert extensions.mechanisms == mechanisms


@pytest.mark.parametrize(
    ("words", "size"),
    [
        ("SIZE 1000", 1000),
        ("SIZE=1000", 1000),
        ("SIZE 0", None),
        ("SIZE", None),
        ("SIZE ²", None),
        ("SIZE -5", None),
        ("SIZE " + "9" * 5_000, None),
        ("SIZE 10\n250-SIZE 20", None),
    ],
)
def test_the_largest_size_is_a_number_or_unknown(words: str, size: int | None) -> None:
    assert Extensions.parse(Reply.parse(f"250-peer\n250-{words}")).size == size


def test_a_server_that_knows_only_helo_is_no_failure(peers: Any) -> None:
    with peers(lambda event, _: b"502 5.5.1 EHLO unknown" if event == "ehlo" else None, accounts=None) as peer:
        outcome, steps, _ = talk(peer, security=Security.OPPORTUNISTIC, username="", password="")

    assert isinstance(outcome, Connection)
    assert [step.is_ok for step in steps] == [True] * len(steps)
    assert steps[-2].details == {"older server": "it may know only HELO, which is enough where nobody signs in"}


def test_a_server_that_refuses_both_greetings_has_failed(peers: Any) -> None:
    def script(event: str, _: Any) -> Any:
        return b"550 5.7.1 go away" if event in ("ehlo", "helo") else None

    with peers(script, accounts=None) as peer:
        outcome, steps, advice = talk(peer, security=Security.OPPORTUNISTIC, username="", password="")

    assert isinstance(outcome, ConnectionFailed)
    assert not steps[-1].is_ok
    assert "rejected the greeting" in advice


# STARTTLS that does not work

NO_TLS = {
    "454": b"454 4.7.0 TLS not available due to local problem",
    "502": b"502 5.5.1 Command not implemented",
    "550": b"550 5.7.0 later perhaps",
    "no TLS": (b"220 go ahead\r\n", 0.05, b"250 what?\r\n"),
    "hangs up": (b"220 go ahead\r\n", DROP),
}


def not_starting(reply: Any) -> Any:
    return lambda event, _: reply if event == "starttls" else None


@pytest.mark.parametrize("how", NO_TLS)
def test_where_encryption_is_required_nothing_is_sent_and_the_switch_is_not_blamed(peers: Any, how: str) -> None:
    with peers(not_starting(NO_TLS[how]), "PLAIN") as peer:
        outcome, _, advice = talk(peer)

        assert tried(peer) == []
    assert isinstance(outcome, ConnectionFailed)
    assert outcome.stage is Stage.TLS
    assert "(465)" in advice
    assert "Wrong port" not in advice
    assert "()" not in str(outcome)


@pytest.mark.parametrize("how", NO_TLS)
def test_where_it_is_not_required_the_advice_names_the_switch_that_helps(peers: Any, how: str) -> None:
    with peers(not_starting(NO_TLS[how]), "PLAIN") as peer:
        outcome, _, advice = talk(peer, security=Security.OPPORTUNISTIC)

    assert isinstance(outcome, ConnectionFailed)
    assert "turn on Never encrypt" in advice
    assert "Use SSL/TLS connection" not in advice


@pytest.mark.parametrize("how", NO_TLS)
def test_never_means_that_nobody_asks_for_it(peers: Any, how: str) -> None:
    with peers(not_starting(NO_TLS[how]), "PLAIN") as peer:
        outcome, steps, _ = talk(peer, security=Security.NEVER)

        assert tried(peer) == ["PLAIN"]
    assert isinstance(outcome, Connection)
    assert "TLS" not in [step.name for step in steps]
