"""The providers: complete, dated, and never sure of what nobody verified; and who signs in with what."""

import datetime as dt
import re

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from encryption.secret_field import Secret
from mail.addresses import check_host
from smtpservers.destinations import IMPLICIT_TLS_PORTS, Security
from smtpservers.models import SmtpServer
from smtpservers.presets import CHOICES, DEFAULTS, PRESETS, Bulk, Preset, sign_in
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain
from smtpservers.smtp.endpoint import endpoint_of
from words.texts import TRANSLATOR, translated

every_preset = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def test_there_are_28_of_them_in_the_order_of_the_alphabet() -> None:
    assert len(PRESETS) == len(CHOICES) == 28
    first_words = [re.sub(r"^(Amazon|Twilio|Microsoft 365) ?", r"\1", name).casefold() for _, name in CHOICES]
    assert first_words == sorted(first_words)


@every_preset
def test_each_has_a_date_and_sources_and_whole_sentences(preset: Preset) -> None:
    assert preset.checked_on <= dt.date(2026, 11, 23)
    assert all(preset.sources)
    assert preset.sources
    assert preset.signs_in_as
    assert preset.signs_in_with
    for sentence in (*preset.hints, *preset.warnings(preset.host)):
        assert sentence[0].isupper() or sentence[0].isdigit() or sentence.startswith("iCloud")
        assert sentence.endswith(".")


@every_preset
def test_what_each_fills_in_is_accepted_by_the_model(preset: Preset) -> None:
    server = SmtpServer(name="x", mail_from="news@shop.example", preset=preset.key, **preset.values)

    server.clean_fields(exclude=["display_order", "host"])
    for host in (preset.host, *(host for host, _ in preset.other_hosts)):
        if host:
            assert check_host(host) == (host, None)
    assert set(preset.values) == set(DEFAULTS)


@every_preset
def test_the_port_and_the_switch_fit_each_other(preset: Preset) -> None:
    is_implicit = preset.port in IMPLICIT_TLS_PORTS

    assert preset.port in (preset.implicit_ports if is_implicit else (*preset.starttls_ports, 1025))
    assert set(preset.implicit_ports) <= IMPLICIT_TLS_PORTS
    assert not set(preset.starttls_ports) & IMPLICIT_TLS_PORTS
    assert preset.use_tls or preset.key == "mailpit"


@every_preset
def test_only_what_was_verified_is_filled_in(preset: Preset) -> None:
    """A figure that somebody only heard of stands in the words, and nowhere else."""
    limits = {"max_per_day", "rate_limit", "rate_unit", "max_connections", "messages_per_connection"}
    assert set(preset.fills) <= {*limits, "timeout_seconds", "use_precedence"}
    for name, value in preset.fills.items():
        if name != "use_precedence":
            words = value if isinstance(value, str) else f"{value:,}"
            assert not re.search(rf"\b{words}\b", " ".join(preset.unverified))
            assert re.search(rf"\b{words}\b", " ".join(preset.hints)), f"{name} is not explained"


def test_what_providers_are_known_for_is_there() -> None:
    assert PRESETS["sparkpost"].values["timeout_seconds"] == 60
    assert PRESETS["ses"].values["use_precedence"] is False
    assert PRESETS["ses"].values["host"] == ""
    assert ("email-smtp.eu-central-1.amazonaws.com", "Europe, Frankfurt") in PRESETS["ses"].other_hosts
    assert {preset.key for preset in PRESETS.values() if preset.bulk is Bulk.STREAM} == {"postmark", "mailtrap"}
    assert {preset.key for preset in PRESETS.values() if preset.bulk is Bulk.NO} == {
        *("gmail", "workspace", "m365", "outlook", "icloud", "zoho", "zeptomail", "fastmail", "yahoo", "mailpit")
    }
    assert {key: preset.constant_username for key, preset in PRESETS.items() if preset.constant_username} == {
        "sendgrid": "apikey",
        "resend": "resend",
        "sparkpost": "SMTP_Injection",
        "zeptomail": "emailapikey",
        "emailit": "emailit",
        "mailtrap": "api",
    }


def test_microsoft_warns_of_the_end_of_passwords() -> None:
    preset = PRESETS["m365"]

    assert "doesn't allow bulk mail" in preset.warnings("smtp.office365.com")[0]
    assert "in 31 days, on 31 Dec 2026" in preset.password_warning(dt.date(2026, 11, 30))
    assert "in 1 day, on" in preset.password_warning(dt.date(2026, 12, 30))
    assert "has switched off sign-in with a password" in preset.password_warning(dt.date(2027, 1, 1))
    assert PRESETS["gmail"].password_warning(dt.date(2027, 1, 1)) == ""


def test_where_an_oauth_account_can_sign_in_the_preset_recommends_it() -> None:
    able = {key: preset for key, preset in PRESETS.items() if preset.takes_oauth}

    assert set(able) == {"gmail", "workspace", "workspace-relay", "m365", "outlook"}
    for key, preset in able.items():
        said = " ".join([*preset.warnings(preset.host), *preset.facts])
        assert "Recommended: an OAuth account" in said or "Choose an OAuth account" in said, key


def test_the_stream_for_bulk_mail_needs_no_warning() -> None:
    postmark = PRESETS["postmark"]

    assert "broadcast stream" in postmark.warnings(postmark.host)[0]
    assert postmark.warnings("smtp-broadcasts.postmarkapp.com") == ()


# Signing in


@pytest.mark.parametrize(
    ("preset", "username", "password", "api_key", "signs_in"),
    [
        ("sendgrid", "", "", "KEY", ("apikey", "KEY")),
        ("resend", "", "", "KEY", ("resend", "KEY")),
        ("sparkpost", "", "", "KEY", ("SMTP_Injection", "KEY")),
        ("zeptomail", "", "", "KEY", ("emailapikey", "KEY")),
        ("emailit", "", "", "KEY", ("emailit", "KEY")),
        ("mailtrap", "", "", "KEY", ("api", "KEY")),
        ("postmark", "", "", "KEY", ("KEY", "KEY")),
        ("postmark", "me", "", "KEY", ("me", "KEY")),
        ("sendgrid", "me", "", "KEY", ("me", "KEY")),
        ("sendgrid", "me", "pw", "KEY", ("me", "pw")),
        ("sendgrid", "", "pw", "KEY", ("", "")),
        ("sendgrid", "", "", "", ("", "")),
        ("mailgun", "", "", "KEY", ("", "")),
        ("", "", "", "KEY", ("", "")),
        ("", "me", "", "KEY", ("me", "KEY")),
        ("", "me", "pw", "", ("me", "pw")),
        ("gone", "", "", "KEY", ("", "")),
    ],
)
def test_the_key_stands_in_for_what_is_missing(
    preset: str, username: str, password: str, api_key: str, signs_in: tuple[str, str]
) -> None:
    server = SmtpServer(
        pk=1,
        name="x",
        host="smtp.shop.example",
        mail_from="news@shop.example",
        preset=preset,
        username=username,
    )
    server.password = Secret.seal(password, server.destination)
    server.api_key = Secret.seal(api_key, server.destination)

    endpoint = endpoint_of(server, final_timeout=600, clock=timezone.now)

    assert sign_in(preset, username, password, api_key) == signs_in
    assert (endpoint.username, endpoint.password) == signs_in
    assert "KEY" not in repr(endpoint)


def test_a_key_that_is_the_user_name_is_in_no_explanation() -> None:
    server = SmtpServer(pk=1, mail_from="a@shop.example", preset="postmark")
    server.api_key = Secret.seal("CANARY-1", server.destination)
    endpoint = endpoint_of(server, final_timeout=600, clock=timezone.now)
    step = Step("AUTH", "AUTH PLAIN ***", 535, "5.7.8 no", 1.0, False)

    assert endpoint.security is Security.STARTTLS
    assert "CANARY" not in explain(step, endpoint)
    assert "rejected for the API key" in explain(step, endpoint)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(ValidationError, match="not a valid choice"):
        SmtpServer(preset="nobody").clean_fields(exclude=["name", "host", "mail_from", "display_order"])


@every_preset
def test_everything_about_a_provider_but_its_name_can_be_translated(
    preset: Preset, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [*preset.facts, *preset.warnings(preset.host), preset.source, *(place for _, place in preset.other_hosts)]

    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: f"⟦{text}⟧")

    assert [text for text in map(translated, said) if not text.startswith("⟦")] == []
