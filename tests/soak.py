"""The long form of the fault matrix, for as long as asked: random kills, and servers that misbehave in every way.

``make soak`` runs it: on SQLite and the embedded broker, or on what DATABASE_URL and BROKER_URL name, in a database
of its own that is removed. It sends to this machine alone, stops by itself, and leaves nothing running. The table at
the end is made from the servers' journals and the database; with anything lost, doubled or over quota it ends with 1.
"""

import argparse
import contextlib
import datetime as dt
import itertools
import json
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LEASE_SECONDS = 2  # So that a dead worker's lanes come back soon; in use it is 30.
KILL_SHARE = 0.7  # Of the minutes; the rest is for the servers that misbehave.
KILLED_CAMPAIGN = 20_000
# How far the clock of the last runs is set ahead, in minutes: past every pause and back-off.
WAITS = (0, 2, 8, 16, 31, 61, 121, 241, 241, 241, 241, 480, 480)


@dataclass
class Part:
    """One line of the table."""

    name: str
    runs: int = 0  # Campaigns.
    people: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    recoveries: list[float] = field(default_factory=list)  # Seconds from a kill to the same server's next acceptance.
    silence: float | None = None  # The longest time in seconds in which nobody accepted anything.
    problems: dict[str, Any] = field(default_factory=dict)
    lost: int = 0
    doubled: int = 0
    overrun: int = 0
    unconfirmed: int = 0
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return not self.problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="for the kills and the fleet together")
    parser.add_argument(
        "--people", type=int, default=None, help="recipients of the fleet's campaign; 100,000 in an hour"
    )
    parser.add_argument("--servers", type=int, default=100, help="servers that misbehave")
    parser.add_argument("--workers", type=int, default=3, help="Celery workers that send")
    parser.add_argument("--only", choices=["kills", "servers"], help="one part, for all of the minutes")
    parser.add_argument("--seed", type=int, default=None, help="of everything random; each run prints its own")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**6)
    people = arguments.people or max(1_000, min(100_000, int(100_000 * arguments.minutes / 60)))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Ends as Ctrl+C does: everything is stopped.
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="brilliance-soak-")))
        where = stack.enter_context(_database(folder))
        say(f"On {where}, seed {seed}, in {folder}")
        random.seed(seed)
        share = {"kills": 1.0, "servers": 0.0}.get(arguments.only, KILL_SHARE)
        kills, fleet = arguments.minutes * 60 * share, arguments.minutes * 60 * (1 - share)
        parts = []
        if kills:
            parts.append(_kills(folder / "kills", kills, arguments.workers, seed))
        if fleet:
            parts.append(_fleet(folder / "fleet", fleet, arguments.workers, people, arguments.servers, seed))
        _close_connections()
    print(table(parts))
    return 0 if all(part.is_good for part in parts) else 1


def say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


# --- a database of our own


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[str]:
    """Set the product up on an empty database that is removed afterwards, and return what to call it."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "brilliance.settings",
        "DATA_DIR": str(folder),
        "LOG_LEVEL": "ERROR",
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "DRAIN_SECONDS": "10",
        "FINAL_ANSWER_SECONDS": "2",
    }
    (folder / "static").mkdir()
    url = os.environ.get("DATABASE_URL", "")
    name = f"brilliance_soak_{os.getpid()}"
    if url.startswith("postgres"):
        import psycopg

        own = urlsplit(url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        os.environ["DATABASE_URL"] = own
    else:
        os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'soak.sqlite3'}"
    try:
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        broker = "Redis" if os.environ.get("BROKER_URL", "").startswith("redis") else "the embedded broker"
        yield f"{'PostgreSQL' if url.startswith('postgres') else 'SQLite'} and {broker}"
    finally:
        _close_connections()
        if url.startswith("postgres"):
            with psycopg.connect(url, autocommit=True) as server:
                server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _close_connections() -> None:
    from django.db import connections

    connections.close_all()


# --- the workers


class _Workers:
    """Several that send and one for errands, with the clock, as docs/install.md has them."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self.senders = [self._sender() for _ in range(number)]
        self.errands = self._errands()

    def _start(self, name: str, **options: Any) -> Any:
        from tests.harness.workers import Worker

        return Worker(
            self._folder,
            name=name,
            DATA_DIR=os.environ["DATA_DIR"],
            LEASE_SECONDS=str(LEASE_SECONDS),
            PYTHONWARNINGS="ignore",
            **options,
        )

    def _sender(self) -> Any:
        return self._start(f"deliver{next(self._numbers)}", queues="deliver", beat=False)

    def _errands(self) -> Any:
        return self._start(f"errands{next(self._numbers)}", queues="errands", beat=True)

    def kill_sender(self) -> None:
        number = random.randrange(len(self.senders))
        self.senders[number].kill()
        self.senders[number] = self._sender()

    def kill_errands(self) -> None:
        self.errands.kill()
        self.errands = self._errands()

    def kill_child(self) -> None:
        """Kill one process of a pool, or beat: whoever started it has to see to it."""
        worker = random.choice([*self.senders, self.errands])
        with contextlib.suppress(OSError, IndexError):  # It ended just now, or has no children yet.
            os.kill(random.choice(worker.children()), signal.SIGKILL)

    def kill_all(self) -> None:
        """As when the machine loses power."""
        every = [*self.senders, self.errands]
        for worker in every:
            os.killpg(worker.pid, signal.SIGKILL)
        for worker in every:
            worker.kill()
        self.senders = [self._sender() for _ in self.senders]
        self.errands = self._errands()

    def deploy(self) -> None:
        number = random.randrange(len(self.senders))
        self._stop(self.senders[number])
        self.senders[number] = self._sender()

    def freeze_sender(self) -> None:
        """Stop one for longer than its lease, and let it go on as if nothing had been."""
        worker = random.choice(self.senders)
        os.killpg(worker.pid, signal.SIGSTOP)
        time.sleep(LEASE_SECONDS + 1)
        os.killpg(worker.pid, signal.SIGCONT)

    def stop(self) -> None:
        every = [worker for worker in (*self.senders, self.errands) if worker.is_running]
        with ThreadPoolExecutor(len(every) or 1) as together:
            list(together.map(self._stop, every))

    def _stop(self, worker: Any) -> None:
        try:
            worker.stop(30)
        except AssertionError:
            say("A worker did not end within 30 seconds of being asked to, and was killed.")


# --- the parts


def _kills(folder: Path, seconds: float, workers: int, seed: int) -> Part:
    """Kill whatever sends, at random points and moments, while campaigns run; then let them end."""
    from delivery.models import Mailing
    from tests.delivery.making import make_list, make_mailing
    from tests.peers.crowd import KILL_POINTS, running_crowd

    part = Part("kills")
    began = time.monotonic()
    with running_crowd(folder, ["takes its time"] * 6, seed) as crowd, ExitStack() as stack:
        servers = _servers(crowd.ports, max_connections=4)
        size = min(KILLED_CAMPAIGN, max(500, int(seconds * 20)))
        audience = make_list(size, "Killed")
        mailings = []
        team = _Workers(folder, workers)
        stack.callback(team.stop)
        moments = {
            "a worker": (team.kill_sender, 6),
            "errands and clock": (team.kill_errands, 2),
            "a child": (team.kill_child, 3),
            "everything": (team.kill_all, 1),
            "frozen": (team.freeze_sender, 1),
            "deploy": (team.deploy, 1),
        }
        told = 0.0
        while time.monotonic() - began < seconds:
            if not mailings or _pending(mailings[-1]) < size // 10:
                mailings.append(make_mailing(audience).pk)
            if random.random() < 0.75:
                point = random.choice(KILL_POINTS)
                before = crowd.counts()["killed"]
                crowd.order(kill=point, after=random.randrange(12))
                if _wait(lambda before=before: crowd.counts()["killed"] > before, 8):
                    part.kills[f"at {point}"] += 1
            else:
                names = list(moments)
                name = random.choices(names, [moments[each][1] for each in names])[0]
                moments[name][0]()
                part.kills[name] += 1
            if time.monotonic() - told > 20:
                told = time.monotonic()
                say(f"{_kill_count(part)} kills, {crowd.counts()['answer']} messages, {len(mailings)} campaigns")
        crowd.order(kill="", after=0)
        # With nobody killed any more there must be progress within a minute, until all is done.
        before = -1
        while Mailing.objects.filter(finished_at=None).exists() and before != (before := _pending(*mailings)):
            _wait(lambda: not Mailing.objects.filter(finished_at=None).exists(), 60, every=0.5)
        if Mailing.objects.filter(finished_at=None).exists():
            say("WRONG: nothing went on for a minute after the last kill.")
        team.stop()
        part.recoveries = _recoveries(crowd.journal)
        part.silence = _silence(crowd.journal)
        _judge(part, mailings, size * len(mailings), servers, crowd.journal)
    part.seconds = time.monotonic() - began
    return part


def _fleet(folder: Path, seconds: float, workers: int, people: int, number: int, seed: int) -> Part:
    """Send one campaign over servers that misbehave in every way, with quotas that suffice together."""
    from delivery.models import Mailing
    from tests.delivery.making import make_list, make_mailing
    from tests.peers.crowd import running_crowd
    from tests.peers.misbehaving import WAYS

    part = Part("servers")
    began = time.monotonic()
    ways = list(itertools.islice(itertools.cycle(WAYS), number))
    with running_crowd(folder, ways, seed) as crowd:
        # Every fifth has hardly any room: there the last unit is fought for.
        quotas = [37 if position % 5 == 4 else 1 + people * 4 // number for position in range(number)]
        servers = _servers(crowd.ports, quotas, max_connections=3)
        mailing = make_mailing(make_list(people, "Fleet"))
        say(f"{people} messages to {number} servers that misbehave")
        team = _Workers(folder, workers)
        try:
            deadline = began + max(seconds, 30)
            while time.monotonic() < deadline and _pending(mailing.pk):
                _wait(lambda: _pending(mailing.pk) == 0, min(20, deadline - time.monotonic()), every=1)
                say(f"{_pending(mailing.pk)} of {people} are pending, {crowd.counts()['answer']} messages answered")
        finally:
            team.stop()
        _let_time_pass(mailing.pk, crowd)
        if not Mailing.objects.filter(pk=mailing.pk, finished_at=None).exists():
            say("The campaign is finished.")
        _judge(part, [mailing.pk], people, servers, crowd.journal)
    part.seconds = time.monotonic() - began
    return part


def _let_time_pass(mailing_id: int, crowd: Any) -> None:
    """End what waits for a pause or a back-off to be over, on a clock that is set ahead."""
    from django.utils import timezone

    from delivery.models import Batch, Mailing
    from delivery.outcomes import recovery
    from tests.delivery.making import run_drain

    def is_settled() -> bool:
        recovery.sweep(timezone.now())
        return not Batch.objects.filter(Batch.OPEN).exists()

    ahead = dt.timedelta(0)
    for position, minutes in enumerate(WAITS):
        ahead += dt.timedelta(minutes=minutes)
        crowd.order(well=position > len(WAITS) // 2)
        _wait(is_settled, LEASE_SECONDS * 5, every=0.5)  # Leases run out on the database's clock, which is not ahead.
        run_drain(seconds=120, clock=lambda ahead=ahead: timezone.now() + ahead)
        _wait(is_settled, LEASE_SECONDS * 5, every=0.5)
        mailing = Mailing.objects.get(pk=mailing_id)
        why = f"; {mailing.state}: {mailing.waiting_reason}" if mailing.waiting_reason else ""
        say(f"{_pending(mailing_id)} are pending when {ahead} have passed{why}")
        if mailing.finished_at:
            return


def _servers(ports: Sequence[int], quotas: Sequence[int] = (), **fields: Any) -> dict[int, Any]:
    """Return a server row for each port."""
    from django.utils import timezone

    from smtpservers.models import Route, SmtpServer
    from tests.delivery.making import make_server

    # All at the same time, and not one after the other.
    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "weighted"})
    SmtpServer.objects.update(is_active=False)  # Those of the part before.
    found = {}
    fields |= {"timeout_seconds": 2, "tested_at": timezone.now()}  # An untested server sends nothing.
    for position, port in enumerate(ports):
        quota = quotas[position] if quotas else None
        found[port] = make_server(port, f"Server {port}", max_per_month=quota, display_order=position, **fields)
    return found


def _pending(*mailing_ids: int) -> int:
    from delivery.models import Message

    return Message.objects.filter(mailing__in=mailing_ids, status__in=Message.PENDING).count()


def _wait(is_so: Any, seconds: float, every: float = 0.1) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_so():
            return True
        time.sleep(every)
    return False


# --- the judgement


def _read(journal: Path) -> Iterator[dict[str, Any]]:
    with journal.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield json.loads(line)


def _recoveries(journal: Path) -> list[float]:
    """Return for each kill how long it took until the same server accepted a message over a later connection."""
    waiting: dict[int, list[tuple[float, int]]] = defaultdict(list)
    found = []
    for event in _read(journal):
        if event["event"] == "killed":
            waiting[event["port"]].append((event["at"], event["session"]))
        elif event["event"] == "answer" and event["code"] == 250:
            begun = [kill for kill in waiting[event["port"]] if event["session"] > kill[1]]
            found += [event["at"] - at for at, _ in begun]
            waiting[event["port"]] = [kill for kill in waiting[event["port"]] if kill not in begun]
    return found


def _silence(journal: Path) -> float:
    """Return the longest time between two acceptances, whichever servers they are of."""
    moments = [event["at"] for event in _read(journal) if event["event"] == "answer" and event["code"] == 250]
    return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0)


def _judge(part: Part, mailings: list[int], people: int, servers: dict[int, Any], journal: Path) -> None:
    from tests.harness.judge import judge_account

    # Of 100 servers' journal in one file, what counts is read once.
    answers: dict[int, list[dict[str, Any]]] = {port: [] for port in servers}
    for event in _read(journal):
        if event["event"] in ("dot", "answer"):
            slim = {name: event[name] for name in ("event", "message_id", "rcpt_to", "code") if name in event}
            answers[event["port"]].append(slim)
    account = judge_account(mailings, people, [(server, answers[port]) for port, server in servers.items()])
    part.runs, part.people = len(mailings), people
    part.problems = account.problems
    part.lost = len(account.lost) + len(account.false) + len(account.misdirected)
    part.doubled = len(account.doubled)
    part.overrun = len(account.overrun) + len(account.miscounted)
    part.unconfirmed = account.statuses["unconfirmed"]
    say(f"{part.name}: {dict(account.statuses)}")
    for name, what in account.problems.items():
        say(f"WRONG, {name}: {what}")


def _kill_count(part: Part) -> int:
    return sum(number for name, number in part.kills.items() if name not in ("frozen", "deploy"))


def table(parts: Sequence[Part]) -> str:
    """Return the result as people read it."""
    head = (
        "part",
        "runs",
        "messages",
        "kills",
        "lost",
        "doubled",
        "unconfirmed",
        "over quota",
        "recovery",
        "worst",
        "silence",
        "minutes",
    )
    rows = [head]
    for part in parts:
        median = f"{statistics.median(part.recoveries):.1f} s" if part.recoveries else "-"
        worst = f"{max(part.recoveries):.1f} s" if part.recoveries else "-"
        rows.append(
            (
                part.name,
                str(part.runs),
                str(part.people),
                str(_kill_count(part)),
                str(part.lost),
                str(part.doubled),
                str(part.unconfirmed),
                str(part.overrun),
                median,
                worst,
                "-" if part.silence is None else f"{part.silence:.1f} s",
                f"{part.seconds / 60:.1f}",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    kinds = [f"{number} {name}" for part in parts for name, number in sorted(part.kills.items())]
    verdict = "All of it holds." if all(part.is_good for part in parts) else "The promise is BROKEN: see above."
    return "\n".join(["", *lines, "", f"Kills: {', '.join(kinds)}", verdict])


if __name__ == "__main__":
    _code = main()
    shutil.rmtree(os.environ["DATA_DIR"], ignore_errors=True)
    sys.exit(_code)
