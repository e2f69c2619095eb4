"""Export of the servers' settings as CSV, without secrets."""

import csv
import io
from collections.abc import Iterable

from django.db.models import Field

from smtpservers.models import SECRETS, STATE, SmtpServer

# A spreadsheet takes cells with these first characters for formulas (OWASP: CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def settings_file(servers: Iterable[SmtpServer]) -> str:
    """Return the settings of ``servers`` as CSV, one line each; of a secret only whether it is set."""
    fields = [field for field in SmtpServer._meta.concrete_fields if _is_setting(field)]
    text = io.StringIO()
    write = csv.writer(text, quoting=csv.QUOTE_ALL).writerow
    write([*(field.name for field in fields), *(f"has_{name}" for name in SECRETS)])
    for server in servers:
        values = [_cell(getattr(server, field.attname)) for field in fields]
        write([*values, *("yes" if getattr(server, name) else "no" for name in SECRETS)])
    return "\ufeff" + text.getvalue()  # Without a byte order mark Excel takes UTF-8 for Windows-1252.


def first_line(notes: str) -> str:
    """Return the first line of a server's notes that is not blank."""
    return next((line.strip() for line in notes.splitlines() if line.strip()), "")


def _is_setting(field: "Field[object, object]") -> bool:
    return field.editable and field.name not in (*SECRETS, *STATE, "id")


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
