"""Clocks that a test sets for other processes while they run, by Debian's faketime; only the wall clock, no other."""

import os
from pathlib import Path

import pytest

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")

# Two faults of Debian's faketime 0.9.10 are passed round. Python's own sleep fails under it, and Celery's processes
# sleep. And a child that is forked while another thread asks for the time waits for faketime's lock for good, deaf to
# SIGTERM: a fork waits until all other threads sleep.
SITE = """
import os, select, threading, time

def sleep(seconds):
    select.select([], [], [], seconds)

def is_asleep(thread):
    with open(f"/proc/self/task/{thread}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"

def settle():
    sleep(0.02)
    while not all(is_asleep(each) for each in os.listdir("/proc/self/task") if int(each) != threading.get_native_id()):
        sleep(0.02)

time.sleep = sleep
os.register_at_fork(before=settle)  # The first that is registered is the last to run.
"""


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
        (folder / "sitecustomize.py").write_text(SITE)
        self.set(0)

    def set(self, seconds: int) -> None:
        """Put the clock so many seconds ahead of the real one, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.chmod(0o644)
        os.replace(new, self._file)
