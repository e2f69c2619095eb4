"""The product as ``make run`` starts it: in a folder of its own, on free ports, with every process it begot."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("PORT", "SANDBOX_PLAIN_PORT", "SANDBOX_STARTTLS_PORT", "SANDBOX_AUTH_PORT", "INTAKE_PORT")
PATIENCE_SECONDS = 120  # A cold start on a busy machine.


class Demo:
    """One running Brilliance with its demo, on SQLite and files whatever the tests themselves run on."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.url = f"http://localhost:{self.ports['PORT']}"
        self.log = data_dir / "demo.log"
        data_dir.mkdir(parents=True, exist_ok=True)
        own = {"DATA_DIR": str(data_dir), **{name: str(port) for name, port in self.ports.items()}, **environment}
        inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "demo", "--with-parent"],
                cwd=ROOT,
                env={**inherited, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "Brilliance is ready" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Brilliance did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def password(self, name: str) -> str:
        """Return the password of a demo person, as a newcomer finds it."""
        sign_ins = dict(line.split() for line in (self.data_dir / "sign-ins.txt").read_text().splitlines())
        return sign_ins[name]

    def processes(self) -> set[int]:
        """Return the process and all that descend from it."""
        parents = {number: parent for number, parent, _ in _process_table()}
        found = {self.process.pid}
        while more := {number for number, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_SECONDS)

    def kill(self) -> None:
        """End it at once, if it still runs; its leash ends the parts."""
        self.process.kill()
        self.process.wait()


def alive(numbers: set[int]) -> set[int]:
    """Return those of the processes that still run."""
    return {number for number, _, state in _process_table() if number in numbers and not state.startswith("Z")}


def _process_table() -> list[tuple[int, int, str]]:
    lines = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid=,stat="], text=True).splitlines()
    return [(int(number), int(parent), state) for number, parent, state in map(str.split, lines)]


def free_ports(number: int) -> list[int]:
    """Return ports of loopback that nobody listens on just now.

    They lie below those that systems hand out to clients: one of them may be taken before it is listened on.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < number:
            port = random.randrange(12_000, 30_000)
            with suppress(OSError):
                held.enter_context(socket.create_server(("127.0.0.1", port)))
                found.append(port)
    return found
