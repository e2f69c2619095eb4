"""Runs one program and ends it, with all its children, as soon as the supervisor is gone.

``brilliance.demo.supervisor`` starts it as a program in a session of its own, with the read end of a pipe whose write
end only the supervisor holds: however the supervisor dies, ``kill -9`` included, the pipe closes. It needs nothing from
the operating system but pipes and process groups, so that Linux and macOS behave alike. It imports the standard library
only, because one copy runs per child.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading


def main(pipe: int, grace_seconds: float, command: list[str]) -> int:
    """Run ``command`` until it ends or ``pipe`` closes; return its exit code."""
    stopping: queue.SimpleQueue[None] = queue.SimpleQueue()  # An Event would deadlock at a second signal.

    def stop(*_: object) -> None:
        stopping.put(None)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    child = subprocess.Popen(command)  # noqa: S603  # the supervisor's own fixed commands

    def watch_supervisor() -> None:
        os.read(pipe, 1)  # Nothing is ever written: this returns when the supervisor ends.
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace_seconds)
        os.killpg(0, signal.SIGKILL)  # Everything left in this session, including this process.

    def pass_on() -> None:
        stopping.get()
        child.terminate()  # Only the main process, which ends its own children properly.

    threading.Thread(target=watch_supervisor, daemon=True).start()
    threading.Thread(target=pass_on, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
