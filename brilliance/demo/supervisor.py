"""The supervisor of the demo's processes: starts them, watches them, ends them together.

It knows processes and signals, nothing of Django. Each part runs on a leash (``brilliance.demo.leash``), so that
nothing is left behind even if this process is killed.
"""

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

GRACE_SECONDS = 8.0  # For the parts to end by themselves; the rest is killed, within 10 s in total.
LAST_GRACE_SECONDS = 1.5  # The minimum for the parts that other parts need while ending.
TURN_SECONDS = 0.2
# A part that ends more often than this within this time has a real problem.
MOST_RESUMED, RESUMED_WITHIN = 3, 60.0
LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True)
class Program:
    """One program: its name for people, and its command line after the Python interpreter."""

    name: str
    arguments: tuple[str, ...]
    is_resumed: bool = False  # Whether it is restarted when it ends by itself: nothing is lost with it.
    # Whether the others keep running until it has ended: a worker finishes what it began and receives the answers.
    ends_first: bool = False


def web(host: str, port: int) -> Program:
    """Return the web server: one process, several threads."""
    return Program(
        "web",
        (
            *("-m", "gunicorn", "brilliance.wsgi", "--bind", f"{host}:{port}"),
            *("--worker-class", "gthread", "--threads", "8", "--timeout", "120"),
            *("--graceful-timeout", "5", "--log-level", "warning", "--no-control-socket"),
        ),
    )


def worker(name: str, queue: str, *, slots: int = 1, with_beat: bool = False) -> Program:
    """Return a Celery worker for ``queue``, optionally with beat inside."""
    return Program(
        f"the worker for {queue}",
        (
            # A container's only user is often root, which is fine here.
            *("-W", "ignore:You're running the worker with superuser"),
            *(
                "-m",
                "celery",
                "--quiet",
                "-A",
                "brilliance",
                "worker",
                "-n",
                f"{name}@%h",
                "-Q",
                queue,
                "-c",
                str(slots),
            ),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            *(("-B",) if with_beat else ()),
        ),
        # Celery's worker ends for good if its child is killed during startup, as when memory is short.
        is_resumed=True,
        ends_first=True,
    )


SANDBOX = Program("the sandbox mailbox", ("manage.py", "sandbox"))
# Whoever cannot deliver to it meanwhile tries again.
INTAKE = Program("the mail listener", ("manage.py", "intake"), is_resumed=True)


class StopSignal:
    """The reason to stop everything: a signal, an ended condition, or a part that ended."""

    def __init__(self) -> None:
        # A plain flag: the thread that a signal interrupts may hold an Event's lock and would then deadlock. Two
        # signals at once are common: a terminal signals a whole group, and make signals us again.
        self.is_asked = False
        self.is_over: list[Callable[[], bool]] = []  # Checked a few times a second.
        self.reason = ""  # Empty if a person asked for it.

    def on_signals(self) -> None:
        """Stop at SIGINT and SIGTERM, and at SIGHUP unless nohup started us.

        SIGINT needs a handler because the background jobs of a shell ignore it by default.
        """
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        for number in numbers:
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.is_asked = True

    def with_parent(self, parent: int) -> None:
        """Stop when ``parent`` is no longer our parent process (make, after it was killed)."""
        self.is_over.append(lambda: os.getppid() != parent)


def supervise(parts: Sequence[Program], folder: Path, stop: StopSignal, each_turn: Callable[[], None]) -> int:
    """Run ``parts`` in ``folder`` until ``stop`` says so or one of them ends for good; return the exit code.

    :param each_turn: called a few times a second while all parts run.
    """
    read_end, write_end = os.pipe()
    running = {part: _start(part, folder, read_end) for part in parts}
    ended: list[tuple[Program, float]] = []  # Restarted parts, and when.
    while not stop.is_asked and not any(is_over() for is_over in stop.is_over):
        for part, process in running.items():
            if process.poll() is None:
                continue
            lately = [when for other, when in ended if other == part and time.monotonic() - when < RESUMED_WITHIN]
            what = f"{part.name[0].upper()}{part.name[1:]} ended unexpectedly"
            if not part.is_resumed or len(lately) >= MOST_RESUMED:
                stop.reason = f"{what}, so everything was stopped."
                break
            log.warning("%s, and is started again.", what)
            _end([process], time.monotonic())  # Its remaining children.
            running[part] = _start(part, folder, read_end)
            ended.append((part, time.monotonic()))
        if stop.reason:
            break
        each_turn()
        select.select([], [], [], TURN_SECONDS)  # Not time.sleep, which fails under Debian's faketime.
    deadline = time.monotonic() + GRACE_SECONDS
    _end([process for part, process in running.items() if part.ends_first], deadline)
    others = [process for part, process in running.items() if not part.ends_first]
    _end(others, max(deadline, time.monotonic() + LAST_GRACE_SECONDS))
    os.close(read_end)
    os.close(write_end)
    return 1 if stop.reason else 0


@contextmanager
def foreground(stop: StopSignal) -> Iterator[None]:
    """Take the terminal, if there is one, from the program that started us (make) while we run.

    Then Ctrl-C reaches only us, and make sees an orderly end instead of reporting an interrupt of its own. A closed
    terminal is signalled to the leader of its session, which may be make and would only wait for us: so we check for it
    ourselves, unless nohup started us.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        terminal = -1
    group = os.getpgrp()
    if terminal < 0 or group == os.getpid() or os.tcgetpgrp(terminal) != group:
        yield  # No terminal, no program above us, or in the background.
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # If only this process stopped, the shell would wait for make.
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        stop.is_over.append(lambda: _is_closed(terminal))
    try:
        yield
    finally:
        with suppress(OSError):  # The terminal may be gone.
            os.tcsetpgrp(terminal, group)


def _is_closed(terminal: int) -> bool:
    try:
        os.tcgetpgrp(terminal)
    except OSError:
        return True
    return False


def _start(part: Program, folder: Path, pipe: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", str(LEASH), str(pipe), str(GRACE_SECONDS), sys.executable, *part.arguments]
    return subprocess.Popen(command, cwd=folder, pass_fds=[pipe], start_new_session=True, stdin=subprocess.DEVNULL)  # noqa: S603


def _end(processes: Sequence[subprocess.Popen[bytes]], deadline: float) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    for process in processes:
        with suppress(OSError):  # Usually no process is left.
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
