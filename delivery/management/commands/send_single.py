"""``manage.py send_single``: queue one message, and wait for its end if asked to."""

import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from delivery import clock, identity
from delivery.models import Message
from delivery.outbox.transactional import SingleRefused, send_single
from smtpservers.models import SmtpServer

POLL_SECONDS = 0.2


class Command(BaseCommand):
    help = "Sends one message to one person: a receipt, a password. The running worker sends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", default="", help="the recipient; missing or unusable: Mail to unknown gets it")
        parser.add_argument("--subject", required=True, help="may hold merge fields, such as {{ first_name }}")
        parser.add_argument(
            "--html", default="", metavar="FILE", help="a file with the HTML part; - reads it from stdin"
        )
        parser.add_argument("--text", default="", help="the text part itself; @FILE or - reads it from a file or stdin")
        parser.add_argument(
            "--from", default="", dest="mail_from", help="the sender, instead of Mail from of the server"
        )
        parser.add_argument("--reply-to", default="", help="where answers go")
        parser.add_argument(
            "--set", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="values of merge fields"
        )
        parser.add_argument("--server", default="", metavar="NAME", help="send through this server only")
        parser.add_argument(
            "--commercial", action="store_true", help="advertising: adds the unsubscribe link and UTM codes"
        )
        parser.add_argument(
            "--wait",
            nargs="?",
            type=float,
            const=60.0,
            metavar="SECONDS",
            help="wait until the message has reached its end, 60 seconds at most, and print what became of it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            message = send_single(
                to=options["to"],
                subject=options["subject"],
                html=_read(options["html"]) if options["html"] else "",
                text=_read(options["text"].removeprefix("@")) if options["text"][:1] in ("@", "-") else options["text"],
                mail_from=options["mail_from"],
                reply_to=options["reply_to"],
                values=dict(map(_name_and_value, options["set"])),
                server=_server(options["server"]) if options["server"] else None,
                is_commercial=options["commercial"],
                now=clock.now(),
            )
        except SingleRefused as error:
            raise CommandError(str(error)) from error
        if because := identity.why_held(clock.now()):
            said = f"The message was queued. Nothing is sent before an administrator says to go on. {because}"
            if options["wait"] is not None:
                raise CommandError(said)
            self.stdout.write(said)
        elif options["wait"] is None:
            self.stdout.write("The message was queued. The worker sends it within seconds.")
        else:
            self._wait(message, options["wait"])

    def _wait(self, message: Message, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while message.status in Message.PENDING and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            message.refresh_from_db()
        if message.status in Message.PENDING:
            mailing = type(message.mailing).objects.get(pk=message.mailing_id)
            why = message.reason or mailing.waiting_reason or "Is the worker running?"
            raise CommandError(f"After {seconds:g} seconds the message is still {message.status}. {why}")
        through = f" through {message.server}" if message.server else ""
        said = f": {message.reason}" if message.reason else "."
        line = f"{message.status}{through}{said}"
        if message.status not in (Message.Status.ACCEPTED, Message.Status.UNCONFIRMED):
            raise CommandError(line)
        self.stdout.write(f"{line}\nMessage-ID: {message.message_id}")


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error


def _name_and_value(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise CommandError(f"“{text}” is no value for a merge field; write it as name=value.")
    return name, value


def _server(name: str) -> SmtpServer:
    server = SmtpServer.objects.filter(name=name).first()
    if server is None:
        names = ", ".join(SmtpServer.objects.values_list("name", flat=True)) or "there is none yet"
        raise CommandError(f"There is no server named “{name}”. The servers are: {names}.")
    return server
