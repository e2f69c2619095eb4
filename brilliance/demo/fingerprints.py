"""Whether a row is still as the demo made it. What the system writes by itself is no change."""

import hashlib
import json
from collections.abc import Iterable
from itertools import chain

from django.db.models import Model, QuerySet

Fingerprints = dict[str, dict[str, str]]  # By label of the model and key of the row, as JSON writes both.

NO_CHANGE = {"smtpservers.smtpserver": ("is_active", "notes")}  # Such a server still leads nowhere but to the sandbox.
WITH_CHOICES = ("campaigns.campaign",)  # Its lists and attachments. The people of a list are no choice of its form.


def take(rows: Iterable[Model]) -> Fingerprints:
    """Return the fingerprints of these rows as they are in the database."""
    keys: dict[type[Model], list[int]] = {}
    for row in rows:
        keys.setdefault(type(row), []).append(row.pk)
    return {
        model._meta.label_lower: {str(row.pk): _of(row) for row in model._default_manager.filter(pk__in=its)}
        for model, its in keys.items()
    }


def unchanged(model: type[Model], taken: Fingerprints) -> list[int]:
    """Return the keys of the rows that are still as they were, and lock them until the transaction ends."""
    known = taken.get(model._meta.label_lower, {})
    rows: QuerySet[Model] = model._default_manager.select_for_update().filter(pk__in=known).order_by("pk")
    return [row.pk for row in rows if _of(row) == known[str(row.pk)]]


def _of(row: Model) -> str:
    """Return a hash of all that a form can change, and of the keys of the chosen rows. Secrets count as ciphertext."""
    options = row._meta
    own = [field for field in options.concrete_fields if field.editable and not field.primary_key]
    values = [
        (field.name, field.get_prep_value(field.value_from_object(row)))
        for field in own
        if field.name not in NO_CHANGE.get(options.label_lower, ())
    ]
    chosen = [field for field in options.local_many_to_many if options.label_lower in WITH_CHOICES]
    keys = [(field.name, sorted(each.pk for each in field.value_from_object(row))) for field in chosen]
    written = json.dumps([*chain(values, keys)], sort_keys=True, default=str)
    return hashlib.blake2b(written.encode(), digest_size=16).hexdigest()
