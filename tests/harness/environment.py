"""The environment the tests run in: a folder of their own, and no key or database of the developer's.

Loaded by ``-p`` before Django reads its settings. ``DATABASE_URL`` and ``BROKER_URL`` pass through, so that
the same tests run on PostgreSQL and Redis. It also says how many processes ``-n auto`` is.
"""

import atexit
import gc
import os
import shutil
import tempfile

import pytest

gc.disable()  # Until all tests are imported: a fifth of that time would go into the search for garbage.
before_import: dict[str, str] = {}

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


def pytest_collection() -> None:
    """Remember what the environment is before the tests are imported."""
    before_import.update(os.environ)


@pytest.hookimpl(tryfirst=True)  # Before xdist's own.
def pytest_xdist_auto_num_workers(config: object) -> int:
    """Return how many processes share the tests: three more than there are processors, because many tests wait."""
    return (os.cpu_count() or 1) + 3
