"""Encryption with the keys of ``FIELD_ENCRYPTION_KEYS``: the first one encrypts, each of them decrypts."""

from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class SecretUnreadable(Exception):
    """A stored secret cannot be revealed: no key in ``FIELD_ENCRYPTION_KEYS`` fits, or it is for something else."""


def seal_bytes(plain: bytes) -> bytes:
    """Return ``plain`` encrypted with the first key: text in base64, a third longer."""
    return _keys().encrypt(plain)


def open_bytes(sealed: bytes) -> bytes:
    """Return what was encrypted.

    :raises SecretUnreadable: if no key decrypts it.
    """
    try:
        return _keys().decrypt(sealed)
    except InvalidToken:
        raise SecretUnreadable(
            "A stored secret cannot be decrypted with the keys in FIELD_ENCRYPTION_KEYS. Put the key back that"
            " encrypted it, or enter the secret again."
        ) from None


def reseal_bytes(sealed: bytes) -> bytes:
    """Return the same content, encrypted with the first key.

    :raises SecretUnreadable: if no key decrypts it.
    """
    try:
        return _keys().rotate(sealed)
    except InvalidToken:
        raise SecretUnreadable("None of FIELD_ENCRYPTION_KEYS opens this secret.") from None


def _keys() -> MultiFernet:
    return _keys_of(tuple(settings.FIELD_ENCRYPTION_KEYS))


@lru_cache(maxsize=8)
def _keys_of(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys of 32 bytes, separated by commas. Make one with:"
            ' python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        ) from error
