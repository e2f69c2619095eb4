"""The change to another key: no encrypted column of any table is forgotten."""

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import LazySettings

from encryption.keys import SecretUnreadable, open_bytes, reseal_bytes, seal_bytes
from encryption.rotation import secret_fields
from encryption.secret_field import SecretField


def test_every_encrypted_column_is_rotated() -> None:
    models = apps.get_models(include_auto_created=True)
    all_columns = {
        (model._meta.db_table, field.column)
        for model in models
        for field in model._meta.concrete_fields
        if isinstance(field, SecretField)
    }

    rotated = {(field.model._meta.db_table, field.column) for field in secret_fields()}

    assert rotated == all_columns
    assert {("smtpservers_smtpserver", "password"), ("smtpservers_smtpserver", "api_key")} <= rotated


def test_bytes_are_opened_with_an_older_key_and_sealed_with_the_first(settings: LazySettings) -> None:
    [old], new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    sealed = seal_bytes(b"\x00report\xff")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]

    again = reseal_bytes(sealed)

    assert open_bytes(sealed) == open_bytes(again) == b"\x00report\xff"
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert open_bytes(again) == b"\x00report\xff"
    for closed in (open_bytes, reseal_bytes):
        with pytest.raises(SecretUnreadable):
            closed(sealed)
