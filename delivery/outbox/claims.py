"""Claims: one transaction takes messages, reserves quota and puts the attempts on record, before a byte is sent."""

import datetime as dt
import functools
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.conf import settings
from django.db import connection, transaction

from contacts.consent.suppressed import (
    NOT_CONFIRMED,
    UNSUBSCRIBED,
    active_sql,
    domain_key_sql,
    is_a_wish_alone_sql,
    paused_because_sql,
    suppressed_because_sql,
)
from db.dialect import each, joined_by_key, locking
from db.rows import rows
from delivery import identity as delivery_identity
from delivery.content import message_ids
from delivery.content.authors import author_of
from delivery.content.message import Outgoing, Person
from delivery.content.return_paths import ReturnPath
from delivery.models import Attempt, Batch, Mailing, Message
from delivery.outbox import leases, plan
from delivery.outbox.plan import LaneShare
from mail import tokens
from mail.addresses import parse_mailbox
from smtpservers.limits import reservations
from smtpservers.models import SmtpServer

CLAIM_MESSAGES = 500
LONGEST_FROM = 400  # Characters that a batch keeps of it; a longer one is kept without its name.
# The server's switches that each attempt keeps, so that a later edit does not rewrite history.
SWITCHES = (
    *("use_unsubscribe_link", "use_precedence", "use_return_path", "use_verp"),
    *("use_spam_address", "use_abuse_address"),
)
# The strongest consent that a person has given to any list of the mailing.
SUBSCRIBED = 2
CONSENT_LACKING = {1: NOT_CONFIRMED, 0: UNSUBSCRIBED}
_CONSENT = "MAX(CASE s.status WHEN 'subscribed' THEN 2 WHEN 'pending' THEN 1 ELSE 0 END)"
_parse_json = json.JSONDecoder().raw_decode
_SKIP_LOCKED = "FOR UPDATE SKIP LOCKED"
_BATCH_FIELDS = [field for field in Batch._meta.concrete_fields if not field.primary_key]
_INSERT_BATCH = (
    f"INSERT INTO delivery_batch ({', '.join(str(field.column) for field in _BATCH_FIELDS)})"  # noqa: S608
    f" VALUES ({', '.join(['%s'] * len(_BATCH_FIELDS))}) RETURNING id"
)


@dataclass(slots=True)  # Not frozen: a frozen instance would double the cost of a claim.
class Claim:
    """A message that this worker may send now: its unit of quota is reserved and its attempt is on record."""

    message: Outgoing
    attempt_id: int  # Identifies the attempt while it is under way, in the journal and in its result.
    number: int
    period_id: int
    period_ends_at: dt.datetime
    reserved_at: dt.datetime
    was_unconfirmed: bool = False  # An earlier attempt was sent in full, and its reply was lost.
    is_doubtful: bool = True  # Whether :func:`stopped` must still check it.


def claim(token: uuid.UUID, server: SmtpServer, share: LaneShare, wanted: int, now: dt.datetime) -> list[Claim] | None:
    """Claim up to ``wanted`` messages of a share for its server; the list is empty if there is nothing to claim.

    Nothing is claimed while this database is a copy that waits for a person's answer.

    :return: None if ``token`` no longer holds the server's lane.
    """
    with transaction.atomic():
        if not leases.holds(token):
            return None
        if delivery_identity.why_held(now):
            return []
        mailing = _open_mailing(share.mailing_id)
        wanted = plan.may_take(share, server.pk, min(wanted, CLAIM_MESSAGES)) if mailing else 0
        reservation = reservations.reserve(server, wanted, now, leave=share.leave) if wanted else None
        if mailing is None or reservation is None:
            return []
        message_ids.fix_id_domain(mailing, server)
        # Due messages go first, then the front of the first chunk.
        messages, doubtful = _take_due(share, server, reservation.units, now), None
        if not messages:
            messages, doubtful = _cut(share, reservation.units, now)
        unused = reservation.units - len(messages)
        reservations.settle(reservation.period_id, used=0, released=unused, now=now)
        plan.note_taken(share, server.pk, len(messages))
        if not messages:
            return []
        return _put_on_record(token, server, mailing, messages, doubtful, reservation, share.reason, now)


# SQL is written by hand where Django's ORM takes several times as long to build a statement as the database to run it.


def _open_mailing(mailing_id: int) -> Mailing | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT stream, mail_from, reference, identity, id_domain"
            " FROM delivery_mailing WHERE id = %s AND state = 'open'",
            [mailing_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    stream, mail_from, reference, identity, id_domain = row
    return Mailing(
        pk=mailing_id,
        stream=stream,
        mail_from=mail_from,
        reference=reference,
        identity=identity,
        id_domain=id_domain,
    )


# --- messages


def _take_due(share: LaneShare, server: SmtpServer, wanted: int, now: dt.datetime) -> list[Outgoing]:
    """Take due messages that this server has not refused, set their status to ``sending``, and return them."""
    ids = _due(share, wanted, now)
    if not ids:
        return []
    given, parameters = rows(numbers={"id": ids})
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT m.id, m.email, m.email_key, m.merge, m.message_id, m.redirected_to, m.reason, m.copy_kind, m.avoid,
                m.expires_at, m.attempt_count, {_person_columns("c")},
                o.id, o.email, o.email_key, o.merge, {_person_columns("oc")},
                CASE WHEN m.attempt_count = 0 THEN 0 ELSE (
                    SELECT COUNT(*) FROM delivery_attempt a WHERE a.message_id = m.id AND a.outcome <> 'not_sent'
                ) END
            FROM {given} JOIN delivery_message m ON m.id = given.id
                LEFT JOIN contacts_contact c ON c.id = m.contact_id
                LEFT JOIN delivery_message o ON o.id = m.copy_of_id
                LEFT JOIN contacts_contact oc ON oc.id = o.contact_id
            """,  # noqa: S608  # Made of constants and placeholders.
            parameters,
        )
        found = {row[0]: _outgoing(share.mailing_id, row) for row in cursor.fetchall()}
        messages = [found[pk] for pk in ids if server.pk not in found[pk].avoid]
        if messages:
            given, parameters = rows(numbers={"id": [message.pk for message in messages]})
            cursor.execute(
                "UPDATE delivery_message SET status = 'sending', due_at = NULL, changed_at = %s, server_id = %s"  # noqa: S608
                f" FROM {given} WHERE delivery_message.id = given.id",
                [connection.ops.adapt_datetimefield_value(now), server.pk, *parameters],
            )
    return messages


def _due(share: LaneShare, wanted: int, now: dt.datetime) -> list[int]:
    if share.is_all:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM delivery_message"  # noqa: S608
                " WHERE mailing_id = %s AND status IN ('queued', 'deferred') AND due_at <= %s"
                f" ORDER BY due_at, id LIMIT %s {locking(_SKIP_LOCKED)}",
                [share.mailing_id, connection.ops.adapt_datetimefield_value(now), wanted],
            )
            return [row[0] for row in cursor.fetchall()]
    due = plan.due_of(share, now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")
    return list(due.values_list("pk", flat=True)[:wanted])


def _chunk(share: LaneShare) -> tuple[int, int, int] | None:
    """Return key, first and last message of the share's first chunk that no other worker is cutting."""
    if share.is_all:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id, next_id, last_id FROM delivery_chunk WHERE mailing_id = %s ORDER BY id LIMIT 1"  # noqa: S608
                f" {locking(_SKIP_LOCKED)}",
                [share.mailing_id],
            )
            return cast(tuple[int, int, int] | None, cursor.fetchone())
    chunks = plan.chunks_of(share).select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    return chunks.values_list("pk", "next_id", "last_id").first()


@functools.cache
def _is_doubtful_sql() -> str:
    """Return an SQL condition: whether anything might stop a message ``m`` to a contact ``c``.

    As a part of the claim it costs a fraction of a call of :func:`stopped` for all messages. Its parameters are the
    adapted instant and the mailing.
    """
    return f"""(
        c.paused_until > %s
        OR EXISTS (SELECT 1 FROM contacts_suppression p WHERE p.email_key = m.email_key {each()})
        OR EXISTS (SELECT 1 FROM contacts_suppression p WHERE p.email_key = {domain_key_sql("m.email_key")} {each()})
        OR NOT EXISTS (
            SELECT 1 FROM contacts_subscription s WHERE s.contact_id = m.contact_id AND s.status = 'subscribed'
                AND s.list_id IN (SELECT contactlist_id FROM delivery_mailing_lists WHERE mailing_id = %s) {each()}
        )
    )"""  # noqa: S608  # Made of constants.


def _cut(share: LaneShare, wanted: int, now: dt.datetime) -> tuple[list[Outgoing], set[int]]:
    """Cut untried messages from the front of a chunk; return them, and the keys of the doubtful ones among them."""
    chunk = _chunk(share)
    if chunk is None:
        return [], set()
    chunk_id, first, last = chunk
    moment = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT m.id, m.email, m.email_key, CAST(m.expires_at AS text),
                {_person_columns("c")}, {_is_doubtful_sql()}
            FROM delivery_message m {joined_by_key("contacts_contact", "c", "m.contact_id")}
            WHERE m.id BETWEEN %s AND %s AND m.mailing_id = %s AND m.status = 'queued' AND m.due_at IS NULL
            ORDER BY m.id LIMIT %s
            """,  # noqa: S608  # Made of constants and placeholders.
            [moment, share.mailing_id, first, last, share.mailing_id, wanted],
        )
        rows = cursor.fetchall()
        if len(rows) < wanted or rows[-1][0] == last:
            cursor.execute("DELETE FROM delivery_chunk WHERE id = %s", [chunk_id])
        else:
            cursor.execute("UPDATE delivery_chunk SET next_id = %s WHERE id = %s", [rows[-1][0] + 1, chunk_id])
    mailing_id = share.mailing_id
    messages = [
        Outgoing(row[0], mailing_id, row[1], row[2], _person(*row[4:11]), expires_at=_read_instant(row[3]))
        for row in rows
    ]
    return messages, {row[0] for row in rows if row[11]}


def _outgoing(mailing_id: int, row: Sequence[Any]) -> Outgoing:
    original = None
    if row[18] is not None:
        original = Outgoing(row[18], mailing_id, row[19], row[20], _person(*row[22:29]), merge=_json(row[21]))
    return Outgoing(
        *(row[0], mailing_id, row[1], row[2], _person(*row[11:18])),
        merge=_json(row[3]),
        message_id=row[4],
        redirected_to=row[5],
        reason=row[6],
        copy_of=original,
        copy_kind=row[7],
        avoid=tuple(_json(row[8])),
        expires_at=_instant(row[9]),
        attempt_count=row[10],
        tries=row[29],
    )


def _person_columns(table: str) -> str:
    """Return the columns that :func:`_person` takes."""
    names = ("email", "first_name", "last_name", "language", "attributes", "open_tracking", "click_tracking")
    return ", ".join(f"{table}.{name}" for name in names)


def _person(
    email: str | None, first_name: str, last_name: str, language: str, attributes: Any, opens: str, clicks: str
) -> Person | None:
    if email is None:  # The contact was deleted, or there was none.
        return None
    known = {} if attributes == "{}" else _json(attributes)
    return Person(email, first_name, last_name, language, known, opens, clicks)


def _json(value: str | None) -> Any:
    # Raw cursors return JSON as text, and neither database puts blanks around it.
    return None if value is None else _parse_json(value)[0]


def _instant(value: dt.datetime | None) -> dt.datetime | None:
    # SQLite stores UTC without a zone.
    return value if value is None or value.tzinfo else value.replace(tzinfo=dt.UTC)


@functools.lru_cache(maxsize=64)
def _read_instant(text: str | None) -> dt.datetime | None:
    """Parse an instant. Cached, because hundreds of rows share it."""
    return _instant(dt.datetime.fromisoformat(text)) if text else None


# --- the record


def _put_on_record(
    token: uuid.UUID,
    server: SmtpServer,
    mailing: Mailing,
    messages: Sequence[Outgoing],
    doubtful: set[int] | None,
    reservation: reservations.Reservation,
    reason: str,
    now: dt.datetime,
) -> list[Claim]:
    """Store the batch and return its claims.

    :param doubtful: the keys of messages to check again before MAIL; None: all of them, since none is from a chunk.
    """
    author = author_of(mailing, server)
    return_path = ReturnPath(server, author.address, mailing.stream)
    batch = Batch(
        mailing=mailing,
        server=server,
        server_name=server.name,
        period_id=reservation.period_id,
        lane_token=token,
        choice=reason,
        started_at=now,
        header_from=str(author) if len(str(author)) <= LONGEST_FROM else author.address,
        settings_used={name: getattr(server, name) for name in SWITCHES},
        return_path=return_path.address,
        is_return_path_tagged=return_path.is_tagged,
        claims=[(message.pk, message.attempt_count + 1) for message in messages],
        open_count=len(messages),
        is_cut=doubtful is not None,
    )
    _insert(batch)
    address(messages, mailing, return_path)
    earlier = _unconfirmed(messages) if mailing.stream == Mailing.Stream.SINGLE else ()
    first, period_id, ends_at = batch.pk * Batch.MOST, reservation.period_id, reservation.ends_at
    return [
        Claim(
            *(message, first + place, message.attempt_count + 1, period_id, ends_at, now, message.pk in earlier),
            is_doubtful=doubtful is None or message.pk in doubtful,
        )
        for place, message in enumerate(messages)
    ]


def _insert(batch: Batch) -> None:
    values = [field.get_db_prep_save(getattr(batch, field.attname), connection) for field in _BATCH_FIELDS]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT_BATCH, values)
        batch.pk = cursor.fetchone()[0]


def address(messages: Sequence[Outgoing], mailing: Mailing, return_path: ReturnPath) -> None:
    """Set the envelope senders of messages, and their Message-IDs unless they have them.

    Both depend only on the mailing, the batch and the message, so that the recovery of a dead worker's batch computes
    the same values.
    """
    proofs = tokens.proofs_of_messages((message.pk for message in messages), settings.TOKEN_KEYS)
    made = message_ids.make_all(mailing, messages)
    for message, proof, message_id in zip(messages, proofs, made, strict=True):
        message.proof = proof
        message.message_id = message.message_id or message_id
    for message, envelope_from in zip(messages, return_path.of_all(messages), strict=True):
        message.envelope_from = envelope_from


def _unconfirmed(messages: Sequence[Outgoing]) -> set[int]:
    ids = [message.pk for message in messages]
    rows = Attempt.objects.filter(message__in=ids, outcome="unconfirmed").values_list("message_id", flat=True)
    return set(rows)


# --- the last check before MAIL


def redirect(claim: Claim, server: SmtpServer, mailing: Mailing, to: str, reason: str) -> bool:
    """Store that a single message goes to Mail to unknown instead of its recipient.

    :param to: the address of Mail to unknown; empty: the recipient.
    """
    message = claim.message
    message.redirected_to, message.reason = to, reason[:600]
    from_address = parse_mailbox(mailing.mail_from or server.mail_from).address
    return_path = ReturnPath(server, from_address, mailing.stream)
    message.envelope_from = return_path.of(message)
    Message.objects.filter(pk=message.pk).update(redirected_to=to, reason=message.reason)
    return True


def stopped(message_ids: Sequence[int], now: dt.datetime) -> dict[int, tuple[str, str]]:
    """Return the claimed messages that must no longer be sent, each with (what to do, why).

    This is the last check before MAIL: the mailing's present state, the suppression list and the person's consent.
    ``give back`` keeps the message for later; the other values are final statuses. An unsubscription stops campaigns
    and advertising, but no receipt and no password. Every other suppression, and the suppression of a domain, stops
    those too. Suppressions do not stop tests.
    """
    if not message_ids:
        return {}
    given, parameters = rows(numbers={"id": message_ids})
    moment = connection.ops.adapt_datetimefield_value(now)
    of_this_mailing = (
        "FROM contacts_subscription s JOIN delivery_mailing_lists l ON l.contactlist_id = s.list_id"
        " WHERE s.contact_id = m.contact_id AND l.mailing_id = m.mailing_id"
    )
    # The query returns only messages to stop: mostly there are none, and hundreds are checked each second.
    sql = f"""
        SELECT m.id, ml.state, ml.stream, {suppressed_because_sql("p")},
            (SELECT {_CONSENT} {of_this_mailing}),
            (SELECT {paused_because_sql("c")} FROM contacts_contact c WHERE c.id = m.contact_id)
        FROM {given} JOIN delivery_message m ON m.id = given.id JOIN delivery_mailing ml ON ml.id = m.mailing_id
            LEFT JOIN delivery_message o ON o.id = m.copy_of_id
            LEFT JOIN contacts_suppression p ON p.email_key IN (
                    m.email_key, {domain_key_sql("m.email_key")}, o.email_key, {domain_key_sql("o.email_key")}
                ) AND {active_sql("p")} AND ml.stream <> 'test'
                AND (NOT {is_a_wish_alone_sql("p")} OR ml.stream = 'campaign' OR ml.is_commercial
                    OR SUBSTR(p.email_key, 1, 1) = '@')
        WHERE m.id BETWEEN %s AND %s AND (ml.state <> 'open' OR p.id IS NOT NULL OR (m.copy_of_id IS NULL AND (
            (ml.stream = 'campaign' AND NOT EXISTS (
                SELECT 1 {of_this_mailing} AND s.status = 'subscribed' {each()}
            ))
            OR ((ml.stream = 'campaign' OR ml.is_commercial) AND EXISTS (
                SELECT 1 FROM contacts_contact c WHERE c.id = m.contact_id AND c.paused_until > %s {each()}
            ))
        )))
        ORDER BY m.id, SUBSTR(p.email_key, 1, 1) = '@'
    """  # noqa: S608  # Made of constants and placeholders.
    found: dict[int, tuple[str, str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(sql, [*parameters, moment, moment, min(message_ids), max(message_ids), moment])
        for pk, state, stream, suppressed, consent, paused in cursor.fetchall():
            if state == Mailing.State.CANCELLED:
                found[pk] = ("cancelled", "The mailing was cancelled.")
            elif state == Mailing.State.PAUSED:
                found[pk] = ("give back", "The mailing is paused.")
            elif suppressed:
                found.setdefault(pk, ("suppressed", suppressed))  # The address comes before its domain.
            elif stream == Mailing.Stream.CAMPAIGN and consent != SUBSCRIBED:
                found[pk] = ("suppressed", CONSENT_LACKING.get(consent, "No longer on a list of this mailing."))
            else:
                found[pk] = ("suppressed", paused)
    return found
