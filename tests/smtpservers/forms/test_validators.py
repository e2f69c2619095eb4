"""The rules for a server's fields, as tables."""

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from smtpservers.forms import validators
from smtpservers.forms.validators import FieldInvalid
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def certificate(until: dt.datetime) -> tuple[str, str]:
    """Return a certificate and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(until - dt.timedelta(days=30))
        .not_valid_after(until)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM).decode(), private.decode()


@pytest.mark.parametrize("text", ["a\r\nBcc: b", "a\nb", "a\x00b", "a\x7fb", "a\u2028b", "a\x85b"])
def test_a_line_takes_no_control_characters(text: str) -> None:
    with pytest.raises(FieldInvalid, match="line break or control character"):
        validators.check_line(text)


@pytest.mark.parametrize(
    ("port", "use_tls", "is_refused"),
    [
        (465, True, False),
        (587, True, False),
        (587, False, False),
        (25, False, False),
        (2525, False, False),
        (465, False, True),
        (2465, False, True),
        (8465, False, True),
        (443, False, True),
    ],
)
def test_ports_that_speak_tls_first_need_the_switch(port: int, use_tls: bool, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(FieldInvalid, match=f"Port {port} needs TLS"):
            validators.check_encryption(port, use_tls)
    else:
        validators.check_encryption(port, use_tls)


@pytest.mark.parametrize(
    ("username", "has_password", "has_api_key", "is_refused"),
    [
        ("", False, False, False),
        ("", True, False, False),
        ("apikey", False, True, False),
        ("u", True, False, False),
        ("u", False, False, True),
    ],
)
def test_a_username_needs_something_to_sign_in_with(
    username: str, has_password: bool, has_api_key: bool, is_refused: bool
) -> None:
    if is_refused:
        with pytest.raises(FieldInvalid, match="Enter a password or API key"):
            validators.check_credentials(username, has_password, has_api_key)
    else:
        validators.check_credentials(username, has_password, has_api_key)


@pytest.mark.parametrize(
    ("mail_from", "host", "is_refused"),
    [
        ("me@gmail.com", "smtp.gmail.com", False),
        ("Me <me@gmail.com>", "smtp-relay.gmail.com", False),
        ("me@gmail.com", "smtp.sendgrid.net", True),
        ("me@gmail.com", "notgmail.com", True),
        ("me@yahoo.com", "smtp.example.com", True),
        ("me@icloud.com", "smtp.mail.me.com", False),
        ("me@hotmail.com", "smtp.live.com", False),
        ("me@outlook.de", "smtp.office365.com", False),
        ("me@proton.me", "smtp.protonmail.ch", False),
        ("me@hotmail.fr", "smtp.example.com", True),
        ("me@gmx.ch", "smtp.web.de", True),
        ("me@live.tv", "smtp.example.com", False),
        ("me@brilliance.example", "smtp.gmail.com", False),
    ],
)
def test_free_mail_addresses_go_through_their_own_provider(mail_from: str, host: str, is_refused: bool) -> None:
    if is_refused:
        with pytest.raises(FieldInvalid, match="Use an address on your own domain, or the SMTP server of"):
            validators.check_own_sender(mail_from, host)
    else:
        validators.check_own_sender(mail_from, host)


@pytest.mark.parametrize(
    ("text", "is_used", "complaint"),
    [
        ("https://brilliance.example/leave", True, None),
        ("https://brilliance.example/leave?t={token}&l={list}&c={campaign}&e={email}", True, None),
        ("mailto:leave@brilliance.example?subject=leave", True, None),
        ("mailto:leave+{token}@brilliance.example", True, None),
        ("http://brilliance.example/leave", False, None),
        ("http://brilliance.example/leave", True, "needs https"),
        ("ftp://brilliance.example/leave", True, "full address"),
        ("javascript:alert(1)", False, "full address"),
        ("/leave", True, "full address"),
        ("https:///leave", True, "full address"),
        ("https://{token}.brilliance.example/", True, "full address"),
        ("https://user:secret@brilliance.example/", True, "Every recipient could read"),
        ("https://[::1/", True, "isn't a web address"),
        ("https://brilliance.example/{name}", True, "{name} isn't a known token"),
        ("https://brilliance.example/{token", True, "Unmatched"),
        ("https://brilliance.example/a b", True, "Remove the spaces"),
        ("https://brilliance.example/a\r\nX: y", True, "Remove the spaces"),
        ("mailto:nobody", True, "one address after mailto:"),
    ],
)
def test_unsubscribe_addresses(text: str, is_used: bool, complaint: str | None) -> None:
    if complaint is None:
        assert validators.check_unsubscribe_url(text, is_used) == text
    else:
        with pytest.raises(FieldInvalid) as refused:
            validators.check_unsubscribe_url(text, is_used)
        assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("newsletter", None),
        ("{{campaign.slug}}-{{ date }}", None),
        ("{{ server.domain }}/{{campaign.id}}", None),
        ("{{ email }}", "would put personal data into web addresses"),
        ("hello {{ first_name }}", "would put personal data into web addresses"),
        ("{{ contact.phone | upcase }}", "would put personal data into web addresses"),
        ("{{ secret }}", "{{secret}} isn't known here"),
        ("{{ campaign.slug", "incomplete"),
        ("{% if x %}", "incomplete"),
        ("a\nb", "line break"),
    ],
)
def test_utm_values_name_no_person(text: str, complaint: str | None) -> None:
    if complaint is None:
        assert validators.check_utm(text) == text
    else:
        with pytest.raises(FieldInvalid) as refused:
            validators.check_utm(text)
        assert complaint in str(refused.value)


@pytest.mark.parametrize("text", ["bulk", "list", "first-class", "X" * 40])
def test_precedence_is_one_word(text: str) -> None:
    assert validators.check_precedence(text) == text


@pytest.mark.parametrize("text", ["bulk mail", "X" * 41, "bulk\r\nBcc: x", "größe", "a_b"])
def test_precedence_is_nothing_but_one_word(text: str) -> None:
    with pytest.raises(FieldInvalid, match="one word of letters, digits and hyphens"):
        validators.check_precedence(text)


def test_a_time_zone_is_found_however_it_is_written() -> None:
    assert validators.check_time_zone("america/new york") == "America/New_York"
    with pytest.raises(FieldInvalid, match="Mars/Base” isn't a time zone"):
        validators.check_time_zone("Mars/Base")


@pytest.mark.parametrize("text", ["{{ first_name }}", "{% x %}"])
def test_stand_ins_are_plain_text(text: str) -> None:
    with pytest.raises(FieldInvalid, match="Merge tags don't work"):
        validators.check_placeholder_name(text)


def test_certificates_are_read_and_private_keys_sent_back() -> None:
    pem, key = certificate(NOW + dt.timedelta(days=30))

    assert validators.check_certificate(f"Subject: relay\n{pem}\n{pem}").count("BEGIN CERTIFICATE") == 2
    with pytest.raises(FieldInvalid, match="private key"):
        validators.check_certificate(pem + key)
    with pytest.raises(FieldInvalid, match="isn't a PEM certificate"):
        validators.check_certificate("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----")
    with pytest.raises(FieldInvalid, match="isn't a PEM certificate"):
        validators.check_certificate("hello")


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"host": "relay"}, "only your own network can find it"),
        ({"use_tls": False, "username": "u"}, "doesn't offer TLS"),
        ({"return_path": "b@other.example", "use_return_path": True}, "SPF can't align"),
        (
            {"return_path": "b@brilliance.test", "use_return_path": True, "mail_to_unknown": "B <b@brilliance.test>"},
            "Bounces could loop",
        ),
        ({"return_path": "b@brilliance.test"}, "Email return path is saved but not used"),
        ({"abuse_address": "b@brilliance.test"}, "Email abuse is saved but not used"),
        ({"spam_address": "b@other.example", "use_spam_address": True}, "Complaints may not reach"),
        ({"mail_cc": "a@x.test\nb@x.test"}, "Every recipient sees the addresses in Mail CC"),
        ({"mail_cc": "a@x.test", "mail_bcc": "b@x.test"}, "sent 3 times"),
        ({"use_unsubscribe_link": False}, "no unsubscribe link"),
        ({"utm_medium": "email"}, "Enter a UTM source"),
        ({"utm_source": "news", "utm_medium": "mail"}, "UTM medium mail"),
        ({"utm_source": "News Letter"}, "UTM source has capitals or spaces"),
        ({"preset": "icloud"}, "iCloud Mail doesn't allow bulk mail"),
        ({"preset": "m365"}, "switches off sign-in with a password in 38 days"),
        ({"preset": "mailtrap", "host": "live.smtp.mailtrap.io"}, "only through its broadcast stream"),
        ({"notes": "the password is hunter22, psst"}, "password or API key in its notes"),
        ({"max_per_hour": 500, "max_per_day": 200}, "so Max (per hour) is never reached"),
        ({"max_per_hour": 5000, "max_per_month": 1000}, "Max (per hour) is 5,000 and Max (per month) only 1,000"),
    ],
)
def test_what_works_and_is_probably_not_meant_is_said(changes: dict[str, Any], hint: str) -> None:
    fields = {"host": "smtp.brilliance.test", "mail_from": "News <news@brilliance.test>"} | changes
    server = SmtpServer(**fields)

    said = list(validators.hints(server, secrets=("hunter22",), has_password=False, has_api_key=False, now=NOW))

    assert any(hint in sentence for sentence in said), said
    assert not any("hunter22" in sentence for sentence in said)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"host": "localhost", "use_tls": False, "username": "u"},
        {"host": "10.0.0.5", "use_tls": False, "username": "u"},
        {"utm_source": "{{campaign.slug}}", "utm_medium": "email"},
        {"max_per_hour": 200, "max_per_day": 200, "max_per_month": 6000},
        {"spam_address": "fbl@mail.brilliance.test", "use_spam_address": True},
        {"return_path": "b@bounces.brilliance.test", "use_return_path": True},
        {"preset": "sendgrid"},
        {"preset": "mailtrap", "host": "bulk.smtp.mailtrap.io"},
    ],
)
def test_sound_settings_are_met_with_silence(changes: dict[str, Any]) -> None:
    fields = {"host": "smtp.brilliance.test", "mail_from": "News <news@brilliance.test>"} | changes

    assert (
        list(validators.hints(SmtpServer(**fields), secrets=("", ""), has_password=False, has_api_key=False, now=NOW))
        == []
    )


def test_an_expired_certificate_and_an_unused_password_are_said() -> None:
    pem, _ = certificate(NOW - dt.timedelta(days=1))
    server = SmtpServer(host="smtp.brilliance.test", mail_from="news@brilliance.test", trusted_certificate=pem)

    said = list(validators.hints(server, secrets=(), has_password=True, has_api_key=False, now=NOW))

    assert any("trusted certificate expired on 22 Nov." in sentence for sentence in said)
    assert any("stored password isn't used" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("preset", "username", "is_said"),
    [("", "", True), ("mailgun", "", True), ("", "u", False), ("sendgrid", "", False), ("postmark", "", False)],
)
def test_an_api_key_that_signs_in_nobody_is_said(preset: str, username: str, is_said: bool) -> None:
    server = SmtpServer(
        host="other.brilliance.test", mail_from="news@brilliance.test", preset=preset, username=username
    )

    said = list(validators.hints(server, secrets=(), has_password=False, has_api_key=True, now=NOW))

    assert any("stored API key isn't used" in sentence for sentence in said) is is_said


def test_a_missing_password_is_asked_for_in_the_words_of_the_provider() -> None:
    with pytest.raises(
        validators.FieldInvalid, match=r"Twilio SendGrid expects an API key with the right to send mail\.$"
    ):
        validators.check_credentials("apikey", False, False, "sendgrid")
