"""The certificate of the sandbox's STARTTLS listener, issued on the first run by a CA of its own.

Only the demo's servers trust that CA: its certificate is in their settings, and its key is discarded once the
listener's certificate is issued.
"""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme
from django.conf import settings

NAMES = ("localhost", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Paths:
    authority: Path  # The CA's certificate, PEM.
    chain: Path  # The listener's key and certificates, PEM; for ``SSLContext.load_cert_chain``.


def ensure(data_dir: Path) -> Paths:
    """Return the paths of the certificates; create missing ones, valid for centuries.

    :raises OSError: if the folder cannot be written.
    """
    folder = data_dir / "keys" / "sandbox-tls"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".sandbox-tls-"))  # Readable by this user only.
        authority = trustme.CA(organization_name="Brilliance", organization_unit_name="Sandbox")
        authority.cert_pem.write_to_path(aside / "authority.pem")
        authority.issue_cert(*NAMES).private_key_and_cert_chain_pem.write_to_path(aside / "chain.pem")
        try:
            os.rename(aside, folder)  # Both files at once: of several processes that start together, one wins.
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            if not folder.exists():
                raise
    return Paths(folder / "authority.pem", folder / "chain.pem")


def ca_pem() -> str:
    """Return the CA's certificate as PEM text, for a server's trusted certificate."""
    return ensure(settings.DATA_DIR).authority.read_text()
