"""A campaign's message as real recipients would get it, through the servers that may send it: composed, never sent."""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings

from campaigns.audience.audience import audience_of
from campaigns.content.frozen import frozen_content
from campaigns.models import Campaign
from campaigns.preflight.message_checks import Place, Read, read
from contacts.models import Contact
from contacts.segments.audience import reached
from delivery.content import message_ids, tokens
from delivery.content.composer import Composer
from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from mail.addresses import fold
from smtpservers.models import SmtpServer
from smtpservers.routing import selection
from smtpservers.smtp.endpoint import domain_name_of

MOST_SHAPES = 5  # Servers whose settings shape the message each in another way.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# Who has no name, and whose name tries the headers and the HTML.
NAMELESS = Person("nobody@recipient.example")
UNUSUAL = Person("zoe.lukasz@recipient.example", "Zoë “Z” <b>Łukasz</b>", "O'Hara & Söhne, 东京", "", {})


@dataclass(frozen=True, slots=True)
class Sample:
    """The message of one person and of two edge cases through one server."""

    place: Place
    named: Read  # Of a real recipient, where there is one.
    nameless: Read
    unusual: Read


def eligible(campaign: Campaign, now: dt.datetime) -> list[SmtpServer]:
    """Return the active servers that may send at least a part of the campaign, in display order."""
    ids = selection.carriers(campaign.mail_from, campaign.server_ids, now)
    return list(SmtpServer.objects.filter(pk__in=ids).order_by("display_order", "pk"))


def samples(campaign: Campaign, servers: list[SmtpServer], now: dt.datetime) -> list[Sample]:
    """Return a sample through each server that shapes the message in its own way, at most five.

    :raises ValueError: if no message can be made of what is written.
    """
    content = frozen_content(campaign)
    lists = sorted(content.pop("lists"), key=lambda each: each.pk)
    mailing = Mailing(stream=Mailing.Stream.CAMPAIGN, created_at=now, **content)
    person = reached(audience_of(campaign), now).order_by("pk").first()
    list_id, list_name = (lists[0].pk, lists[0].name) if lists else (None, "")
    shapes: dict[tuple[object, ...], SmtpServer] = {}
    for server in servers:
        shapes.setdefault(_shape(server), server)
    return [
        _sample(mailing, server, servers, person, list_id, list_name, now)
        for server in list(shapes.values())[:MOST_SHAPES]
    ]


def _shape(server: SmtpServer) -> tuple[object, ...]:
    return (
        server.use_unsubscribe_link,
        server.unsubscribe_url,
        server.takes_one_click,
        server.mail_from,
        domain_name_of(server),
        server.host in LOCAL_HOSTS,
    )


def _sample(
    mailing: Mailing,
    server: SmtpServer,
    servers: list[SmtpServer],
    person: Contact | None,
    list_id: int | None,
    list_name: str,
    now: dt.datetime,
) -> Sample:
    composer = Composer(mailing, server, list_id=list_id, list_name=list_name)
    message_id = f"<check.1.sample@{message_ids.id_domain(mailing.mail_from, server)}>"
    named = _read(composer, Person.of(person) if person else UNUSUAL, message_id, now)
    place = Place(
        server=server.name,
        host=server.host,
        domain=message_ids.id_domain(mailing.mail_from, server),
        unsubscribe_url=_unsubscribe_url(named),
        is_local=settings.IS_LOOPBACK and server.host in LOCAL_HOSTS,
        own=(settings.BASE_URL,),
        largest=tuple((each.name, each.max_message_bytes) for each in servers if each.max_message_bytes),
    )
    return Sample(place, named, _read(composer, NAMELESS, message_id, now), _read(composer, UNUSUAL, message_id, now))


def _read(composer: Composer, person: Person, message_id: str, now: dt.datetime) -> Read:
    message = Outgoing(
        tokens.NOBODY,
        0,
        person.email,
        fold(person.email),
        person,
        message_id=message_id,
    )
    return read(composer.compose(message, now).content)


def _unsubscribe_url(seen: Read) -> str:
    """Return where this message's reader unsubscribes: what the header says, or the built-in page."""
    header = str(seen.message["List-Unsubscribe"] or "")
    web = [part.strip(" <>") for part in header.split(",") if part.strip(" <>").startswith("http")]
    return web[0] if web else tokens.unsubscribe_url(tokens.NOBODY)
