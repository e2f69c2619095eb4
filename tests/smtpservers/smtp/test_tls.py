"""Encryption on the wire: who is believed, who is not, and what is never said before that is known."""

import asyncio
import datetime as dt
import socket
import ssl
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mail import reachability
from mail.replies.rules import Stage
from smtpservers.destinations import Security
from smtpservers.smtp.connection import ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain
from smtpservers.smtp.endpoint import Endpoint
from tests.peers.peer import Peer, running_peer

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
ACCOUNTS = {"ann": "pencil"}
BOTH = pytest.mark.parametrize("security", [Security.IMPLICIT, Security.STARTTLS])
OURS = trustme.CA()  # The authority a person pasted as trusted certificate.
TRUSTED = OURS.cert_pem.bytes().decode()


def issued(*names: str, authority: trustme.CA = OURS, **dates: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, **dates).configure_cert(context)
    return context


def self_signed(name: str, *, has_san: bool = True) -> tuple[ssl.SSLContext, str]:
    """Make a certificate that vouches for itself and for nobody else, and return it as a server and as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), NOW - DAY, NOW + DAY)
    ).add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    if has_san:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        file.write(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
    return context, pem.decode()


class Meeting:
    """One connection to a peer that wants a password, and what was seen on the way."""

    def __init__(self, folder: Path, security: Security, context: ssl.SSLContext | None, **fields: Any) -> None:
        self.steps: list[Step] = []
        self.verbs: list[str] = []
        is_near = fields.pop("is_near", reachability.is_near)
        resolve = fields.pop("resolve", None)
        answers: Mapping[str, bytes] = fields.pop("answers", {})

        def script(event: str, facts: Mapping[str, Any]) -> bytes | None:
            self.verbs.append(event)
            return answers.get(event)

        is_implicit = security is Security.IMPLICIT
        mode = {"tls": context} if is_implicit else {"starttls": context}
        accounts = ACCOUNTS if fields.get("username", "ann") else None
        with running_peer(folder, script, ("AUTH PLAIN",), accounts=accounts, **mode) as peer:
            self.endpoint = self._endpoint(peer, security, fields)
            self.failed = asyncio.run(self._run(is_near, resolve))
        if self.failed is not None:
            assert not {"auth", "mail", "mechanism"} & set(self.verbs), "nothing was said that should not be"
            assert not self.steps[-1].is_ok
            self.advice = explain(self.steps[-1], self.endpoint)
            assert self.advice.endswith(".")

    @staticmethod
    def _endpoint(peer: Peer, security: Security, fields: dict[str, Any]) -> Endpoint:
        usual = {
            "server_id": 1,
            "name": "Peer",
            "host": "127.0.0.1",
            "port": peer.port,
            "security": security,
            "ehlo_name": "mail.shop.example",
            "timeout": 5.0,
            "username": "ann",
            "password": "pencil",
            "trusted_certificate": TRUSTED,
        }
        return Endpoint(**(usual | fields))

    async def _run(self, is_near: Any, resolve: Any) -> ConnectionFailed | None:
        try:
            connection = await connect(self.endpoint, self.steps.append, is_near=is_near, resolve=resolve)
        except ConnectionFailed as error:
            return error
        answer = await connection.send("a@shop.example", "b@x.example", b"Subject: x\r\n\r\n", before_dot=lambda: True)
        assert answer.reply is not None
        assert answer.reply.code == 250
        connection.close()
        return None


def far(address: str) -> bool:
    """Stands in for an address of the open Internet."""
    return False


# Certificates


@BOTH
def test_a_certificate_of_a_trusted_authority_for_this_host_is_believed(tmp_path: Path, security: Security) -> None:
    meeting = Meeting(tmp_path, security, issued("127.0.0.1"), is_near=far)

    assert meeting.failed is None
    [tls] = [step for step in meeting.steps if step.name == "TLS"]
    assert tls.details["version"] in ("TLSv1.2", "TLSv1.3")
    if security is Security.STARTTLS:
        assert meeting.verbs[:4] == ["conn", "ehlo", "starttls", "ehlo"]


SELF_SIGNED, SELF_SIGNED_PEM = self_signed("localhost")
WITHOUT_SAN, WITHOUT_SAN_PEM = self_signed("localhost", has_san=False)


@BOTH
@pytest.mark.parametrize(
    ("context", "fields", "why", "advice"),
    [
        (issued("127.0.0.1", not_after=NOW - DAY), {}, "certificate has expired", "has expired"),
        (issued("127.0.0.1", not_before=NOW + DAY, not_after=NOW + 2 * DAY), {}, "not yet valid", "isn't valid yet"),
        (issued("smtp.other.example"), {}, "mismatch", "The certificate isn't for"),
        (issued("smtp.other.example"), {"host": "localhost"}, "mismatch", "The certificate isn't for"),
        (issued("127.0.0.1", authority=trustme.CA()), {}, "unable to get local issuer", "Trusted certificate"),
        (issued("127.0.0.1"), {"trusted_certificate": ""}, "unable to get local issuer", "Trusted certificate"),
        (SELF_SIGNED, {"host": "localhost"}, "self-signed certificate", "Trusted certificate"),
        (SELF_SIGNED, {"trusted_certificate": SELF_SIGNED_PEM}, "mismatch", "The certificate isn't for"),
        (
            self_signed("localhost")[0],
            {"host": "localhost", "trusted_certificate": SELF_SIGNED_PEM},
            "self-signed certificate",
            "Trusted certificate",
        ),
        (
            WITHOUT_SAN,
            {"host": "localhost", "trusted_certificate": WITHOUT_SAN_PEM},
            "mismatch",
            "The certificate isn't for",
        ),
    ],
    ids=[
        *("expired", "not yet valid", "wrong address", "wrong host", "unknown authority", "nothing trusted"),
        *("self-signed", "pinned for another host", "another self-signed one is pinned", "only a common name"),
    ],
)
def test_a_certificate_that_proves_nothing_ends_the_conversation(
    tmp_path: Path, security: Security, context: ssl.SSLContext, fields: dict[str, Any], why: str, advice: str
) -> None:
    meeting = Meeting(tmp_path, security, context, **fields)

    assert meeting.failed is not None
    assert meeting.failed.stage is Stage.TLS
    assert why in str(meeting.failed)
    assert advice in meeting.advice


@BOTH
def test_the_very_certificate_that_was_pasted_is_believed(tmp_path: Path, security: Security) -> None:
    meeting = Meeting(
        tmp_path, security, SELF_SIGNED, host="localhost", trusted_certificate=SELF_SIGNED_PEM, is_near=far
    )

    assert meeting.failed is None


@BOTH
def test_the_certificate_itself_is_enough_without_the_authority_that_issued_it(
    tmp_path: Path, security: Security
) -> None:
    certificate = OURS.issue_cert("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    pinned = certificate.cert_chain_pems[0].bytes().decode()

    assert Meeting(tmp_path, security, context, trusted_certificate=pinned, is_near=far).failed is None
    assert Meeting(tmp_path, security, issued("127.0.0.1"), trusted_certificate=pinned).failed is not None


def test_the_server_is_told_which_name_we_look_for(tmp_path: Path) -> None:
    names: list[str | None] = []
    context = issued("localhost")
    context.sni_callback = lambda connection, name, context: names.append(name)

    meeting = Meeting(tmp_path, Security.STARTTLS, context, host="localhost")

    assert meeting.failed is None
    assert names == ["localhost"]


# Versions


def old_tls() -> ssl.SSLContext:
    context = issued("127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@BOTH
def test_versions_before_1_2_are_refused(tmp_path: Path, security: Security) -> None:
    meeting = Meeting(tmp_path, security, old_tls())

    assert meeting.failed is not None
    assert meeting.failed.stage is Stage.TLS
    assert "older than 1.2" in meeting.advice, meeting.steps[-1]


def test_the_old_peer_does_speak_to_those_who_let_it(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        client.minimum_version = ssl.TLSVersion.TLSv1
    client.set_ciphers("ALL:@SECLEVEL=0")

    with (
        running_peer(tmp_path, tls=old_tls()) as peer,
        socket.create_connection(("127.0.0.1", peer.port), 5) as bare,
        client.wrap_socket(bare) as secured,
    ):
        assert secured.version() == "TLSv1.1"
        assert secured.recv(100).startswith(b"220")


# The switch


def test_stripped_starttls_stops_everything_while_the_switch_is_on(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.STARTTLS, None)

    assert meeting.failed is not None
    assert meeting.failed.stage is Stage.TLS
    assert "does not offer STARTTLS, and without it nothing is sent" in str(meeting.failed)
    assert meeting.verbs == ["conn", "ehlo"]


def test_stripped_starttls_stops_also_mail_without_a_password(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.STARTTLS, None, username="", password="")

    assert meeting.failed is not None
    assert meeting.verbs == ["conn", "ehlo"]


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.OPPORTUNISTIC])
def test_a_refused_starttls_is_no_leave_to_go_on_in_clear(tmp_path: Path, security: Security) -> None:
    answers = {"starttls": b"454 4.7.0 TLS not available due to temporary reason"}

    meeting = Meeting(tmp_path, security, issued("127.0.0.1"), answers=answers)

    assert meeting.failed is not None
    assert meeting.failed.reply is not None
    assert meeting.failed.reply.code == 454


def test_with_the_switch_off_no_credentials_go_to_a_far_host_in_clear(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, None, is_near=far)

    assert meeting.failed is not None
    assert str(meeting.failed) == "there is no encryption; credentials were not sent"
    assert "never sent unencrypted" in meeting.advice
    assert meeting.verbs == ["conn", "ehlo"]


def test_with_the_switch_off_a_near_host_gets_them(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, None)

    assert meeting.failed is None
    assert "auth" in meeting.verbs


def test_with_the_switch_off_a_far_host_gets_mail_without_credentials(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, None, username="", password="", is_near=far)

    assert meeting.failed is None
    assert "mail" in meeting.verbs


@pytest.mark.parametrize("context", [SELF_SIGNED, issued("127.0.0.1", not_after=NOW - DAY)], ids=["unknown", "expired"])
def test_with_the_switch_off_any_encryption_is_better_than_none_where_no_secret_is_said(
    tmp_path: Path, context: ssl.SSLContext
) -> None:
    meeting = Meeting(
        tmp_path, Security.OPPORTUNISTIC, context, username="", password="", trusted_certificate="", is_near=far
    )

    assert meeting.failed is None
    assert "starttls" in meeting.verbs
    assert [step.is_ok for step in meeting.steps if step.name == "TLS"] == [True]


@pytest.mark.parametrize("context", [SELF_SIGNED, issued("127.0.0.1", not_after=NOW - DAY)], ids=["unknown", "expired"])
def test_with_the_switch_off_credentials_still_need_a_proven_far_host(tmp_path: Path, context: ssl.SSLContext) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, context, trusted_certificate="", is_near=far)

    assert meeting.failed is not None
    assert meeting.failed.stage is Stage.TLS


def test_with_the_switch_off_credentials_go_to_a_far_host_over_proven_encryption(tmp_path: Path) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, issued("127.0.0.1"), is_near=far)

    assert meeting.failed is None
    assert meeting.verbs[:4] == ["conn", "ehlo", "starttls", "ehlo"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("93.184.216.34", False),
        ("172.32.0.1", False),
        ("2606:2800:220:1::1", False),
        ("::ffff:93.184.216.34", False),
        ("100.64.0.1", False),  # Shared by the customers of a provider (RFC 6598): not ours.
        ("198.51.100.1", False),  # For documentation.
        ("240.0.0.1", False),
        ("2002:a00:1::1", False),  # 6to4: through strangers' relays.
    ],
)
def test_near_is_this_machine_and_private_networks(address: str, expected: bool) -> None:
    assert reachability.is_near(address) is expected


def test_implicit_tls_at_a_port_that_speaks_first_is_named(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        endpoint = Meeting._endpoint(peer, Security.IMPLICIT, {})
        steps: list[Step] = []

        async def run() -> None:
            with pytest.raises(ConnectionFailed) as caught:
                await connect(endpoint, steps.append)
            assert caught.value.stage is Stage.TLS

        asyncio.run(run())

    assert "Wrong port for the TLS mode" in explain(steps[-1], endpoint)


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("host", ["mail.shop.example", "mx.wiretest.net", "smtp.example.co.uk", "a.test.example.com"])
def test_a_public_name_is_no_neighbour_whatever_a_name_server_answers(tmp_path: Path, host: str) -> None:
    meeting = Meeting(tmp_path, Security.OPPORTUNISTIC, None, host=host, resolve=here)

    assert meeting.failed is not None
    assert "credentials were not sent" in str(meeting.failed)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "mailhost", "relay.internal", "mx.office.lan", "a.home.arpa"]
)
def test_a_name_of_ones_own_network_may_be_near(tmp_path: Path, host: str) -> None:
    assert Meeting(tmp_path, Security.OPPORTUNISTIC, None, host=host, resolve=here).failed is None


def test_a_starttls_injection_is_called_by_its_name(tmp_path: Path) -> None:
    meeting = Meeting(
        tmp_path,
        Security.STARTTLS,
        issued("127.0.0.1"),
        answers={"starttls": b"220 go ahead\r\n250-mail.attacker.example\r\n250 AUTH PLAIN"},
    )

    assert meeting.failed is not None
    assert "a STARTTLS injection" in meeting.advice
    assert "Wrong port" not in meeting.advice
