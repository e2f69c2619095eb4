"""Redaction of addresses in texts that are kept for another purpose: a history, a server reply, a reason.

The row stays; :data:`ERASED` replaces the address.
"""

import contextlib
import json
import re
from collections.abc import Collection, Iterator
from typing import Any

from django.db import models
from django.db.models import Q

from mail.addresses import AddressInvalid, ascii_address, fold, normalise, readable_domain

ERASED = "(erased)"


class Pattern:
    """The spellings of some addresses, as a text may contain them."""

    def __init__(self, emails: Collection[str]) -> None:
        self.spellings = sorted({each for email in emails for each in _spellings(email)}, key=len, reverse=True)
        words = "|".join(map(re.escape, self.spellings))
        # No match within a longer address: ann@example.org is no part of joann@example.org.
        ends = r"(?![\w-]|\.(?!(?:csv|tsv|txt)\b)\w)"  # File names contain addresses, too.
        self._found = re.compile(rf"(?<![\w.+-])(?:{words}){ends}", re.IGNORECASE)

    def finds(self, text: str) -> bool:
        """Whether a text contains one of the addresses."""
        return self._found.search(text) is not None

    def clean(self, value: Any) -> Any:
        """Return a text, or a JSON value, with the addresses redacted."""
        if isinstance(value, str):
            return self._found.sub(ERASED, value)
        if isinstance(value, list):
            return [self.clean(each) for each in value]
        if isinstance(value, dict):
            return {self.clean(key): self.clean(each) for key, each in value.items()}
        return value

    def holds(self, *names: str) -> Q:
        """Condition: one of the columns may contain one of the addresses."""
        condition = Q()
        for name in names:
            for spelling in self.spellings:
                condition |= Q(**{f"{name}__icontains": spelling})
        return condition


def redact(rows: "models.QuerySet[Any]", pattern: Pattern, *names: str) -> int:
    """Redact the addresses in these columns of the rows; return how many rows changed."""
    count = 0
    if not names:
        return 0
    for row in rows.filter(pattern.holds(*names)).order_by().only("pk", *names).iterator(chunk_size=500):
        before = {name: getattr(row, name) for name in names}
        after = {name: _cut(row, name, pattern.clean(value)) for name, value in before.items()}
        if after != before:
            count += row._meta.default_manager.filter(pk=row.pk).update(**after)
    return count


def text_columns(model: type[models.Model]) -> list[str]:
    """Return the columns of a model that hold free text: no keys, no choices, no secrets."""
    return [field.name for field in _texts(model)]


def _texts(model: type[models.Model]) -> Iterator[Any]:
    for field in model._meta.concrete_fields:
        is_text = type(field) in (models.CharField, models.TextField, models.JSONField)
        if is_text and not field.choices and not field.primary_key:
            yield field


def _cut(row: Any, name: str, value: Any) -> Any:
    most = getattr(row._meta.get_field(name), "max_length", None)
    return value[:most] if most and isinstance(value, str) else value


def _spellings(email: str) -> set[str]:
    email = normalise(email)
    local, _, domain = email.rpartition("@")
    found = {email, fold(email), f"{local}@{readable_domain(domain)}"}
    with contextlib.suppress(AddressInvalid):  # The address of a redirected message may be any text.
        found.add(ascii_address(email))
    found |= {json.dumps(each)[1:-1] for each in found}  # As SQLite stores it within JSON.
    return {each for each in found if "@" in each}
