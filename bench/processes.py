"""Running a program and learning what it did: its answer, its time, its CPU, and that of any process."""

import json
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Failed(Exception):
    """A program ended with an error, or its account was not exact; its run does not count."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one contestant."""

    messages: int
    seconds: float
    cpu_seconds: float  # Of the sender's processes; not of the database's and not of the sink's.
    facts: Mapping[str, Any] = field(default_factory=dict)  # What else the contestant told.

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """CPU a message."""
        return self.cpu_seconds / self.messages * 1e6

    @classmethod
    def told(cls, answer: Mapping[str, Any]) -> Self:
        """Return the sample in a contestant's own words."""
        facts = {name: value for name, value in answer.items() if name not in ("messages", "seconds", "cpu_seconds")}
        return cls(answer["messages"], answer["seconds"], answer["cpu_seconds"], facts)


def answer_of(
    command: Sequence[str | Path], environment: Mapping[str, str], seconds: float = 1800, folder: Path = ROOT
) -> Any:
    """Run a program in ``folder`` that ends with a line of JSON, and return what it says.

    :raises Failed: if it ends with an error or not in time; with its last words.
    """
    return finished(start(command, environment, folder), seconds)


def lines_of(
    command: Sequence[str | Path], environment: Mapping[str, str], seconds: float = 1800, folder: Path = ROOT
) -> list[Any]:
    """Run a program that says JSON line by line, and return all of it.

    :raises Failed: as :func:`answer_of`.
    """
    return [json.loads(line) for line in _words(start(command, environment, folder), seconds)]


def start(
    command: Sequence[str | Path], environment: Mapping[str, str], folder: Path = ROOT
) -> "subprocess.Popen[str]":
    """Start a program whose answer is read by :func:`finished`."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: "subprocess.Popen[str]", seconds: float = 1800) -> Any:
    """Wait for a program and return its last line of JSON; a profiler around it may say more.

    :raises Failed: as :func:`answer_of`.
    """
    return json.loads([line for line in _words(process, seconds) if line.startswith("{")][-1])


def _words(process: "subprocess.Popen[str]", seconds: float) -> list[str]:
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"no answer within {seconds:g} s") from None
    finally:
        process.kill()
        process.wait()
    if process.returncode or not out.strip():
        raise Failed((errors.strip() or out.strip() or f"exit code {process.returncode}")[-1500:])
    return out.strip().splitlines()


def timed(command: Sequence[str | Path], environment: Mapping[str, str], messages: int) -> Sample:
    """Run a program that sends ``messages`` from its start to its end.

    :raises Failed: if it ends with an error.
    """
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [str(word) for word in command], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise Failed((done.stderr.strip() or f"exit code {done.returncode}")[-1500:])
    return Sample(messages, seconds, cpu_seconds(after) - cpu_seconds(before))


def cpu_seconds(usage: resource.struct_rusage) -> float:
    """Return user and system time together."""
    return usage.ru_utime + usage.ru_stime


class Stopwatch:
    """Wall and CPU time of this process, and of the children that ended meanwhile, since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = self._now(), time.perf_counter()

    def _now(self) -> float:
        return sum(cpu_seconds(resource.getrusage(who)) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

    def read(self) -> dict[str, float]:
        """Return both under the names of :class:`Sample`."""
        return {"seconds": time.perf_counter() - self._wall, "cpu_seconds": self._now() - self._cpu}


def peak_megabytes() -> float:
    """Return the most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds_of(pid: int, parent: int = 0) -> float:
    """Return the processors' time of a process; 0 if it has ended, or has another parent than this."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    if parent and int(fields[1]) != parent:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of_children(pid: int) -> float:
    """Return the processors' time of the living children of a process."""
    return sum(seconds_of(int(path.name), parent=pid) for path in Path("/proc").glob("[0-9]*"))
