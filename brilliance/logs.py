"""How a log line looks (always one line, whatever came from outside), and what is not worth one."""

import logging
import re

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")


class OneLineFormatter(logging.Formatter):
    """Escapes control characters and folds a traceback into its line, so that nobody can forge a log line."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record).replace("\n", "\\n")
        return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", line)


def is_no_probe(record: logging.LogRecord) -> bool:
    """Whether the line is about something other than a probe that was told "not ready": that one is an answer."""
    return "/readyz" not in record.getMessage()
