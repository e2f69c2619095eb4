"""What takes long stays out of ``make test``, and one word brings it back."""

import subprocess
import sys

import pytest
from django.conf import settings


@pytest.mark.parametrize(
    ("arguments", "is_run"),
    [(["-m", "not browser"], False), (["-m", "faults"], True)],
)
def test_what_waits_long_is_run_only_where_it_is_asked_for(arguments: list[str], is_run: bool) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]

    found = subprocess.run(
        [*command, *arguments, "tests/faults/test_clocks.py"], cwd=settings.BASE_DIR, capture_output=True, text=True
    )

    assert ("test_all_clocks_are_set_and_mail_goes_on" in found.stdout) == is_run, found.stdout + found.stderr
