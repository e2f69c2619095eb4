"""From a mailing, a server and a recipient to a message: what the composer decides without a database."""

import datetime as dt
import email.policy
from typing import Any

import pytest

from delivery.content import return_paths, tokens
from delivery.content.composer import Composed, Composer
from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from mail.addresses import AddressInvalid
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)


def compose(message: Outgoing | None = None, *, stream: str = "campaign", **fields: Any) -> Composed:
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="Shop <news@shop.example>", **fields)
    mailing = Mailing(pk=7, stream=stream, subject="Sale", text="Hello {{ first_name }}, of {{ city }}.")
    composer = Composer(mailing, server, list_id=3, list_name="News")
    return composer.compose(message or outgoing(), NOW)


def outgoing(**changes: Any) -> Outgoing:
    person = Person("ann@customer.example", "Ann", attributes={"city": "Berlin"})
    values: dict[str, Any] = {
        "pk": 4711,
        "mailing_id": 7,
        "email": person.email,
        "email_key": person.email,
        "contact": person,
        "message_id": "<7.4711@shop.example>",
    }
    return Outgoing(**values | changes)


def test_values_come_from_the_person_and_those_of_the_message_win() -> None:
    text = email.message_from_bytes(
        compose(outgoing(merge={"city": "Paris", "first_name": "Anna"})).content, policy=email.policy.default
    ).get_content()

    assert text.startswith("Hello Anna, of Paris.")


@pytest.mark.parametrize(
    ("fields", "stream", "changes", "sender"),
    [
        ({"use_return_path": False}, "campaign", {}, "news@shop.example"),
        ({"use_verp": False}, "campaign", {}, "bounces@shop.example"),
        ({}, "campaign", {}, 4711),
        ({}, "notice", {}, 0),
        ({}, "single", {"redirected_to": "ops@shop.example"}, 0),
    ],
)
def test_the_return_path_names_the_message_or_nobody(
    fields: dict[str, Any], stream: str, changes: dict[str, Any], sender: str | int
) -> None:
    fields = {"return_path": "bounces@shop.example", "use_return_path": True, "use_verp": True} | fields

    found = compose(outgoing(**changes), stream=stream, **fields).envelope_from

    assert found == sender or return_paths.tag_of(found) == (sender, 1 if sender else 0)


@pytest.mark.parametrize("address", ["bounces@shop.example\r\nRCPT TO:<eve@evil.example>", "bounces"])
def test_a_return_path_that_would_break_the_envelope_is_refused(address: str) -> None:
    with pytest.raises(AddressInvalid):
        compose(return_path=address, use_return_path=True, use_verp=True)


@pytest.mark.parametrize(
    ("address", "rcpt_to", "is_smtputf8"),
    [
        ("Ann@Customer.EXAMPLE", "Ann@customer.example", False),
        ("ann@b\u00fccher.example", "ann@xn--bcher-kva.example", False),
        ("j\u00f6rg@customer.example", "j\u00f6rg@customer.example", True),
    ],
)
def test_an_address_is_spelled_as_the_envelope_wants_it(address: str, rcpt_to: str, is_smtputf8: bool) -> None:
    composed = compose(outgoing(email=address))

    assert (composed.rcpt_to, composed.is_smtputf8) == (rcpt_to, is_smtputf8)
    assert f"\r\nTo: {rcpt_to}\r\n".encode() in composed.content


def test_an_international_from_needs_smtputf8_too() -> None:
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="j\u00f6rg@shop.example")
    mailing = Mailing(pk=7, stream="campaign", subject="Sale", text="Hello.", reply_to="help@shop.example")

    assert Composer(mailing, server, list_id=None, list_name="").compose(outgoing(), NOW).is_smtputf8


LINKED = "{{ preferences_url }} {{ tracking_url }} {{ web_version_url }}"


def linked(message: Outgoing, **fields: Any) -> list[int | None]:
    """Return whose settings and whose web version the links in a message lead to."""
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="Shop <news@shop.example>")
    mailing = Mailing(pk=7, stream="campaign", subject="Sale", text=LINKED, html=f"<p>{LINKED}</p>")
    content = Composer(mailing, server, list_id=3, list_name="News").compose(message, NOW).content
    text = email.message_from_bytes(content, policy=email.policy.default).get_body(("plain",)).get_content()
    settings_link, tracking_link, web_link = [word for word in text.split() if word.startswith("http")][:3]
    return [
        tokens.message_of(settings_link.rpartition("/p/")[2], tokens.PREFERENCES),
        tokens.message_of(tracking_link.rpartition("/t/")[2], tokens.TRACKING),
        tokens.message_of(web_link.rpartition("/v/")[2], tokens.WEB_VERSION),
    ]


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, 4711),
        ({"copy_of": outgoing(pk=4710)}, 4711),  # The copy's own, whose pages say that it is one.
        ({"redirected_to": "ops@shop.example"}, tokens.NOBODY),
    ],
)
def test_links_to_the_settings_and_the_web_version_are_the_messages_own(changes: dict[str, Any], whose: int) -> None:
    assert linked(outgoing(**changes)) == [whose, whose, whose]


def test_values_of_the_person_do_not_stand_in_for_a_link() -> None:
    assert linked(outgoing(merge={"preferences_url": "https://evil.example/"})) == [4711, 4711, 4711]


def test_in_a_preview_no_link_belongs_to_anybody() -> None:
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="Shop <news@shop.example>")
    mailing = Mailing(pk=7, stream="campaign", subject="Sale", text=LINKED)

    text = Composer(mailing, server, list_id=3, list_name="News").render(None, "https://x.example/u/preview").text

    assert text.startswith("https://x.example/u/preview https://x.example/u/preview")


@pytest.mark.parametrize(
    ("of_mailing", "of_server", "organisation", "shown"),
    [
        ("", "news@shop.example", "Blumen Rosa", "Blumen Rosa <news@shop.example>"),
        ("", "news@shop.example", "Rosa, Inc.", '"Rosa, Inc." <news@shop.example>'),
        ("", "Shop <news@shop.example>", "Blumen Rosa", "Shop <news@shop.example>"),
        ("hello@shop.example", "news@shop.example", "Blumen Rosa", "hello@shop.example"),
        ("Ann <ann@shop.example>", "news@shop.example", "Blumen Rosa", "Ann <ann@shop.example>"),
        ("", "news@shop.example", "", "news@shop.example"),
        ("", "news@shop.example", "Ro\u200bsa", "news@shop.example"),
    ],
)
def test_the_organisation_names_a_server_whose_from_has_no_name(
    of_mailing: str, of_server: str, organisation: str, shown: str
) -> None:
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from=of_server)
    mailing = Mailing(
        pk=7, stream="single", subject="Sale", text="Hi.", mail_from=of_mailing, organisation=organisation
    )

    composed = Composer(mailing, server, list_id=None, list_name="").compose(outgoing(), NOW)

    assert composed.header_from == shown
    read = email.message_from_bytes(composed.content, policy=email.policy.default)
    assert str(read["From"]) == shown
