"""Databases that are dumped and restored for real, in mid-campaign: nobody gets anything twice.

The long form, with workers that run, is one of ``make faults``.
"""

import contextlib
import re
import shutil
import sqlite3
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from delivery import identity
from delivery.models import Mailing, Message, WorkerSeen
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.children import in_child
from tests.harness.workers import Worker, database_url
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 30


class Database:
    """A database beside the test's own, and the folder of the machine that works with it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        # The keys go with a database, as the documentation tells.
        keys = {name: getattr(settings, name) for name in ("TOKEN_KEYS", "FIELD_ENCRYPTION_KEYS")}
        return {
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder),
            "SECRET_KEY": settings.SECRET_KEY,
            **{name: ",".join(values) for name, values in keys.items()},
        }

    def manage(self, *arguments: str) -> str:
        """Run a command of the product on it, in a process that has just begun, and return what it says."""
        return self._in_process(lambda: call_command(*arguments))

    def drain(self) -> int:
        return int(self._in_process(lambda: print(run_drain(20))))

    def statuses(self) -> Counter[str]:
        return Counter(self._in_process(lambda: print(*Message.objects.values_list("status", flat=True))).split())

    def senders(self) -> str:
        return self._in_process(lambda: print(*WorkerSeen.objects.values_list("name", flat=True)))

    def _in_process(self, act: Callable[[], object]) -> str:
        def on_this_database() -> None:
            path, name = self.url.removeprefix("sqlite:///"), self.url.rpartition("/")[2]
            connection.settings_dict["NAME"] = path if is_sqlite(self.url) else name
            settings.DATA_DIR, settings.LEASE_SECONDS = self.folder, 1
            identity._process = identity._Process()
            act()

        return in_child(on_this_database)


def is_sqlite(url: str) -> bool:
    return url.startswith("sqlite:")


def dump(url: str, to: Path) -> None:
    """Dump a database in use, as an administrator does it."""
    if is_sqlite(url):
        with (
            contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source,
            contextlib.closing(sqlite3.connect(to)) as target,
        ):
            source.backup(target)
        return
    subprocess.run(["pg_dump", "--clean", "--if-exists", "--file", to, url], check=True)


def restore(dumped: Path, url: str) -> None:
    """Restore a dump into a database that is there, empty or not."""
    if is_sqlite(url):
        path = Path(url.removeprefix("sqlite:///"))
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        # Over what is there: the file keeps its number.
        with dumped.open("rb") as source, path.open("r+b" if path.exists() else "wb") as target:
            shutil.copyfileobj(source, target)
            target.truncate()
        return
    subprocess.run(
        ["psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dumped, url], check=True, stdout=subprocess.DEVNULL
    )


Make = Callable[[Path], Database]


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Make]:
    """Make a new database of a dump, on another machine as it were."""
    made: list[str] = []

    def make(dumped: Path) -> Database:
        name = f"restored_{uuid.uuid4().hex[:8]}"
        folder = tmp_path / name
        if connection.vendor == "sqlite":
            database = Database(f"sqlite:///{folder / 'brilliance.sqlite3'}", folder)
        else:
            server = database_url().rpartition("/")[0]
            database = Database(f"{server}/{name}", folder)
            subprocess.run(["psql", "--quiet", "-c", f"CREATE DATABASE {name}", f"{server}/postgres"], check=True)
            made.append(name)
        restore(dumped, database.url)
        return database

    yield make
    for name in made:
        server = database_url().rpartition("/")[0]
        subprocess.run(
            ["psql", "--quiet", "-c", f"DROP DATABASE {name} WITH (FORCE)", f"{server}/postgres"], check=True
        )


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with running_peer(tmp_path / "peer") as peer:
        yield peer


@pytest.fixture
def dumped(peer: Peer, tmp_path: Path) -> Path:
    """A dump of the test's database when some of a campaign has been sent; then the original finishes."""
    identity.check(timezone.now())
    make_server(peer.port, max_connections=1)
    mailing = make_mailing(make_list(PEOPLE))
    run_drain(until=lambda: len(peer.accepted()) >= 5)
    assert 5 <= len(peer.accepted()) < PEOPLE
    path = tmp_path / "dump"
    dump(database_url(), path)
    run_drain()
    assert Mailing.objects.get(pk=mailing.pk).finished_at is not None
    assert len(peer.accepted()) == PEOPLE
    return path


def recipients(peer: Peer) -> Counter[str]:
    return Counter(event["rcpt_to"] for event in peer.accepted())


def message_ids(peer: Peer) -> set[str]:
    return {re.search(rb"^Message-ID: (<.*>)\r$", body, re.MULTILINE)[1].decode() for _, body in peer.bodies}  # type: ignore[index]


# --- what a copy does


def test_a_dump_that_is_restored_elsewhere_sends_nothing_twice(dumped: Path, restored: Make, peer: Peer) -> None:
    copy = restored(dumped)
    sent, shown = copy.drain(), copy.manage("restored")

    assert sent == 0
    assert "This database was restored from a dump or copied" in shown
    assert "- Winter: " in shown
    assert len(peer.accepted()) == PEOPLE

    deadline = time.monotonic() + 60
    copy.manage("restored", "--may-have-sent")
    while "Nothing is held" not in copy.manage("restored"):
        assert time.monotonic() < deadline
    copy.drain()

    assert set(recipients(peer).values()) == {1}
    found = copy.statuses()
    assert sum(found.values()) == PEOPLE
    assert set(found) == {"accepted", "unconfirmed"}
    assert found["accepted"] >= 5


@pytest.mark.faults
def test_a_second_copy_of_a_message_has_the_message_id_of_the_first(dumped: Path, restored: Make, peer: Peer) -> None:
    before = message_ids(peer)
    copy = restored(dumped)

    copy.manage("restored", "--stood-still")  # Which is not true.
    copy.drain()

    assert len(peer.accepted()) > PEOPLE
    assert message_ids(peer) == before
    assert len(before) == PEOPLE


def test_a_dump_that_is_restored_in_place_is_held_too(dumped: Path, restored: Make, tmp_path: Path) -> None:
    copy = restored(dumped)
    copy.manage("restored", "--stood-still")
    later = tmp_path / "later"
    dump(copy.url, later)
    assert "Nothing is held" in copy.manage("restored")
    assert "Nothing is held" in copy.manage("restored")

    restore(later, copy.url)

    assert "This database was set back" in copy.manage("restored")
    assert copy.drain() == 0


@pytest.mark.faults
def test_new_machines_and_second_machines_hold_nothing(dumped: Path, restored: Make, tmp_path: Path) -> None:
    first = restored(dumped)
    first.manage("restored", "--stood-still")
    second = Database(first.url, tmp_path / "second machine")

    said = [machine.manage("restored") for machine in (first, second, first, second)]
    shutil.rmtree(first.folder / "generations")
    said.append(first.manage("restored"))

    assert all("Nothing is held" in each for each in said)


def test_a_copied_folder_is_held_and_a_moved_one_is_not(dumped: Path, restored: Make, tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the database lies in DATA_DIR with SQLite alone")
    original = restored(dumped)
    original.manage("restored", "--stood-still")
    copied, moved = tmp_path / "copied", tmp_path / "moved"
    shutil.copytree(original.folder, copied)
    original.folder.rename(moved)

    of_copy = Database(f"sqlite:///{copied / 'brilliance.sqlite3'}", copied).manage("restored")
    of_moved = Database(f"sqlite:///{moved / 'brilliance.sqlite3'}", moved).manage("restored")

    assert "restored from a dump or copied" in of_copy
    assert "Nothing is held" in of_moved


# --- with workers that run


def wait_for(is_so: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.5)


@pytest.mark.faults
def test_workers_of_a_restored_copy_wait_and_then_send_nobody_anything_twice(
    peer: Peer, restored: Make, tmp_path: Path
) -> None:
    people = 1000
    make_server(peer.port, max_connections=2)
    mailing = make_mailing(make_list(people))
    with contextlib.ExitStack() as ending:
        for worker in (
            Worker(tmp_path / "original"),
            Worker(tmp_path / "second machine", beat=False, queues="deliver", name="second"),
        ):
            ending.callback(worker.kill)
        wait_for(lambda: len(peer.accepted()) > people // 5)
        dump(database_url(), tmp_path / "dump")
        wait_for(lambda: len(peer.accepted()) == people)
        wait_for(lambda: Message.objects.filter(mailing=mailing, status="accepted").count() == people)

    copy = restored(tmp_path / "dump")
    broker = {} if settings.BROKER_URL.startswith("redis") else {"BROKER_URL": "brilliance-fs://localhost"}
    worker = Worker(copy.folder, name="copy", **(copy.environment | broker))
    try:
        wait_for(lambda: "errands" in copy.senders())
        began = time.monotonic()
        wait_for(lambda: time.monotonic() > began + 15)
        assert len(peer.accepted()) == people
        copy.manage("restored", "--may-have-sent")
        wait_for(lambda: "Nothing is held" in copy.manage("restored"))
        wait_for(lambda: set(copy.statuses()) == {"accepted", "unconfirmed"})
    finally:
        worker.kill()

    assert set(recipients(peer).values()) == {1}
    assert len(recipients(peer)) == people
