"""Empties the tables after tests with transactions of their own."""

from django.apps import apps
from django.contrib.auth.models import Group
from django.core.management.color import no_style
from django.db import connection

from brilliance.roles import make_roles
from smtpservers.routes import make_default

# What the migrations fill and hardly any test changes: to write it anew takes longer than most tests.
LASTING_TABLES = frozenset(
    {"django_migrations", "django_content_type", "auth_permission", "auth_group", "auth_group_permissions"}
)
Roles = set[tuple[str, int | None]]


def roles() -> Roles:
    """Return every group's name with each of its permissions."""
    return set(Group.objects.values_list("name", "permissions"))


def empty_tables(made: Roles) -> None:
    """Empty all tables but those that last.

    :param made: the roles as the migrations made them; they are made again where a test changed them.
    """
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = [table for table in tables if table not in LASTING_TABLES]
    statements = connection.ops.sql_flush(no_style(), tables, reset_sequences=False, allow_cascade=False)
    connection.ops.execute_sql_flush(statements)
    make_default(using=connection.alias)
    if roles() != made:
        Group.objects.all().delete()
        make_roles(apps, connection.alias)
