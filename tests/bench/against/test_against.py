"""Two real checkouts: this one, and its last commit in a worktree."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from bench.against.messages import check_same
from bench.against.worktree import commit_of, worktree
from bench.processes import ROOT, Failed
from bench.race.brilliance import send
from bench.sinks.servers import fast_sink
from bench.stage import databases
from bench.stage.checkout import Checkout

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """The last commit, with the packages that are here."""
    with worktree(commit_of("HEAD")) as root:
        checkout = on_sqlite(tmp_path_factory.mktemp("other"))
        checkout.root = root
        checkout.prepare([20])
        yield checkout


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = on_sqlite(tmp_path_factory.mktemp("here"))
    checkout.prepare([20])
    return checkout


def on_sqlite(folder: Path) -> Checkout:
    return Checkout(folder, databases={databases.SQLITE: databases.sqlite(folder / "bench.sqlite3")})


def test_another_checkout_sends_and_keeps_its_books_by_its_command_lines(other: Checkout) -> None:
    with fast_sink("sink") as sink:
        sample = send(other, databases.SQLITE, sink, 20, 2)
    [(rows, processes, books)] = other.bookkeep(databases.SQLITE, [50], [1])

    assert (sample.messages, rows, processes, books.messages) == (20, 50, 1, 50)
    assert min(sample.cpu_seconds, books.cpu_seconds) > 0


def test_another_message_is_refused_with_the_difference(here: Checkout, other: Checkout) -> None:
    assert check_same(here, other, 20) == pytest.approx(1, abs=0.01)
    content = other.root / "bench" / "content.py"
    content.write_text(content.read_text().replace("the winter sale begins", "the summer sale begins"))

    with pytest.raises(Failed, match=r"(?s)do not send the same message.*\n-Subject: Ann\d+, the summer sale begins\n"):
        check_same(here, other, 20)


def test_control_c_leaves_no_worktree_and_no_database(tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "bench", "--smoke", "--against", "HEAD"]
    environment = os.environ | {"DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as bench:
        root = wait_for_worktree(tmp_path, bench)
        os.killpg(bench.pid, signal.SIGINT)
        time.sleep(0.2)
        os.killpg(bench.pid, signal.SIGINT)  # By somebody who does not like to wait.
        bench.communicate(timeout=60)

    assert bench.returncode == 128 + signal.SIGINT
    assert not root.parent.exists()
    assert str(root) not in worktrees()
    assert not (tmp_path / "data" / "bench" / "run").exists()
    assert databases_of(bench.pid) == []


def wait_for_worktree(folder: Path, bench: "subprocess.Popen[str]") -> Path:
    """Return the worktree once its Python environment is being made."""
    end = time.monotonic() + 300
    while not (made := list(folder.glob("brilliance-against-*/environment"))):
        assert bench.poll() is None, bench.communicate()
        assert time.monotonic() < end, "no worktree within five minutes"
        time.sleep(0.05)
    return made[0].with_name(commit_of("HEAD"))


def worktrees() -> str:
    return subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def databases_of(process: int) -> list[str]:
    """Return what a bench has left on PostgreSQL; nothing where there is none."""
    url = os.environ.get("DATABASE_URL", "")
    try:
        with psycopg.connect(url if url.startswith("postgres") else databases.USUAL, connect_timeout=5) as server:
            names = server.execute("SELECT datname FROM pg_database").fetchall()
    except psycopg.OperationalError:
        return []
    return [name for (name,) in names if f"_{process}" in name]
