"""The image holds what runs in production and nothing else, and it starts without the sandbox's package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
ROOMS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]) - {"bench"}
MISSING = (
    "The sandbox mailbox is on, and the package aiosmtpd that receives its mail is missing:"
    " install it with pip install aiosmtpd, or set SANDBOX_ENABLED=off.\n"
)


class DockerIgnore:
    """The rules of a .dockerignore file, as moby's patternmatcher applies them."""

    def __init__(self, text: str) -> None:
        lines = [line.strip() for line in text.splitlines()]
        self._rules = [
            (not line.startswith("!"), _expression(line.lstrip("!").strip("/")))
            for line in lines
            if line and not line.startswith("#")
        ]

    def refuses(self, path: Path) -> bool:
        """Whether the path, relative to the folder that is built, stays out: the last rule that fits decides.

        A rule fits a path also where it fits one of the folders above it.
        """
        places = [path.as_posix(), *(parent.as_posix() for parent in path.parents if parent.name)]
        is_refused = False
        for refuses, expression in self._rules:
            if any(expression.fullmatch(place) for place in places):
                is_refused = refuses
        return is_refused


def _expression(pattern: str) -> re.Pattern[str]:
    marks = {"**/": r"(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(marks.get(part) or re.escape(part) for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern)))


IGNORED = DockerIgnore((ROOT / ".dockerignore").read_text())


def let_through() -> Iterator[Path]:
    """Yield the files of this folder that COPY takes, relative to it."""
    for folder, below, names in os.walk(ROOT):
        place = Path(folder).relative_to(ROOT)
        below[:] = [name for name in below if not IGNORED.refuses(place / name)]  # No rule lets part of one in.
        yield from (place / name for name in names if not IGNORED.refuses(place / name))


@pytest.mark.parametrize(
    ("rules", "path", "is_refused"),
    [
        ("", "a/b.py", False),
        ("*", "a/b.py", True),
        ("*\n!a", "a/b.py", False),
        ("*\n!a", "ab/b.py", True),
        ("!a\n*", "a/b.py", True),
        ("a/*.md", "a/b.md", True),
        ("a/*.md", "a/c/b.md", False),
        ("*.md", "a/b.md", False),
        ("**/*.md", "b.md", True),
        ("**/*.md", "a/c/b.md", True),
        ("**/c", "a/c/b.md", True),
        ("a/**", "a/c/b.md", True),
        ("# a\n\n/a/", "a/b.md", True),
        ("?.py", "a.py", True),
        ("?.py", "ab.py", False),
    ],
)
def test_rules_are_read_as_docker_reads_them(rules: str, path: str, is_refused: bool) -> None:
    assert DockerIgnore(rules).refuses(Path(path)) is is_refused


def test_the_image_holds_every_room_and_nothing_beside_what_runs() -> None:
    found = {path.parts[0] for path in let_through()}

    assert found == ROOMS | {"static", "templates", "manage.py", "requirements.txt", "requirements-fast.txt", "LICENSE"}


def test_the_image_holds_everything_of_a_room() -> None:
    places = [ROOT / name for name in (*ROOMS, "static", "templates")]
    files = {path.relative_to(ROOT) for place in places for path in place.rglob("*") if path.is_file()}

    kept = {path for path in files if "__pycache__" not in path.parts and not path.name.startswith(".")}

    assert {path for path in let_through() if len(path.parts) > 1} == kept


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".github/workflows/ci.yml",
        ".ci/run",
        ".venv/bin/python",
        "bench/__main__.py",
        "docs/operations.md",
        "tests/conftest.py",
        "requirements-dev.txt",
        "var/keys/secret_key",
        "dump.sql",
        "brilliance/.env",
        "brilliance/__pycache__/settings.cpython-313.pyc",
        "delivery/management/commands/__pycache__/watch.cpython-313.pyc",
    ],
)
def test_no_secret_and_no_tool_comes_into_the_image(path: str) -> None:
    assert IGNORED.refuses(Path(path))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what COPY takes."""
    folder = tmp_path_factory.mktemp("image")
    for path in let_through():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, folder / path)
    return folder


@pytest.fixture(scope="module")
def packages_without_aiosmtpd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for path in Path(pytest.__file__).parent.parent.iterdir():
        if not path.name.startswith("aiosmtpd"):
            (folder / path.name).symlink_to(path)
    return folder


def run(image: Path, data: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=image,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(data), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_every_module_of_the_image_can_be_imported(image: Path, tmp_path: Path) -> None:
    script = """
import importlib, os, pathlib
os.environ["DJANGO_SETTINGS_MODULE"] = "brilliance.settings"
import django
django.setup()
for path in sorted(pathlib.Path().rglob("*.py")):
    if path.name not in ("manage.py", "leash.py", "__main__.py"):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
        print(path)
"""
    found = run(image, tmp_path, "-c", script)

    assert found.returncode == 0, found.stderr[-2000:]
    assert "sandbox/management/commands/sandbox.py" in found.stdout


def test_without_its_package_the_sandbox_is_refused_in_one_sentence(
    image: Path, packages_without_aiosmtpd: Path, tmp_path: Path
) -> None:
    missing = {"PYTHONPATH": str(packages_without_aiosmtpd)}

    refused = run(image, tmp_path, "-S", "manage.py", "check", SANDBOX_ENABLED="on", **missing)
    off = run(image, tmp_path, "-S", "manage.py", "check", SANDBOX_ENABLED="off", **missing)

    assert (refused.returncode, refused.stderr) == (1, MISSING)
    assert (off.returncode, off.stdout) == (0, "System check identified no issues (0 silenced).\n"), off.stderr
