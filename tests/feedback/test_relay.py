"""Unsubscribes passed on to a page of somebody's own: once each, again after a failure or a death, not for ever."""

import datetime as dt
import html
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone

from adminpages.instants import stamp
from contacts.models import Contact, ContactList, Subscription
from contacts.privacy import erasure
from delivery.content.tokens import preferences_url, unsubscribe_url
from delivery.models import Incident, Mailing, Message
from delivery.operators import notices
from delivery.records.erasure import KEY
from feedback import relay, tasks
from feedback.models import Feedback, RelayedUnsubscribe
from smtpservers import one_click
from smtpservers.models import SmtpServer
from smtpservers.one_click_probe import probe_server
from tests.peers.unsubscribe_page import OK, TRUSTING, Page, page
from tests.publicpages.conftest import stamp_on

pytestmark = pytest.mark.django_db(transaction=True)

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
QUERY = "t={token}&e={email}&c={campaign}&l={list}"
DAY = dt.timedelta(days=1)


@pytest.fixture
def theirs() -> Iterator[Page]:
    with page(OK) as running:
        yield running


@pytest.fixture
def server(theirs: Page) -> SmtpServer:
    url = theirs.url.partition("?")[0] + "?" + QUERY
    return SmtpServer.objects.create(
        name="Alpha",
        host="smtp.shop.example",
        mail_from="news@shop.example",
        mail_to="ops@shop.example",
        unsubscribe_url=url,
        relays_unsubscribes=True,
    )


def message_to(name: str, server: SmtpServer | None, **mailing: Any) -> Message:
    """Return a campaign's message that the server took, to a new person on the list."""
    news, _ = ContactList.objects.get_or_create(name="News")
    email = f"{name}+news@customer.example"
    contact = Contact.objects.create(email=email)
    Subscription.objects.create(contact=contact, list=news)
    values = {"stream": "campaign", "name": "Winter sale", "slug": "winter sale", "subject": "Sale"}
    sent = Mailing.objects.create(**(values | {"is_snapshotted": True} | mailing))
    sent.lists.set([news])
    return Message.objects.create(
        mailing=sent, contact=contact, email=email, email_key=email, status="accepted", server=server
    )


@pytest.fixture
def message(server: SmtpServer) -> Message:
    return message_to("ann", server)


def path(url: str) -> str:
    return url.removeprefix(settings.BASE_URL)


def leave(message: Message, **body: str) -> None:
    page = path(unsubscribe_url(message.pk))
    sent = {**stamp_on(page), **body} if body else ONE_CLICK
    assert Client().post(page, sent).status_code == 200


def call(now: dt.datetime | None = None, seconds: float = 5.0) -> int:
    """Call as a worker does, at this time."""
    return relay.call_due(lambda: now or timezone.now(), TRUSTING, seconds)


def only() -> RelayedUnsubscribe:
    return RelayedUnsubscribe.objects.get()


# --- what is told


@pytest.mark.parametrize("body", [ONE_CLICK, {"scope": "list"}, {"scope": "all"}])
def test_a_recorded_unsubscribe_is_passed_on_afterwards_with_every_token_filled_in(
    theirs: Page, server: SmtpServer, message: Message, body: dict[str, str]
) -> None:
    leave(message, **body)
    assert theirs.connections == 0  # Nobody waits for it.
    assert only().state == "waiting"

    assert call() == 1

    [request] = theirs.asked
    token = unsubscribe_url(message.pk).rpartition("/")[2]
    news = ContactList.objects.get().pk
    line = f"POST /leave?t={token}&e=ann%2Bnews%40customer.example&c=winter%20sale&l={news} HTTP/1.1"
    assert request.decode().splitlines()[0] == line
    assert request.endswith(b"\r\n\r\nList-Unsubscribe=One-Click")
    told = only()
    assert (told.state, told.due_at, told.answer) == ("passed on", None, "localhost answered 200.")
    assert (told.feedback.message, told.server) == (message, server)
    server.refresh_from_db()
    assert server.takes_one_click
    assert call() == 0
    assert len(theirs.asked) == 1


def test_a_list_left_on_the_page_of_settings_is_passed_on_too(theirs: Page, message: Message) -> None:
    body = {"do": "save", "shown": [str(ContactList.objects.get().pk)]}

    assert Client().post(path(preferences_url(message.pk)), body).status_code == 303

    assert Feedback.objects.get().channel == "preferences"
    assert call() == 1


def test_repeated_clicks_make_one_record_and_one_call(theirs: Page, message: Message) -> None:
    for _ in range(3):
        leave(message)
    assert call() == 1

    for _ in range(3):
        leave(message)
        leave(message, scope="list")

    assert call() == 0
    assert RelayedUnsubscribe.objects.count() == len(theirs.asked) == 1


def test_who_takes_it_back_and_leaves_again_is_passed_on_again(theirs: Page, message: Message) -> None:
    leave(message)
    call()
    leave(message, scope="undo")
    assert only().state == "passed on"  # Their page is not told of it.

    leave(message)

    assert call() == 1
    assert RelayedUnsubscribe.objects.count() == 1
    assert len(theirs.asked) == 2


def test_what_is_taken_back_before_the_call_is_not_told(theirs: Page, message: Message) -> None:
    leave(message)
    leave(message, scope="undo")

    assert call() == 0
    assert theirs.connections == 0
    assert not RelayedUnsubscribe.objects.exists()


@pytest.mark.parametrize("kind", ["off", "no server", "test", "copy"])
def test_nothing_is_told_where_there_is_nobody_to_tell(
    theirs: Page, server: SmtpServer, message: Message, kind: str
) -> None:
    if kind == "off":
        SmtpServer.objects.update(relays_unsubscribes=False)
    elif kind == "no server":
        message = message_to("bob", None)
    elif kind == "test":
        message = message_to("bob", server, stream="test")
    else:
        boss = "boss@shop.example"
        message = Message.objects.create(
            mailing=message.mailing, email=boss, email_key=boss, copy_of=message, server=server
        )

    leave(message)

    assert call() == 0
    assert theirs.connections == 0
    assert Feedback.objects.exists() == (kind in ("off", "no server"))


# --- what becomes of a call


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/login\r\n\r\n", "a redirect (302)"),
        (b"HTTP/1.1 500 secret words\r\n\r\nsecret words", "answered 500 to a click"),
        (b"HTTP/1.1 200 OK\r\n\r\n<input type=password>", "asks for a password"),
        (b"secret words\r\n\r\n", "something that is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nX-Endless: " + b"secret words " * 20_000, "ended the connection without an answer"),
        (b"\x00\xff" * 100_000, "ended the connection without an answer"),
        (b"", "ended the connection without an answer"),
    ],
)
def test_any_other_answer_is_kept_as_a_sentence_and_tried_again(
    server: SmtpServer, theirs: Page, message: Message, answer: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    theirs.answer = answer
    leave(message)
    now = timezone.now()

    assert call(now) == 0

    told = only()
    assert told.state == "waiting"
    assert why in told.answer
    assert "secret words" not in told.answer
    assert told.due_at == now + settings.RETRY_WAITS[0]
    assert theirs.connections == 1
    assert call(now + settings.RETRY_WAITS[0] / 2) == 0
    assert theirs.connections == 1

    theirs.answer = OK
    assert call(told.due_at) == 1
    assert only().state == "passed on"
    assert "customer" not in caplog.text
    assert unsubscribe_url(message.pk).rpartition("/")[2] not in caplog.text


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nslow"])
def test_a_page_that_never_finishes_is_left_after_its_time(server: SmtpServer, message: Message, answer: bytes) -> None:
    with page(answer, holds_open=True) as slow:
        SmtpServer.objects.update(unsubscribe_url=slow.url)
        leave(message)

        assert call(seconds=0.5) == 0

    assert only().answer == "localhost did not answer within 0.5 seconds. Check host and port, or try again later."


def test_an_address_of_a_private_network_is_not_even_connected_to(
    theirs: Page, message: Message, settings: LazySettings
) -> None:
    settings.IS_LOOPBACK = False  # As on every site but the demo.
    leave(message)

    assert call() == 0

    assert only().answer == "localhost is in a private network, and only public hosts are called. Enter a public host."
    assert theirs.connections == 0


def test_a_silent_page_holds_up_nobody_elses(server: SmtpServer, theirs: Page) -> None:
    with page(b"", holds_open=True) as silent:
        dead = SmtpServer.objects.create(
            name="Beta",
            host="smtp.shop.example",
            mail_from="news@shop.example",
            unsubscribe_url=silent.url,
            relays_unsubscribes=True,
        )
        for number in range(12):
            leave(message_to(f"beta{number}", dead))
        leave(message_to("ann", server))

        assert call(seconds=0.5) == 1

        called = RelayedUnsubscribe.objects.filter(server=dead, attempts=1)
        assert called.count() == relay.AT_ONCE
        assert call(seconds=0.5) == 0
        assert called.count() == 12


def test_it_is_tried_for_at_least_three_days_and_then_given_up_where_people_see_it(
    server: SmtpServer, theirs: Page, message: Message, client: Client
) -> None:
    theirs.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    leave(message)
    began = now = timezone.now() + 2 * DAY  # Nothing ran for two days: they do not count.
    call(now)
    waits = []
    while (due_at := only().due_at) is not None:
        assert len(waits) < 40, "it never ends"
        assert only().state == "waiting"
        waits.append(due_at - now)
        now = due_at
        call(now)

    told = only()
    assert told.state == "given up"
    assert now - began >= 3 * DAY
    assert waits[:5] == list(settings.RETRY_WAITS)
    assert set(waits[5:]) == {settings.RETRY_WAITS[-1]}
    assert theirs.connections == told.attempts == len(waits) + 1
    assert call(now + 30 * DAY) == 0

    incident = Incident.objects.get()
    assert "within 3 days: localhost answered 503 to a click" in incident.reason
    assert "customer.example" not in incident.reason
    assert notices.notice_incidents(now) == 1
    client.force_login(User.objects.create_superuser("boss"))
    listed = client.get("/admin/feedback/feedback/?passed_on=given+up").content.decode()
    assert "ann+news@customer.example" in listed
    assert "Given up: localhost answered 503" in listed
    assert "ann+news@" not in client.get("/admin/feedback/feedback/?passed_on=waiting").content.decode()
    person = client.get(f"/admin/contacts/contact/{message.contact_id}/change/").content.decode()
    assert "Not passed on to your own page:" in person
    form = client.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()
    assert "1 unsubscribe couldn't be passed on to your own page for three days and was given up." in form
    assert "Last answer: localhost answered 503" in form


# --- what people see of it

HOME, SERVERS, FEEDBACK = "/admin/", "/admin/smtpservers/smtpserver/", "/admin/feedback/feedback/"
WAITS = "2 unsubscribes couldn't be passed on to your own page yet."


def seen(path: str, role: str = "") -> str:
    """Return the words of a page as a person with this role, or everything, sees it."""
    client, name = Client(), role or "boss"
    user, is_new = User.objects.get_or_create(username=name, defaults={"is_staff": True, "is_superuser": not role})
    if is_new and role:
        user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    return " ".join(html.unescape(client.get(path).content.decode()).split())


def one_page_down(theirs: Page, server: SmtpServer) -> None:
    theirs.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    for name in ("ann", "bob"):
        leave(message_to(name, server))
    call()


def test_while_calls_wait_after_failures_home_the_list_and_the_server_warn(theirs: Page, server: SmtpServer) -> None:
    form = f"{SERVERS}{server.pk}/change/"
    leave(message_to("cid", server))
    assert "couldn't be passed on" not in seen(HOME) + seen(SERVERS) + seen(form)  # It is merely not called yet.
    call()
    one_page_down(theirs, server)

    assert f"<strong>Alpha:</strong> {WAITS}" in seen(SERVERS)
    assert f'<a href="{form}">Open server</a>' in seen(SERVERS)
    assert f"</strong> · {WAITS}" in seen(HOME)
    assert f'<strong><a href="{form}">Alpha</a></strong>' in seen(HOME)
    for where in (HOME, SERVERS):
        assert f'href="{FEEDBACK}?passed_on=waiting"' in seen(where)
    assert WAITS in seen(form)
    assert "Last answer: localhost answered 503" in seen(form)
    assert "dash-note-warn" in seen(form)

    theirs.answer = OK
    assert call(timezone.now() + DAY) == 2
    assert "couldn't be passed on" not in seen(HOME) + seen(SERVERS) + seen(form)


def test_a_failed_test_call_is_told_apart_from_lost_unsubscribes(theirs: Page, server: SmtpServer) -> None:
    form = f"{SERVERS}{server.pk}/change/"
    theirs.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    probe_server(server.pk, timezone.now(), TRUSTING)

    assert "No unsubscribe was lost." in seen(form)
    assert "couldn't be passed on" not in seen(form) + seen(HOME)

    theirs.answer = OK
    leave(message_to("cid", server))
    call()
    one_page_down(theirs, server)

    assert "The last test call succeeded on" in seen(form)
    assert "none was lost" not in seen(form)


def test_the_warning_tells_a_role_no_more_than_it_may_see(theirs: Page, server: SmtpServer) -> None:
    one_page_down(theirs, server)

    for role in ("marketer", "viewer"):
        for where in (HOME, SERVERS):
            words = seen(where, role)
            assert WAITS in words
            assert "503" not in words
            assert "Open server" not in words
            assert ("passed_on=waiting" in words) is (role == "marketer")
    assert "Open server" in seen(HOME, "ops")
    assert "passed_on=waiting" not in seen(HOME, "ops")


def give_up(theirs: Page, server: SmtpServer) -> RelayedUnsubscribe:
    """Have the page of ann's unsubscribe take no call until it is given up."""
    theirs.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    leave(message_to("ann", server))
    began = timezone.now() - 4 * DAY
    RelayedUnsubscribe.objects.update(due_at=began)
    call(began)
    call()
    assert only().state == "given up"
    return only()


def test_an_opened_row_shows_the_date_the_undo_the_state_and_the_next_try(theirs: Page, server: SmtpServer) -> None:
    theirs.answer = b"HTTP/1.1 503 Later\r\n\r\n"
    leave(message_to("ann", server))
    call()
    told = only()
    person = f"/admin/contacts/contact/{told.feedback.message.contact_id}/change/"  # type: ignore[union-attr]
    Feedback.objects.update(undone_at=dt.datetime(2026, 11, 3, 12, tzinfo=dt.UTC))

    row = seen(f"{FEEDBACK}{told.feedback_id}/change/")

    for label in ("Date", "Undone", "Passed on", "Last call", "Next try", "Scope", "Comment"):
        assert f"> {label}" in row or f">{label}" in row, label
    assert "Not yet: localhost answered 503" in row
    assert stamp(told.due_at) in row
    assert "/try-again/" not in row
    assert f"Next try: {stamp(told.due_at)}." in seen(person)


@pytest.mark.parametrize("in_list", [False, True])
def test_a_given_up_call_is_made_again_and_the_history_says_who_wanted_it(
    theirs: Page, server: SmtpServer, in_list: bool
) -> None:
    told = give_up(theirs, server)
    row = f"{FEEDBACK}{told.feedback_id}/change/"
    assert "Try again</button>" in seen(row, "marketer").replace(" </button>", "</button>")
    client = Client()
    client.force_login(User.objects.get(username="marketer"))

    if in_list:
        answer = client.post(FEEDBACK, {"action": "try_again", "_selected_action": told.feedback_id}, follow=True)
    else:
        answer = client.post(f"{FEEDBACK}{told.feedback_id}/try-again/", follow=True)

    assert "1 unsubscribe queued to be passed on." in answer.content.decode()
    assert (only().state, only().attempts, only().first_called_at) == ("waiting", 0, None)
    assert "Queued to be passed on again." in seen(f"{FEEDBACK}{told.feedback_id}/history/", "marketer")
    call()
    assert only().state == "waiting"  # It has three days again.
    theirs.answer = OK
    assert call(timezone.now() + DAY) == 1


@pytest.mark.parametrize("case", ["no page", "passed on", "erased", "taken back"])
def test_what_nobody_can_pass_on_is_not_tried_again(theirs: Page, server: SmtpServer, case: str) -> None:
    told = give_up(theirs, server)
    if case == "no page":
        SmtpServer.objects.update(unsubscribe_url="")
    elif case == "passed on":
        RelayedUnsubscribe.objects.update(state="passed on")
    elif case == "taken back":
        Feedback.objects.update(undone_at=timezone.now())
    else:
        message = told.feedback.message
        assert message is not None
        Message.objects.filter(pk=message.pk).update(contact=None, email="erased", email_key=f"{KEY}1")
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))

    answer = client.post(f"{FEEDBACK}{told.feedback_id}/try-again/", follow=True)

    assert "Only unsubscribes that were given up can be passed on again" in answer.content.decode()
    assert only().due_at is None
    assert not LogEntry.objects.filter(action_flag=2).exists()


def test_who_may_only_look_cannot_try_again(theirs: Page, server: SmtpServer) -> None:
    told = give_up(theirs, server)
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_feedback"))
    client = Client()
    client.force_login(looker)

    assert "Ask an administrator to try again." in client.get(f"{FEEDBACK}{told.feedback_id}/change/").content.decode()
    assert client.post(f"{FEEDBACK}{told.feedback_id}/try-again/").status_code == 403
    client.post(FEEDBACK, {"action": "try_again", "_selected_action": told.feedback_id})
    assert only().state == "given up"


def test_the_list_names_its_columns_and_filters_in_words(theirs: Page, server: SmtpServer) -> None:
    leave(message_to("ann", server))

    page = seen(FEEDBACK)

    for words in ("Scope", "Lists of the mailing", "By scope", "By reason", "None given", "By date"):
        assert words in page
    for words in ("Is global", "By is global", "By cause", "Received at"):
        assert words not in page


def test_a_corrected_address_is_called_and_a_removed_one_is_given_up(server: SmtpServer, message: Message) -> None:
    SmtpServer.objects.update(unsubscribe_url="https://no-such-host.invalid/{token}")
    leave(message)
    call()
    assert only().answer == "There is no address for no-such-host.invalid. Check its spelling, or its record in DNS."

    with page(OK) as right:
        SmtpServer.objects.update(unsubscribe_url=right.url)
        assert call(timezone.now() + DAY) == 1

    leave(message_to("bob", server))
    server.delete()
    call()
    call(timezone.now() + 4 * DAY)
    gone = RelayedUnsubscribe.objects.get(server=None, state="given up")
    assert gone.answer == relay.NO_PAGE


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_worker_killed_after_the_call_and_before_its_record_has_it_made_again(theirs: Page, message: Message) -> None:
    leave(message)
    connection.close()
    child = os.fork()
    if child == 0:
        # The page kills the process that called it, with the whole request in its hands.
        call()
        os._exit(0)
    theirs.on_request = lambda: os.kill(child, signal.SIGKILL)
    _, how = os.waitpid(child, 0)
    theirs.on_request = lambda: None
    assert os.WIFSIGNALED(how)
    assert len(theirs.asked) == 1
    assert only().state == "waiting"

    assert call() == 0  # The dead one may still be at it, for all anybody knows.
    assert call(timezone.now() + relay.CLAIMED_FOR) == 1

    assert theirs.asked[0] == theirs.asked[1]
    assert only().state == "passed on"


def test_two_workers_that_found_the_same_row_make_one_call(theirs: Page, message: Message) -> None:
    leave(message)
    others: list[int] = []

    def other_worker() -> None:
        others.append(call())
        connection.close()  # Of its thread.

    def before_the_claim(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and not others:
            thread = threading.Thread(target=other_worker)
            thread.start()
            thread.join(20)
        return execute(sql, *rest)

    with connection.execute_wrapper(before_the_claim):
        assert call() == 0

    assert others == [1]
    assert len(theirs.asked) == 1
    assert only().state == "passed on"


def test_a_page_that_takes_calls_gets_the_next_ones_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    takes = iter((10, 10, 3, 0, 7))
    monkeypatch.setattr(relay, "call_due", lambda clock: next(takes))

    tasks.relay_unsubscribes()

    assert next(takes) == 7


def test_calls_of_one_turn_end_before_the_next_turn_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would take both errands of a worker, and campaigns would not start."""
    beat = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    times = iter((100.0, 100.0, 100.0 + relay.FOR_A_WHILE))
    monkeypatch.setattr(relay.clock, "steady", lambda: next(times))
    calls: list[object] = []
    monkeypatch.setattr(relay, "call_due", lambda clock: calls.append(clock) or 10)

    tasks.relay_unsubscribes()

    assert len(calls) == 1
    assert beat["feedback.tasks.relay_unsubscribes"] > relay.FOR_A_WHILE + relay.SECONDS


def test_a_call_that_breaks_loses_no_answer_of_the_others(
    server: SmtpServer, theirs: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ann", "bob"):
        leave(message_to(name, server))
    real, broken = one_click.click, iter((True, False))

    async def click(url: str, **options: Any) -> one_click.PageAnswer:
        if next(broken):
            raise UnicodeEncodeError("ascii", url, 0, 1, "not ASCII")
        return await real(url, **options)

    monkeypatch.setattr(one_click, "click", click)

    assert call() == 1

    states = set(RelayedUnsubscribe.objects.values_list("state", "answer"))
    assert states == {
        ("passed on", "localhost answered 200."),
        ("waiting", "It could not be called; the log says why."),
    }


# --- the person's data


def test_erasing_a_person_removes_what_was_not_passed_on_and_a_copy_holds_what_was(
    server: SmtpServer, message: Message
) -> None:
    actor = User.objects.create_superuser("boss")
    assert message.contact is not None
    leave(message)
    call()
    leave(message, scope="all")
    subject = erasure.subject_of(message.contact)

    held = erasure.export(subject)["feedback"]

    assert [row["passed on"]["state"] for row in held] == ["passed on", "waiting"]
    assert held[0]["passed on"]["answer"] == "localhost answered 200."
    assert erasure.erase(subject, actor, timezone.now()).is_done
    assert only().state == "passed on"
    assert call(timezone.now() + DAY) == 0
