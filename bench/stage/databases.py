"""The databases of a run: made beside the one that is named, and dropped at the end."""

import contextlib
import getpass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from bench.stage.programs import Unavailable

POSTGRESQL, SQLITE = "PostgreSQL", "SQLite"
USUAL = f"postgres://{getpass.getuser()}@127.0.0.1:5432/postgres"


def sqlite(path: Path) -> str:
    """Return the URL of a file."""
    return f"sqlite:///{path}"


def postgresql(stack: contextlib.ExitStack, beside: str, name: str) -> str:
    """Make a database, and return its URL. The stack drops it, and the one for bookkeeping beside it.

    :param beside: URL of a database that may be connected to in order to make others; empty: the usual place.
    :raises Unavailable: if it cannot be made.
    """
    url = beside or USUAL

    def execute(sql: str) -> None:
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.encode())

    try:
        execute(f"CREATE DATABASE {name}")
    except psycopg.Error as error:
        raise Unavailable(f"PostgreSQL: {str(error).splitlines()[0]} (name one with DATABASE_URL)") from None
    stack.callback(execute, f"DROP DATABASE {name} WITH (FORCE)")
    # Left behind if the program that made it was killed.
    stack.callback(execute, f"DROP DATABASE IF EXISTS {name}_account WITH (FORCE)")
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
