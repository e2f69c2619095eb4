"""Processes that are killed, doubled, or cut off from broker or database: nothing is lost, all goes on by itself."""

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery import current_app
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from campaigns.lifecycle import states as campaign_queueing
from campaigns.models import Campaign
from contacts.models import ConsentEvent, Subscription, Suppression
from delivery.content.tokens import unsubscribe_url
from delivery.models import Mailing, Message
from delivery.tasks import deliver
from feedback.models import Feedback, RelayedUnsubscribe
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.judge import judge_account, verify
from tests.harness.services import default_database, running_postgres, running_redis
from tests.harness.workers import Worker
from tests.peers.conversation import Script, late
from tests.peers.misbehaving import at
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def slowly(seconds: float = 0.03) -> Script:
    """So that there is a middle in which something can happen."""
    return at("dot", late(seconds, b"250 2.0.0 queued"))


def wait_for(is_so: Callable[[], bool], worker: Worker | None = None, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:] if worker else "it took too long"
        time.sleep(0.05)


def accepted(peer: Peer, number: int) -> Callable[[], bool]:
    return lambda: len(peer.accepted()) >= number


def are_finished(*mailings: Mailing) -> Callable[[], bool]:
    keys = [mailing.pk for mailing in mailings]
    return lambda: not Mailing.objects.filter(pk__in=keys, finished_at=None).exists()


@pytest.fixture
def running() -> Iterator[Callable[..., Worker]]:
    """Start workers that are stopped after the test."""
    with ExitStack() as stack:

        def start(*arguments: Any, **options: Any) -> Worker:
            worker = Worker(*arguments, **options)
            stack.callback(lambda: worker.is_running and worker.stop())
            return worker

        yield start


def hint(data_dir: Path, times: int) -> None:
    """Put the same hint into the queue so often, as a broker does that delivers it again."""
    options = {"folder": str(data_dir / "broker")} if settings.BROKER_URL.startswith("brilliance-fs") else {}
    with current_app.connection_for_write(transport_options=options) as broker:
        for _ in range(times):
            deliver.apply_async(connection=broker, task_id="the-same", queue="deliver")


def test_two_clocks_ten_hints_and_two_workers_send_each_message_once(
    tmp_path: Path, running: Callable[..., Worker]
) -> None:
    """The clock is killed with its worker, too, and all workers together try a refused password three times at most."""
    with (
        running_peer(tmp_path / "strict", accounts={"ann": "pencil"}) as strict,
        running_peer(tmp_path / "peer", slowly()) as peer,
    ):
        wrong = make_server(strict.port, "Strict", username="ann", password="PENCIL", display_order=1)
        server = make_server(peer.port, "Alpha", display_order=2)
        campaign = Campaign.objects.create(name="Winter", subject="Winter sale", text="Snow.")
        campaign.lists.set([make_list(300)])
        assert campaign_queueing.queue_campaign(campaign.pk, User.objects.create_user("ann"), timezone.now()) == []
        hint(tmp_path / "data", 10)
        keys = ",".join(settings.FIELD_ENCRYPTION_KEYS)
        workers = [running(tmp_path / "data", name=name, FIELD_ENCRYPTION_KEYS=keys) for name in ("first", "second")]

        wait_for(accepted(peer, 60), workers[0])
        workers[0].kill()
        wait_for(lambda: Mailing.objects.filter(finished_at__isnull=False).exists(), workers[1])

        mailing = Mailing.objects.get()  # One, though two clocks rang for it.
        statuses = verify(mailing.pk, 300, [(wrong, strict), (server, peer)])
        assert statuses["accepted"] + statuses["unconfirmed"] == 300
        assert statuses["unconfirmed"] <= server.max_connections * 2
        assert 1 <= len(strict.journal.events("auth")) <= 3


@pytest.mark.services
def test_a_broker_that_is_killed_emptied_and_frozen_loses_nothing(
    tmp_path: Path, running: Callable[..., Worker]
) -> None:
    with running_redis(tmp_path / "redis") as broker, running_peer(tmp_path, slowly(0.02)) as peer:
        server = make_server(peer.port, max_connections=1)
        first = make_mailing(make_list(250, "First"))
        worker = running(tmp_path / "data", BROKER_URL=broker.url, DRAIN_SECONDS="1")

        wait_for(accepted(peer, 20), worker)
        broker.kill()
        time.sleep(1.5)  # Longer than a drain: everybody notices.
        broker.start()  # An empty one.
        before = len(peer.accepted())
        wait_for(accepted(peer, before + 20), worker)
        broker.flush()
        for _ in range(3):
            broker.freeze()
            time.sleep(0.5)
            broker.thaw()
        wait_for(are_finished(first), worker)
        second = make_mailing(make_list(20, "Second"))  # The workers are not deaf.
        wait_for(are_finished(second), worker)

        account = judge_account([first.pk, second.pk], 270, [(server, peer.journal.events())])
        assert account.problems == {}
        assert account.statuses == {"accepted": 270}
        assert worker.is_running


@pytest.mark.services
def test_nothing_is_sent_while_postgresql_is_down_and_it_goes_on_afterwards(
    tmp_path: Path, running: Callable[..., Worker]
) -> None:
    with running_postgres() as cluster, running_peer(tmp_path, slowly(0.02)) as peer:
        own = {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "brilliance",
            "PASSWORD": "",
            "HOST": "127.0.0.1",
            "PORT": str(cluster.port),
        }
        with default_database(own):
            call_command("migrate", verbosity=0)
            server = make_server(peer.port, max_connections=2)
            mailing = make_mailing(make_list(400))
            worker = running(tmp_path / "data")

            wait_for(accepted(peer, 60), worker)
            cluster.kill()
            killed_at = time.time()
            wait_for(lambda: time.time() > killed_at + 4)
            restarted_at = time.time()
            cluster.start()
            connection.close()
            wait_for(are_finished(mailing), worker)

            down = [e for e in peer.journal.events("mail") if killed_at + 1.5 < e["at"] < restarted_at]
            assert down == [], "what was on its way ends; nothing new begins"
            statuses = verify(mailing.pk, 400, [(server, peer)])
            assert statuses["accepted"] + statuses["unconfirmed"] == 400
            assert worker.is_running


def test_a_new_column_in_the_middle_of_a_campaign_disturbs_nobody(tmp_path: Path) -> None:
    """A deploy: the schema is new already, and the worker is still the old one."""
    changed: list[str] = []

    def change(event: str, context: dict[str, Any]) -> None:
        if event == "dot" and len(peer.accepted()) >= 30 and not changed:  # In this order: reading takes a while.
            changed.append("yes")
            try:
                with connection.cursor() as cursor:
                    for table in ("delivery_message", "delivery_attempt", "smtpservers_smtpserver"):
                        cursor.execute(f"ALTER TABLE {table} ADD COLUMN later varchar(10) NULL")
                        cursor.execute(f"ALTER TABLE {table} ADD COLUMN sooner integer NOT NULL DEFAULT 7")
            finally:
                connection.close()  # This thread's own.

    with running_peer(tmp_path, change) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(200))
        try:
            run_drain()
            statuses = verify(mailing.pk, 200, [(server, peer)])
            late_mailing = make_mailing(make_list(10, "Late"))
            run_drain()
        finally:
            with connection.cursor() as cursor:
                for table in ("delivery_message", "delivery_attempt", "smtpservers_smtpserver") if changed else ():
                    cursor.execute(f"ALTER TABLE {table} DROP COLUMN later")
                    cursor.execute(f"ALTER TABLE {table} DROP COLUMN sooner")

        assert changed
        assert statuses == {"accepted": 200}
        assert late_mailing.messages.filter(status="accepted").count() == 10


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_campaign_that_is_killed_at_any_statement_of_its_start_starts_once() -> None:
    actor = User.objects.create_user("ann")
    make_server(25)
    audience = make_list(3)
    were_killed = 0
    for number in range(1, 400, 2):
        campaign = Campaign.objects.create(name=f"Winter {number}", subject="Winter sale", text="Snow.")
        campaign.lists.set([audience])
        connection.close()
        child = os.fork()
        if child == 0:
            _die_at(number, lambda campaign_id=campaign.pk: _start(campaign_id, actor))
        _, how = os.waitpid(child, 0)
        campaign.refresh_from_db()
        assert (campaign.queued_by is None) == (campaign.status == "draft"), "the click is done, or it is not"
        if campaign.status == "draft":
            assert campaign_queueing.queue_campaign(campaign.pk, actor, timezone.now()) == []
        campaign_queueing.start_due_campaigns(timezone.now() + dt.timedelta(minutes=1))  # The dead hold nothing now.

        campaign.refresh_from_db()
        assert campaign.status == "sending"
        assert Mailing.objects.filter(state="open", is_snapshotted=True).get().pk == campaign.mailing_id
        assert Message.objects.filter(mailing=campaign.mailing_id, status="queued").count() == 3
        assert Message.objects.exclude(mailing=campaign.mailing_id).count() == 0
        campaign.delete()
        Mailing.objects.all().delete()
        if not os.WIFSIGNALED(how):
            break
        were_killed += 1

    assert were_killed > 5
    assert not os.WIFSIGNALED(how), "the last one came through"


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("scope", ["list", "all"])
def test_an_unsubscription_that_is_killed_at_any_statement_is_done_or_not_begun(scope: str) -> None:
    server = make_server(25, unsubscribe_url="https://shop.example/{token}", relays_unsubscribes=True)
    audience = make_list(1)
    message = make_mailing(audience).messages.get()
    Message.objects.update(server=server)
    address = urlsplit(unsubscribe_url(message.pk)).path
    were_killed = 0
    for number in range(1, 100):
        connection.close()
        child = os.fork()
        if child == 0:
            _die_at(number, lambda: Client().post(address, {"scope": scope}))
        _, how = os.waitpid(child, 0)
        is_out = Subscription.objects.get().status == "unsubscribed"
        is_counted = Feedback.objects.filter(message=message).exists()
        is_told = ConsentEvent.objects.filter(status="unsubscribed").exists()
        is_suppressed = Suppression.objects.exists()
        assert is_out == is_counted == is_told == RelayedUnsubscribe.objects.exists()
        assert is_suppressed == (is_counted and scope == "all")

        assert Client().post(address, {"scope": scope}).status_code == 200
        assert Subscription.objects.get().status == "unsubscribed"
        assert Feedback.objects.filter(message=message).count() == RelayedUnsubscribe.objects.count() == 1
        if not os.WIFSIGNALED(how):
            break
        were_killed += 1
        Feedback.objects.all().delete()
        Suppression.objects.all().delete()
        ConsentEvent.objects.all().delete()
        Subscription.objects.update(status="subscribed")

    assert were_killed > 5
    assert not os.WIFSIGNALED(how), "the last one came through"


def _start(campaign_id: int, actor: User) -> None:
    campaign_queueing.queue_campaign(campaign_id, actor, timezone.now())
    campaign_queueing.start_due_campaigns(timezone.now())


def _die_at(number: int, act: Callable[[], object]) -> None:
    """In a child: act, and be killed before the statement of that number."""
    statements = 0

    def kill(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal statements
        statements += 1
        if statements == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(kill):
            act()
    finally:
        os._exit(0)
