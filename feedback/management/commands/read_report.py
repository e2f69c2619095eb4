"""``manage.py read_report``: say what incoming mails look like, without any effect."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from feedback.reports.reader import Reader, Unreadable
from mail.aggregates.intake import MOST_MAIL_BYTES
from mail.aggregates.report import DmarcReport, DomainReport, TlsReport
from mail.incoming.report import Kind, Reading


class Command(BaseCommand):
    help = "Says for each mail, as a line of JSON, what it looks like and why. It has no effect and asks for no tag."
    requires_system_checks = ()  # It needs no database, and none may be there.

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="a mail as it was received; - reads it from stdin")

    def handle(self, *args: Any, files: list[str], **options: Any) -> None:
        failed = 0
        with Reader() as reader:  # The one of the workers, with their limits.
            for file in files:
                try:
                    content = _content(file)
                except OSError as error:
                    failed += 1
                    self.stderr.write(f"{file} can't be read: {error.strerror}. Name a file that holds one mail.")
                    continue
                self.stdout.write(json.dumps(_line(file, reader.read_mail(content))))
        if failed:
            raise CommandError(f"{failed} of {len(files)} files can't be read.")


def _content(file: str) -> bytes:
    """Return the beginning of a file, one byte more than is read of a mail.

    :raises OSError: if it cannot be opened.
    """
    if file == "-":
        return sys.stdin.buffer.read(MOST_MAIL_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MOST_MAIL_BYTES + 1)


def _line(file: str, reading: Reading | DomainReport | Unreadable) -> dict[str, Any]:
    if isinstance(reading, Unreadable):
        return {"file": file, "kind": Kind.UNKNOWN.value, "reason": reading.why, "recipients": []}
    if isinstance(reading, DmarcReport | TlsReport):
        name = "DMARC" if isinstance(reading, DmarcReport) else "TLS"
        about = ", ".join(reading.domains) or "no domain"
        sentence = f"It is a {name} report of {reading.organisation} about {about}."
        return {"file": file, "kind": Kind.NOTE.value, "reason": sentence, "recipients": []}
    recipients = [
        {"address": one.address, "code": one.code, "enhanced": one.enhanced, "action": one.action}
        for one in reading.recipients
    ]
    return {"file": file, "kind": reading.kind.value, "reason": reading.reason, "recipients": recipients}
