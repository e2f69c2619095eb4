"""Whether database and code belong together: migrations not applied yet, and migrations of a newer version."""

import sys
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

NEWER = (
    "This version of Brilliance is older than its database, which a newer one has migrated ({names})."
    " Start the newer version, or restore the database of this one."
)
BEFORE_RELEASE = (
    "This database was made by a Brilliance from before the first release, and 0.1.0 cannot take it over."
    " Name a new one in DATABASE_URL; for the demo, move the folder {folder} away."
)
NOT_MIGRATED = "The database is not migrated. Run: python manage.py migrate"


OURS = frozenset(
    {"brilliance", "contacts", "smtpservers", "delivery", "campaigns", "feedback", "publicpages", "sandbox"}
)
# The first migrations of development, which the first release replaced under another name.
BEFORE = frozenset((app, "0001_roles" if app == "brilliance" else "0001_initial") for app in OURS)


@cache
def _of_code() -> frozenset[tuple[str, str]]:
    """Return the migrations of this code, without replaced ones and squashed ones."""
    migrations = MigrationLoader(None).disk_migrations
    replaced = {name for migration in migrations.values() for name in migration.replaces}
    return frozenset(name for name, migration in migrations.items() if not migration.replaces) - replaced


def is_missing() -> bool:
    """Whether a migration of this code is not applied.

    :raises DatabaseError: if the database does not answer.
    """
    return not _of_code() <= MigrationRecorder(connection).applied_migrations().keys()


def refusal() -> str:
    """Return why this code must not use the database: a newer version or an unreleased one created it; empty if it may.

    :raises DatabaseError: if the database does not answer.
    """
    applied = MigrationRecorder(connection).applied_migrations().keys()
    if applied & BEFORE:
        return BEFORE_RELEASE.format(folder=settings.DATA_DIR)
    names = sorted(f"{app}.{name}" for app, name in applied - _of_code() if app in OURS)
    return NEWER.format(names=", ".join(names)) if names else ""


def refuse(code: int = 1) -> None:
    """Exit with a sentence if the database is not for this code; an unreachable database is no reason."""
    try:
        problem = refusal()
    except DatabaseError:
        return
    finally:
        connection.close()  # Forked processes must not inherit it.
    if problem:
        print(problem, file=sys.stderr, flush=True)
        raise SystemExit(code)
