"""The drawing of the house is a contract: who may import whom, and on which floor a module lives."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from delivery.models import Message

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


def test_every_room_stands_in_the_contract() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    circles = next(each for each in contract["contracts"] if each["type"] == "acyclic_siblings")
    with_floors = {room for each in contract["contracts"] if each.get("exhaustive") for room in each["containers"]}

    coverage = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["coverage"]["run"]

    assert set(contract["root_packages"]) == rooms
    assert set(coverage["source"]) == rooms - {"bench"}
    assert set(circles["ancestors"]) == rooms - {"bench"}
    assert with_floors == rooms - {"bench", "registry"}, "a room of one module has no floors"


def test_nothing_of_the_product_imports_tests() -> None:
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    imports = re.compile(r"^\s*(from|import) tests\b", re.MULTILINE)

    found = [path for room in rooms for path in (ROOT / room).rglob("*.py") if imports.search(path.read_text())]

    assert found == []


def test_no_code_changes_the_process_wide_filters_of_warnings() -> None:
    # catch_warnings() puts back what it found: with two threads in it, one leaves its own filters behind for good.
    rooms = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    changing = re.compile(r"\b(catch_warnings|simplefilter|filterwarnings|resetwarnings)\b")

    found = [path for room in rooms for path in (ROOT / room).rglob("*.py") if changing.search(path.read_text())]

    assert found == []


def test_the_room_of_the_database_alone_asks_which_one_it_is() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    # The bench prints which database it measured.
    rooms = set(tool["root_packages"]) - {"db", "bench"}

    found = [
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        # A migration stays as it was, whatever becomes of the room.
        if "migrations" not in path.parts and re.search(r"\.vendor\b", path.read_text())
    ]

    assert found == []


def test_the_status_of_a_message_is_written_where_its_model_says() -> None:
    change = re.compile(r"UPDATE delivery_message SET [^\"]*\bstatus =|\.update\([^()]*\bstatus=")
    docstring = (Message.__doc__ or "").replace("``", " ")

    writers = {path for path in (ROOT / "delivery").rglob("*.py") if change.search(path.read_text())}
    named = {
        ROOT / "delivery" / f"{name.replace('.', '/')}.py" for name in re.findall(r" ([a-z]+\.[a-z]+)\b", docstring)
    }

    assert writers == named


def test_no_module_asks_which_database_it_is_while_it_is_imported() -> None:
    # It would open the settings of whoever imports it for something else.
    rooms = sorted({path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "tests"})
    script = f"""
import importlib, pathlib, os
os.environ["DJANGO_SETTINGS_MODULE"] = "brilliance.settings"
import django
django.setup()
from db import dialect
def refuse(database=None):
    raise AssertionError("asked while it was imported")
dialect.is_postgresql.__code__ = refuse.__code__
for room in {rooms}:
    for path in sorted(pathlib.Path(room).rglob("*.py")):
        if not {{"migrations", "commands"}} & set(path.parts) and path.name not in ("wsgi.py", "__init__.py"):
            importlib.import_module(".".join(path.with_suffix("").parts))
"""
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert result.returncode == 0, result.stderr[-2000:]
