"""What the sandbox makes on its first run: a certificate and a password."""

import os
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox import certificates, credentials


def test_the_certificate_is_made_once_and_readable_by_us_alone(tmp_path: Path):
    first = certificates.ensure(tmp_path)
    content = first.chain.read_bytes()

    second = certificates.ensure(tmp_path)

    assert second == first
    assert second.chain.read_bytes() == content
    assert first.chain.parent.stat().st_mode & 0o077 == 0
    assert os.listdir(tmp_path / "keys") == ["sandbox-tls"]


def test_the_authority_and_the_certificate_can_be_loaded(tmp_path: Path):
    paths = certificates.ensure(tmp_path)

    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(paths.chain)
    ssl.create_default_context(cafile=str(paths.authority))


def test_processes_that_start_together_agree_on_one_certificate(tmp_path: Path):
    with ThreadPoolExecutor(4) as pool:
        chains = list(pool.map(lambda _: certificates.ensure(tmp_path).chain.read_bytes(), range(4)))

    assert len(set(chains)) == 1
    assert os.listdir(tmp_path / "keys") == ["sandbox-tls"]


def test_the_password_is_made_once_and_readable_by_us_alone(tmp_path: Path):
    first = credentials.password(tmp_path)

    assert credentials.password(tmp_path) == first
    assert len(first) >= 20
    assert (tmp_path / "keys" / "sandbox_password").stat().st_mode & 0o077 == 0
    assert os.listdir(tmp_path / "keys") == ["sandbox_password"]
