"""``manage.py intake`` as a process."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def started(**settings: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, **settings}
    command = [sys.executable, "manage.py", "intake"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_it_listens_until_it_is_stopped(tmp_path: Path) -> None:
    with started(INTAKE_PORT="0", INTAKE_NAME="mx.example.org", DATA_DIR=str(tmp_path)) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("Mail is taken by SMTP on 127.0.0.1:"), process.communicate()

        with socket.create_connection(("127.0.0.1", int(said.strip(".\n").rpartition(":")[2]))) as client:
            greeting = client.recv(100)
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=20)

    assert greeting == b"220 mx.example.org Brilliance\r\n"
    assert (process.returncode, out, errors) == (0, "", "")
    assert (tmp_path / "keys" / "intake-tls.pem").stat().st_mode & 0o077 == 0


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = started(INTAKE_PORT=str(taken.getsockname()[1]), DATA_DIR=str(tmp_path))
        _, errors = process.communicate(timeout=30)

    assert process.returncode == 1
    assert errors.startswith("CommandError: The listener cannot start:")
    assert "Traceback" not in errors
