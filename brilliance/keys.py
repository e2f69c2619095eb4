"""Secret keys: from the environment, or from a file created on the first run, readable by this user only."""

import base64
import contextlib
import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def key_from_environment_or_file(value: str, folder: Path, name: str) -> str:
    """Return ``value`` if the environment gave one, or else the key in ``folder/keys/name``, created if missing.

    :raises ImproperlyConfigured: if the file can be neither read nor created.
    """
    if value:
        return value
    path = folder / "keys" / name
    try:
        # The folder has people's addresses and sessions: no other user of this machine may read it.
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        aside = path.with_name(f".{name}.{os.getpid()}")
        if not path.exists():
            aside.touch(mode=0o600)
            aside.write_bytes(base64.urlsafe_b64encode(os.urandom(32 if name == "field_encryption_key" else 48)))
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)  # Atomic: of several processes that start together, one wins.
            aside.unlink()
        key = path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"The key file {path} cannot be used ({error.strerror}). Make DATA_DIR writable, or set {name.upper()}"
            " in the environment."
        ) from error
    if not key:
        raise ImproperlyConfigured(
            f"The key file {path} is empty. Put the key back, or delete the file: a new one is made."
        )
    return key


def check_encryption_keys(keys: list[str]) -> None:
    """Reject keys that cannot encrypt, at the start instead of at the first password.

    :raises ImproperlyConfigured: if one is not 32 bytes in url-safe base64.
    """
    for key in keys:
        try:
            is_key = len(base64.urlsafe_b64decode(key)) == 32
        except ValueError:
            is_key = False
        if not is_key:
            raise ImproperlyConfigured(
                "FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys of 32 bytes, separated by commas. Make one with:"
                ' python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            )
