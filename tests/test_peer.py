"""The scripted peer kills the process that talks to it, and no other."""

import os
import socket
import subprocess
import sys

from tests.peers.peer import sender_of

HOLD = """
import socket, sys
ours = socket.socket()
ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
ours.bind(("127.0.0.1", int(sys.argv[1])))
ours.connect(("127.0.0.1", int(sys.argv[2])))
print("connected", flush=True)
sys.stdin.read()
"""


def test_a_sender_is_told_from_another_process_with_the_same_local_port() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.socket() as ours,
    ):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ours.bind(("127.0.0.1", 0))
        shared, ports = ours.getsockname()[1], [server.getsockname()[1] for server in (one, other)]
        ours.connect(("127.0.0.1", ports[0]))
        command = [sys.executable, "-c", HOLD, str(shared), str(ports[1])]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"connected\n"

            found = [sender_of({"peer": shared, "port": port}) for port in ports]

            assert found == [os.getpid(), process.pid]
            process.communicate()
