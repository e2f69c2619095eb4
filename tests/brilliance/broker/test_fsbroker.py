"""The embedded broker: nothing half-written, nothing twice, nothing that ends a worker."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from django.conf import settings
from kombu import Connection

import brilliance.broker.fsbroker

assert brilliance.broker.fsbroker  # Importing it registers the address.

WRITE = """
import sys
from kombu import Connection
import brilliance.broker.fsbroker
folder, name, number, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
with Connection("brilliance-fs://localhost", transport_options={"folder": folder}) as connection:
    for count in range(number):
        body = f"{name}-{count}".ljust(size)
        connection.default_channel._put("errands", {"body": body, "properties": {}})
"""
READ = """
import sys
from queue import Empty
from kombu import Connection
import brilliance.broker.fsbroker
with Connection("brilliance-fs://localhost", transport_options={"folder": sys.argv[1]}) as connection:
    while True:
        try:
            body = connection.default_channel._get("errands")["body"].strip()
        except Empty:
            continue
        if body.startswith("end-"):
            break
        print(body, flush=True)
"""


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Any]:
    with Connection("brilliance-fs://localhost", transport_options={"folder": str(tmp_path)}) as connection:
        yield connection.default_channel


def message(body: str) -> dict[str, Any]:
    return {"body": body, "properties": {}, "headers": {}}


def test_messages_come_out_in_the_order_they_went_in(channel: Any) -> None:
    for body in ("first", "second", "third"):
        channel._put("errands", message(body))

    assert [channel._get("errands")["body"] for _ in range(3)] == ["first", "second", "third"]
    with pytest.raises(Empty):
        channel._get("errands")


def test_queues_are_strangers_and_know_their_sizes(channel: Any) -> None:
    channel._put("errands", message("a"))
    channel._put("errands", message("b"))
    channel._put("deliver", message("c"))

    assert (channel._size("errands"), channel._size("deliver"), channel._size("nothing")) == (2, 1, 0)
    assert channel._purge("errands") == 2
    assert channel._get("deliver")["body"] == "c"


def test_a_queue_with_a_path_for_a_name_stays_in_the_folder(channel: Any, tmp_path: Path) -> None:
    channel._put("../../outside", message("a"))

    assert channel._get("../../outside")["body"] == "a"
    assert [path.parent for path in tmp_path.iterdir()] == [tmp_path]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b'{"body": 1}', b"[" * 100_000])
def test_a_damaged_file_is_set_aside_and_the_next_message_comes(channel: Any, tmp_path: Path, content: bytes) -> None:
    channel._new_queue("errands")
    damaged = tmp_path / "queue-errands" / f"{'0' * 20}-x.msg"
    damaged.write_bytes(content)
    channel._put("errands", message("good"))

    assert channel._get("errands")["body"] == "good"
    assert damaged.with_suffix(".damaged").read_bytes() == content


def test_a_message_being_written_is_not_seen(channel: Any, tmp_path: Path) -> None:
    channel._new_queue("errands")
    (tmp_path / "queue-errands" / "00-x.part").write_text(json.dumps(message("half")))

    with pytest.raises(Empty):
        channel._get("errands")


@pytest.mark.parametrize("size", [2_000, 60_000])
def test_many_writers_and_readers_lose_nothing_and_double_nothing(tmp_path: Path, size: int) -> None:
    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(tmp_path), *map(str, arguments)]
        return subprocess.Popen(command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True)

    readers = [start(READ) for _ in range(3)]
    writers = [start(WRITE, name, 300, size) for name in ("one", "two", "three")]
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    start(WRITE, "end", len(readers), size).communicate(timeout=60)
    seen = [line for reader in readers for line in reader.communicate(timeout=60)[0].split()]

    assert sorted(seen) == sorted(f"{name}-{count}" for name in ("one", "two", "three") for count in range(300))
