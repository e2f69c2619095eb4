"""The scripted token server, where the product is led to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.peers.token_server import TokenServer, token_server
from tests.peers.unsubscribe_page import CA


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TokenServer]:
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with token_server() as running:
        settings.OAUTH_TEST_SERVER = running.url
        yield running
