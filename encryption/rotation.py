"""The change to another key: every stored secret is encrypted with the first one, so that older keys can go.

No model has to announce its secrets: the fields of all models are walked.
"""

from collections.abc import Callable, Iterator

from django.apps import apps
from django.db import models

from encryption.keys import SecretUnreadable
from encryption.secret_field import Secret, SecretField
from registry import Registry

# Secrets in columns that are no SecretField. Each function encrypts its own with the first key, and returns how many
# it did and the names of those that no key opens.
OTHER_SECRETS: Registry[Callable[[], tuple[int, list[str]]]] = Registry()


def rotate_secrets() -> tuple[int, list[str]]:
    """Encrypt every secret with the first key; return how many were, and the names of those that no key opens."""
    rotated = 0
    unreadable: list[str] = []
    for rotate in [*(_rotation_of(field) for field in secret_fields()), *OTHER_SECRETS.values()]:
        more, closed = rotate()
        rotated, unreadable = rotated + more, unreadable + closed
    return rotated, unreadable


def secret_fields() -> Iterator[SecretField]:
    """Yield the encrypted fields of all tables."""
    for model in apps.get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield from (field for field in model._meta.local_fields if isinstance(field, SecretField))


def _rotation_of(field: SecretField) -> Callable[[], tuple[int, list[str]]]:
    return lambda: _rotate(field)


def _rotate(field: SecretField) -> tuple[int, list[str]]:
    rows: models.Manager[models.Model] = field.model._base_manager
    rotated = 0
    unreadable = []
    for row in rows.exclude(**{field.attname: ""}).iterator():
        old: Secret = getattr(row, field.attname)
        try:
            new = old.resealed()
        except SecretUnreadable:
            unreadable.append(f"{row} ({field.verbose_name})")
            continue
        # Only if unchanged: a secret changed meanwhile is encrypted with the first key already.
        rotated += rows.filter(pk=row.pk, **{field.attname: old}).update(**{field.attname: new})
    return rotated, unreadable
