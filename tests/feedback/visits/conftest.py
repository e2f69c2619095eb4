"""A folder for the spool of each test."""

from pathlib import Path

import pytest
from django.conf import LazySettings


@pytest.fixture(autouse=True)
def own_spool(settings: LazySettings, tmp_path: Path, saved_settings: None) -> None:
    settings.DATA_DIR = tmp_path
