"""What every test may ask for."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase

from brilliance.roles import make_roles
from smtpservers.routes import make_default

pytest_plugins = ["tests.browser"]


# What the migrations fill and hardly any test changes: to write it anew takes longer than most tests.
LASTING_TABLES = frozenset(
    {"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Empty the tables after tests with transactions of their own, but for those that last; roles come back."""
    with django_db_blocker.unblock():
        made = roles()

    def empty(case: TransactionTestCase) -> None:
        tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
        tables = [table for table in tables if table not in LASTING_TABLES]
        statements = connection.ops.sql_flush(no_style(), tables, reset_sequences=False, allow_cascade=False)
        connection.ops.execute_sql_flush(statements)
        make_default(using=connection.alias)
        if roles() != made:
            Group.objects.all().delete()
            make_roles(apps, connection.alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty)
        yield


def roles() -> set[tuple[str, int | None]]:
    """Return every group's name with each of its permissions."""
    return set(Group.objects.values_list("name", "permissions"))


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
