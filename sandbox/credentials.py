"""The login of the sandbox's AUTH listener; its password is created on the first run."""

import contextlib
import os
import secrets
from pathlib import Path

from django.conf import settings

USERNAME = "brilliance"


def password(data_dir: Path | None = None) -> str:
    """Return the password in ``keys/sandbox_password`` below ``data_dir`` (``DATA_DIR`` by default).

    :raises OSError: if the folder cannot be written.
    """
    path = (data_dir or settings.DATA_DIR) / "keys" / "sandbox_password"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = path.with_name(f".sandbox_password.{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(18))
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)  # Atomic: of several processes that start together, one wins.
        aside.unlink()
    return path.read_text().strip()
