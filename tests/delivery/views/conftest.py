"""A person who may do what a test says, and servers that really listen."""

import threading
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from delivery import clock
from delivery.operators import trials
from smtpservers.models import SmtpServer
from tests.sandbox.conftest import Running
from tests.sandbox.conftest import sandbox as sandbox  # a fixture


@pytest.fixture
def make_user(db: None) -> Callable[..., User]:
    def make(*codenames: str) -> User:
        user = User.objects.create_user("someone", password="a long password", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        assert user.user_permissions.count() == len(codenames)
        return user

    return make


@pytest.fixture
def tester(client: Client, make_user: Callable[..., User]) -> Iterator[Client]:
    client.force_login(make_user("send_test"))
    return client


@pytest.fixture
def make_server(db: None) -> Callable[..., SmtpServer]:
    def make(port: int, **fields: object) -> SmtpServer:
        usual = {"name": "Relay", "host": "127.0.0.1", "mail_from": "News <news@example.org>", "use_tls": False}
        return SmtpServer.objects.create(port=port, **{**usual, **fields})

    return make


@pytest.fixture
def plain_server(sandbox: Running, make_server: Callable[..., SmtpServer]) -> SmtpServer:
    return make_server(sandbox.plain, mail_to="Ops <ops@example.org>")


@pytest.fixture
def errands(transactional_db: None) -> Iterator[None]:
    """A worker beside the test, as a thread."""
    is_over = threading.Event()

    def work() -> None:
        while not is_over.wait(0.05):
            trials.make_next(clock.now)
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    is_over.set()
    worker.join(30)
