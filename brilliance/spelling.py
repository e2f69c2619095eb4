"""Case-insensitive and normalised comparison of texts, on both databases.

SQLite folds the case of a to z only, so that ИВАН would not find Иван; and neither database finds José written with a
combining accent when the search uses the letter é, or the other way round. The searched tables are not known here.
"""

import unicodedata
from typing import Any

from django.db.models.lookups import IContains, IEndsWith, IExact, IStartsWith


def ignore_case_and_normalisation() -> None:
    """Make Django's case-insensitive lookups ignore case for every letter, and Unicode normalisation.

    Set on Django's own lookups, so that no search has to remember it. Pure ASCII text is compared as before.
    """
    lookups: tuple[Any, ...] = (IContains, IEndsWith, IExact, IStartsWith)
    for lookup in lookups:
        lookup.as_sqlite = _as_sqlite
        lookup.as_postgresql = _as_postgresql


def _as_sqlite(self: Any, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
    if not _goes_beyond_ascii(self.rhs):
        return self.as_sql(compiler, connection)  # type: ignore[no-any-return]
    column, of_column = self.process_lhs(compiler, connection)
    edges = (getattr(self, "param_pattern", "%s") % "\0").replace("%", "*")
    forms = {unicodedata.normalize(form, self.rhs) for form in ("NFC", "NFD")}
    patterns = [edges.replace("\0", pattern) for form in sorted(forms) for pattern in patterns_of(form)]
    found = " OR ".join([f"{column} GLOB %s"] * len(patterns))
    return f"({found})", [parameter for pattern in patterns for parameter in (*of_column, pattern)]


def patterns_of(text: str) -> list[str]:
    """Return the patterns with which SQLite's GLOB finds the text in any case: ``Éa?`` gives ``É[Aa][?]``,
    ``é[Aa][?]``.

    The first letter is literal, because SQLite then skips other texts twice as fast. A Python function per row would
    take six times as long.
    """
    return [_literally(first) + "".join(map(_in_any_case, text[1:])) for first in _cases(text[0])]


def _in_any_case(letter: str) -> str:
    cases = _cases(letter)
    return f"[{''.join(cases)}]" if len(cases) > 1 else _literally(letter)


def _literally(sign: str) -> str:
    return f"[{sign}]" if sign in "*?[" else sign


def _cases(letter: str) -> list[str]:
    if letter in "σςΣ":
        return list("Σςσ")  # The final small sigma is another letter.
    return sorted({letter, *(case for case in (letter.lower(), letter.upper()) if len(case) == 1)})


def _as_postgresql(self: Any, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
    sql, parameters = self.as_sql(compiler, connection)
    if not _goes_beyond_ascii(self.rhs):
        return sql, parameters
    column, of_column = self.process_lhs(compiler, connection)
    found = f"normalize({column}, NFC) {self.get_rhs_op(connection, '%s')}"
    return found, [*of_column, unicodedata.normalize("NFC", parameters[-1])]


def _goes_beyond_ascii(sought: object) -> bool:
    return isinstance(sought, str) and not sought.isascii()
