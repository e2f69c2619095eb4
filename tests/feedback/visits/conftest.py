"""A folder for the spool of each test, and an end for the threads of its edges."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings

from tests.feedback.visits.making import end_edges


@pytest.fixture(autouse=True)
def own_spool(settings: LazySettings, tmp_path: Path, saved_settings: None) -> Iterator[None]:
    settings.DATA_DIR = tmp_path
    yield
    end_edges()
