"""How one commit drives another: the words and answers of ``bench.ours`` and ``bench.bookkeeping``.

They stay those of commit b16de91: ``--against`` measures an old checkout by them. A word may be added, and none may
change.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import bookkeeping, ours
from bench.sinks.servers import Sink, fast_sink

SENT = {
    *("messages", "seconds", "cpu_seconds", "whole_seconds", "queued_seconds"),
    *("called_at", "recorded_at", "peak_mb"),
}


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with fast_sink("sink") as running:
        yield running


@pytest.mark.django_db(transaction=True)
def test_ours_prepares_says_the_message_and_sends(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )

    def lines(words: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["bench.ours", *words.split()])
        monkeypatch.setattr(sys, "stdin", io.StringIO("go\n"))
        ours.main()
        return capsys.readouterr().out.splitlines()

    def answer(words: str) -> Any:
        return json.loads(lines(words)[-1])

    assert answer("prepare --people 20 30") == {}
    assert answer("message").keys() == {"subject", "text", "html", "headers"}
    sent = answer(f"send --people 20 --port {sink.port} --connections 2")
    assert (sent["messages"], SENT - sent.keys()) == (20, set())
    ready, signed = lines(f"send --people 30 --port {sink.port} --connections 1 --number 1 --waits --key {key}")
    assert (ready, json.loads(signed)["messages"]) == ("ready", 30)


def test_bookkeeping_takes_a_database_rows_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--database sqlite:////tmp/account --rows 10 20 --processes 1 2 --group 5 --snapshot 7"
    monkeypatch.setattr(sys, "argv", ["bench.bookkeeping", *words.split()])

    told = vars(bookkeeping._arguments())

    assert told == {
        **{"database": "sqlite:////tmp/account", "rows": [10, 20], "processes": [1, 2]},
        **{"group": 5, "snapshot": 7},
    }
