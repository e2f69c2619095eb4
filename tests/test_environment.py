"""The environment is the same for every test, whichever others were imported."""

import os

from tests.harness.environment import before_import


def test_importing_the_tests_has_not_changed_it() -> None:
    """Every test hands it to the processes it starts.

    Scripts of ``bench`` change it: a test reads such a script, or runs it in a process of its own.
    """
    assert {**os.environ, "PYTEST_CURRENT_TEST": ""} == {**before_import, "PYTEST_CURRENT_TEST": ""}
