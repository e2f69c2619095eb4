"""``manage.py read_report``: say what incoming mails look like, without any effect."""

import json
import signal
import sys
from argparse import ArgumentParser
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mail.incoming.mime import MOST_BYTES
from mail.incoming.reading import Form, Kind, Reading, read

CPU_SECONDS = 2.0  # As a worker gives to a report.


class Command(BaseCommand):
    help = "Says for each mail, as a line of JSON, what it looks like and why. It has no effect and asks for no tag."
    requires_system_checks = ()  # It needs no database, and none may be there.

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="a mail as it was received; - reads it from stdin")

    def handle(self, *args: Any, files: list[str], **options: Any) -> None:
        failed = 0
        for file in files:
            try:
                content = _content(file)
            except OSError as error:
                failed += 1
                self.stderr.write(f"{file} can't be read: {error.strerror}. Name a file that holds one mail.")
                continue
            self.stdout.write(json.dumps(_line(file, read_in_time(content))))
        if failed:
            raise CommandError(f"{failed} of {len(files)} files can't be read.")


class _TookTooLong(Exception):
    """The time for a report is over."""


def read_in_time(content: bytes, seconds: float = CPU_SECONDS) -> Reading:
    """Return the reading of a mail; it is unreadable if it takes more processor time than that."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _TookTooLong

    before = signal.signal(signal.SIGPROF, stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        return read(content)
    except _TookTooLong:
        return Reading(Kind.UNKNOWN, Form.UNREADABLE, f"Reading it takes more than {seconds:g} seconds.")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _content(file: str) -> bytes:
    """Return the beginning of a file, one byte more than is read of a mail.

    :raises OSError: if it cannot be opened.
    """
    if file == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    with Path(file).open("rb") as opened:
        return opened.read(MOST_BYTES + 1)


def _line(file: str, reading: Reading) -> dict[str, Any]:
    return {
        "file": file,
        "kind": reading.kind.value,
        "reason": reading.reason,
        "recipients": [
            {
                "address": recipient.address,
                "code": recipient.code,
                "enhanced": recipient.enhanced,
                "action": recipient.action,
            }
            for recipient in reading.recipients
        ],
    }
