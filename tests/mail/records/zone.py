"""DNS as a table, for rules that get their answers from a function."""

from collections.abc import Mapping

from mail.records.answers import Answer, Unanswered

Table = Mapping[str, Mapping[str, list[str]]]


class TableAsk:
    """Answers from a table and remembers the names; ``silent`` names are not answered."""

    def __init__(self, table: Table, silent: tuple[str, ...] = ()) -> None:
        self._table, self._silent = table, silent
        self.asked: list[tuple[str, str]] = []

    def __call__(self, name: str, kind: str) -> Answer:
        self.asked.append((name, kind))
        if name in self._silent:
            raise Unanswered(f"{name}: timeout")
        records = self._table.get(name)
        return Answer(exists=False) if records is None else Answer(tuple(records.get(kind, ())))


def txt(**texts: str | list[str]) -> Table:
    """Return a table of TXT records; two underscores stand for a dot, and names end in ``.example``."""
    return {
        f"{name.replace('__', '.')}.example": {"TXT": [text] if isinstance(text, str) else text}
        for name, text in texts.items()
    }
