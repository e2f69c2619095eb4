"""The scripted Postmaster Tools API, where the product is led to."""

import pytest

from tests.oauth.conftest import server
from tests.peers.postmaster import PostmasterApi
from tests.peers.token_server import TokenServer

__all__ = ["server"]


@pytest.fixture
def api(server: TokenServer) -> PostmasterApi:
    return PostmasterApi(server)
