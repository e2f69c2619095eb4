"""How the processes of a worker learn that it is to end, whatever became of one of them."""

import subprocess
import sys

KILL_WHO_ASKS = """
import os, signal, time
import django
django.setup()
from delivery import tasks

for _ in range(50):
    if not (child := os.fork()):
        while True:
            tasks.should_stop()
    time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print(tasks.should_stop())
tasks._stop_draining()
print(tasks.should_stop())
"""


def test_a_process_that_is_killed_while_it_asks_keeps_nobody_from_being_told() -> None:
    asked = subprocess.run([sys.executable, "-c", KILL_WHO_ASKS], capture_output=True, text=True, timeout=60)

    assert asked.stdout == "False\nTrue\n", asked.stderr
