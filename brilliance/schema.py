"""Whether the database and this code belong together: what was not migrated, and what a newer version has migrated."""

import sys
from functools import cache

from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

NEWER = (
    "This version of Brilliance is older than its database, which a newer one has migrated ({names})."
    " Start the newer version, or restore the database of this one."
)
NOT_MIGRATED = "The database is not migrated. Run: python manage.py migrate"


OURS = frozenset({"brilliance", "contacts", "smtpservers", "delivery", "campaigns", "feedback", "sandbox"})


@cache
def _of_code() -> frozenset[tuple[str, str]]:
    """Return the migrations that came with this code, without those that stand for others."""
    migrations = MigrationLoader(None).disk_migrations
    replaced = {name for migration in migrations.values() for name in migration.replaces}
    return frozenset(name for name, migration in migrations.items() if not migration.replaces) - replaced


def is_missing() -> bool:
    """Whether a migration of this code was not run.

    :raises DatabaseError: if the database does not answer.
    """
    return not _of_code() <= MigrationRecorder(connection).applied_migrations().keys()


def newer() -> list[str]:
    """Return what a newer version has migrated in the rooms of the house."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied.keys() - _of_code() if app in OURS)


def refuse_newer(code: int = 1) -> None:
    """End this process with a sentence if the database is newer than its code; a database that is away is no reason."""
    try:
        names = newer()
    except DatabaseError:
        return
    finally:
        connection.close()  # Whoever forks from here must not inherit it.
    if names:
        print(NEWER.format(names=", ".join(names)), file=sys.stderr, flush=True)
        raise SystemExit(code)
