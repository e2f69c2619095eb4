"""Real Celery workers of the product, started on the test's own database, to be killed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """Return the address of the test's database, for another process."""
    database: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    credentials = database["USER"] + (f":{database['PASSWORD']}" if database["PASSWORD"] else "")
    host = f"{database['HOST'] or 'localhost'}:{database['PORT'] or 5432}"
    return f"postgres://{credentials}@{host}/{database['NAME']}"


class Worker:
    """One ``celery worker`` with beat, in a process group of its own."""

    def __init__(
        self,
        data_dir: Path,
        *,
        queues: str = "deliver,errands",
        beat: bool = True,
        name: str = "worker",
        **environment: str,
    ) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.log = data_dir / f"{name}.log"
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "brilliance",
            "worker",
            "-n",
            f"{name}@%h",
            "-Q",
            queues,
            "-c",
            "1",
            "-l",
            "WARNING",
        ]
        command += ["-B", "-s", str(data_dir / f"beat-{name}")] if beat else []
        environment = {
            **os.environ,
            "DATA_DIR": str(data_dir),
            "DATABASE_URL": database_url(),
            "BROKER_URL": settings.BROKER_URL,
            "LEASE_SECONDS": "2",
            "DRAIN_SECONDS": "10",
            "PYTHONWARNINGS": "default",
            **environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def children(self) -> list[int]:
        """Return the process ids of its children: those of its pool, and beat."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def kill(self) -> None:
        """SIGKILL the worker and its children at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def stop(self, seconds: float = 60) -> int:
        """Ask the worker to end warmly and return its exit code; what it wrote last is told if it does not."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"no end in {seconds} s:\n{self.log.read_text()[-3000:]}") from None
        with contextlib.suppress(ProcessLookupError):
            for _ in range(100):  # Its children end after it, late on a busy machine.
                os.killpg(self.pid, 0)
                time.sleep(0.1)
            os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError("the worker ended and left a process behind")
        return code
