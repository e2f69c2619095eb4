"""Who is left out, and the reason kept with the message: at the snapshot, at the last look, and for single messages."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from contacts.consent import changes, suppressed
from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.models import Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outbox.transactional import send_single
from mail.addresses import fold
from tests.delivery.making import make_mailing, make_server

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
BEFORE, AFTER = NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=1)
LISTED = "On the suppression list: {}."
DOMAIN = "The domain {} is on the suppression list."
Reason = Suppression.Reason
HARD_BOUNCE, COMPLAINT, UNSUBSCRIBED, MANUAL = (
    Reason.HARD_BOUNCE.value,
    Reason.COMPLAINT.value,
    Reason.UNSUBSCRIBED.value,
    Reason.MANUAL.value,
)


def stop(what: str, reason: str = MANUAL, until: dt.datetime | None = None) -> None:
    Suppression.objects.create(email=what, reason=reason, expires_at=until)


def on_list(contact: Contact, status: str) -> None:
    Subscription.objects.filter(contact=contact).update(status=status)


# What happened, to whom, and what is kept with their message; nothing where they get it.
Kind = tuple[str, Callable[[Contact], None], str]
KINDS: tuple[Kind, ...] = (
    ("kept@a.example", lambda each: None, ""),
    ("Bounced@a.example", lambda each: stop(each.email, HARD_BOUNCE), LISTED.format("hard bounce")),
    ("left@a.example", lambda each: stop(each.email, UNSUBSCRIBED), LISTED.format("unsubscribed from everything")),
    ("for-now@a.example", lambda each: stop(each.email, MANUAL, AFTER), LISTED.format("added by hand")),
    ("over@a.example", lambda each: stop(each.email, MANUAL, BEFORE), ""),
    ("just-over@a.example", lambda each: stop(each.email, MANUAL, NOW), ""),
    ("ann@rival.example", lambda each: stop("@Rival.example"), DOMAIN.format("Rival.example")),
    ('"a@b"@quoted.example', lambda each: stop("@quoted.example"), DOMAIN.format("quoted.example")),
    ("ann@bücher.example", lambda each: stop("@bücher.example"), DOMAIN.format("bücher.example")),
    ("ann@sub.main.example", lambda each: stop("@main.example"), ""),
    ("ann@again.example", lambda each: stop("@again.example", MANUAL, BEFORE), ""),
    ("break@a.example", lambda each: changes.pause(each, AFTER), "Asked for a break until 2027-01-01."),
    ("back@a.example", lambda each: changes.pause(each, NOW), ""),
    ("asked@a.example", lambda each: on_list(each, "pending"), "Not confirmed."),
    ("gone@a.example", lambda each: on_list(each, "unsubscribed"), "Unsubscribed."),
)  # fmt: skip
EXPECTED = {fold(address): reason for address, _, reason in KINDS}


def make_people() -> tuple[ContactList, dict[str, Contact]]:
    news = ContactList.objects.create(name="News")
    people = {address: Contact.objects.create(email=address) for address, _, _ in KINDS}
    for contact in people.values():
        Subscription.objects.create(contact=contact, list=news)
    return news, people


def happen(people: dict[str, Contact]) -> None:
    for address, happens, _ in KINDS:
        happens(people[address])


def test_the_snapshot_keeps_everybody_left_out_with_the_reason() -> None:
    news, people = make_people()
    happen(people)

    mailing = make_mailing(news, NOW)

    rows = mailing.messages.values_list("email_key", "status", "reason")
    assert {key: reason for key, _, reason in rows} == EXPECTED
    assert {key: status == "suppressed" for key, status, _ in rows} == {key: bool(why) for key, why in EXPECTED.items()}


def test_the_last_look_gives_the_same_reasons_for_what_happened_after_the_snapshot() -> None:
    news, people = make_people()
    mailing = make_mailing(news, NOW)
    keys = dict(mailing.messages.values_list("pk", "email_key"))
    happen(people)

    stopped = outbox_claims.stopped(list(keys), NOW)

    found = {keys[pk]: verdict for pk, verdict in stopped.items()}
    assert found == {key: ("suppressed", why) for key, why in EXPECTED.items() if why}


def test_pages_ask_the_same_question_as_the_statements() -> None:
    _, people = make_people()
    happen(people)

    by_list = {key for key, why in EXPECTED.items() if "suppression list" in why}
    assert set(Contact.objects.filter(suppressed.suppressed(NOW)).values_list("email_key", flat=True)) == by_list
    assert suppressed.is_suppressed(EXPECTED, NOW) == by_list
    assert {key for key in EXPECTED if suppressed.suppression_of(key, NOW)} == by_list


def test_one_consent_among_several_lists_is_enough() -> None:
    news, people = make_people()
    both = people["asked@a.example"]
    Subscription.objects.create(contact=both, list=ContactList.objects.create(name="Events"))
    on_list(people["gone@a.example"], "unsubscribed")
    Subscription.objects.filter(contact=both, list=news).update(status="pending")
    mailing = make_mailing(news, NOW)
    mailing.lists.set(ContactList.objects.all())

    assert outbox_claims.stopped([mailing.messages.get(contact=both).pk], NOW) == {}


def test_the_address_is_named_before_its_domain() -> None:
    news, people = make_people()
    mailing = make_mailing(news, NOW)
    message = mailing.messages.get(contact=people["kept@a.example"])
    stop("@a.example")
    stop("kept@a.example", COMPLAINT)

    assert outbox_claims.stopped([message.pk], NOW) == {
        message.pk: ("suppressed", "On the suppression list: complaint.")
    }
    assert make_mailing(news, NOW).messages.get(contact=message.contact).reason == "On the suppression list: complaint."


# --- single messages


def single(to: str, *, is_commercial: bool = False) -> Message:
    return send_single(to=to, subject="Your receipt", text="Thanks.", is_commercial=is_commercial, now=NOW)


@pytest.mark.parametrize(
    ("what", "reason", "stops_a_receipt"),
    [
        ("ann@a.example", HARD_BOUNCE, True),
        ("ann@a.example", COMPLAINT, True),
        ("ann@a.example", MANUAL, True),
        ("ann@a.example", UNSUBSCRIBED, False),
        ("@a.example", MANUAL, True),
        ("@a.example", UNSUBSCRIBED, True),
    ],
)
def test_a_wish_for_no_more_mail_stops_advertising_and_no_receipt(
    what: str, reason: str, stops_a_receipt: bool
) -> None:
    receipt, offer = single("Ann@A.example"), single("ann@a.example", is_commercial=True)
    stop(what, reason)

    stopped = outbox_claims.stopped([receipt.pk, offer.pk], NOW)

    assert set(stopped) == ({receipt.pk, offer.pk} if stops_a_receipt else {offer.pk})


def test_of_a_suppression_that_is_over_the_wish_for_no_more_mail_is_left() -> None:
    changes.suppress("ann@a.example", "manual", "until the fair", BEFORE, until=NOW)
    changes.unsubscribe_from_everything("ann@a.example", method="unsubscribe", source="link", now=BEFORE)
    receipt, offer = single("ann@a.example"), single("ann@a.example", is_commercial=True)

    assert set(outbox_claims.stopped([receipt.pk, offer.pk], BEFORE)) == {receipt.pk, offer.pk}
    assert set(outbox_claims.stopped([receipt.pk, offer.pk], NOW)) == {offer.pk}


def test_a_break_and_a_missing_consent_stop_no_receipt() -> None:
    news, people = make_people()
    ann = people["kept@a.example"]
    changes.pause(ann, AFTER)
    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link", now=NOW)
    receipt, offer = single(ann.email), single(ann.email, is_commercial=True)

    stopped = outbox_claims.stopped([receipt.pk, offer.pk], NOW)

    assert stopped == {offer.pk: ("suppressed", "Asked for a break until 2027-01-01.")}


def test_a_test_goes_to_whoever_asked_for_it() -> None:
    news, people = make_people()
    stop("kept@a.example", COMPLAINT)
    message = make_mailing(news, timezone.now(), stream="test").messages.get(contact=people["gone@a.example"])
    stop(message.email, COMPLAINT)

    assert outbox_claims.stopped([message.pk], NOW) == {}


def claim_all() -> list[outbox_claims.Claim]:
    """Claim the mailing's messages for a server of its own."""
    server = make_server(1)
    lease = leases.acquire(server.pk)
    assert lease
    share = LaneShare(Mailing.objects.get().pk, "It is the only one.")
    return outbox_claims.claim(lease.token, server, share, outbox_claims.CLAIM_MESSAGES, NOW) or []


def test_a_claim_casts_doubt_on_everybody_who_may_have_to_be_stopped() -> None:
    news, people = make_people()
    mailing = make_mailing(news, NOW)
    happen(people)
    nobody = people["back@a.example"]
    mailing.messages.filter(contact=nobody).update(contact=None)  # As when the contact is deleted.

    claims = claim_all()

    doubtful = {claim.message.pk for claim in claims if claim.is_doubtful}
    assert len(claims) == len(KINDS)
    assert doubtful >= set(outbox_claims.stopped([claim.message.pk for claim in claims], NOW))
    assert {claim.message.email for claim in claims} - {c.message.email for c in claims if c.is_doubtful} == {
        *("kept@a.example", "ann@sub.main.example")
    }


@pytest.mark.postgres
def test_the_last_look_reads_no_table_of_people_whole() -> None:
    news, _ = make_people()
    with connection.cursor() as cursor:
        for statement in (
            "INSERT INTO contacts_contact (email, email_key, first_name, last_name, language, time_zone, attributes,"
            " updated_at) SELECT e, e, '', '', '', '', '{}', now()"
            " FROM (SELECT 'p' || n || '@d' || n % 500 || '.example' AS e FROM generate_series(1, 20000) AS s (n)) a",
            "INSERT INTO contacts_suppression (email, email_key, reason, source) SELECT e, e, 'manual', ''"
            " FROM (SELECT 'q' || n || '@d.example' AS e FROM generate_series(1, 20000) AS s (n)) a",
            "INSERT INTO contacts_subscription (contact_id, list_id, status, source)"
            f" SELECT id, {news.pk}, 'subscribed', '' FROM contacts_contact ON CONFLICT DO NOTHING",
        ):
            cursor.execute(statement)
        mailing = make_mailing(news, NOW)
        cursor.execute("ANALYZE")
        some = list(mailing.messages.order_by("pk").values_list("pk", flat=True)[:500])
        with CaptureQueriesContext(connection) as captured:
            outbox_claims.stopped(some, NOW)
            claim_all()
        looks = [query["sql"] for query in captured.captured_queries if "contacts_suppression" in query["sql"]]
        plans = []
        for look in looks:
            cursor.execute(f"EXPLAIN {look}")
            plans.append("\n".join(row[0] for row in cursor.fetchall()))

    assert len(plans) == 2
    for plan in plans:
        for table in ("contacts_suppression", "contacts_contact", "contacts_subscription", "delivery_message"):
            assert f"Seq Scan on {table}" not in plan, plan
