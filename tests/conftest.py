"""What every test may ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
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


# What takes longest goes first: else one process is at it while the others have nothing left.
LONGEST = ("tests/brilliance/test_roles.py", "tests/faults/", "tests/delivery/", "tests/fields/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a service the environment does not name, and say how to name it."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))
    for item in items:
        if item.get_closest_marker("postgres") and settings.IS_SQLITE:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set DATABASE_URL=postgres://…"))
        if item.get_closest_marker("redis") and not settings.BROKER_URL.startswith("redis"):
            item.add_marker(pytest.mark.skip(reason="needs Redis: set BROKER_URL=redis://…"))
