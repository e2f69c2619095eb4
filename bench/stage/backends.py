"""The CPU that PostgreSQL on this machine spends for one database, as far as its processes may be read."""

import os
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

EVERY = 0.05  # Seconds. A backend's last moment before its end may be missed.
_TICKS = os.sysconf("SC_CLK_TCK")


class Backends:
    """Adds up the CPU of a database's backends while it is entered."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._name = parts.path.lstrip("/")
        self._beside = urlunsplit(parts._replace(path="/postgres"))
        self._spent: dict[int, float] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Backends":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def cpu_seconds(self, after: int = 0) -> float:
        """Return the CPU of all backends that were seen, except for the first ``after``."""
        return sum(list(self._spent.values())[after:])

    def _watch(self) -> None:
        query: Any = "SELECT pid FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(self._beside, autocommit=True) as connection:
            while not self._is_over.is_set():
                for (pid,) in connection.execute(query, [self._name]).fetchall():
                    if (spent := _cpu_of(pid)) is not None:
                        self._spent[pid] = max(spent, self._spent.get(pid, 0.0))
                time.sleep(EVERY)


def _cpu_of(pid: int) -> float | None:
    """Return the CPU seconds of a process; None if it ended, or is on another machine."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS
