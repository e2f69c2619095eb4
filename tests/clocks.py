"""Clocks that a test sets for other processes while they run, by Debian's faketime; only the wall clock, no other."""

import os
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


class WrongClock:
    """The clock of those processes that were started with its :attr:`environment`."""

    def __init__(self, folder: Path) -> None:
        found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.removeprefix("/"))]
        if not found:
            pytest.skip("needs Debian's package faketime")
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "faketime"
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": str(folder),
        }
        # Python's own sleep fails under Debian's faketime 0.9.10, and Celery's processes sleep.
        (folder / "sitecustomize.py").write_text(
            "import select, time\ntime.sleep = lambda s: select.select([], [], [], s)\n"
        )
        self.set(0)

    def set(self, seconds: int) -> None:
        """Put the clock so many seconds ahead of the real one, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.chmod(0o644)
        os.replace(new, self._file)
