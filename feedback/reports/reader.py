"""The reader of raw reports: a process of its own, so that hostile bytes end nothing but that.

It has neither the database nor a secret: its environment is empty. The system ends it as soon as one report took more
processor time or memory than it may, also while it is in code that never returns; the next report gets a new one.
"""

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from feedback.webhooks.adapters import ADAPTERS
from feedback.webhooks.event import Event
from feedback.webhooks.frame import unpack
from mail.aggregates.container import ReportInvalid
from mail.aggregates.intake import brings_report, read_file, read_mail
from mail.aggregates.report import DomainReport
from mail.incoming import mime
from mail.incoming.reader import read
from mail.incoming.report import Form, Reading

CPU_SECONDS = 2.0  # Processor time for one report.
DOMAIN_CPU_SECONDS = 20.0  # Of a report about a whole domain, which may be fifty times as large.
_PATIENCE_SECONDS = 60.0  # Wall time; a machine may be that busy, or stand still.
_MOST_BYTES = 1 << 30  # Memory.
_LENGTH_BYTES = 8
_CODE = "from feedback.reports.reader import work; work()"
_ROOT = Path(__file__).resolve().parents[2]

Content = Reading | DomainReport | list[Event]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A raw report that cannot be read, and why."""

    why: str


class Reader:
    """A process that reads one report after the other. Use it as a context manager; it starts with the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def read_mail(self, content: bytes) -> Reading | DomainReport | Unreadable:
        """Return what a mail says."""
        found: Reading | DomainReport | Unreadable = self._ask("mail", "", content)
        return found

    def read_file(self, content: bytes) -> DomainReport | Unreadable:
        """Return the report about a domain in a file."""
        found: DomainReport | Unreadable = self._ask("file", "", content)
        return found

    def read_webhook(self, provider: str, content: bytes) -> list[Event] | Unreadable:
        """Return the events of a provider's request, as :func:`feedback.webhooks.frame.pack` kept it."""
        found: list[Event] | Unreadable = self._ask("webhook", provider, content)
        return found

    def text_of(self, provider: str, content: bytes) -> str | Unreadable:
        """Return the decoded text of a provider's request, or of all parts of a mail where ``provider`` is empty."""
        found: str | Unreadable = self._ask("text", provider, content)
        return found

    def _ask(self, what: str, provider: str, content: bytes) -> Any:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        question = pickle.dumps((what, provider, content))
        try:
            process.stdin.write(len(question).to_bytes(_LENGTH_BYTES) + question)
            process.stdin.flush()
            if select.select([process.stdout], [], [], _PATIENCE_SECONDS)[0]:
                answer = process.stdout.read(int.from_bytes(process.stdout.read(_LENGTH_BYTES)))
                return pickle.loads(answer)  # noqa: S301  # Of our own process.
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            pass
        self._end()
        return Unreadable(f"It was given up: reading it takes more than {CPU_SECONDS:.0f} seconds, or too much memory.")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                process.communicate()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # This very module.
        [sys.executable, "-s", "-c", _CODE],
        cwd=_ROOT,
        env={"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def read_upload(content: bytes) -> DomainReport:
    """Return the report about a domain in a file.

    :raises ReportInvalid: if it is none, or exceeds a limit.
    """
    with Reader() as reader:
        found = reader.read_file(content)
    if isinstance(found, Unreadable):
        raise ReportInvalid(found.why)
    return found


# --- in the process


def work() -> None:
    """Answer until the other side closes the line."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Of a terminal, for the worker.
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while length := questions.read(_LENGTH_BYTES):
        what, provider, content = pickle.loads(questions.read(int.from_bytes(length)))  # noqa: S301  # Of our worker.
        # The default action of SIGPROF ends the process, whatever code it is in.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        answer = pickle.dumps(_answer(what, provider, content))
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(len(answer).to_bytes(_LENGTH_BYTES) + answer)
        answers.flush()


def _answer(what: str, provider: str, content: bytes) -> Content | str | Unreadable | None:
    try:
        if what == "webhook":
            return _events(provider, content)
        if what == "text":
            return _text_of_request(content) if provider else _text_of_mail(content)
        if what == "file":
            return _domain_report(read_file, content)
        if brings_report(content):
            report = _domain_report(read_mail, content)
            if report is not None:
                return report
        reading = read(content)
    except (RecursionError, MemoryError, LookupError, ValueError, ArithmeticError, TypeError, AttributeError) as error:
        return Unreadable(str(error)[:250] or "It cannot be taken apart.")
    return Unreadable(reading.reason) if reading.form is Form.UNREADABLE else reading


def _domain_report(read_it: Callable[[bytes], DomainReport | None], content: bytes) -> DomainReport | None:
    """Return a report about a domain; None if there is none. It gets more time than a bounce."""
    signal.setitimer(signal.ITIMER_PROF, DOMAIN_CPU_SECONDS)
    return read_it(content)


def _events(provider: str, content: bytes) -> list[Event]:
    if provider not in ADAPTERS:
        raise ValueError(f"No adapter is called {provider}.")
    headers: Mapping[str, str]
    headers, body = unpack(content)
    return ADAPTERS[provider].events(body, headers)


def _text_of_mail(content: bytes) -> str:
    parts = list(mime.parse(content).walk())
    headers = (mime.decode_words(value) for part in parts for _, value in part.headers)
    texts = (mime.decode_text(part.content(), part.parameter("charset")) for part in parts if not part.parts)
    return "\n".join((*headers, *texts))


def _text_of_request(content: bytes) -> str:
    _, body = unpack(content)
    try:
        return json.dumps(json.loads(body), ensure_ascii=False)
    except ValueError:  # A form.
        return urllib.parse.unquote_plus(mime.decode_text(body))
