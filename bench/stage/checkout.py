"""A checkout of Brilliance, and the commands that make it do something.

``bench.ours`` and ``bench.bookkeeping`` are how one commit drives another, so their command lines and answers stay as
they are; ``tests/bench/test_command_lines.py`` holds them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import ROOT, Sample, answer_of, lines_of


@dataclass
class Checkout:
    """One of them, with the databases and the data folder that are its own."""

    folder: Path  # Its DATA_DIR.
    root: Path = ROOT
    python: Path = Path(sys.executable)
    databases: dict[str, str] = field(default_factory=dict)  # URLs by kind.
    broker: str = ""  # Redis; empty: there is none.

    def environment(self, database: str) -> dict[str, str]:
        """Return the environment it runs in."""
        return {
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self.databases[database],
            "BROKER_URL": self.broker or "brilliance-fs://localhost",
            "BASE_URL": "https://mail.example.com",
            "LOG_LEVEL": "WARNING",
            "DRAIN_SECONDS": "600",
        }

    def command(self, what: str, **options: object) -> list[str]:
        """Return the command that makes it do ``what``; see :mod:`bench.ours`.

        :param options: True is an option without a value, a list has several values.
        """
        return self._command("bench.ours", what, **options)

    def _command(self, module: str, *words: str, **options: object) -> list[str]:
        command = [str(self.python), "-m", module, *words]
        for name, value in options.items():
            values = [] if value is True else value if isinstance(value, list) else [value]
            command += [f"--{name}", *(str(each) for each in values)]
        return command

    def answer(self, database: str, command: Sequence[str], seconds: float = 1800) -> Any:
        """Run a command of this checkout on one of its databases, and return its answer.

        :raises Failed: as :func:`bench.processes.answer_of`.
        """
        return answer_of(command, self.environment(database), seconds, self.root)

    def prepare(self, sizes: list[int]) -> None:
        """Make the tables and the lists of so many people in each database."""
        for database in self.databases:
            self.answer(database, self.command("prepare", people=sizes))

    def bookkeep(self, database: str, rows: list[int], processes: list[int]) -> list[tuple[int, int, Sample]]:
        """Claim and record so many messages by so many processes; return both numbers and the sample of each run.

        The account has a database of its own, which :mod:`bench.bookkeeping` makes and drops.

        :raises Failed: if the account does not add up.
        """
        command = self._command(
            "bench.bookkeeping",
            database=account_of(self.databases[database]),
            processes=processes,
            rows=rows,
        )
        return [
            (
                line["rows"],
                line["processes"],
                Sample(line["rows"], line["seconds"], line["client us"] * line["rows"] / 1e6),
            )
            for line in lines_of(command, self.environment(database), folder=self.root)
        ]


def account_of(url: str) -> str:
    """Return the URL of the database for bookkeeping beside the one of ``url``."""
    path, mark, query = url.partition("?")
    return f"{path}_account{mark}{query}"
