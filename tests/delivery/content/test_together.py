"""Messages composed together have the bytes and envelopes that they have when each is composed alone."""

import datetime as dt
import random
from typing import Any

import pytest
from django.conf import settings

from bench.standard_message import outgoing, standard_mailing, standard_server
from delivery.content.composer import Composed, Composer
from delivery.content.message import Outgoing, Person
from delivery.content.targets import Targets
from delivery.models import Mailing
from mail.links import levels
from mail.links.levels import Level
from mail.tokens import proofs_of_messages
from smtpservers.models import SmtpServer
from tests.mail.message.hostile import TEXTS

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
AT_ONCE = 32

HTML = (
    "<p>Dear {{ first_name | default: 'friend' }} {{ last_name }}, {{ full_name }}</p>"
    "<p>{{ city | default: 'a < b' }} {{ number }} {{ is_member }} {{ nothing }} {{ email }}</p>"
    '<p><a href="https://shop.example/">x</a> {{ preferences_url }} {{ web_version_url }}</p>'
)
CONTENTS: dict[str, dict[str, str]] = {
    "both parts": {"html": HTML, "text": "Hi {{ first_name }}, {{ city | default: 'town' }}. {{ unsubscribe_url }}"},
    "derived text": {"html": HTML.replace("a < b", "town")},
    "text only": {"text": "Hi {{ first_name }} of {{ city }}: {{ number }}, {{ nothing | default: \"'none'\" }}"},
    "names in a table": {"html": "<table><tr><td>{{ last_name }}</td><td>{{ city }}</td></tr></table>"},
    "a field in a link": {"html": '<a href="https://shop.example/?of={{ city }}">{{ first_name }}</a>'},
    "a condition": {"html": "{% if city %}<p>{{ city }}</p>{% endif %}{{ first_name }}"},
    "no field": {"text": "Hello."},
}
SUBJECTS = ("Sale", "{{ first_name }}, {{ city }}: sale", "{{ last_name | default: 'You' }}", "{{ city | upcase }}")
SERVERS: dict[str, dict[str, Any]] = {
    "plain": {},
    "everything": {
        "return_path": "bounces@shop.example",
        "use_return_path": True,
        "use_verp": True,
        "mailto_domain": "shop.example",
        "spam_address": "fbl@shop.example",
        "use_spam_address": True,
        "abuse_address": "abuse@shop.example",
        "use_abuse_address": True,
        "use_precedence": True,
        "precedence": "bulk",
        "unknown_first_name": "Friend",
        "unknown_last_name": "<b>",
        "utm_source": "news",
        "utm_medium": "email",
    },
    "reference": {"preset": "sendgrid", "use_verp": True, "use_return_path": True, "return_path": "b@shop.example"},
    "no link": {"use_unsubscribe_link": False},
    "own page": {"unsubscribe_url": "https://shop.example/off?t={token}&e={email}"},
    "copies": {"mail_cc": "Boss <boss@shop.example>, ann@customer.example", "mail_bcc": "archive@shop.example"},
    "letters": {"mail_from": "J\u00f6rg <j\u00f6rg@shop.example>", "reply_to": "x@b\u00fccher.example"},
}
ADDRESSES = (
    *("ann@customer.example", "Ann.Lee+x@Customer.EXAMPLE", "a@b\u00fccher.example", "j\u00f6rg@customer.example"),
    *("no address", "two@signs@here.example", "a@b.example\r\nRCPT TO:<eve@evil.example>", '"a b"@customer.example'),
    *("x" * 70 + "@customer.example", "", "boss@shop.example", "o'neil@customer.example"),
)
MESSAGE_IDS = ("<7.%d@shop.example>", "<%d@shop.example>\r\nBcc: eve@evil.example", "%d", "")


def alone(composer: Composer, message: Outgoing, tracking: Level) -> Composed | str:
    try:
        return composer.compose(message, NOW, tracking=tracking)
    except ValueError as error:
        return str(error)


def check(composer: Composer, messages: list[Outgoing], tracking: Level = levels.OFF) -> int:
    """Hold both ways against each other; return how many messages were made together."""
    together = composer.compose_together(messages, NOW, tracking=tracking)
    assert len(together) == len(messages)
    for message, composed in zip(messages, together, strict=True):
        assert composed is None or composed == alone(composer, message, tracking), message
    return sum(composed is not None for composed in together)


def composer_of(content: str, subject: str, server: str, stream: str = "campaign") -> Composer:
    fields = {"name": "S", "host": "smtp.shop.example", "mail_from": "Shop <news@shop.example>"} | SERVERS[server]
    reply_to = fields.pop("reply_to", "")
    mailing = Mailing(
        pk=7,
        stream=stream,
        subject=subject,
        **CONTENTS[content],
        reply_to=reply_to,
        slug="s",
        reference="c7",
        organisation="Shop",
        postal_address="1 Road\nTown",
        sends_copies=server == "copies",
        tracking=levels.PERSONAL,
        track_text=True,
        is_tagged=True,
        created_at=NOW,
    )
    composer = Composer(mailing, SmtpServer(pk=1, **fields), list_id=3, list_name="News")
    codes = {(link.part, link.position, link.url): f"{place:a<8}" for place, link in enumerate(composer.links())}
    composer.count(Targets("g" + "x" * 27, codes))
    return composer


def test_two_thousand_messages_are_the_same() -> None:
    composer = Composer(standard_mailing(), standard_server(), list_id=7, list_name="Example news")
    messages = [outgoing(number, "M\u00fcller" if number % 3 else "Lee", "A & B <i>") for number in range(2048)]

    made = sum(check(composer, messages[first : first + AT_ONCE]) for first in range(0, len(messages), AT_ONCE))

    assert made == len(messages)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("content", CONTENTS)
def test_hostile_people_get_what_they_would_get_alone(content: str, server: str) -> None:
    dice = random.Random(f"{content} {server}")
    for subject in SUBJECTS:
        composer = composer_of(content, subject, server)
        for share in (0.02, 0.5):  # Of hostile values among usual ones.
            messages = [hostile(dice, number, share) for number in range(AT_ONCE)]
            for tracking in (levels.OFF, levels.ANONYMOUS, levels.PERSONAL):
                check(composer, messages, tracking)
                assert check(composer, messages[:1], tracking) <= 1


@pytest.mark.parametrize("server", [name for name in SERVERS if name != "copies"])
def test_usual_people_are_composed_together(server: str) -> None:
    dice = random.Random(server)
    for content in ("derived text", "text only", "names in a table"):
        composer = composer_of(content, SUBJECTS[1], server)
        messages = [hostile(dice, number, 0.0) for number in range(AT_ONCE)]
        assert check(composer, messages) == AT_ONCE
        assert check(composer, messages, levels.PERSONAL) == AT_ONCE


def test_one_odd_message_leaves_the_others_together() -> None:
    dice = random.Random(1)
    composer = composer_of("text only", SUBJECTS[0], "plain")
    messages = [hostile(dice, number, 0.0) for number in range(AT_ONCE)]
    messages[13].contact.attributes["city"] = "x" * 20_000  # type: ignore[union-attr, index]
    messages[14].email = "no address"

    together = composer.compose_together(messages, NOW)

    assert [place for place, composed in enumerate(together) if composed is None] == [13, 14]
    check(composer, messages)


def test_messages_that_are_no_plain_mail_to_a_contact_are_left_out() -> None:
    usual = hostile(random.Random(1), 5, 0.0)
    original = hostile(random.Random(1), 6, 0.0)
    special = [
        {"contact": None},
        {"merge": {"city": "Paris"}},
        {"redirected_to": "ops@shop.example"},
        {"copy_of": original, "copy_kind": "cc"},
    ]
    messages = [usual]
    for changes in special:
        message = hostile(random.Random(1), 5, 0.0)
        for name, value in changes.items():
            setattr(message, name, value)
        messages.append(message)

    together = composer_of("text only", SUBJECTS[0], "plain").compose_together(messages, NOW)

    assert [composed is None for composed in together] == [False, True, True, True, True]


def hostile(dice: random.Random, number: int, share: float) -> Outgoing:
    """Return a message to a person whose values are hostile at this share."""

    def text(usual: str) -> Any:
        return dice.choice(TEXTS) if dice.random() < share else usual

    email = dice.choice(ADDRESSES) if dice.random() < share else f"ann{number}@customer.example"
    attributes = {
        "city": text(f"Berlin {number}"),
        "number": dice.choice([number, 1.5, None, "7"]) if dice.random() < 0.5 else text("1"),
        "is_member": dice.random() < 0.5,
        "first_name": "not this one",
    }
    if dice.random() < share:
        del attributes["city"]
    person = Person(
        email=dice.choice([email, "other@customer.example"]),
        first_name=text(dice.choice(["Ann", "J\u00f6rg", "", "O'Neil & <b>"])),
        last_name=text(dice.choice(["Lee", "", "M\u00fcller"])),
        language=dice.choice(["", "de", "en", "xx"]) if share else "",
        attributes=attributes,
        open_tracking=dice.choice([levels.UNSET, levels.NONE, levels.YES]),
        click_tracking=dice.choice([levels.UNSET, levels.NONE, levels.YES]),
    )
    message_id = (dice.choice(MESSAGE_IDS) if dice.random() < share / 4 else MESSAGE_IDS[0]).replace("%d", str(number))
    return Outgoing(
        pk=1000 + number,
        mailing_id=7,
        email=email,
        email_key=email.lower(),
        contact=person,
        message_id=message_id,
        attempt_count=number % 3,
        envelope_from=f"b+{number}@shop.example" if number % 2 else "",
        # As a claim sets it.
        proof=proofs_of_messages([1000 + number], settings.TOKEN_KEYS)[0] if number % 4 else b"",
    )


def test_a_link_is_as_long_as_the_site_needs(settings: Any) -> None:
    settings.BASE_URL = f"https://{'long.' * 8}example.com"
    composer = composer_of("text only", SUBJECTS[0], "everything")

    check(composer, [hostile(random.Random(3), number, 0.0) for number in range(AT_ONCE)])
