"""The bench on which every field of a server is tried."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from delivery.content import recipient_domains
from tests.fields.bench import Bench


@pytest.fixture
def bench(transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(recipient_domains, "_PROCESS_CACHE", recipient_domains.DomainCache())
    client = Client()
    client.force_login(User.objects.create_superuser("boss", "boss@brilliance.test"))
    with ExitStack() as resources:
        yield Bench(client, resources, tmp_path)
