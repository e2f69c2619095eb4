"""The drawing of the house is a contract: who may import whom, and on which floor a module lives."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_every_import_keeps_the_contract() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_no_code_changes_the_process_wide_filters_of_warnings() -> None:
    # catch_warnings() puts back what it found: with two threads in it, one leaves its own filters behind for good.
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    changing = re.compile(r"\b(catch_warnings|simplefilter|filterwarnings|resetwarnings)\b")

    found = [path for room in rooms for path in (ROOT / room).rglob("*.py") if changing.search(path.read_text())]

    assert found == []
