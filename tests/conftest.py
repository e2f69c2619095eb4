"""What every test may ask for."""

import datetime as dt
import gc
import threading
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.cache import cache
from django.template import Template
from django.test import TransactionTestCase
from whitenoise.middleware import WhiteNoiseMiddleware

from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from tests.feedback.visits.making import end_edges
from tests.harness import empty_tables, migrated_database, quick_pages

pytest_plugins = ["tests.harness.browser"]
END_SECONDS = 5.0  # Most that a thread may need to end after its test.

# Generated tests are not failed for being slow on a busy machine.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def quick_client(django_test_environment: None) -> Iterator[None]:
    """Have pages drawn without what tests do not ask for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", quick_pages.add_files_found_once)
        patch.setattr(Template, "_render", quick_pages.render_telling_of_outermost)
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords as the product does, but with the least work: each would take a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch:
        for name, least in (("time_cost", 1), ("memory_cost", 8), ("parallelism", 1)):
            patch.setattr(Argon2PasswordHasher, name, least)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> Iterator[None]:
    """Have the migrations run once for all processes."""
    with migrated_database.created_once():
        yield


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Have the tables emptied quickly after tests with transactions of their own."""
    with django_db_blocker.unblock():
        made = empty_tables.roles()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: empty_tables.empty_tables(made))
        yield
    with django_db_blocker.unblock():
        migrated_database.let_go()


# A server that a test makes was tested long ago, unless it says otherwise, as the form of the product does.
SmtpServer._meta.get_field("tested_at").default = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Refuse a test that leaves a thread behind: it would read the settings and the database of later tests."""
    before = set(threading.enumerate())
    yield
    end_edges()
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(END_SECONDS)  # Some are about to end.
    assert not [thread for thread in left if thread.is_alive()]


@pytest.fixture
def saved_settings() -> None:
    """Ask for this where the settings that administrators save are read from the database."""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let no test get the answer of readiness that another one got a moment before."""
    monkeypatch.setattr("brilliance.health.probes._answer", None)
    monkeypatch.setattr("installation.site._known", None)
    monkeypatch.setattr("delivery.clock.FRESH_SECONDS", float("inf"))  # No query of PostgreSQL's clock now and then.
    if "saved_settings" not in request.fixturenames:
        # Those of the environment as the test sets it, and no query every few seconds.
        monkeypatch.setattr("installation.site._saved", SiteSettings)
        monkeypatch.setattr("installation.site.KEEP_SECONDS", 0)
    cache.clear()  # Nor the numbers that it counted, of rows with the same keys.


def pytest_collection_finish(session: pytest.Session) -> None:
    """Spare the collector of garbage the search through all modules and tests: they stay to the end."""
    gc.enable()
    gc.collect()
    gc.freeze()


# What takes longest, the longest first: else one process is at it while the others have nothing left.
LONGEST = (
    *(
        "tests/brilliance/web/test_every_page.py",
        "tests/test_journey.py",
        "tests/delivery/worker/test_kills.py",
        "tests/faults/test_processes.py",
        "tests/brilliance/web/test_translation.py",
        "tests/feedback/visits/test_kills.py",
        "tests/accounts/test_fresh_sign_in.py",
        "tests/accounts/test_required_factor.py",
        "tests/mail/test_linear.py",
    ),
    *("tests/delivery/worker/", "tests/faults/"),
    *("tests/brilliance/demo/", "tests/brilliance/security/", "tests/smtpservers/limits/test_races.py"),
    *("tests/delivery/outcomes/", "tests/brilliance/", "tests/test_installing.py", "tests/campaigns/views/"),
    *("tests/contacts/admin/", "tests/smtpservers/pages/", "tests/delivery/", "tests/fields/", "tests/adminpages/"),
)
OF_THE_DATABASE = {"db", "transactional_db", "live_server", "django_db_setup"}


def _place(item: pytest.Item) -> int:
    return next((place for place, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the slow tests unless ``-m`` names them; skip what needs a service the environment does not name.

    What uses the database gets the marker ``database``.
    """
    if "faults" not in config.option.markexpr:
        slow = [item for item in items if item.get_closest_marker("faults")]
        items[:] = [item for item in items if item not in slow]
        config.hook.pytest_deselected(items=slow)
    items.sort(key=_place)
    for item in items:
        if item.get_closest_marker("django_db") or OF_THE_DATABASE & set(getattr(item, "fixturenames", ())):
            item.add_marker("database")
        if item.get_closest_marker("postgres") and settings.IS_SQLITE:
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL: set DATABASE_URL=postgres://…"))
        if item.get_closest_marker("redis") and not settings.BROKER_URL.startswith("redis"):
            item.add_marker(pytest.mark.skip(reason="needs Redis: set BROKER_URL=redis://…"))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say how to repeat the order of the tests, and all that was random in them."""
    if (seed := config.getoption("randomly_seed", None)) is not None:
        terminalreporter.write_line(f"In the same order again: --randomly-seed={seed}")
