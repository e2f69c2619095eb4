"""``manage.py demo``: starts everything on this machine: web server, workers, beat, sandbox and mail listener."""

import contextlib
import fcntl
import http.client
import json
import os
import shlex
import socket
import sys
import tempfile
import time
from typing import IO, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import OperationalError
from django.utils import timezone

from accounts.sign_in import first_admin
from brilliance import schema
from brilliance.demo import seed
from brilliance.demo.supervisor import INTAKE, SANDBOX, Program, StopSignal, foreground, supervise, web, worker
from delivery import hints, tasks

PATIENCE_SECONDS = 60.0  # The time for the parts to start, before the demo reports what is missing.


class Command(BaseCommand):
    help = "Start everything on this machine and stop it together: web, workers, beat, sandbox mailbox, mail listener."
    requires_system_checks = ()  # Problems that a person can fix come first.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--with-parent", action="store_true", help="Stop also when the program that started this one ends."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = StopSignal()
        stop.on_signals()
        if options["with_parent"]:
            stop.with_parent(os.getppid())
        with foreground(stop) if options["with_parent"] else contextlib.nullcontext():
            code = self.run(stop)
        sys.exit(code)

    def run(self, stop: StopSignal) -> int:
        problem = _unwritable_folder() or _taken_port()
        if problem:
            return self.give_up(problem)
        lock = _lock()
        if lock is None:
            return self.give_up(
                f"Another Brilliance runs on the folder {settings.DATA_DIR}. Stop it, or choose another: DATA_DIR=…"
            )
        with lock:
            self.say("Preparing the database …")
            try:
                if problem := schema.refusal():
                    return self.give_up(problem)
                call_command("migrate", verbosity=0, interactive=False)
            except OperationalError as error:
                return self.give_up(f"The database of DATABASE_URL cannot be used: {error}".rstrip())
            if settings.DEMO and first_admin.is_needed():
                things = "sign-ins, servers, readers, campaigns" if settings.SANDBOX_ENABLED else "sign-ins"
                self.say(f"Making the demo: {things} …")
                seed.seed(settings.DATA_DIR / "sign-ins.txt", timezone.now())
            if stop.is_asked:
                return 0
            self.say("Starting …")
            ring_for_first_work()
            greeting = _Greeting(self)
            code = supervise(parts(), settings.BASE_DIR, stop, greeting.each_turn)
        if stop.reason:
            return self.give_up(stop.reason)
        self.say("Brilliance has stopped.")
        return code

    def say(self, text: str) -> None:
        with contextlib.suppress(OSError):  # The terminal may be gone, which must not prevent a proper end.
            self.stdout.write(text)
            self.stdout.flush()

    def give_up(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self.stderr.write(text)
        return 1


def parts() -> list[Program]:
    always = [
        web(settings.HOST, settings.PORT),
        worker("deliver", "deliver"),
        worker("errands", "errands", slots=2, with_beat=True),
    ]
    return [*always, SANDBOX, INTAKE] if settings.SANDBOX_ENABLED else always


def ring_for_first_work() -> None:
    """Send a hint to each queue: the starting workers find it seconds before beat sends its first."""
    for task in (tasks.dispatch, tasks.deliver):
        hints.ring(task)


class _Greeting:
    """Prints the URL and the sign-ins once everything is ready, or after a while what is not."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.started = time.monotonic()
        self.is_done = False

    def each_turn(self) -> None:
        if self.is_done:
            return
        answer = _readiness()
        if answer == "":
            self.is_done = True
            self.command.say(_welcome())
        elif _is_held(answer):
            self.is_done = True
            self.command.say(_welcome_to_copy())
        elif time.monotonic() - self.started > PATIENCE_SECONDS:
            self.is_done = True
            self.command.say(f"Brilliance is at {settings.BASE_URL}, but not ready: {answer}")


def _readiness() -> str:
    """Return an empty text if ``/readyz`` is positive, or else its response."""
    host = "127.0.0.1" if settings.HOST in ("0.0.0.0", "") else settings.HOST  # noqa: S104  # compared, not bound
    connection = http.client.HTTPConnection(host, settings.PORT, timeout=2)
    try:
        connection.request("GET", "/readyz", headers={"Host": urlsplit(settings.BASE_URL).netloc})
        response = connection.getresponse()
        body = response.read(2000).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"the web pages do not answer ({error})."
    finally:
        connection.close()
    return "" if response.status == 200 else body


def _is_held(answer: str) -> bool:
    """Whether the only failed check is a copy that waits for a person."""
    try:
        checks = json.loads(answer)
    except ValueError:
        return False
    return {name for name, said in checks.items() if said != "ok"} == {"ready", "copy"}


def _welcome_to_copy() -> str:
    lines = [
        "",
        f"This is a restored or copied database, so that nothing is sent. The pages are open: {settings.BASE_URL}",
        f"View what was in progress, and say how to go on: {settings.BASE_URL}/restored/",
        f"Or stop this and run {_same_data()}{sys.executable} manage.py restored",
        "",
    ]
    return "\n".join([*lines, *_sign_ins(), "Ctrl-C stops everything."])


def _same_data() -> str:
    """Return the prefix that makes a command use the same installation."""
    folder = settings.DATA_DIR
    return "" if folder == settings.BASE_DIR / "var" else f"DATA_DIR={shlex.quote(str(folder))} "


def _welcome() -> str:
    lines = ["", f"Brilliance is ready: {settings.BASE_URL}"]
    if INTAKE in parts():
        lines.append(f"Bounces and unsubscribes by mail come to {settings.INTAKE_HOST}:{settings.INTAKE_PORT}.")
    lines.append("")
    return "\n".join([*lines, *_sign_ins(), "Ctrl-C stops everything."])


def _sign_ins() -> list[str]:
    if first_admin.is_needed() and not settings.OIDC_ONLY:
        link = first_admin.make_link()
        return ["Create your account. This link works once, within 24 hours:", f"  {link}", ""]
    path = settings.DATA_DIR / "sign-ins.txt"
    if not path.exists():
        return []
    lines = ["Log in as", *(f"  {line}" for line in path.read_text().splitlines())]
    return [*lines, f"(made on the first run and kept in {path})", ""]


def _unwritable_folder() -> str:
    try:
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=settings.DATA_DIR):
            return ""
    except OSError as error:
        return (
            f"The folder {settings.DATA_DIR} cannot be written ({error.strerror}). Make it writable, or choose another:"
            " DATA_DIR=…"
        )


def _taken_port() -> str:
    ports = {"PORT": (settings.HOST, settings.PORT)}
    if settings.SANDBOX_ENABLED:
        for name in ("SANDBOX_PLAIN_PORT", "SANDBOX_STARTTLS_PORT", "SANDBOX_AUTH_PORT"):
            ports[name] = ("127.0.0.1", getattr(settings, name))
        ports["INTAKE_PORT"] = (settings.INTAKE_HOST, settings.INTAKE_PORT)
    with contextlib.ExitStack() as held:  # All at once: two of them may be the same.
        for name, (host, port) in ports.items():
            try:
                socket.getaddrinfo(host, port)
                # With SO_REUSEADDR, as gunicorn uses it: a connection that just ended does not count.
                held.enter_context(socket.create_server((host, port)))
            except socket.gaierror:
                setting = "INTAKE_HOST" if name == "INTAKE_PORT" else "HOST"
                return f"{setting} must be an address of this machine, not {host!r}."
            except OSError as error:
                return (
                    f"Port {port} on {host} cannot be used ({os.strerror(error.errno or 0)}). Stop the program that"
                    f" uses it, or choose another: {name}={port + 1}"
                )
    return ""


def _lock() -> IO[str] | None:
    """Return a file that stays locked while it is open, or None if another process has locked it."""
    file = open(settings.DATA_DIR / "demo.lock", "w")  # noqa: SIM115  # closed by whoever holds it
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
