"""``manage.py sandbox`` as a process: one sentence when it cannot start, a quick end when told to stop."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from tests.harness.demo import free_ports

COMMAND = [sys.executable, "manage.py", "sandbox"]


def environment(data_dir: Path, plain_port: int | None = None) -> dict[str, str]:
    plain, starttls, auth = map(str, free_ports(3))
    ports = {"SANDBOX_STARTTLS_PORT": starttls, "SANDBOX_AUTH_PORT": auth}
    return {
        **os.environ,
        **ports,
        "SANDBOX_PLAIN_PORT": str(plain_port or plain),
        "DATA_DIR": str(data_dir),
        "PYTHONUNBUFFERED": "1",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_with_exit_code_0_also_while_a_client_is_connected(tmp_path: Path, number: signal.Signals):
    process = subprocess.Popen(
        COMMAND, cwd=settings.BASE_DIR, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        announced = process.stdout.readline().decode()
        port = int(announced.split("ports ")[1].split(" (plain)")[0])
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert client.recv(100).startswith(b"220 ")
            process.send_signal(number)
            errors = process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.communicate()

    assert process.returncode == 0
    assert errors == b""


def test_a_taken_port_is_one_sentence_that_names_the_setting(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finished = subprocess.run(
            COMMAND, cwd=settings.BASE_DIR, env=environment(tmp_path, port), capture_output=True, text=True, timeout=120
        )

    assert finished.returncode == 1
    assert finished.stderr == (
        f"Port {port} is used by another program. Stop it, or choose another port for the sandbox"
        " with SANDBOX_PLAIN_PORT.\n"
    )
