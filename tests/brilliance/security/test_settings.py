"""A setting that cannot be right is one sentence before anything is written, and what is written is ours alone."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings


def manage(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env={**kept, "DATA_DIR": str(folder), **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("PORT", "abc", "PORT must be a whole number, not 'abc'."),
        ("PORT", "0", "PORT must be a port from 1 to 65535, not 0."),
        ("SANDBOX_AUTH_PORT", "99999", "SANDBOX_AUTH_PORT must be a port from 1 to 65535, not 99999."),
        ("LOG_LEVEL", "chatty", "LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR, not 'CHATTY'."),
        ("SITE_LANGUAGE", "xx", "SITE_LANGUAGE must be en, de, fr, es, pt, nl, it or ja, not 'xx'."),
        (
            "SITE_TIME_ZONE",
            "localtime",
            "SITE_TIME_ZONE must be a time zone such as Europe/Berlin, not 'localtime'.",
        ),
        ("DATABASE_URL", "nonsense", "DATABASE_URL must be like postgres://user:password@host:5432/name."),
        ("FIELD_ENCRYPTION_KEYS", "nonsense", "FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys of 32 bytes"),
        ("FIELD_ENCRYPTION_KEYS", "é", "FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys of 32 bytes"),
        ("HOST", "nonsense.invalid", "HOST must be an address of this machine, not 'nonsense.invalid'."),
        ("SANDBOX_AUTH_PORT", "18341", "Port 18341 on 127.0.0.1 cannot be used"),
        ("INTAKE_PORT", "18341", "Port 18341 on 127.0.0.1 cannot be used"),
        ("INTAKE_HOST", "nonsense.invalid", "INTAKE_HOST must be an address of this machine, not 'nonsense.invalid'."),
        (
            "DATABASE_URL",
            "postgres://a:canary@127.0.0.1:1/x",
            "The database of DATABASE_URL cannot be used: connection failed",
        ),
    ],
)
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    ports = {"PORT": "18340", "SANDBOX_PLAIN_PORT": "18341", "SANDBOX_STARTTLS_PORT": "18342", "INTAKE_PORT": "18344"}

    found = manage(tmp_path / "var", "demo", **{**ports, "SANDBOX_AUTH_PORT": "18343", name: value})

    assert found.returncode == 1
    assert sentence in found.stderr
    assert "Traceback" not in found.stderr
    assert "canary" not in found.stderr


def test_an_empty_key_file_is_not_taken_for_a_key(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "token_key").touch()

    found = manage(tmp_path, "check")

    assert found.returncode == 1
    assert "token_key is empty. Put the key back, or delete the file" in found.stderr


def test_nobody_else_on_the_machine_may_look_into_the_data_folder(tmp_path: Path) -> None:
    os.umask(0o022)

    assert manage(tmp_path / "deep" / "var", "check").returncode == 0

    assert stat.S_IMODE((tmp_path / "deep" / "var").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "var" / "keys" / "secret_key").stat().st_mode) == 0o600


def test_what_is_written_into_a_folder_that_is_open_to_others_is_not(tmp_path: Path) -> None:
    os.umask(0o022)
    folder = tmp_path / "var"
    folder.mkdir(mode=0o755)

    assert manage(folder, "showmigrations", "sandbox").returncode == 0  # It makes the database.

    written = list(folder.rglob("*"))
    assert folder / "brilliance.sqlite3" in written
    assert [path for path in written if path.stat().st_mode & 0o077] == []
