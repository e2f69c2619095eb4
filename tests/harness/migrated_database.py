"""A database with all migrations: they run once, and other processes and later runs begin with a copy.

On SQLite the copy is a file in pytest's cache, named for the code that made it. On PostgreSQL the processes of one
run share a template, which the last of them removes.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.db import connection

CACHE = Path(settings.BASE_DIR) / ".pytest_cache" / "d" / "migrated"
KEPT = 5  # Copies of the code as it was before, for whoever goes back and forth.
# Of this run: all its processes know it.
SHARED = Path(os.environ["TESTS_SHARED_DIR"])
TEMPLATE = f"test_{SHARED.name}"


def fingerprint() -> str:
    """Return a name for everything that the migrations may ask: our code, and the releases of others'."""
    rooms = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    ours = sorted(path for room in rooms for path in (settings.BASE_DIR / room).rglob("*.py"))
    hashed = hashlib.sha256(f"{sys.version} {django.__version__}".encode())
    for path in [settings.BASE_DIR / "requirements.txt", *ours]:
        hashed.update(path.read_bytes())
    return hashed.hexdigest()[:20]


@contextlib.contextmanager
def created_once() -> Iterator[None]:
    """Have the test database made from the copy, if there is one; else make the copy from the test database."""
    make = connection.creation.create_test_db
    use = _from_file if settings.IS_SQLITE else _from_template
    connection.creation.create_test_db = lambda **options: use(make, **options)
    try:
        yield
    finally:
        connection.creation.create_test_db = make


def _from_file(make: Callable[..., str], **options: Any) -> str:
    copy = CACHE / f"{fingerprint()}.sqlite3"
    with _alone(CACHE):
        if copy.exists():
            copy.touch()
            shutil.copy(copy, connection.creation._get_test_db_name())
            return make(**{**options, "keepdb": True})
        name = make(**options)
        for old in sorted(CACHE.glob("*.sqlite3"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(CACHE / "unfinished")])
        (CACHE / "unfinished").rename(copy)
    return name


def _from_template(make: Callable[..., str], **options: Any) -> str:
    with _alone(SHARED):
        if any(SHARED.glob("*.uses-template")):
            connection.settings_dict["TEST"]["TEMPLATE"] = TEMPLATE
            name = make(**options)
        else:
            name = make(**options)
            connection.close()
            with connection.creation._nodb_cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{TEMPLATE}" TEMPLATE "{name}"')
        with connection.creation._nodb_cursor() as cursor:  # Nobody needs these rows after a crash of the machine.
            cursor.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
        (SHARED / f"{os.getpid()}.uses-template").touch()
    connection.close()
    return name


def let_go() -> None:
    """Remove the template if no other process of this run has a database that was made from it."""
    if settings.IS_SQLITE:
        return
    (SHARED / f"{os.getpid()}.uses-template").unlink(missing_ok=True)
    with _alone(SHARED):
        if any(SHARED.glob("*.uses-template")):
            return
        with connection.creation._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
