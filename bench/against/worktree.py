"""Another commit of Brilliance in a temporary folder: a worktree of git, and a Python environment of its own."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

from bench.processes import ROOT, Failed
from bench.stage.programs import run


def commit_of(name: str) -> str:
    """Return the short name of a commit.

    :raises Failed: if git knows none by this name.
    """
    found = _git("rev-parse", "--verify", "--quiet", "--short", "--end-of-options", f"{name}^{{commit}}")
    if found.returncode:
        raise Failed(f"git knows no commit {name!r} in {ROOT}. {found.stderr.strip()}".strip())
    return found.stdout.strip()


@contextlib.contextmanager
def worktree(commit: str) -> Iterator[Path]:
    """Check a commit out, and remove it at the end.

    :raises Failed: if git cannot.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="brilliance-against-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        root = folder / commit
        # Named first: what git has noted must go even if checking out was interrupted.
        stack.callback(_git, "worktree", "remove", "--force", str(root))
        made = _git("worktree", "add", "--quiet", "--detach", str(root), commit)
        if made.returncode:
            raise Failed(f"git made no worktree of {commit}: {made.stderr.strip()}")
        yield root


def environment(root: Path) -> Path:
    """Make the Python environment of a worktree beside it, of the Python that runs this; return its interpreter.

    The packages are those of the commit's own ``requirements.txt``; uv installs them where it is, else pip.

    :raises Unavailable: if they cannot be installed.
    """
    folder = root.parent / "environment"
    python, requirements = folder / "bin" / "python", ["-r", str(root / "requirements.txt")]
    if uv := shutil.which("uv"):
        run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], root)
        run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements], root)
    else:
        venv.create(folder, with_pip=True)
        run([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements], root)
    return python


def _git(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
