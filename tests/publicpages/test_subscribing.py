"""Subscribing: what a form takes, whom it writes to, what a link confirms, and what nobody learns by it."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from kombu.exceptions import OperationalError

from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression, SuppressionLift
from delivery.content.composer import composer_for
from delivery.content.message import Outgoing
from delivery.models import Mailing, Message
from delivery.outbox import claims
from mail import tokens
from publicpages import tasks
from publicpages.models import RequestCount, SignUp
from publicpages.subscriptions import subscribe
from publicpages.views.subscribe import OPENED
from publicpages.words.subscribe import SIGN_UP
from smtpservers.models import SmtpServer
from tests.publicpages.conftest import path_of

pytestmark = pytest.mark.django_db

EN = SIGN_UP["en"]
NOW = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)
ANN = "ann@example.com"


@pytest.fixture(autouse=True)
def no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "ring", lambda: None)


def embedded(*lists: ContactList, email: str = ANN, **fields: str) -> dict[str, Any]:
    return {"form": "embedded", "shown_in": "en", "email": email, "list": [each.pk for each in lists], **fields}


def enter(*lists: ContactList, **fields: str) -> Any:
    return Client(enforce_csrf_checks=True).post("/subscribe", embedded(*lists, **fields))


def take(now: dt.datetime = NOW) -> int:
    return subscribe.process_waiting("The Club", now)


def sign_up(*lists: ContactList, **fields: str) -> SignUp:
    """Enter something and have the worker take it."""
    assert enter(*lists, **fields).status_code == 200
    take(dt.datetime.now(dt.UTC))
    return SignUp.objects.latest("pk")


def status(contact_list: ContactList, email: str = ANN) -> str:
    found = Subscription.objects.filter(contact__email=email, list=contact_list)
    return found.values_list("status", flat=True).first() or ""


def link_of(entry: SignUp) -> str:
    return path_of(subscribe.confirm_url(entry.pk))


# --- the form


def test_the_form_of_a_list_shows_what_people_agree_to_and_has_no_script(club: ContactList, shop: ContactList) -> None:
    page = Client().get(f"/subscribe/{shop.pk}").content.decode()
    both = Client(headers={"accept-language": "de-AT,en;q=0.5"}).get("/subscribe").content.decode()

    assert "Yes, tell me of your offers." in page
    assert "<script" not in page
    assert '<html lang="de"' in both
    assert "Ich möchte „Club“ per E-Mail bekommen." in both
    assert "checked" not in both  # Nobody agrees by leaving things as they are.


def test_only_public_lists_can_be_chosen(club: ContactList) -> None:
    board = ContactList.objects.create(name="Board")

    page = Client().get("/subscribe").content.decode()
    answer = enter(board)

    assert "Board" not in page
    assert Client().get(f"/subscribe/{board.pk}").status_code == 404
    assert answer.status_code == 400
    assert EN.no_list in answer.content.decode()
    assert not SignUp.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"email": ""}, EN.email_missing),
        ({"email": " "}, EN.email_missing),
        ({"email": "ann@"}, EN.email_invalid),
        ({"email": "ann@example.com\nBcc: eve@example.com"}, EN.email_invalid),
        ({"first_name": "x" * 151}, EN.too_long),
    ],
)
def test_what_cannot_be_taken_comes_back_with_what_was_entered(
    club: ContactList, fields: dict[str, str], sentence: str
) -> None:
    answer = enter(club, last_name='"><b>Lee', **fields)

    assert answer.status_code == 400
    assert sentence in answer.content.decode()
    assert "&quot;&gt;&lt;b&gt;Lee" in answer.content.decode()
    assert not SignUp.objects.exists()


def opened(seconds_ago: int) -> str:
    now = dt.datetime.now(dt.UTC).timestamp()
    return tokens.make(OPENED, int(now - seconds_ago), settings.TOKEN_KEYS)


@pytest.mark.parametrize(
    ("seconds_ago", "is_taken"), [(0, False), (5, True), (23 * 3600, True), (25 * 3600, False), (None, False)]
)
def test_our_own_form_must_have_been_open_for_a_moment(
    club: ContactList, seconds_ago: int | None, is_taken: bool
) -> None:
    fields = {"email": ANN, "list": club.pk, "opened": "" if seconds_ago is None else opened(seconds_ago)}

    answer = Client().post("/subscribe", fields)

    assert SignUp.objects.exists() is is_taken
    assert (EN.again in answer.content.decode()) is not is_taken
    assert is_taken or f'value="{ANN}"' in answer.content.decode()


def test_whoever_fills_the_trap_is_thanked_and_not_taken(club: ContactList) -> None:
    answer = enter(club, website="https://spam.example")

    assert answer.content == enter(club, email="bob@example.com").content
    assert SignUp.objects.get().email == "bob@example.com"


# --- nobody learns whom we know


def known(club: ContactList) -> None:
    ann = Contact.objects.create(email=ANN, first_name="Ann")
    Subscription.objects.create(contact=ann, list=club)


def complained(club: ContactList) -> None:
    known(club)
    changes.suppress(ANN, Suppression.Reason.COMPLAINT, "a report", NOW)


def left(club: ContactList) -> None:
    known(club)
    changes.unsubscribe_from_everything(ANN, method="unsubscribe", source="link", now=NOW)


def entered_before(club: ContactList) -> None:
    for _ in range(settings.SUBSCRIBE_PER_ADDRESS):
        enter(club)


@pytest.mark.parametrize("who", [known, complained, left, entered_before])
@pytest.mark.parametrize("way", ["form", "json"])
def test_answers_are_the_same_for_who_is_known_and_who_is_not(club: ContactList, who: Any, way: str) -> None:
    who(club)
    enter(club, email="first@example.com")  # The first of its network is counted anew.
    answers, queries = [], []

    for email in (ANN, "new@example.com"):
        with CaptureQueriesContext(connection) as captured:
            answer = enter(club, email=email) if way == "form" else send(email=email, lists=[club.pk])
        answers.append((answer.status_code, answer.content, dict(answer.headers)))
        queries.append([re.sub(r"'[^']*'|[0-9]+", "?", query["sql"]) for query in captured.captured_queries])

    assert answers[0] == answers[1]
    assert who is entered_before or queries[0] == queries[1]  # The same work, and so the same time.
    assert not Mailing.objects.exists()  # Nothing is sent while somebody waits for the answer.


# --- the worker


def test_double_opt_in_writes_in_the_language_of_the_person_and_subscribes_nobody_yet(
    club: ContactList, shop: ContactList
) -> None:
    entry = sign_up(club, language="de", first_name="Buy pills at https://spam.example")
    message = Message.objects.get()
    server = SmtpServer.objects.create(name="One", host="relay.example.com", mail_from="Shop <a@example.com>")
    outgoing = Outgoing.of(message)
    outgoing.message_id = "<1@example.com>"
    mail = composer_for(message.mailing, server).compose(outgoing, NOW).content.decode()

    assert status(club) == "pending"
    assert (message.email, message.mailing.stream) == (ANN, "notice")  # Of which nobody gets a copy.
    assert "Subject: =?utf-8?q?Bitte_best=C3=A4tigen" in mail or "Subject: Bitte" in mail
    assert "Auto-Submitted: auto-generated" in mail
    assert "List-Unsubscribe" not in mail  # There is nothing yet to unsubscribe from.
    assert "pills" not in mail  # A stranger may have filled in the form.
    assert re.sub(r"=\r\n", "", mail).count(subscribe.confirm_url(entry.pk)) == 3
    assert "- Club" in mail
    assert subscribe.confirm_url(entry.pk) not in message.mailing.text + message.mailing.html


def test_single_opt_in_subscribes_at_once_with_the_wording_and_the_network(shop: ContactList) -> None:
    Client().post("/subscribe", embedded(shop, first_name="Ann"), REMOTE_ADDR="203.0.113.9")
    take()
    event = ConsentEvent.objects.get()

    assert status(shop) == "subscribed"
    assert (event.method, event.source, event.wording) == ("form", "embedded form", "Yes, tell me of your offers.")
    assert event.network == "203.0.113.0/24"
    assert Contact.objects.get().first_name == "Ann"
    assert not Mailing.objects.exists()


def test_an_entry_is_taken_once(shop: ContactList) -> None:
    enter(shop)

    assert (take(), take()) == (1, 0)


@pytest.mark.parametrize("how", ["from the list", "from everything"])
def test_who_unsubscribed_comes_back_by_a_confirmation_even_on_a_single_opt_in_list(
    shop: ContactList, how: str
) -> None:
    known(shop)
    ann = Contact.objects.get()
    before = dt.datetime.now(dt.UTC)
    if how == "from the list":
        changes.unsubscribe(ann.pk, [shop.pk], method="unsubscribe", source="link", now=before)
    else:
        changes.unsubscribe_from_everything(ANN, method="unsubscribe", source="link", now=before)

    entry = sign_up(shop)
    message = Message.objects.get()

    assert status(shop) == "pending"
    assert claims.stopped([message.pk], NOW) == {}  # It does go out.
    assert Client().post(link_of(entry)).status_code == 200
    assert status(shop) == "subscribed"
    assert not Suppression.objects.exists()
    assert [lift.lifted_by_name for lift in SuppressionLift.objects.all()] == ["the person"] * (how != "from the list")


@pytest.mark.parametrize("reason", ["complaint", "hard_bounce", "manual"])
@pytest.mark.parametrize("entry", [ANN, "@example.com"])
def test_who_was_suppressed_otherwise_is_left_alone(
    club: ContactList, shop: ContactList, reason: str, entry: str
) -> None:
    changes.suppress(entry, reason, "a report", NOW)

    enter(club, shop)

    assert take() == 1
    assert not Mailing.objects.exists()
    assert not Contact.objects.exists()


def test_who_was_erased_is_left_alone(club: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribe, "is_erased", lambda emails: set(emails))

    enter(club)

    assert take() == 1
    assert not Mailing.objects.exists()
    assert not Contact.objects.exists()


def test_who_is_subscribed_hears_nothing_and_keeps_their_name(club: ContactList) -> None:
    known(club)

    enter(club, first_name="Somebody else")

    assert take() == 1
    assert not Mailing.objects.exists()
    assert Contact.objects.get().first_name == "Ann"


def test_a_list_that_was_closed_meanwhile_takes_nobody(shop: ContactList) -> None:
    enter(shop)
    ContactList.objects.update(is_public=False)

    take()

    assert status(shop) == ""


def test_an_entry_that_cannot_be_taken_holds_up_no_other(shop: ContactList) -> None:
    SignUp.objects.create(
        email="bob@example.com",
        language="xx",
        channel="fax",
        choices=[{"list": shop.pk, "wording": ""}],
        received_at=NOW,
    )
    enter(shop)

    with pytest.raises(ValueError, match="fax"):
        take()

    assert status(shop) == "subscribed"
    assert SignUp.objects.get(taken_at=None).email == "bob@example.com"
    assert not Contact.objects.filter(email="bob@example.com").exists()


# --- the link


def test_opening_the_link_changes_nothing_and_its_button_confirms_once(club: ContactList, shop: ContactList) -> None:
    entry = sign_up(club, shop, first_name="Ann", language="fr")
    client = Client(enforce_csrf_checks=True)

    page = client.get(link_of(entry)).content.decode()
    before = status(club)
    done = client.post(link_of(entry), REMOTE_ADDR="2001:db8:1:2::3").content.decode()
    again = client.post(link_of(entry)).content.decode()

    assert ANN not in page
    assert "a***@example.com" in page
    assert '<html lang="fr"' in page
    assert (before, status(club), status(shop)) == ("pending", "subscribed", "subscribed")
    assert SIGN_UP["fr"].confirmed_title in done
    assert SIGN_UP["fr"].used in again
    event = ConsentEvent.objects.filter(list=club).first()
    assert (event.method, event.network) == ("confirmation", "2001:db8:1::/48")
    assert "Club" in event.wording


def test_an_old_link_does_not_bring_back_who_left_since(club: ContactList) -> None:
    entry = sign_up(club)
    ann = Contact.objects.get()
    changes.unsubscribe(ann.pk, [club.pk], method="unsubscribe", source="link", now=NOW)

    answer = Client().post(link_of(entry))

    assert status(club) == "unsubscribed"
    assert answer.status_code == 410
    assert EN.to_form in answer.content.decode()  # The way back; nothing says that they are subscribed.
    assert EN.confirmed_title not in answer.content.decode()


def test_an_old_link_confirms_no_newer_entry_that_anybody_may_have_made(club: ContactList) -> None:
    first, second = sign_up(club), sign_up(club)
    ann = Contact.objects.get()
    Client().post(link_of(first))
    changes.unsubscribe(ann.pk, [club.pk], method="unsubscribe", source="link", now=dt.datetime.now(dt.UTC))
    newest = sign_up(club)
    assert status(club) == "pending"

    answers = [Client().post(link_of(entry)).status_code for entry in (first, second)]

    assert (answers, status(club)) == ([200, 410], "pending")
    assert EN.confirmed_title in Client().post(link_of(newest)).content.decode()
    assert status(club) == "subscribed"


def test_a_confirmation_fills_what_was_empty_and_overwrites_nothing(club: ContactList) -> None:
    Contact.objects.create(email=ANN, first_name="Ann")

    entry = sign_up(club, first_name="Eve", last_name="Lee", language="it")
    Client().post(link_of(entry))

    ann = Contact.objects.get()
    assert (ann.first_name, ann.last_name, ann.language) == ("Ann", "Lee", "it")


def test_a_link_expires(club: ContactList, settings) -> None:
    entry = sign_up(club)
    settings.CONFIRM_DAYS = 3
    SignUp.objects.update(received_at=entry.received_at - dt.timedelta(days=3))

    answers = [Client().get(link_of(entry)), Client().post(link_of(entry))]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert "3 days" in answers[0].content.decode()
    assert 'href="/subscribe"' in answers[0].content.decode()
    assert status(club) == "pending"


def test_a_link_outlives_the_rotation_of_its_key(club: ContactList, settings) -> None:
    entry = sign_up(club)
    link = link_of(entry)
    settings.TOKEN_KEYS = ["a new key, long enough to sign with", *settings.TOKEN_KEYS]

    Client().post(link)

    assert status(club) == "subscribed"


# --- the hint


def test_without_a_broker_an_entry_is_taken_all_the_same(shop: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**options: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.undo()
    monkeypatch.setattr(tasks.process_sign_ups, "apply_async", fail)

    assert enter(shop).status_code == 200
    tasks.process_sign_ups()

    assert status(shop) == "subscribed"


# --- JSON


def send(origin: str = "https://shop.example", **given: Any) -> Any:
    return Client(headers={"origin": origin}).post("/subscribe.json", json.dumps(given), "application/json")


def test_a_script_of_another_site_may_send_and_read_the_answer(club: ContactList) -> None:
    preflight = Client().options("/subscribe.json", headers={"access-control-request-method": "POST"})
    answer = send(email=ANN, lists=[club.pk], first_name="Ann", language="de")

    assert preflight["Access-Control-Allow-Origin"] == answer["Access-Control-Allow-Origin"] == "*"
    assert preflight["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Credentials" not in answer
    assert answer.status_code == 202
    assert answer.json() == {"message": SIGN_UP["de"].thanks_double}
    assert not answer.cookies
    assert (SignUp.objects.get().channel, SignUp.objects.get().first_name) == ("json", "Ann")


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ("nonsense", {"form"}),
        ("[1]", {"form"}),
        ("[" * 9000, {"form"}),
        ('{"email": {"a": 1}, "lists": [true, "1", null, 1e99]}', {"email", "lists"}),
        ('{"email": "ann@example.com"}', {"lists"}),
    ],
)
def test_wrong_json_says_what_is_wrong(club: ContactList, body: str, errors: set[str]) -> None:
    answer = Client().post("/subscribe.json", body, "application/json")

    assert answer.status_code == 400
    assert set(answer.json()["errors"]) == errors


def test_halves_of_characters_are_replaced(club: ContactList) -> None:
    body = json.dumps({"email": ANN, "lists": [club.pk], "first_name": "A\ud800\0n"})

    answer = Client().post("/subscribe.json", body, "application/json")

    assert answer.status_code == 202
    assert SignUp.objects.get().first_name == "A? n"


@pytest.mark.parametrize("hidden", ["\u202e", "\u2066", "\u200b", "\x07", "\x9f", "\u2028"])
def test_what_nobody_sees_is_left_out_of_names_and_refused_in_an_address(club: ContactList, hidden: str) -> None:
    given = {"lists": [club.pk], "first_name": f"An{hidden}n", "last_name": f"{hidden}Lee{hidden}"}

    assert send(email=ANN, **given).status_code == 202
    assert send(email=f"an{hidden}n@example.com", **given).status_code == 400

    sign_up = SignUp.objects.get()
    assert (sign_up.first_name, sign_up.last_name) == ("An n", "Lee")


def test_an_address_with_half_a_character_is_refused(club: ContactList) -> None:
    body = json.dumps({"email": "\ud800nn@example.com", "lists": [club.pk]})

    assert Client().post("/subscribe.json", body, "application/json").status_code == 400
    assert not SignUp.objects.exists()


def test_a_button_that_is_pressed_twice_sends_one_mail(club: ContactList, shop: ContactList) -> None:
    for _ in range(2):
        enter(club)
        take(dt.datetime.now(dt.UTC))
    assert Message.objects.count() == 1

    SignUp.objects.update(received_at=dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
    enter(club)
    take(dt.datetime.now(dt.UTC))
    assert Message.objects.count() == 2


# --- limits


def test_an_address_is_written_to_a_few_times_a_day_and_nobody_sees_the_limit(club: ContactList, settings) -> None:
    settings.SUBSCRIBE_PER_ADDRESS = 2

    answers = [enter(club, email=email) for email in (ANN, "Ann@Example.COM", ANN)]

    assert len({answer.content for answer in answers}) == 1
    assert SignUp.objects.count() == 2


def test_a_network_that_sends_too_many_is_told_to_wait_and_another_is_not(club: ContactList, settings) -> None:
    settings.SUBSCRIBE_PER_NETWORK = 2

    def post(address: str, **extra: str) -> Any:
        return Client().post("/subscribe", embedded(club, email="ann@example.com"), REMOTE_ADDR=address, **extra)

    first = [post(address).status_code for address in ("203.0.113.1", "203.0.113.2", "203.0.113.3", "198.51.100.1")]
    refused = post("203.0.113.250", HTTP_X_FORWARDED_FOR="192.0.2.1")  # Anybody can write that.

    assert first == [200, 200, 429, 200]
    assert refused.status_code == 429
    assert refused["Retry-After"] == "3600"
    assert EN.too_many in refused.content.decode()
    # Hashes: of nothing but hexadecimal digits, and none of them the address written in such.
    keys = RequestCount.objects.values_list("key", flat=True)
    assert keys
    assert all(re.fullmatch(r"[0-9a-f]{32,}", key) and b"203.0.113".hex() not in key for key in keys)


def test_behind_a_trusted_proxy_the_visitor_is_whom_the_proxy_saw(club: ContactList, settings) -> None:
    settings.TRUST_PROXY = True

    Client().post("/subscribe", embedded(club), REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="192.0.2.66, 203.0.113.9")

    assert SignUp.objects.get().network == "203.0.113.0/24"


# --- afterwards


def test_what_was_never_confirmed_is_forgotten_with_who_is_known_by_it_alone(
    club: ContactList, shop: ContactList
) -> None:
    known(shop)
    for email in (ANN, "new@example.com", "twice@example.com", "yes@example.com"):
        sign_up(club, email=email)
    Client().post(link_of(SignUp.objects.get(email="yes@example.com")))
    SignUp.objects.update(received_at=NOW)
    sign_up(club, email="twice@example.com")
    later = NOW + dt.timedelta(days=settings.CONFIRM_DAYS + 1, seconds=1)
    SignUp.objects.filter(email="twice@example.com").exclude(received_at=NOW).update(received_at=later)

    subscribe.delete_expired(later)

    assert [entry.email for entry in SignUp.objects.all()] == ["twice@example.com"]
    assert set(Contact.objects.values_list("email", flat=True)) == {ANN, "twice@example.com", "yes@example.com"}
