"""The environment the tests run in: a folder of their own, and no key or database of the developer's.

Loaded by ``-p`` before Django reads its settings. ``DATABASE_URL`` and ``BROKER_URL`` pass through, so that
the same tests run on PostgreSQL and Redis. It also says how many processes ``-n auto`` is.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Generator

import pytest

_folder = tempfile.mkdtemp(prefix="brilliance-tests-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
os.mkdir(os.path.join(_folder, "static"))  # WhiteNoise warns where collectstatic has not run.

os.environ["DATA_DIR"] = _folder
os.environ.setdefault("TESTS_SHARED_DIR", _folder)  # The processes that share the tests inherit it.
os.environ["LOG_LEVEL"] = "WARNING"
for name in ("BASE_URL", "SECRET_KEY", "FIELD_ENCRYPTION_KEYS", "TOKEN_KEYS", "ALLOWED_HOSTS", "DEBUG"):
    os.environ.pop(name, None)

# Workers that the tests start must not take the hints of another test process.
_process = os.environ.get("PYTEST_XDIST_WORKER", "")
if _process and os.environ.get("BROKER_URL", "").startswith("redis:"):
    _numbers = (15, 14, 12, 11, 10, 9, 8, 7)  # The bench has 13.
    _number = _numbers[int(_process.removeprefix("gw")) % len(_numbers)]
    os.environ["BROKER_URL"] = f"{os.environ['BROKER_URL'].rpartition('/')[0]}/{_number}"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None]:
    """Refuse to run if importing a test changes the environment, which every test hands to what it starts.

    Scripts of ``bench`` do: a test reads such a script, or runs it in a process of its own.
    """
    given = dict(os.environ)
    yield
    changed = {name for name in given.keys() | os.environ if given.get(name) != os.environ.get(name)}
    if changed:
        raise pytest.UsageError(f"Importing the tests has changed in the environment: {', '.join(sorted(changed))}")


@pytest.hookimpl(tryfirst=True)  # Before xdist's own.
def pytest_xdist_auto_num_workers(config: object) -> int:
    """Return how many processes share the tests: two more than there are processors, because many tests wait."""
    return (os.cpu_count() or 1) + 2
