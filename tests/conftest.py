"""What every test may ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import TransactionTestCase

from tests import emptying

pytest_plugins = ["tests.browser"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Have the tables emptied quickly after tests with transactions of their own."""
    with django_db_blocker.unblock():
        made = emptying.roles()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: emptying.empty_tables(made))
        yield


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test get the answer of readiness that another one got a moment before."""
    monkeypatch.setattr("brilliance.health._answer", None)
    cache.clear()  # Nor the numbers that it counted, of rows with the same keys.


# What takes longest goes first: else one process is at it while the others have nothing left.
LONGEST = ("tests/brilliance/test_roles.py", "tests/faults/", "tests/delivery/", "tests/fields/")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests unless ``-m`` names them; skip what needs a service the environment does not name."""
    if "faults" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("faults")]
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        if item.get_closest_marker("postgres") and settings.IS_SQLITE:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set DATABASE_URL=postgres://…"))
        if item.get_closest_marker("redis") and not settings.BROKER_URL.startswith("redis"):
            item.add_marker(pytest.mark.skip(reason="needs Redis: set BROKER_URL=redis://…"))
