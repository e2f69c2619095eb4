"""Keyed hashes of networks: they tell whether requests came from one network, and not which one.

The key lies in a file that the processes of a machine share. It is replaced hourly and never stored elsewhere, so that
nobody can tell later where a request came from.
"""

import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path

from contacts.consent.ip_networks import network_of

KEY_SECONDS = 3600
LOOKED_AT_SECONDS = 1.0  # How long the file is believed without a look.
KEY_BYTES = 32


class NetworkHashes:
    """Hashes of networks under the key of this hour."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = b""
        self._looked_at = float("-inf")

    def of(self, origin: str) -> str:
        """Return the hash of the /24 or /48 of an IP address: 16 letters, or none if it is no address."""
        network = network_of(origin)
        if not network:
            return ""
        if time.monotonic() - self._looked_at >= LOOKED_AT_SECONDS:
            self._look()
        return hashlib.blake2b(network.encode(), key=self._key, digest_size=8).hexdigest()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            self._key = _shared_key(self._folder)
        except OSError:  # A full disk: a key of this process's own does for a while.
            self._key = self._key or secrets.token_bytes(KEY_BYTES)


def _shared_key(folder: Path) -> bytes:
    path = folder / "network.key"
    if (key := _fresh_key(path)) is not None:
        return key
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / "network.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (key := _fresh_key(path)) is not None:  # Another process was first.
            return key
        key = secrets.token_bytes(KEY_BYTES)
        new = folder / "network.new"
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(file, key)
        finally:
            os.close(file)
        new.replace(path)
        return key
    finally:
        os.close(lock)


def _fresh_key(path: Path) -> bytes | None:
    """Return the key in the file; None if it is missing, torn, older than an hour, or from the future."""
    try:
        if not -60 <= time.time() - path.stat().st_mtime < KEY_SECONDS:
            return None
        key = path.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None
