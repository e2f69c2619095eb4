"""Recipient-domain rules: people are sorted into chunks of one class, and each server claims from its own."""

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from contacts.models import ContactList, Suppression
from delivery.models import Batch, Chunk, Message
from delivery.outbox import mailings
from delivery.outbox.plan import plan
from smtpservers.models import Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server
from tests.delivery.outbox.test_plan import NOW, by_server, claim_all, make_single, set_strategy

pytestmark = pytest.mark.django_db


@pytest.fixture
def alpha() -> SmtpServer:
    return make_server(25, "Alpha")


@pytest.fixture
def beta(alpha: SmtpServer) -> SmtpServer:
    return make_server(25, "Beta")


@pytest.fixture
def gmail(beta: SmtpServer) -> Route:
    return Route.objects.create(name="Gmail", recipient_domains="gmail.com\n*.gmail.example", server_ids=[beta.pk])


@pytest.fixture
def audience() -> ContactList:
    """Twelve people, every third of them at Gmail."""
    audience = make_list(12)
    for number, subscription in enumerate(audience.subscriptions.select_related("contact").order_by("contact")):
        if number % 3 == 0:
            contact = subscription.contact
            contact.email = contact.email_key = f"g{number}@{'gmail.com' if number % 2 else 'x.gmail.example'}"
            contact.save()
    return audience


def keys_of(server: SmtpServer) -> set[bool]:
    """Return whether those that a server has claimed are at Gmail."""
    claimed = [claim[0] for batch in Batch.objects.filter(server=server) for claim in batch.claims]
    return {"gmail" in message.email for message in Message.objects.filter(pk__in=claimed)}


def test_each_chunk_holds_people_of_one_class(audience: ContactList, gmail: Route) -> None:
    mailing = make_mailing(audience, NOW)

    assert Chunk.objects.count() == 2  # Sorted first: people who alternate would make a chunk of each.
    for chunk in Chunk.objects.filter(mailing=mailing):
        inside = Message.objects.filter(mailing=mailing, pk__gte=chunk.next_id, pk__lte=chunk.last_id, status="queued")
        assert {"gmail" in message.email for message in inside} == {chunk.route_id == gmail.pk}
        assert chunk.messages == len(inside)
    assert sum(chunk.messages or 0 for chunk in Chunk.objects.all()) == 12


def test_each_server_claims_from_its_own_class(
    audience: ContactList, gmail: Route, alpha: SmtpServer, beta: SmtpServer
) -> None:
    make_mailing(audience, NOW)

    works = plan(NOW)
    got = claim_all(works)

    assert got == {alpha.pk: 8, beta.pk: 4}
    assert (keys_of(alpha), keys_of(beta)) == ({False}, {True})
    assert by_server(works)[beta.pk][0].reason == "Rule “Gmail”: Beta is first in the display order."
    assert plan(NOW) == []


def test_what_comes_back_is_matched_one_by_one(
    audience: ContactList, gmail: Route, alpha: SmtpServer, beta: SmtpServer
) -> None:
    mailing = make_mailing(audience, NOW)
    Chunk.objects.all().delete()
    Message.objects.filter(mailing=mailing).update(status="deferred", due_at=NOW)

    got = claim_all(plan(NOW))

    assert got == {alpha.pk: 8, beta.pk: 4}
    assert (keys_of(alpha), keys_of(beta)) == ({False}, {True})


def test_a_single_message_goes_by_its_recipient(gmail: Route, alpha: SmtpServer, beta: SmtpServer) -> None:
    to_gmail = mailings.open_mailing(stream="single", name="R", subject="R", html="", text="T")
    mailings.address(to_gmail, email="Ann@Gmail.com", email_key="ann@gmail.com", now=NOW)
    other = make_single()

    shares = by_server(plan(NOW))

    assert [share.mailing_id for share in shares[alpha.pk]] == [other.pk]
    assert [share.mailing_id for share in shares[beta.pk]] == [to_gmail.pk]


def test_a_class_that_waits_holds_up_nobody_else_and_says_why_in_the_end(
    audience: ContactList, gmail: Route, alpha: SmtpServer, beta: SmtpServer
) -> None:
    SmtpServer.objects.filter(pk=beta.pk).update(full_until=NOW + dt.timedelta(hours=1), full_reason="552 full")
    mailing = make_mailing(audience, NOW)

    assert claim_all(plan(NOW)) == {alpha.pk: 8}
    assert plan(NOW) == []

    mailing.refresh_from_db()
    assert mailing.waiting_reason.startswith("No server can send this now: Beta has reached its provider's limit")
    assert mailing.waiting_until == NOW + dt.timedelta(hours=1)


@pytest.mark.parametrize("how", ["switched off", "deleted", "without its domains"])
def test_a_rule_that_is_gone_leaves_its_people_to_the_others(
    audience: ContactList, gmail: Route, alpha: SmtpServer, how: str
) -> None:
    Route.objects.create(name="France", recipient_domains="orange.example")  # The mailing is sorted all the same.
    make_mailing(audience, NOW)
    if how == "deleted":
        gmail.delete()
    elif how == "switched off":
        Route.objects.filter(pk=gmail.pk).update(is_active=False)
    else:
        Route.objects.filter(pk=gmail.pk).update(recipient_domains="", from_domains="nobody.example")

    got = sum(claim_all(plan(NOW))[alpha.pk] for _ in range(2))

    assert got == 12
    assert plan(NOW) == []


def test_a_rules_servers_and_strategy_change_at_once(
    audience: ContactList, gmail: Route, alpha: SmtpServer, beta: SmtpServer
) -> None:
    make_mailing(audience, NOW)
    Route.objects.filter(pk=gmail.pk).update(strategy="weighted", server_ids=[alpha.pk, beta.pk])

    shares = by_server(plan(NOW))

    of_gmail = {server: share.at_most for server, found in shares.items() for share in found if share.class_id}
    assert of_gmail == {alpha.pk: 2, beta.pk: 2}
    assert claim_all(plan(NOW)) == {alpha.pk: 10, beta.pk: 2}


def test_many_slices_are_sorted_each(gmail: Route, audience: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.outbox.snapshot.SLICE_CONTACTS", 5)
    mailing = make_mailing(audience, NOW)

    for chunk in Chunk.objects.filter(mailing=mailing):
        inside = Message.objects.filter(mailing=mailing, pk__gte=chunk.next_id, pk__lte=chunk.last_id)
        assert {"gmail" in message.email for message in inside} == {chunk.route_id == gmail.pk}
    assert Chunk.objects.count() >= 5


def test_without_such_a_rule_nothing_is_sorted(audience: ContactList, beta: SmtpServer) -> None:
    Route.objects.create(name="Shop", from_domains="shop.example", server_ids=[beta.pk])
    with CaptureQueriesContext(connection) as queries:
        make_mailing(audience, NOW)
        plan(NOW)

    assert not any("email_key, RTRIM(" in query["sql"] for query in queries)
    [chunk] = Chunk.objects.all()
    assert (chunk.route_id, chunk.messages) == (None, 12)


def test_shares_by_weight_are_exact_though_people_are_suppressed(alpha: SmtpServer, beta: SmtpServer) -> None:
    set_strategy("weighted")
    SmtpServer.objects.filter(pk=alpha.pk).update(weight=3)
    people = make_list(1000)
    for subscription in people.subscriptions.select_related("contact")[:200]:
        Suppression.objects.create(email=subscription.contact.email, email_key=subscription.contact.email_key)
    make_mailing(people, NOW)

    got = claim_all([work for work in plan(NOW) if work.server_id == alpha.pk])

    assert got == {alpha.pk: 600}  # Of the 800 that are sent, though Beta has not begun.
