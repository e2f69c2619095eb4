"""Empties the tables after tests with transactions of their own."""

import functools

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection, transaction

from brilliance.roles import make_roles
from smtpservers.routing.rules import make_default

# What the migrations fill and hardly any test changes: to write it anew takes longer than most tests.
LASTING_TABLES = frozenset(
    {"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
)
Roles = set[tuple[str, int | None]]


def roles() -> Roles:
    """Return every group's name with each of its permissions."""
    return set(Group.objects.values_list("name", "permissions"))


@functools.cache
def _filled_tables() -> str:
    """Return a query for the tables that hold a row: to empty all others takes far longer than to find these."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return " UNION ALL ".join(
        f"SELECT '{table}' WHERE EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
        for table in tables
        if table not in LASTING_TABLES
    )


def empty_tables(made: Roles) -> None:
    """Empty all tables but those that last.

    :param made: the roles as the migrations made them; they are made again where a test changed them.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_filled_tables())
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
    make_default(using=connection.alias)
    if roles() != made:
        Group.objects.all().delete()
        make_roles(apps, connection.alias)
