"""The parts start together and end together, whatever happens to whom; nothing is left behind."""

import contextlib
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from brilliance.management.commands.demo import parts as demo_parts

# Two parts, each with a child of its own, as Celery and gunicorn have them. Each writes its process ids.
PART = """
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def end(*_):
    if "draining" in sys.argv[1]:
        time.sleep(1)  # As long as the last answers take.
    with open(os.path.join(os.path.dirname(sys.argv[2]), "ends"), "a") as ends:
        ends.write(sys.argv[1] + "\\n")
    if "leaving" not in sys.argv[1]:
        child.kill()
    sys.exit(0)
if "stubborn" in sys.argv[1]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, end)
was_here = os.path.exists(sys.argv[2])
aside = sys.argv[2] + ".part"
open(aside, "w").write(f"{os.getpid()} {child.pid}")
os.rename(aside, sys.argv[2])
with open(sys.argv[2] + ".starts", "a") as starts:
    starts.write("x")
if "short" in sys.argv[1] or ("once" in sys.argv[1] and not was_here):
    sys.exit(3)
time.sleep(600)
"""
SUPERVISOR = """
import sys
from pathlib import Path
from brilliance.demo import supervisor
supervisor.GRACE_SECONDS = float(sys.argv[3])
folder = Path(sys.argv[1])
parts = [
    supervisor.Program(
        name,
        ("-c", sys.argv[2], name, str(folder / name)),
        is_resumed=name.startswith("worker"),
        ends_first=name.startswith("worker"),
    )
    for name in sys.argv[5:]
]
stop = supervisor.StopSignal()
stop.on_signals()
if int(sys.argv[4]):
    stop.with_parent(int(sys.argv[4]))
with supervisor.foreground(stop):
    code = supervisor.supervise(parts, folder, stop, lambda: None)
print(stop.reason)
sys.exit(code)
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(
        *names: str, grace: float = 5, parent: int = 0, ignoring: signal.Signals | None = None
    ) -> subprocess.Popen[str]:
        def ignore() -> None:
            """Do what a shell does to SIGINT for its background jobs, and nohup to SIGHUP; either may run the tests."""
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number == ignoring else signal.SIG_DFL)

        command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), PART, str(grace), str(parent), *names]
        process = subprocess.Popen(
            command,
            cwd=settings.BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=ignore,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def processes(folder: Path, *names: str) -> list[int]:
    """Wait until the parts run, and return the processes of all of them."""
    wait_for(lambda: all((folder / name).exists() for name in names))
    return [int(number) for name in names for number in (folder / name).read_text().split()]


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{number}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def all_gone(numbers: list[int]) -> bool:
    return not any(map(is_alive, numbers))


# A second signal comes at every line that the handling of the first one goes through.
INTERRUPTED = """
import signal, sys
from brilliance.demo.supervisor import StopSignal
stop, left = StopSignal(), 50
stop.on_signals()
def trace(frame, event, argument):
    global left
    if event == "line" and left:
        left -= 1
        signal.raise_signal(signal.SIGINT)
    return trace
sys.settrace(trace)
signal.raise_signal(signal.SIGTERM)
sys.settrace(None)
print(stop.is_asked)
"""


def test_a_second_signal_does_not_make_it_wait_for_ever() -> None:
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=20
    )

    assert found.stdout == "True\n", found.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ignoring", [None, signal.SIGINT])
def test_a_signal_ends_everything_in_good_order(
    tmp_path: Path, start: Start, number: signal.Signals, ignoring: signal.Signals | None
) -> None:
    supervisor = start("one", "two", ignoring=ignoring)
    running = processes(tmp_path, "one", "two")

    supervisor.send_signal(number)

    assert supervisor.wait(40) == 0
    assert all_gone(running)


def test_nohup_keeps_everything_running_when_the_terminal_closes(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", ignoring=signal.SIGHUP)
    running = processes(tmp_path, "one")

    supervisor.send_signal(signal.SIGHUP)

    with pytest.raises(subprocess.TimeoutExpired):
        supervisor.wait(1)
    assert all(map(is_alive, running))
    supervisor.terminate()
    assert supervisor.wait(40) == 0


def test_a_part_that_does_not_end_is_killed_with_its_children(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", "stubborn", grace=0.5)
    running = processes(tmp_path, "one", "stubborn")

    supervisor.terminate()

    assert supervisor.wait(40) == 0
    assert all_gone(running)


def test_workers_end_before_what_they_send_to(tmp_path: Path, start: Start) -> None:
    supervisor = start("sandbox", "web", "worker-draining", "worker", grace=30)
    running = processes(tmp_path, "sandbox", "web", "worker-draining", "worker")

    supervisor.send_signal(signal.SIGINT)

    assert supervisor.wait(40) == 0
    ended = (tmp_path / "ends").read_text().split()
    assert ended[:2] == ["worker", "worker-draining"]
    assert sorted(ended[2:]) == ["sandbox", "web"]
    assert all_gone(running)


def test_a_worker_that_does_not_end_leaves_the_others_time_to(tmp_path: Path, start: Start) -> None:
    supervisor = start("web", "worker-stubborn", grace=0.5)
    running = processes(tmp_path, "web", "worker-stubborn")

    supervisor.terminate()

    assert supervisor.wait(40) == 0
    assert (tmp_path / "ends").read_text().split() == ["web"]
    assert all_gone(running)


def test_the_demo_ends_its_workers_before_web_and_sandbox() -> None:
    first = {part.name for part in demo_parts() if part.ends_first}

    assert first == {"the worker for deliver", "the worker for errands"}


def test_killing_the_supervisor_leaves_nothing_behind(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", "stubborn", "leaving-a-child", grace=0.5)
    running = processes(tmp_path, "one", "stubborn", "leaving-a-child")

    supervisor.kill()

    wait_for(lambda: all_gone(running))


def test_a_part_that_ends_stops_the_others_and_is_named(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", "short")
    running = processes(tmp_path, "one", "short")

    assert supervisor.wait(40) == 1
    assert supervisor.stdout is not None
    assert supervisor.stdout.read() == "Short ended unexpectedly, so everything was stopped.\n"
    assert all_gone(running)


def test_a_worker_that_ends_is_started_again_and_leaves_nothing_behind(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", "worker-once")
    others = processes(tmp_path, "one")
    wait_for(lambda: (tmp_path / "worker-once.starts").exists())
    first = processes(tmp_path, "worker-once")
    wait_for(lambda: (tmp_path / "worker-once.starts").read_text() == "xx")
    wait_for(lambda: all_gone(first))

    assert all(map(is_alive, [*others, *processes(tmp_path, "worker-once")]))
    running = [*others, *processes(tmp_path, "worker-once")]
    supervisor.terminate()
    assert supervisor.wait(40) == 0
    assert all_gone(running)


def test_a_worker_that_ends_again_and_again_stops_everything(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", "worker-short")
    others = processes(tmp_path, "one")

    assert supervisor.wait(60) == 1
    assert supervisor.stdout is not None
    assert supervisor.stdout.read() == "Worker-short ended unexpectedly, so everything was stopped.\n"
    assert (tmp_path / "worker-short.starts").read_text() == "xxxx"
    assert all_gone(others)


def test_the_end_of_the_parent_ends_everything(tmp_path: Path, start: Start) -> None:
    supervisor = start("one", parent=os.getppid())  # Not its parent, as if that had just died.

    assert supervisor.wait(40) == 0


# What make does: start the program in its own process group, and wait for it whatever happens to the terminal.
MAKE = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
code = subprocess.run(sys.argv[2:]).returncode
open(sys.argv[1], "w").write(str(code))
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[int]:
    """A terminal in which something like make runs a supervisor of two parts."""
    inner = [sys.executable, "-c", SUPERVISOR, str(tmp_path), PART, "5", "0", "one", "two"]
    terminal, its_other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(tmp_path / "code"), *inner],
        cwd=settings.BASE_DIR,
        stdin=its_other_end,
        stdout=its_other_end,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # A terminal of its own.
    )
    os.close(its_other_end)
    yield terminal
    with contextlib.suppress(OSError):
        os.close(terminal)
    process.wait(40)


def test_ctrl_c_is_an_orderly_end_also_for_make(tmp_path: Path, terminal: int) -> None:
    running = processes(tmp_path, "one", "two")

    os.write(terminal, b"\x03")

    wait_for(lambda: (tmp_path / "code").exists(), 10)
    assert (tmp_path / "code").read_text() == "0"
    assert all_gone(running)


def test_closing_the_terminal_ends_everything(tmp_path: Path, terminal: int) -> None:
    running = processes(tmp_path, "one", "two")

    os.close(terminal)

    wait_for(lambda: all_gone(running), 10)
