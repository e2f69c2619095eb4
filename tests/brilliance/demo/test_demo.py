"""One command starts everything, says where and how to sign in, and ends everything."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from celery import current_app
from django.conf import settings

from brilliance.management.commands.demo import ring_for_first_work

PATIENCE_SECONDS = 90  # The machine may be busy with other tests.
PORTS = ("PORT", "SANDBOX_PLAIN_PORT", "SANDBOX_STARTTLS_PORT", "SANDBOX_AUTH_PORT", "INTAKE_PORT")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The embedded set-up on free ports, whatever else this machine and these tests use."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        ports = {name: str(taken.getsockname()[1]) for name, taken in zip(PORTS, sockets, strict=True)}
    return {**kept, **ports, "DATA_DIR": str(tmp_path / "var")}


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], "Demo"]]:
    started: list[Demo] = []

    def start() -> Demo:
        started.append(Demo(environment, tmp_path / f"output-{len(started)}"))
        return started[-1]

    yield start
    for demo in started:
        demo.process.kill()
        demo.process.wait()


class Demo:
    def __init__(self, environment: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("wb") as file:
            command = [sys.executable, "manage.py", "demo"]
            # SIGINT as a shell's background jobs have it.
            self.process = subprocess.Popen(
                command,
                cwd=settings.BASE_DIR,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
            )

    def wait_until_ready(self) -> str:
        wait_for(lambda: "Ctrl-C stops everything." in self.output.read_text() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output.read_text()
        return self.output.read_text()


def wait_for(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def descendants(number: int) -> set[int]:
    lines = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    found = {number}
    while more := {child for child, parent in pairs if parent in found} - found:
        found |= more
    return found - {number}


def alive(numbers: set[int]) -> set[int]:
    lines = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True).stdout.splitlines()
    return {int(pid) for pid, state in map(str.split, lines) if not state.startswith("Z")} & numbers


def test_it_starts_tells_ends_and_starts_again(environment: dict[str, str], start: Callable[[], Demo]) -> None:
    first = start()
    words = first.wait_until_ready()
    sign_ins = Path(environment["DATA_DIR"]) / "sign-ins.txt"
    parts = descendants(first.process.pid)

    assert f"http://localhost:{environment['PORT']}" in words
    assert f"come to 127.0.0.1:{environment['INTAKE_PORT']}." in words
    assert sign_ins.stat().st_mode & 0o777 == 0o600
    assert [line.split()[0] for line in sign_ins.read_text().splitlines()] == ["admin", "marketer", "ops", "viewer"]
    assert all(line in words for line in sign_ins.read_text().splitlines())
    assert len(parts) >= 12  # Six leashes and what they hold.

    second = start()
    assert second.process.wait(PATIENCE_SECONDS) == 1
    assert second.output.read_text().count("\n") == 1
    assert f"Port {environment['PORT']} on 127.0.0.1 cannot be used" in second.output.read_text()

    first.process.send_signal(signal.SIGINT)
    assert first.process.wait(PATIENCE_SECONDS) == 0
    assert not alive(parts)
    assert "Brilliance has stopped." in first.output.read_text()

    third = start()
    assert sign_ins.read_text().splitlines()[0] in third.wait_until_ready()
    parts = descendants(third.process.pid)
    third.process.kill()
    wait_for(lambda: not alive(parts))


def test_a_held_copy_opens_its_pages_and_says_where_to_go_on(
    environment: dict[str, str], start: Callable[[], Demo]
) -> None:
    environment["START_HELD"] = "on"

    words = start().wait_until_ready()

    assert "nothing is sent" in words
    assert f"http://localhost:{environment['PORT']}/restored/" in words
    assert f"run DATA_DIR={environment['DATA_DIR']} {sys.executable} manage.py restored" in words
    sign_ins = (Path(environment["DATA_DIR"]) / "sign-ins.txt").read_text().splitlines()
    assert all(f"  {line}\n" in words for line in sign_ins)
    assert environment["DATA_DIR"] + "/sign-ins.txt" in words


def test_two_on_one_folder_is_one_too_many(environment: dict[str, str], start: Callable[[], Demo]) -> None:
    folder = Path(environment["DATA_DIR"])
    folder.mkdir()
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print(flush=True); input()"
    )
    command = [sys.executable, "-c", script, str(folder / "demo.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        demo = start()
        assert demo.process.wait(PATIENCE_SECONDS) == 1
        other.kill()

    assert "Another Brilliance runs on the folder" in demo.output.read_text()


@pytest.mark.parametrize(("port", "words"), [("eighty", "PORT"), ("70000", "PORT must be a port from 1 to 65535")])
def test_a_wrong_port_is_one_sentence(
    environment: dict[str, str], start: Callable[[], Demo], port: str, words: str
) -> None:
    environment["PORT"] = port

    demo = start()

    assert demo.process.wait(PATIENCE_SECONDS) == 1
    assert words in demo.output.read_text()
    assert "Traceback" not in demo.output.read_text()


def test_workers_find_a_hint_as_they_come_up_and_need_not_wait_for_beat() -> None:
    queues = [current_app.amqp.queues[name] for name in ("deliver", "errands")]
    with current_app.connection_for_write() as connection, connection.channel() as channel:
        for queue in queues:
            queue(channel).declare()
            queue(channel).purge()

        ring_for_first_work()

        found = [queue(channel).get(no_ack=True).headers["task"] for queue in queues]
    assert found == ["delivery.tasks.deliver", "delivery.tasks.dispatch"]
