"""DKIM signatures, verified by dkimpy, which shares no line with what made them."""

import base64
import datetime as dt
from collections.abc import Callable

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from mail.addresses import AddressInvalid, Mailbox
from mail.message.composition import compile_content
from mail.message.dkim import Key, Signer
from mail.message.style import Recipient, Style

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
STYLE = Style(
    mail_from=Mailbox("Größe & Söhne", "news@example.com"),
    reply_to="help@example.com",
    cc=("boss@example.com",),
    list_id="Example news <news.lists.example.com>",
    precedence="bulk",
    complaints_to="fbl@example.com",
    feedback_id="c1042:acme:news:brilliance1",
    has_unsubscribe=True,
)
RECIPIENT = Recipient(
    address="ann@example.com",
    message_id="<7k3f9q2mzx4a@example.com>",
    values={"first_name": "Jörg"},
    unsubscribe_url="https://mail.example.com/u/" + "7k3f9q2mzx4a" * 12,
    feedback_id="c1042:7k3f9q2mzx4a",
)


@pytest.fixture(scope="module")
def rsa() -> Key:
    return Key("r2026", generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def ed25519() -> Key:
    return Key("e2026", Ed25519PrivateKey.generate())


def message(subject: str = "Winter sale {{ first_name }}", text: str = "Hello {{ first_name }}.\n\n\n") -> bytes:
    return compile_content(subject, "<p>Hello {{ first_name }}</p>", text, STYLE).build(RECIPIENT, NOW)


def dns(*keys: Key) -> Callable[..., bytes]:
    """Answer as the DNS of example.com would, with the other halves of the keys."""
    records = {}
    for key in keys:
        public = key.private.public_key()
        if isinstance(key.private, RSAPrivateKey):
            shown = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(shown)
        else:
            shown = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            record = b"v=DKIM1; k=ed25519; p=" + base64.b64encode(shown)
        records[f"{key.selector}._domainkey.example.com.".encode()] = record
    return lambda name, timeout=5: records[name]


@pytest.mark.parametrize("names", [("rsa",), ("ed25519",), ("rsa", "ed25519")], ids="+".join)
@pytest.mark.parametrize("text", ["Hello", "", "\n\n\n", "two  blanks\tand a tab \n\n\n", "Größe\n" * 400])
def test_a_signed_message_verifies(names: tuple[str, ...], text: str, request: pytest.FixtureRequest) -> None:
    keys = [request.getfixturevalue(name) for name in names]
    content = message("Größe,  " * 20 + "{{ first_name }}", text)

    signed = Signer("example.com", keys)(content) + content

    for index in range(len(keys)):
        assert dkim.DKIM(signed).verify(index, dnsfunc=dns(*keys))


def test_the_headers_of_one_click_and_of_complaints_are_covered(rsa: Key) -> None:
    header = Signer("example.com", [rsa])(message())

    covered = dict(tag.split("=", 1) for tag in "".join(header.decode().split()).split(":", 1)[1].split(";"))["h"]
    assert covered.split(":") == [
        *("from", "from", "reply-to", "to", "cc", "subject", "date", "message-id", "mime-version", "content-type"),
        *("list-id", "list-unsubscribe", "list-unsubscribe-post"),
        *("feedback-id", "cfbl-address", "cfbl-feedback-id"),
    ]
    assert all(len(line) <= 78 for line in header.split(b"\r\n"))
    assert header.endswith(b"\r\n")
    assert b"\r\n\r\n" not in header


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: Winter", b"Subject: Summer"),
        (b"To: ann@", b"To: eve@"),
        (b"List-Unsubscribe: <https://mail", b"List-Unsubscribe: <https://evil"),
        (b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n", b""),
        (b"From: ", b"From: Eve <eve@evil.example>\r\nFrom: "),
        (b"<p>Hello", b"<p>Hallo"),
        (b"text/html", b"text/plain"),
    ],
)
def test_what_is_changed_on_the_way_breaks_the_signature(before: bytes, after: bytes, ed25519: Key) -> None:
    content = message("Winter sale")
    assert before in content

    changed = Signer("example.com", [ed25519])(content) + content.replace(before, after, 1)

    assert not dkim.verify(changed, dnsfunc=dns(ed25519))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Subject: Winter sale", b"SUBJECT:\tWinter\r\n  sale "),
        (b"Date: ", b"Received: by relay\r\nDate: "),
        (b"Precedence: bulk\r\n", b""),
    ],
)
def test_what_relays_may_do_to_headers_leaves_it_whole(before: bytes, after: bytes, ed25519: Key) -> None:
    content = message("Winter sale")
    assert before in content

    changed = Signer("example.com", [ed25519])(content) + content.replace(before, after, 1) + b"\r\n\r\n"

    assert dkim.verify(changed, dnsfunc=dns(ed25519))


@pytest.mark.parametrize("body", [b"", b"\r\n", b"\r\n\r\n", b"no line end", b"a  b \t c\r\n\r\n"])
def test_any_form_of_header_and_body_is_canonicalised(body: bytes, ed25519: Key) -> None:
    content = (
        b"FROM:  Ann\t Lee  <ann@example.com> \r\nTo: a@example.com,\r\n\tb@example.com\r\n"
        b"Cc: one@example.com\r\nCC: two@example.com\r\nSubject:\r\nX-Other: c\r\n\r\n" + body
    )

    signed = Signer("example.com", [ed25519])(content) + content

    assert dkim.verify(signed, dnsfunc=dns(ed25519))


def test_a_message_without_from_is_refused(ed25519: Key) -> None:
    with pytest.raises(ValueError, match="without a From header cannot be signed"):
        Signer("example.com", [ed25519])(b"To: ann@example.com\r\n\r\nHello\r\n")


def test_keys_are_read_from_pem_and_never_shown(rsa: Key, ed25519: Key) -> None:
    for key in (rsa, ed25519):
        pem = key.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

        read = Key.from_pem(key.selector, pem)

        assert dkim.verify(Signer("EXAMPLE.com", [read])(content := message()) + content, dnsfunc=dns(key))
        assert repr(read) == f"Key(selector='{key.selector}')"


def test_unfit_keys_are_refused_with_a_sentence(ed25519: Key) -> None:
    locked = ed25519.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for pem, words in [(b"nonsense", "no private key in PEM form"), (locked, "passphrase"), (curve, "RSA or Ed25519")]:
        with pytest.raises(ValueError, match=words):
            Key.from_pem("s1", pem)
    for selector in ("", "a b", "a;b", "-a", "a\r\nX: y"):
        with pytest.raises(ValueError, match="selector"):
            Key(selector, ed25519.private)
    with pytest.raises(ValueError, match="There is no key"):
        Signer("example.com", [])
    with pytest.raises(AddressInvalid, match="is not a domain name"):
        Signer("example.com; x=1", [ed25519])
