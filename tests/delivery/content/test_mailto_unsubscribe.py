"""The mailto half of List-Unsubscribe: only where a probe came in, and for the person alone."""

import datetime as dt
import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from django.conf import settings

from delivery.content.composer import Composer
from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from mail import verp
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
PROBED = {"use_return_path": True, "return_path": "bounces@shop.example", "mailto_domain": "shop.example"}


def unsubscribe_header(stream: str = "campaign", *, redirected_to: str = "", **fields: Any) -> tuple[str, str]:
    """Return List-Unsubscribe as it is on the wire, and its parsed value."""
    server = SmtpServer(pk=1, host="smtp.shop.example", mail_from="Shop <news@shop.example>", **fields)
    mailing = Mailing(pk=7, stream=stream, subject="Sale", text="Hello.", is_commercial=stream == "single")
    person = Person("ann@customer.example", "Ann", attributes={})
    message = Outgoing(
        pk=4711,
        mailing_id=7,
        email=person.email,
        email_key=person.email,
        contact=person,
        message_id="<7.4711@shop.example>",
        attempt_count=0,
        redirected_to=redirected_to,
    )
    content = Composer(mailing, server, list_id=3, list_name="News").compose(message, NOW).content
    found = re.search(rb"^List-Unsubscribe: (?:.*\r\n)(?: .*\r\n)*", content, re.MULTILINE)
    wire = found[0].decode() if found else ""
    return wire, str(message_from_bytes(content, policy=policy.SMTP).get("List-Unsubscribe", ""))


@pytest.mark.parametrize("stream", ["campaign", "single"])
def test_where_a_probe_came_in_the_person_can_unsubscribe_by_mail_too(stream: str) -> None:
    wire, value = unsubscribe_header(stream, **PROBED)

    assert re.fullmatch(
        r"List-Unsubscribe: <http[^<>\s]+>,\r\n <mailto:unsub\+[a-z2-7]{24}@shop\.example\?subject=unsubscribe>\r\n",
        wire,
    )
    address = value.partition("mailto:")[2].partition("?")[0]
    assert verp.message_to_unsubscribe(address, settings.TOKEN_KEYS) == 4711


@pytest.mark.parametrize(
    "fields",
    [
        {"mailto_domain": ""},
        {"use_return_path": False},
        {"return_path": ""},
        {"return_path": "bounces@other.example"},  # Changed since: it needs a probe of its own.
        {"mailto_domain": "other.example"},
    ],
)
def test_without_a_probe_of_this_return_path_the_header_is_as_before(fields: dict[str, Any]) -> None:
    wire, _ = unsubscribe_header(**{**PROBED, **fields})

    assert re.fullmatch(r"List-Unsubscribe: <http[^<>\s]+>\r\n", wire)


@pytest.mark.parametrize(("stream", "redirected_to"), [("notice", ""), ("campaign", "test@shop.example")])
def test_mail_to_ourselves_unsubscribes_nobody(stream: str, redirected_to: str) -> None:
    assert unsubscribe_header(stream, redirected_to=redirected_to, **PROBED) == ("", "")
