"""The finished message that the peers get: nothing is left to personalise, and its headers are given.

Its file is written by ``python -m bench.ours message``; the merge fields stand in it as ``{{ name }}``.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from bench import content

FROM = "Example Shop <news@shop.example.com>"


@dataclass(frozen=True, slots=True)
class Finished:
    """A message as Brilliance composes it, in the words of other mail libraries."""

    subject: str
    text: str
    html: str
    headers: dict[str, str]  # Beside those that every library writes by itself.

    @classmethod
    def read(cls, path: str) -> "Finished":
        """Return the message in the file, with its merge fields."""
        return cls(**json.loads(Path(path).read_text()))

    def filled(self, number: int) -> "Finished":
        """Return the message to one recipient."""
        values = content.person(number)
        subject, text, html = (content.filled(part, values) for part in (self.subject, self.text, self.html))
        return Finished(subject, text, html, self.headers)


def recipient(number: int) -> str:
    """Return the address of one recipient."""
    return f"ann.lee{number}@customers.example.com"
