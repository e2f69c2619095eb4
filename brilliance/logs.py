"""Log formatting: one line per record, whatever outsiders send, and the records to leave out."""

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
# The tokens of webhooks, of clicks and of opens: whoever has one can speak for its owner.
_SECRET_PATH = re.compile(r"/(hooks/[^/\s\"']+|[co])/(?=[\w%-]{8})[^\s\"'<>\\]+")
# gunicorn says where a request came from that it did not understand.
_SENDER = re.compile(r"(?<=Invalid request from ip=)[^\s:]*(?::[0-9a-fA-F.]*)*(?=: )")
# Servers that log paths themselves, with handlers of their own.
_SERVERS = ("django.server", "gunicorn.access", "gunicorn.error", "uvicorn.access", "uvicorn.error")
# Errors whose messages are about the program and its machine. All others may quote people, content or secrets.
_TELLING = (OperationalError, ImportError, NameError, AttributeError, TypeError)


class OneLineFormatter(logging.Formatter):
    """Escapes control characters and puts a traceback into the line, so that nobody can forge a log line.

    Of an error it logs type and place, not the message. Of a refused request it logs who asked for what, without a
    traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(_refusal(_without_error_text(record))).replace("\n", "\\n")
        line = without_secrets(line)
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", line)

    def formatException(self, ei: Any) -> str:
        return ", from ".join(_what_and_where(error) for error in _chain(ei[1]))


def _without_error_text(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record without the message of an error in its values, where Celery puts it."""
    told = copy.copy(record)
    told.exc_text = None
    if record.exc_info and record.exc_info[1] and isinstance(record.args, Mapping) and "exc" in record.args:
        told.args = {**record.args, "exc": type(record.exc_info[1]).__name__}
    return told


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
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


def without_secrets(text: str) -> str:
    """Cut everything behind the paths whose rest is a secret, such as /hooks/ses/, and the sender of a bad request."""
    return _SENDER.sub("…", _SECRET_PATH.sub(r"/\1/…", text))


class SecretFilter(logging.Filter):
    """Cuts the same out of records, tracebacks too, that another formatter writes."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):  # uvicorn's formatter takes its five values out of them.
            record.args = tuple(without_secrets(arg) if isinstance(arg, str) else arg for arg in record.args)
        text = record.getMessage()
        if (kept := without_secrets(text)) != text:  # Of other types, or a path in several values.
            record.msg, record.args = kept, ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = without_secrets(record.exc_text)
        return True


def cut_secrets_of_servers() -> None:
    """Filter the logs of the servers that we may run in. A filter of a logger stays, whoever sets up its handlers."""
    for name in _SERVERS:
        logger = logging.getLogger(name)
        if not any(isinstance(one, SecretFilter) for one in logger.filters):
            logger.addFilter(SecretFilter())


def is_no_probe(record: logging.LogRecord) -> bool:
    """Whether the record is about anything but a probe that got "not ready", which is a normal answer."""
    return "/readyz" not in record.getMessage()


def _refusal(record: logging.LogRecord) -> logging.LogRecord:
    """Return a record that says who was refused what and which permission it needs; other records unchanged."""
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
    """Return the permission that an admin page requires, or else the name of the page."""
    match = request.resolver_match
    if match is None:
        return ""
    model, _, page = (match.url_name or "").rpartition("_")
    room, _, name = model.partition("_")
    if "admin" not in match.app_names or page not in _ACTIONS or not name:
        return str(match.view_name)
    action = "view" if page == "change" and request.method in ("GET", "HEAD") else _ACTIONS[page]
    return f"{room}.{action}_{name}"
