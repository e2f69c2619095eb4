"""Runs one program; ends it as soon as the supervisor is gone, and with it every process that it left behind.

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


def main(pipe: int, grace_seconds: float, command: list[str]) -> None:
    """Run ``command`` until it ends or ``pipe`` closes; then kill the whole process group, this process included."""
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
        os.killpg(0, signal.SIGKILL)

    def pass_on() -> None:
        stopping.get()
        child.terminate()  # Only the main process, which ends its own children properly.

    threading.Thread(target=watch_supervisor, daemon=True).start()
    threading.Thread(target=pass_on, daemon=True).start()
    child.wait()
    # Not left to the supervisor, which may be gone, nor to the thread, which ends with this one. A worker may leave a
    # child that it forked at the last moment.
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
