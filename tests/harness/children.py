"""Children of the test's process: processes of their own that have Django already, which others load for a second."""

import contextlib
import os
import random
import tempfile
import traceback
import warnings
from collections.abc import Callable

from django.db import connections


class Child:
    """A process that acts and ends. It begins with no connection to the database."""

    def __init__(self, act: Callable[[], object]) -> None:
        connections.close_all()
        self._printed = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed once it was waited for
        self._code: int | None = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # A peer has threads, of which the child uses nothing.
            self.pid = os.fork()
        if self.pid == 0:
            self._act_and_exit(act)

    def _act_and_exit(self, act: Callable[[], object]) -> None:
        code = 1
        try:
            random.seed()
            with contextlib.redirect_stdout(self._printed), contextlib.redirect_stderr(self._printed):
                try:
                    act()
                    code = 0
                except BaseException:
                    traceback.print_exc()
            self._printed.flush()
        finally:
            os._exit(code)

    @property
    def is_running(self) -> bool:
        if self._code is None:
            pid, how = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(how) if pid else None
        return self._code is None

    def wait(self) -> tuple[int, str]:
        """Wait for its end, and return its exit code (minus the signal that killed it) and what it printed."""
        if self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        with self._printed:
            self._printed.seek(0)
            return self._code, self._printed.read()


def in_child(act: Callable[[], object]) -> str:
    """Act in a child and return what it printed; fail if it fails."""
    code, printed = Child(act).wait()
    assert code == 0, printed
    return printed
