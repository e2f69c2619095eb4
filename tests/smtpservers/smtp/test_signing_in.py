"""Signing in: the RFCs' own examples, and a peer that really verifies each mechanism."""

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mail.replies.rules import Stage
from smtpservers.destinations import Security
from smtpservers.mechanisms import SignInBroken, exchange, saslprep
from smtpservers.smtp.connection import ConnectionFailed, connect, masking
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain
from smtpservers.smtp.endpoint import Endpoint
from tests.peers.auth import CHECKS, scram
from tests.peers.peer import Peer, running_peer

ACCOUNTS = {
    "ann": "pencil",
    "ann@shop.example": "Ünïcödé-пароль-密码",
    "a=b,c": "comma, equals=",
    "apikey": "SG." + "x" * 600,
}


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# The examples of the RFCs


@pytest.mark.parametrize(
    ("mechanism", "nonce", "opening", "challenge", "proof", "verdict"),
    [
        (  # RFC 5802 section 5.
            "SCRAM-SHA-1",
            "fyko+d2lbbFgONRv9qkxdawL",
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        (  # RFC 7677 section 3.
            "SCRAM-SHA-256",
            "rOprNGfwEbeRWgbNEkqO",
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ],
)
def test_scram_says_what_its_rfc_says(
    mechanism: str, nonce: str, opening: str, challenge: str, proof: str, verdict: str
) -> None:
    talk = exchange(mechanism, "user", "pencil", nonce=nonce)

    assert next(talk) == f"AUTH {mechanism} {b64(opening)}"
    assert talk.send(b64(challenge)) == b64(proof)
    assert talk.send(b64(verdict)) == ""


def test_the_older_mechanisms_say_what_their_rfcs_say() -> None:
    cram = exchange("CRAM-MD5", "tim", "tanstaaftanstaaf")  # RFC 2195 section 2.
    assert next(cram) == "AUTH CRAM-MD5"
    answer = cram.send(b64("<1896.697170952@postoffice.reston.mci.net>"))
    assert base64.b64decode(answer) == b"tim b913a602c7eda7a495b4e6e7334d3890"

    plain = exchange("PLAIN", "tim", "tanstaaftanstaaf")  # RFC 4616 section 4.
    assert base64.b64decode(next(plain).removeprefix("AUTH PLAIN ")) == b"\0tim\0tanstaaftanstaaf"


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # RFC 4013 section 3.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("ü", "ü"),
        ("u\u0308", "ü"),
        ("", ""),
        ("🔑", "🔑"),
    ],
)
def test_passwords_are_prepared_for_scram(text: str, prepared: str) -> None:
    assert saslprep(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "\ue000", "\u0627a\u0627", "a\u200e"])
def test_what_scram_cannot_carry_is_said(text: str) -> None:
    with pytest.raises(SignInBroken, match="SCRAM does not allow"):
        saslprep(text)


FIRST = "r=NONCEmore,s=QSXCR+Q6sek8bf92,i=4096"


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        ("", "does not belong to our question"),
        ("r=other,s=QSXCR+Q6sek8bf92,i=4096", "does not belong to our question"),
        ("r=NONCE,s=QSXCR+Q6sek8bf92,i=4096", "does not belong to our question"),
        ("r=NONCEmore,s=QSXCR+Q6sek8bf92", "no rounds"),
        ("r=NONCEmore,s=QSXCR+Q6sek8bf92,i=1", "1 rounds"),
        ("r=NONCEmore,s=QSXCR+Q6sek8bf92,i=-4096", "-4096 rounds"),
        ("r=NONCEmore,s=QSXCR+Q6sek8bf92,i=4000000000", "4000000000 rounds"),
        ("r=NONCEmore,s=QSXCR+Q6sek8bf92,i=٤٠٩٦", "not reasonable"),
        ("r=NONCEmore,s=%%%,i=4096", "cannot be read"),
        (f"m=ext,{FIRST}", "an extension of SCRAM"),
    ],
)
def test_a_senseless_challenge_of_scram_gets_no_proof(challenge: str, why: str) -> None:
    talk = exchange("SCRAM-SHA-256", "user", "pencil", nonce="NONCE")
    next(talk)

    with pytest.raises(SignInBroken, match=why):
        talk.send(b64(challenge))


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ("v=AAAA", "could not prove"),
        ("", "could not prove"),
        ("v=", "could not prove"),
        ("e=invalid-proof", "refused the sign-in: invalid-proof"),
    ],
)
def test_a_server_that_does_not_know_the_password_is_not_believed(last: str, why: str) -> None:
    talk = exchange("SCRAM-SHA-1", "user", "pencil", nonce="NONCE")
    next(talk)
    talk.send(b64(FIRST))

    with pytest.raises(SignInBroken, match=why):
        talk.send(b64(last))


@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-1"])
@pytest.mark.parametrize("challenge", ["%%%", "YQ", "ü"])
def test_a_challenge_that_is_no_base64_is_not_answered(mechanism: str, challenge: str) -> None:
    talk = exchange(mechanism, "user", "pencil")
    next(talk)

    with pytest.raises(SignInBroken, match="cannot be read"):
        talk.send(challenge)


# On the wire


def sign_in(peer: Peer, username: str, password: str) -> tuple[ConnectionFailed | None, list[Step]]:
    """Connect, sign in and ask for leave to send; return how it failed, and the steps."""
    steps: list[Step] = []
    endpoint = Endpoint(
        server_id=1,
        name="Peer",
        host="127.0.0.1",
        port=peer.port,
        security=Security.OPPORTUNISTIC,
        ehlo_name="mail.shop.example",
        timeout=5.0,
        username=username,
        password=password,
    )

    async def run() -> ConnectionFailed | None:
        try:
            connection = await connect(endpoint, steps.append)
        except ConnectionFailed as error:
            return error
        answer = await connection.send("a@shop.example", "b@x.example", b"Subject: x\r\n\r\n", before_dot=lambda: True)
        assert answer.reply is not None
        assert answer.reply.code == 250, "the peer takes no mail of strangers"
        connection.close()
        return None

    failed = asyncio.run(run())
    if failed is not None:
        assert explain(steps[-1], endpoint).endswith(".")
        assert password not in f"{failed} {steps}"
    return failed, steps


@pytest.fixture
def make_peer(tmp_path: Path) -> Any:
    def make(*mechanisms: str, **options: Any) -> Any:
        extensions = (f"AUTH {' '.join(mechanisms)}",) if mechanisms else ()
        return running_peer(tmp_path, extensions=extensions, **{"accounts": ACCOUNTS, **options})

    return make


@pytest.mark.parametrize("mechanism", CHECKS)
@pytest.mark.parametrize("username", ACCOUNTS)
def test_each_mechanism_is_believed_by_a_server_that_checks(make_peer: Any, mechanism: str, username: str) -> None:
    with make_peer(mechanism) as peer:
        failed, steps = sign_in(peer, username, ACCOUNTS[username])

        assert failed is None
        [auth] = [step for step in steps if step.name == "AUTH"]
        assert (auth.is_ok, auth.details) == (True, {"mechanism": mechanism})
        assert max(len(event["line"]) for event in peer.journal.events("auth")) <= 510


@pytest.mark.parametrize("mechanism", CHECKS)
def test_a_wrong_password_is_said_once_and_never_again(make_peer: Any, mechanism: str) -> None:
    with make_peer(mechanism, *(set(CHECKS) - {mechanism})) as peer:
        failed, steps = sign_in(peer, "ann", "PENCIL")

        assert failed is not None
        assert failed.stage is Stage.AUTH
        assert failed.reply is not None
        assert failed.reply.code == 535
        assert str(failed) == "the server refused the sign-in"
        assert len(peer.journal.events("auth")) == 1
        assert [step.code for step in steps if step.name == "AUTH"] == [535]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"), "SCRAM-SHA-256"),
        (("LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-1"), "SCRAM-SHA-1"),
        (("LOGIN", "PLAIN", "CRAM-MD5"), "CRAM-MD5"),
        (("LOGIN", "PLAIN", "XOAUTH2"), "PLAIN"),
        (("GSSAPI", "login"), "LOGIN"),
    ],
)
def test_the_best_mechanism_of_those_offered_is_used(make_peer: Any, offered: tuple[str, ...], chosen: str) -> None:
    with make_peer(*offered) as peer:
        failed, _ = sign_in(peer, "ann", "pencil")

        assert failed is None
        assert [event["line"].split()[1] for event in peer.journal.events("auth")] == [chosen]


@pytest.mark.parametrize("refusal", [b"504 5.5.4 unrecognized", b"534 5.7.9 too weak"])
def test_a_refused_mechanism_gives_way_to_the_next(make_peer: Any, refusal: bytes) -> None:
    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        return refusal if event == "mechanism" and context["mechanism"].startswith("SCRAM") else None

    with make_peer("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", script=script) as peer:
        failed, steps = sign_in(peer, "ann", "pencil")

        assert failed is None
        [auth] = [step for step in steps if step.name == "AUTH"]
        assert auth.details["mechanism"] == "PLAIN"
        assert refusal.decode()[:9] in auth.details["passed over"]


def test_when_every_mechanism_is_refused_the_last_answer_is_shown(make_peer: Any) -> None:
    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        return b"534 5.7.9 Application-specific password required" if event == "mechanism" else None

    with make_peer("PLAIN", "LOGIN", script=script) as peer:
        failed, steps = sign_in(peer, "ann", "pencil")

        assert failed is not None
        assert failed.reply is not None
        assert "Application-specific" in str(failed.reply)
        assert steps[-1].code == 534
        assert len(peer.journal.events("auth")) == 2


@pytest.mark.parametrize(
    ("offered", "why"),
    [(("XOAUTH2", "GSSAPI"), "(offered: GSSAPI, XOAUTH2)"), ((), "(offered: none)")],
)
def test_without_a_mechanism_we_know_nothing_is_sent(make_peer: Any, offered: tuple[str, ...], why: str) -> None:
    with make_peer(*offered) as peer:
        failed, _ = sign_in(peer, "ann", "pencil")

        assert failed is not None
        assert failed.stage is Stage.AUTH
        assert why in str(failed)
        assert peer.journal.events("auth", "mail") == []


def test_a_server_that_forges_its_proof_gets_no_mail(make_peer: Any) -> None:
    checks = {"SCRAM-SHA-256": scram("sha256", lies=True)}
    with make_peer("SCRAM-SHA-256", checks=checks) as peer:
        failed, _ = sign_in(peer, "ann", "pencil")

        assert failed is not None
        assert "somebody may be tampering" in str(failed)
        assert peer.journal.events("mail") == []
        assert peer.journal.events("auth_line")[-1]["line"] == "*"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
def test_a_server_that_lets_everybody_in_is_not_believed_either(make_peer: Any, mechanism: str) -> None:
    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        return b"235 2.7.0 come in" if event == "mechanism" else None

    with make_peer(mechanism, "PLAIN", script=script) as peer:
        failed, _ = sign_in(peer, "ann", "pencil")

        assert failed is not None
        assert "without proving" in str(failed)
        assert peer.journal.events("mail") == []


@pytest.mark.parametrize(
    ("mechanism", "challenge"),
    [
        ("SCRAM-SHA-256", b"334 %%%garbage%%%"),
        ("SCRAM-SHA-256", b"334 "),
        ("SCRAM-SHA-256", b"334"),
        ("CRAM-MD5", b"334 %%%garbage%%%"),
        ("PLAIN", b"334 bW9yZT8="),
    ],
)
def test_a_garbled_challenge_is_cancelled_and_not_answered(make_peer: Any, mechanism: str, challenge: bytes) -> None:
    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        return challenge if event == "mechanism" else None

    with make_peer(mechanism, script=script) as peer:
        failed, _ = sign_in(peer, "ann", "pencil")

        assert failed is not None
        assert str(failed).startswith("no sign-in took place: ")


def test_a_password_that_scram_cannot_carry_goes_another_way(make_peer: Any) -> None:
    accounts = {"ann": "\u0627\u0031"}
    with make_peer("SCRAM-SHA-256", "PLAIN", accounts=accounts) as peer:
        failed, steps = sign_in(peer, "ann", accounts["ann"])

        assert failed is None
        [auth] = [step for step in steps if step.name == "AUTH"]
        assert auth.details["mechanism"] == "PLAIN"
        assert "mixes directions" in auth.details["passed over"]


def test_the_password_is_masked_where_the_server_repeats_it(make_peer: Any) -> None:
    encoded = base64.b64encode(b"\0ann\0CANARY-1").decode()

    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        said = f"535 5.7.8 no: {encoded}, which is CANARY-1 or {b64('CANARY-1')}"
        return said.encode() if event == "mechanism" else None

    with make_peer("PLAIN", script=script) as peer:
        failed, steps = sign_in(peer, "ann", "CANARY-1")

        assert failed is not None
        assert str(failed.reply) == "535 5.7.8 no: ***, which is *** or ***"
        assert encoded not in str(steps)


@pytest.mark.parametrize("password", ["x", "no!"])
def test_a_short_password_is_masked_where_it_stands_alone_and_leaves_other_words_readable(password: str) -> None:
    endpoint = Endpoint(
        *(1, "Peer", "127.0.0.1", 25, Security.OPPORTUNISTIC, "mail.shop.example", 5.0),
        username="ann",
        password=password,
    )
    encoded = base64.b64encode(f"\0ann\0{password}".encode()).decode()

    shown = masking(endpoint)(f"sandbox.example.net takes no {password}, nor '{password}' or {encoded}, anno!")

    assert shown == "sandbox.example.net takes no ***, nor '***' or ***, anno!"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("mechanism", "{line}"),  # No SMTP reply at all: the log of a proxy, say.
        ("mechanism", "500 5.5.2 what is " + "{line:.30}"),
        ("mechanism", "535-5.7.8 you said\r\n535 5.7.8 {line}"),
        ("mail", "550 5.7.1 signed in with CANARY-of-the-shop"),
        ("mail", "this is {line}"),
    ],
)
def test_no_word_of_a_server_shows_a_secret_at_any_step(make_peer: Any, event: str, said: str) -> None:
    secret = "CANARY-of-the-shop"
    line = f"AUTH PLAIN {b64(chr(0) + 'ann' + chr(0) + secret)}"

    def script(happening: str, context: Mapping[str, Any]) -> bytes | None:
        return said.format(line=line).encode() if happening == event else None

    steps: list[Step] = []
    with make_peer("PLAIN", script=script, accounts={"ann": secret}) as peer:
        endpoint = Endpoint(
            *(1, "Peer", "127.0.0.1", peer.port, Security.OPPORTUNISTIC, "mail.shop.example", 5.0),
            username="ann",
            password=secret,
        )

        async def run() -> object:
            try:
                connection = await connect(endpoint, steps.append)
            except ConnectionFailed as error:
                return error, error.reply
            answer = await connection.send("a@shop.example", "b@x.example", b"x\r\n", before_dot=lambda: True)
            connection.close()
            return answer

        told = f"{asyncio.run(run())} {steps}"

    assert "***" in told
    assert secret not in told
    assert line[11:30] not in told


@pytest.mark.parametrize(
    "said",
    [
        "550 " + "A" * 7_995 + "{secret}",  # Where a long reply is cut.
        "550 you said correct  horse battery\tstaple",
        "550-you said correct horse\r\n550 battery staple",
        "550 you said correct\x01horse\x02battery staple",
    ],
)
def test_a_secret_of_several_words_is_masked_however_it_is_spread(make_peer: Any, said: str) -> None:
    secret = "correct horse battery staple"

    def script(event: str, context: Mapping[str, Any]) -> bytes | None:
        return said.format(secret=secret).encode() if event == "mechanism" else None

    with make_peer("PLAIN", script=script) as peer:
        failed, steps = sign_in(peer, "ann", secret)

    told = f"{failed and failed.reply} {steps}"
    assert "***" in told
    assert "corr" not in told
