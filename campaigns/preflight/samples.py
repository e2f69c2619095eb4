"""Sample messages of a campaign, composed for real recipients and for each kind of server. They are never sent."""

import datetime as dt
from dataclasses import dataclass
from time import monotonic

from django.conf import settings

from campaigns.content.written import Written
from campaigns.models import Campaign
from campaigns.preflight.checks.message import CheckContext, ParsedMessage, parse_message
from contacts.models import Contact
from delivery.content import message_ids, tokens
from delivery.content.composer import Composer
from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from mail.addresses import fold
from mail.links import levels
from smtpservers.models import SmtpServer
from smtpservers.smtp.endpoint import domain_name_of

MOST_SHAPES = 5  # Kinds of servers, told apart by the settings that change a message.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
# Edge cases: a person without a name, and one whose name needs escaping in headers and in HTML.
NAMELESS = Person("nobody@recipient.example")
UNUSUAL = Person("zoe.lukasz@recipient.example", "Zoë “Z” <b>Łukasz</b>", "O'Hara & Söhne, 东京", "", {})


@dataclass(frozen=True, slots=True)
class Sample:
    """The messages to one person and to two edge cases through one server."""

    context: CheckContext
    named: ParsedMessage  # To a real recipient; to an invented one if the audience is empty.
    nameless: ParsedMessage
    unusual: ParsedMessage


def samples(
    written: Written, content: Campaign, servers: list[SmtpServer], now: dt.datetime, until: float
) -> tuple[list[Sample], int]:
    """Return one sample for each kind of server, at most five, and the number of kinds that were left out.

    :param content: the campaign itself, or one of its variants as a campaign.
    :param servers: those that may send it, in display order.
    :param until: the instant on the monotonic clock after which no further sample is begun.
    :raises ValueError: if the content cannot become a mail.
    """
    lists, person = written.lists, written.first_person(now)
    mailing = Mailing(stream=Mailing.Stream.CAMPAIGN, created_at=now, **written.mailing_content(content))
    list_id, list_name = (lists[0].pk, lists[0].public_title) if lists else (None, "")
    shapes: dict[tuple[object, ...], SmtpServer] = {}
    for server in servers:
        shapes.setdefault(_shape(server), server)
    looked_at = list(shapes.values())[:MOST_SHAPES]
    taken: list[Sample] = []
    for server in looked_at:
        if monotonic() > until:
            break
        taken.append(_sample(mailing, server, servers, person, list_id, list_name, now))
    return taken, len(looked_at) - len(taken)


def _shape(server: SmtpServer) -> tuple[object, ...]:
    return (
        server.use_unsubscribe_link,
        server.linked_unsubscribe_url,
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
    named = _compose(composer, Person.of(person) if person else UNUSUAL, message_id, now)
    context = CheckContext(
        server=server.name,
        host=server.host,
        domain=message_ids.id_domain(mailing.mail_from, server),
        unsubscribe_url=_unsubscribe_url(named),
        is_local=settings.IS_LOOPBACK and server.host in LOCAL_HOSTS,
        own=(settings.BASE_URL,),
        counts_opens=mailing.tracking != levels.OFF,
        largest=tuple((each.name, each.max_message_bytes) for each in servers if each.max_message_bytes),
    )
    return Sample(
        context, named, _compose(composer, NAMELESS, message_id, now), _compose(composer, UNUSUAL, message_id, now)
    )


def _compose(composer: Composer, person: Person, message_id: str, now: dt.datetime) -> ParsedMessage:
    message = Outgoing(
        tokens.NOBODY,
        0,
        person.email,
        fold(person.email),
        person,
        message_id=message_id,
    )
    return parse_message(composer.compose(message, now).content)


def _unsubscribe_url(seen: ParsedMessage) -> str:
    """Return the unsubscribe URL in the header of the message, or the built-in page's."""
    header = str(seen.message["List-Unsubscribe"] or "")
    web = [part.strip(" <>") for part in header.split(",") if part.strip(" <>").startswith("http")]
    return web[0] if web else tokens.unsubscribe_url(tokens.NOBODY)
