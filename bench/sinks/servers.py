"""The servers that take the mail of all contestants: Postfix's smtp-sink, our fast sink, and a far one."""

import contextlib
import os
import signal
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.processes import ROOT, Failed


@dataclass(frozen=True, slots=True)
class Sink:
    """A server that takes mail on a port of this machine."""

    name: str
    port: int
    is_ours: bool = True  # Then it tells what it has counted.

    def counted(self) -> tuple[int, int]:
        """Return how many messages and bytes of content came so far."""
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            messages, octets = client.docmd("XSTAT")[1].split()
        return int(messages), int(octets)


@contextlib.contextmanager
def fast_sink(name: str, delay_milliseconds: int = 0) -> Iterator[Sink]:
    """Run our own sink; see :mod:`bench.sinks.fast`."""
    command = [sys.executable, "-m", "bench.sinks.fast", "--delay", str(delay_milliseconds)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Sink(name, int(process.stdout.readline()))
        finally:
            process.kill()


@contextlib.contextmanager
def smtp_sink(program: Path, environment: Mapping[str, str]) -> Iterator[Sink]:
    """Run Postfix's smtp-sink.

    :raises Failed: if it does not begin to listen.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    user = ["-u", "nobody"] if os.geteuid() == 0 else []  # It refuses to work as root.
    command = [str(program), *user, f"127.0.0.1:{port}", "1024"]
    with subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True) as process:
        try:
            _wait_for(port)
            yield Sink("smtp-sink", port, is_ours=False)
        finally:
            process.send_signal(signal.SIGTERM)


def _wait_for(port: int, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise Failed(f"nothing listens on port {port}: {error}") from error
            time.sleep(0.05)
