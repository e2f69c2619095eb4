"""The headers that a provider reads: exact bytes for each preset, the tag of the attempt, and nothing hostile."""

import datetime as dt
import json
import re
from typing import Any

import pytest

from delivery.content import return_paths, tokens
from delivery.content.composer import Composer
from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from mail import verp
from mail.message.dkim import _SIGNED
from smtpservers.models import SmtpServer
from smtpservers.presets import PRESETS
from smtpservers.provider_headers import provider_headers, takes_configuration

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
# TAG stands for the tag. Lines are folded at 78 characters.
HEADERS = {
    "ses": "X-SES-MESSAGE-TAGS: brilliance=TAG\r\n",
    "sendgrid": (
        'X-SMTPAPI: {"unique_args": {"brilliance": "TAG"},\r\n'
        ' "filters": {"clicktrack": {"settings": {"enable": 0}}, "opentrack":\r\n'
        ' {"settings": {"enable": 0}}}}\r\n'
    ),
    "mailgun": (
        'X-Mailgun-Variables: {"brilliance": "TAG"}\r\n'
        "X-Mailgun-Track: no\r\nX-Mailgun-Track-Clicks: no\r\nX-Mailgun-Track-Opens: no\r\n"
    ),
    "postmark": "X-PM-Metadata-brilliance: TAG\r\nX-PM-TrackOpens: false\r\nX-PM-TrackLinks: None\r\n",
    "brevo": "X-Mailin-custom: brilliance:TAG\r\n",
    "mailjet": "X-MJ-CustomID: TAG\r\nX-Mailjet-TrackOpen: 1\r\nX-Mailjet-TrackClick: 1\r\n",
    "sparkpost": (
        'X-MSYS-API: {"metadata": {"brilliance": "TAG"},\r\n'
        ' "options": {"open_tracking": false, "click_tracking": false}}\r\n'
    ),
    "mandrill": 'X-MC-Metadata: {"brilliance": "TAG"}\r\nX-MC-Track: none\r\n',
}


def composed(message: Outgoing, preset: str, stream: str = "campaign", **fields: Any) -> bytes:
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="Shop <news@shop.example>", preset=preset, **fields)
    mailing = Mailing(pk=7, stream=stream, subject="Sale", text="Hello {{ first_name }}, of {{ city }}, {{ email }}.")
    return Composer(mailing, server, list_id=3, list_name="News").compose(message, NOW).content


def outgoing(**changes: Any) -> Outgoing:
    person = Person("ann@customer.example", "Ann", attributes={"city": "Berlin"})
    values: dict[str, Any] = {
        "pk": 4711,
        "mailing_id": 7,
        "email": person.email,
        "email_key": person.email,
        "contact": person,
        "message_id": "<7.4711@shop.example>",
        "attempt_count": 2,
    }
    return Outgoing(**values | changes)


def tags_in(content: bytes) -> list[str]:
    return re.findall(r"(?<![a-z2-7])[a-z2-7]{24}(?![a-z2-7])", content.partition(b"\r\n\r\n")[0].decode())


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_has_exactly_its_own_headers(preset: str) -> None:
    content, without = composed(outgoing(), preset), composed(outgoing(), "")

    added = "".join(_added(content, without))
    assert re.sub(r"[a-z2-7]{24}", "TAG", added) == HEADERS.get(preset, "")
    assert len(content) == len(without) + len(added)
    assert all(len(line) <= 78 for line in added.split("\r\n"))


def _added(content: bytes, without: bytes) -> list[str]:
    known = set(without.partition(b"\r\n\r\n")[0].split(b"\r\n"))
    return [f"{line.decode()}\r\n" for line in content.partition(b"\r\n\r\n")[0].split(b"\r\n") if line not in known]


@pytest.mark.parametrize("preset", HEADERS)
@pytest.mark.parametrize("return_path", ["", "bounces@shop.example"])
def test_the_tag_names_message_and_attempt_with_and_without_a_return_path(preset: str, return_path: str) -> None:
    content = composed(outgoing(), preset, return_path=return_path, use_return_path=bool(return_path))

    [tag] = tags_in(content)
    assert return_paths.tag_of(f"bounces+{tag}@shop.example") == (4711, 3)


@pytest.mark.parametrize(
    "fields",
    [
        {"return_path": "bounces@shop.example", "use_return_path": True},
        {"return_path": "bounces@shop.example", "use_return_path": True, "use_verp": False},
        {"return_path": f"{'b' * 50}@shop.example", "use_return_path": True},
        {},
    ],
)
def test_a_message_s_tag_is_signed_once(monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]) -> None:
    signed: list[str] = []
    proof = verp.proof_of_message
    monkeypatch.setattr(verp, "proof_of_message", lambda part, *more: signed.append(part) or proof(part, *more))

    content = composed(outgoing(), "postmark", **fields)

    assert len(tags_in(content)) == 1
    assert signed == ["return path"]


def test_an_envelope_of_before_an_edit_gives_no_other_tag() -> None:
    fields = {"return_path": "bounces@shop.example", "use_return_path": True}

    content = composed(outgoing(envelope_from="news+sale@shop.example"), "postmark", **fields)

    assert [return_paths.tag_of(f"a+{tag}@shop.example") for tag in tags_in(content)] == [(4711, 3)]


def test_a_copy_has_its_own_tag_and_mail_to_operators_that_of_nobody() -> None:
    copy = outgoing(pk=4712, email="boss@shop.example", copy_of=outgoing(), copy_kind="cc", attempt_count=0)

    def read(content: bytes) -> tuple[int, int] | None:
        [tag] = tags_in(content)
        return return_paths.tag_of(f"a+{tag}@shop.example")

    assert read(composed(copy, "postmark")) == (4712, 1)
    assert read(composed(outgoing(), "postmark", stream="test")) == (4711, 3)
    assert read(composed(outgoing(), "postmark", stream="notice")) == (tokens.NOBODY, 0)
    redirected = outgoing(redirected_to="ops@shop.example")
    assert read(composed(redirected, "postmark", stream="single")) == (tokens.NOBODY, 0)


def test_a_configuration_is_named_to_those_who_have_one() -> None:
    ses = composed(outgoing(), "ses", provider_configuration="news_set-1")
    postmark = composed(outgoing(), "postmark", provider_configuration="broadcast")

    assert b"\r\nX-SES-CONFIGURATION-SET: news_set-1\r\n" in ses
    assert b"\r\nX-PM-Message-Stream: broadcast\r\n" in postmark
    assert {preset for preset in PRESETS if takes_configuration(preset)} == {"ses", "postmark"}


def test_a_configuration_of_zeros_takes_the_place_of_no_tag() -> None:
    content = composed(outgoing(), "ses", provider_configuration="0" * 24)

    assert b"\r\nX-SES-CONFIGURATION-SET: 000000000000000000000000\r\n" in content
    assert len(tags_in(content)) == 1


@pytest.mark.parametrize("text", ["a b", "a\r\nBcc: x@evil.example", "ä", "a" * 65, "a;b", "a\0", '"', "{{ email }}"])
def test_a_hostile_configuration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters, digits, hyphens and underscores only"):
        provider_headers("ses", text)
    with pytest.raises(ValueError, match="letters, digits, hyphens and underscores only"):
        composed(outgoing(), "ses", provider_configuration=text)


@pytest.mark.parametrize("preset", ["sendgrid", "sparkpost", "mailgun", "mandrill"])
def test_what_a_provider_reads_as_json_is_json_after_unfolding(preset: str) -> None:
    head = composed(outgoing(), preset).partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ")

    values = [json.loads(line.partition(": ")[2]) for line in head.split("\r\n") if ": {" in line]

    assert len(values) == 1
    assert tags_in(json.dumps(values).encode())


def test_our_signature_covers_none_of_them() -> None:
    """The provider takes them out, and a signature over what is gone would be broken."""
    names = {line.partition(":")[0].lower().encode() for lines in HEADERS.values() for line in lines.split("\r\n")}

    assert not names & set(_SIGNED)
