"""How a log line looks (always one line, whatever came from outside), and what is not worth one."""

import copy
import logging
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from django.db import OperationalError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")

_ACTIONS = {"changelist": "view", "history": "view", "add": "add", "change": "change", "delete": "delete"}
LONGEST_PATH = 200
# Errors whose words are about the program and its machine. Those of all others may quote people, content or secrets.
_TELLING = (OperationalError, ImportError, NameError, AttributeError, TypeError)


class OneLineFormatter(logging.Formatter):
    """Escapes control characters and folds a traceback into its line, so that nobody can forge a log line.

    Of an error it says its kind and where it was raised, and not its words. Of a request that was refused it says who
    asked for what, and leaves the traceback out.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(_refusal(_unquoted(record))).replace("\n", "\\n")
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", line)

    def formatException(self, ei: Any) -> str:
        return ", from ".join(_what_and_where(error) for error in _chain(ei[1]))


def _unquoted(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record with neither an error's words among its values, as Celery puts them, nor those of others."""
    told = copy.copy(record)
    told.exc_text = None
    if record.exc_info and record.exc_info[1] and isinstance(record.args, Mapping) and "exc" in record.args:
        told.args = {**record.args, "exc": type(record.exc_info[1]).__name__}
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and what it came of."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _what_and_where(error: BaseException) -> str:
    words = ""
    if isinstance(error, OSError):
        words = error.strerror or ""
    elif isinstance(error, _TELLING):
        words = str(error).strip().partition("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = " > ".join(f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}" for frame in frames)
    return f"{type(error).__name__}{words and f': {words}'} ({where or 'not raised'})"


def is_no_probe(record: logging.LogRecord) -> bool:
    """Whether the line is about something other than a probe that was told "not ready": that one is an answer."""
    return "/readyz" not in record.getMessage()


def _refusal(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that says who was refused what, and what that takes, in place of a traceback; others as is."""
    request, status = getattr(record, "request", None), getattr(record, "status_code", 0)
    if request is None or status not in (400, 403):
        return record
    why = str(record.exc_info[1]) if record.exc_info else ""
    if record.name == "django.security.csrf" and isinstance(record.args, tuple):
        why = str(record.args[0])
    elif status == 403:
        why = why or _permission_of(request)
    user = getattr(request, "user", None)
    told = copy.copy(record)
    told.msg = "Refused (%s): %r asked for %s %s (%s)"
    told.args = (
        status,
        user.get_username() if user is not None and user.is_authenticated else "nobody signed in",
        request.method,
        request.path[:LONGEST_PATH],
        why[:LONGEST_PATH] or "not understood",
    )
    told.exc_info = told.exc_text = None
    return told


def _permission_of(request: Any) -> str:
    """Return the permission that a page of the admin asks for, or else the name of the page."""
    match = request.resolver_match
    if match is None:
        return ""
    model, _, page = (match.url_name or "").rpartition("_")
    room, _, name = model.partition("_")
    if "admin" not in match.app_names or page not in _ACTIONS or not name:
        return str(match.view_name)
    action = "view" if page == "change" and request.method in ("GET", "HEAD") else _ACTIONS[page]
    return f"{room}.{action}_{name}"
