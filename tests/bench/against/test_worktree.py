"""Another commit is checked out beside this one, and nothing of it stays."""

import contextlib
import subprocess
from pathlib import Path

import pytest

from bench.against.worktree import commit_of, environment, worktree
from bench.processes import ROOT, Failed, answer_of


def worktrees() -> str:
    return subprocess.run(["git", "worktree", "list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_an_interrupted_worktree_is_gone_from_the_disk_and_from_git() -> None:
    with contextlib.suppress(KeyboardInterrupt), worktree(commit_of("HEAD")) as root:
        assert (root / "bench" / "ours.py").exists()
        assert str(root) in worktrees()
        raise KeyboardInterrupt

    assert not root.parent.exists()
    assert str(root) not in worktrees()


def test_a_commit_that_git_does_not_know_is_named() -> None:
    with pytest.raises(Failed, match="git knows no commit 'no-such-commit'"):
        commit_of("no-such-commit")


def test_the_environment_is_a_worktrees_own(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (root / "requirements.txt").write_text("# none\n")

    python = environment(root)

    told = answer_of([python, "-c", "import json, sys; print(json.dumps({'prefix': sys.prefix}))"], {})
    assert told == {"prefix": str(tmp_path / "environment")}
