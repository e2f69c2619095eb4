"""A Redis and a PostgreSQL of the test's own, to be killed, stopped and emptied; not installed, they are skipped."""

import abc
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from django.core.management import call_command
from django.db import connections
from django.db.utils import load_backend

from tests.harness.demo import free_ports


class _Service(abc.ABC):
    """A process that is started again after it was killed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Return what starts it."""

    @abc.abstractmethod
    def answers(self) -> bool:
        """Whether it can be worked with."""

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while not self.answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL it with all its children, as when the machine loses power."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        # PostgreSQL gives each backend a process group of its own: without its parent it would serve on for a while.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for process in (self._process.pid, *map(int, children)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


class RedisServer(_Service):
    """A Redis that keeps nothing: each start is an empty one."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "no"}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return ["redis-server", *words, "--save", ""]

    def answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=1) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def flush(self) -> None:
        with redis.Redis(port=self.port, socket_timeout=5) as client:
            client.flushall()


class PostgresCluster(_Service):
    """A PostgreSQL cluster with one database; it recovers by itself when it is started after a kill."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        super().__init__(folder)
        self._binaries = binaries
        self.environment: dict[str, str] = {}  # Beside the test's own, and from the first process of its user on.
        # It refuses to run as root.
        self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if _is_root() else []
        if _is_root():
            shutil.chown(folder, "postgres")
        command = [str(binaries / "initdb"), "-A", "trust", "-U", "brilliance", "--no-sync", "-D", str(folder / "data")]
        subprocess.run([*self._as_user, *command], check=True, capture_output=True)

    @property
    def url(self) -> str:
        return f"postgres://brilliance@127.0.0.1:{self.port}/postgres"

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",  # The machine does not crash, only the processes do.
            "restart_after_crash": "off",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        environment = ["env", *(f"{name}={value}" for name, value in self.environment.items())]
        return [*self._as_user, *environment, str(self._binaries / "postgres"), "-D", str(self.folder / "data"), *words]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


def _is_root() -> bool:
    return os.getuid() == 0


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """Run an empty Redis on a free port."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs the program redis-server")
    service = RedisServer(folder)
    service.start()
    try:
        yield service
    finally:
        service.kill()


@contextlib.contextmanager
def running_postgres(**environment: str) -> Iterator[PostgresCluster]:
    """Run a new PostgreSQL cluster on a free port, in a folder of its own: pytest's are closed to other users."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        pytest.skip("needs PostgreSQL's programs in /usr/lib/postgresql")
    if _is_root() and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv, because PostgreSQL refuses to run as root")
    with tempfile.TemporaryDirectory(prefix="brilliance-postgres-") as folder:
        service = PostgresCluster(Path(folder), found[-1].parent)
        service.environment = environment
        service.start()
        try:
            yield service
        finally:
            service.kill()


@contextlib.contextmanager
def own_postgres(**environment: str) -> Iterator[PostgresCluster]:
    """Run a new cluster, and let it be this thread's default database, with the product's tables."""
    with running_postgres(**environment) as cluster:
        own = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "brilliance", "PASSWORD": ""}
        with default_database({**own, "HOST": "127.0.0.1", "PORT": str(cluster.port)}):
            call_command("migrate", verbosity=0)
            yield cluster


@contextlib.contextmanager
def default_database(settings: dict[str, Any]) -> Iterator[None]:
    """Let this thread's default connection be another database."""
    usual = connections["default"]
    wanted = {**usual.settings_dict, "OPTIONS": {}, "CONN_HEALTH_CHECKS": True, **settings}
    connections["default"] = load_backend(wanted["ENGINE"]).DatabaseWrapper(wanted, alias="default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = usual
