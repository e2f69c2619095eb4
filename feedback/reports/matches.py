"""Matches: the message that a statement is about, if something proves it.

Proof is what nobody but us can have made and only the recipient's side can know: the tag of a return path or of a
reference header, a Message-ID of ours, the tokens of CFBL-Feedback-ID and List-Unsubscribe. The address that a report
names proves nothing, unless the provider of one of our servers proved that it wrote the report.
"""

import datetime as dt
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from delivery.content import message_ids, tokens
from delivery.content.message import Outgoing
from delivery.content.return_paths import tag_of
from delivery.models import Message
from feedback.models import Feedback, RawReport
from feedback.reports.statements import Statement
from feedback.webhooks.adapters import ADAPTERS
from mail import verp
from mail.addresses import fold

WITHIN = dt.timedelta(days=7)  # How long after sending a server's provider reports about a recipient without our tag.
ASKED_AT_ONCE = 500
MOST_IDS = 5  # Of one statement.
_URL_TOKEN = re.compile(r"/u/([A-Za-z0-9_-]{33})(?:[/?]|$)")


@dataclass(frozen=True, slots=True)
class Match:
    """The message that a statement is about."""

    message_id: int  # ``tokens.NOBODY``: mail to our own people.
    attempt: int | None = None  # Modulo ``verp.ATTEMPTS``; None: unknown.


def find(about: Sequence[tuple[RawReport, Statement]], now: dt.datetime) -> list[Match | None]:
    """Return the match of each statement; None where nothing proves one."""
    found = [_by_tag(raw, statement) for raw, statement in about]
    open_ones = [place for place, (_, each) in enumerate(about) if found[place] is None and not each.needs_tag]
    own_ids = _by_message_id([about[place][1] for place in open_ones])
    for place in open_ones:
        statement = about[place][1]
        found[place] = own_ids.get(id(statement)) or _by_token(statement)
    posted = [
        (place, *about[place]) for place in open_ones if found[place] is None and _counts_for_latest(*about[place])
    ]
    latest = _latest([(raw, statement) for _, raw, statement in posted], now)
    for place, raw, statement in posted:
        keys = ((raw.server_id, key) for key in _keys(statement))
        found[place] = next((Match(latest[key]) for key in keys if key in latest), None)
    return found


def _counts_for_latest(raw: RawReport, statement: Statement) -> bool:
    """Tell whether a statement counts for the latest message to the address it names.

    A provider has to have proved that it wrote the report, so that the addresses in it count. A statement that names a
    message is about that message or none: what it names may be somebody else's, or mail of another program.
    """
    adapter = ADAPTERS.get(raw.provider) if raw.source == RawReport.Source.WEBHOOK else None
    if adapter is None or adapter.needs_reference or statement.clues.envelope_ids:
        return False
    named = statement.clues.message_ids
    return not any(map(message_ids.has_our_form, named) if adapter.may_replace_message_id else named)


def _by_tag(raw: RawReport, statement: Statement) -> Match | None:
    addresses = (raw.envelope_to, *statement.clues.delivered_to)
    if statement.kind == Feedback.Kind.UNSUBSCRIBE and raw.source != RawReport.Source.WEBHOOK:
        left = (verp.message_to_unsubscribe(address, settings.TOKEN_KEYS) for address in addresses)
        return next((Match(number) for number in left if number is not None), None)
    as_addresses = (f"b+{envelope_id}@b" for envelope_id in statement.clues.envelope_ids)
    for address in (*addresses, *as_addresses):
        if (tag := tag_of(address)) is not None:
            return Match(tag.message, tag.attempt)
    return None


def _by_message_id(statements: Iterable[Statement]) -> dict[int, Match]:
    """Return the matches by Message-ID, by the identity of the statement.

    No index has the Message-IDs, so the recipient's address leads to them; the ID proves the message.
    """
    asked = [each for each in statements if each.clues.message_ids and each.recipients]
    given = {message_id for each in asked for message_id in each.clues.message_ids[:MOST_IDS]}
    ours: dict[tuple[str, str], int] = {}
    for keys in _parts(sorted({key for each in asked for key in _keys(each)})):
        rows = Message.objects.filter(email_key__in=keys, message_id__in=given)
        for message in rows.select_related("mailing", "contact", "copy_of__contact").order_by("pk"):
            if message_ids.make_all(message.mailing, [Outgoing.of(message)]) == [message.message_id]:
                ours[message.email_key, message.message_id] = message.pk
    found = {}
    for each in asked:
        pairs = ((key, message_id) for message_id in each.clues.message_ids for key in _keys(each))
        if number := next((ours[pair] for pair in pairs if pair in ours), None):
            found[id(each)] = Match(number)
    return found


def _by_token(statement: Statement) -> Match | None:
    clues = statement.clues
    numbers: list[int | None] = [tokens.message_of(each, "feedback") for each in clues.feedback_ids]
    for url in clues.unsubscribe_urls:
        if url.lower().startswith("mailto:"):
            address = url[len("mailto:") :].partition("?")[0]
            numbers.append(verp.message_to_unsubscribe(address, settings.TOKEN_KEYS))
        elif at := _URL_TOKEN.search(url):
            numbers.append(tokens.message_of(at[1]))
    return next((Match(number) for number in numbers if number is not None), None)


def _latest(reported: Sequence[tuple[RawReport, Statement]], now: dt.datetime) -> dict[tuple[int | None, str], int]:
    """Return the last message to each recipient through the server whose provider reports, if it is young enough."""
    wanted: dict[int, set[str]] = defaultdict(set)
    for raw, statement in reported:
        if raw.server_id is not None:
            wanted[raw.server_id].update(_keys(statement))
    found: dict[tuple[int | None, str], int] = {}
    for server_id, keys in wanted.items():
        for some in _parts(sorted(keys)):
            rows = Message.objects.filter(email_key__in=some, server=server_id, changed_at__gt=now - WITHIN)
            for email_key, pk in rows.order_by("pk").values_list("email_key", "pk"):
                found[server_id, email_key] = pk
    return found


def _keys(statement: Statement) -> list[str]:
    return [fold(address) for address in statement.recipients]


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    return (keys[start : start + ASKED_AT_ONCE] for start in range(0, len(keys), ASKED_AT_ONCE))
