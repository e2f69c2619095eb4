"""What every test may ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models.signals import post_migrate

from brilliance.roles import make_roles

pytest_plugins = ["tests.browser"]


@pytest.fixture(scope="session", autouse=True)
def lasting_roles() -> Iterator[None]:
    """Make the roles again after each test that emptied every table: the migration that makes them runs once."""

    def again(using: str, **kwargs: Any) -> None:
        make_roles(apps, using)

    sender = apps.get_app_config("auth")  # Any app with models: the signal passes over the others.
    post_migrate.connect(again, sender=sender)
    yield
    post_migrate.disconnect(again, sender=sender)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a service the environment does not name, and say how to name it."""
    for item in items:
        if item.get_closest_marker("postgres") and settings.IS_SQLITE:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set DATABASE_URL=postgres://…"))
        if item.get_closest_marker("redis") and not settings.BROKER_URL.startswith("redis"):
            item.add_marker(pytest.mark.skip(reason="needs Redis: set BROKER_URL=redis://…"))
