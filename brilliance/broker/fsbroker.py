"""The embedded broker for one machine: a queue is a folder, a message is a file. Its URL is ``brilliance-fs://``.

Kombu's own filesystem transport exposes half-written messages, and one damaged file ends the worker. Here a message
appears by rename, whole or not at all; one reader takes it by rename; unreadable files are set aside. Losing all
messages loses nothing: the database is the queue, and beat sends the hints again.
"""

import contextlib
import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads


class Channel(virtual.Channel):  # type: ignore[misc]  # kombu has no types
    """Queues below the folder in the transport option ``folder``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._root = Path(self.connection.client.transport_options["folder"])
        self._listed: dict[str, list[str]] = {}  # By queue, newest first: one listing serves many reads.

    def _folder(self, queue: str) -> Path:
        return self._root / f"queue-{quote(queue, safe='')}"

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        self._folder(queue).mkdir(parents=True, exist_ok=True)

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return self._folder(queue).is_dir()

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        aside = self._folder(queue) / f"{name}.part"
        try:
            aside.write_bytes(dumps(message).encode())
        except FileNotFoundError:  # The queue is not declared yet.
            self._new_queue(queue)
            aside.write_bytes(dumps(message).encode())
        aside.rename(aside.with_suffix(".msg"))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = self._folder(queue)
        names = self._listed.get(queue) or sorted(_messages(folder), reverse=True)
        self._listed[queue] = names
        while names:
            path = folder / names.pop()
            taken = path.with_suffix(".taken")
            try:
                path.rename(taken)
            except FileNotFoundError:  # Taken by another reader.
                continue
            message = _read(taken)
            if message is None:
                taken.rename(path.with_suffix(".damaged"))
                continue
            taken.unlink()
            return message
        raise Empty

    def _size(self, queue: str) -> int:
        return len(_messages(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        names = _messages(self._folder(queue))
        for name in names:
            (self._folder(queue) / name).unlink(missing_ok=True)
        return len(names)


def _messages(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".msg")]
    except FileNotFoundError:
        return []


def _read(path: Path) -> dict[str, Any] | None:
    """Return the message in the file, or None if it is invalid."""
    try:
        message = loads(path.read_bytes().decode())
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) and "body" in message and "properties" in message else None


class Transport(virtual.Transport):  # type: ignore[misc]
    """The transport of ``brilliance-fs://localhost``; the host has no meaning.

    It works from Celery's event loop: otherwise all children of a worker wait for tasks at one pipe, and a child that
    is killed there keeps the lock of that pipe, so that later children get no tasks.
    """

    Channel = Channel
    implements = virtual.Transport.implements.extend(asynchronous=True)
    global_state = virtual.BrokerState()
    driver_type = driver_name = "filesystem"

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        loop.call_repeatedly(self.polling_interval, self._take)

    def _take(self) -> None:
        """Deliver the waiting messages, as far as consumers accept more."""
        with contextlib.suppress(Empty):
            while True:
                self.cycle.get(self._deliver)

    def driver_version(self) -> str:
        return "1"


TRANSPORT_ALIASES["brilliance-fs"] = "brilliance.broker.fsbroker:Transport"
