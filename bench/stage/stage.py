"""What the contestants need: folders, databases, sinks, keys, a Celery worker, and the peers themselves.

Everything lies below ``DATA_DIR/bench``: the peers stay there, the rest is gone at the end. Databases are made beside
the one that is named, and dropped.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

from bench.processes import ROOT, Failed
from bench.sinks import servers
from bench.sinks.servers import Sink
from bench.stage import databases, programs
from bench.stage.checkout import Checkout
from bench.stage.databases import POSTGRESQL, SQLITE
from bench.stage.programs import Program, Unavailable

T = TypeVar("T")
FAST, FAR = "fast sink", "50 ms away"
SMTP_SINK = "smtp-sink"


@dataclass
class Stage:
    """All that is there; what could not be had is in ``missing``, with the reason."""

    folder: Path  # Of this run.
    peers: Path  # Where they are installed.
    is_quick: bool
    is_smoke: bool
    postgresql: str  # URL of a database beside which others are made; empty: the usual place.
    ours: Checkout  # Brilliance as it is here.
    peer_databases: dict[str, str] = field(default_factory=dict)
    sinks: dict[str, Sink] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    keys: dict[str, Path] = field(default_factory=dict)
    worker: int = 0  # Process id of the Celery worker; 0: there is none.
    missing: list[str] = field(default_factory=list)

    @property
    def message_file(self) -> Path:
        """The finished message that the peers send."""
        return self.folder / "message.json"

    def have(self, make: Callable[[], T]) -> T | None:
        """Return what ``make`` returns; None, and a line in ``missing``, if it cannot be had."""
        try:
            return make()
        except (Unavailable, Failed) as error:
            self.missing.append(str(error).strip().splitlines()[-1])
            print(f"Goes on without: {error}", flush=True)
            return None


@contextlib.contextmanager
def stage(
    folder: Path,
    *,
    is_quick: bool,
    is_smoke: bool,
    postgresql: str,
    broker: str,
    sizes: list[int],
    with_peers: bool = True,
) -> Iterator[Stage]:
    """Set everything up, and clear it away at the end; installed peers stay for the next time.

    :param is_smoke: a handful of messages each.
    :param postgresql: URL of a database that may be connected to in order to make others; empty: the usual place.
    :param broker: URL of an empty Redis database; empty: the usual place.
    :param sizes: of the lists of people.
    :param with_peers: else there are the sinks and Brilliance without its Celery worker.
    """
    with contextlib.ExitStack() as stack:
        there = Stage(folder / "run", folder, is_quick, is_smoke, postgresql, Checkout(folder / "run"))
        shutil.rmtree(there.folder, ignore_errors=True)
        there.folder.mkdir(parents=True)
        stack.callback(shutil.rmtree, there.folder, ignore_errors=True)
        _make_keys(there)
        _install(there, with_peers=with_peers)
        _make_sinks(there, stack)
        there.ours.databases = make_databases(there, stack, "brilliance")
        if with_peers:
            there.peer_databases = make_databases(there, stack, "peers")
            there.have(lambda: _find_redis(there, stack, broker))
        there.ours.prepare(sizes)
        if with_peers:
            there.message_file.write_text(json.dumps(there.ours.answer(SQLITE, there.ours.command("message"))))
            if POSTGRESQL in there.ours.databases and there.ours.broker:
                there.have(lambda: _start_worker(there, stack))
        yield there


def make_databases(there: Stage, stack: contextlib.ExitStack, name: str) -> dict[str, str]:
    """Return the URLs of a database of each kind, which the stack drops again."""
    made = {SQLITE: databases.sqlite(there.folder / f"{name}.sqlite3")}
    full_name = f"brilliance_bench_{name}_{os.getpid()}"
    if url := there.have(lambda: databases.postgresql(stack, there.postgresql, full_name)):
        made[POSTGRESQL] = url
    return made


def _make_keys(there: Stage) -> None:
    for name, key in (("Ed25519", Ed25519PrivateKey.generate()), ("RSA-2048", generate_private_key(65537, 2048))):
        there.keys[name] = there.folder / f"{name}.pem"
        there.keys[name].touch(mode=0o600)
        there.keys[name].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _install(there: Stage, *, with_peers: bool) -> None:
    print("Looking for the peers, and installing what is not there yet ...", flush=True)
    if (found := there.have(lambda: programs.postfix(there.peers / "postfix"))) is not None:
        there.programs["smtp-source"], there.programs[SMTP_SINK] = found
    if not with_peers:
        return
    if (program := there.have(lambda: programs.post_office(there.peers / "post_office"))) is not None:
        there.programs["django-post_office"] = program
    if (program := there.have(lambda: programs.nodemailer(there.peers / "nodemailer"))) is not None:
        there.programs["nodemailer"] = program


def _make_sinks(there: Stage, stack: contextlib.ExitStack) -> None:
    there.sinks[FAST] = stack.enter_context(servers.fast_sink(FAST))
    there.sinks[FAR] = stack.enter_context(servers.fast_sink(FAR, 50))
    if (program := there.programs.get(SMTP_SINK)) is not None:
        sink = servers.smtp_sink(Path(program.command[0]), program.environment)
        if (running := there.have(lambda: stack.enter_context(sink))) is not None:
            there.sinks[SMTP_SINK] = running


def _find_redis(there: Stage, stack: contextlib.ExitStack, broker: str) -> None:
    url = broker or "redis://127.0.0.1:6379/13"
    client = redis.Redis.from_url(url, socket_connect_timeout=5)
    try:
        if client.dbsize():
            raise Unavailable(f"Redis: the database {url} is not empty (name an empty one with BROKER_URL)")
    except redis.RedisError as error:
        raise Unavailable(f"Redis: {error} (name one with BROKER_URL)") from None
    stack.callback(client.flushdb)  # It was empty.
    there.ours.broker = url


def _start_worker(there: Stage, stack: contextlib.ExitStack) -> None:
    """Run one Celery worker of the product that sends, without beat: it works when it is given a hint."""
    environment = there.ours.environment(POSTGRESQL)
    worker = stack.enter_context(worker_process(environment, there.folder / "worker.log"))
    there.ours.answer(POSTGRESQL, there.ours.command("wake-worker"), 60)
    there.worker = worker.pid


@contextlib.contextmanager
def worker_process(environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run ``celery worker`` with one process that sends."""
    command = [sys.executable, "-m", "celery", "-A", "brilliance", "worker", "-Q", "deliver", "-c", "1"]
    with log.open("ab") as file:
        worker = subprocess.Popen(
            [*command, "-n", f"bench{os.getpid()}@%h", "-l", "WARNING"],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield worker
    finally:
        worker.terminate()
        try:
            worker.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
