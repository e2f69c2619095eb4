"""The log: it names what went wrong and where, and quotes nobody."""

import io
import logging
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from celery import Task
from django.conf import settings
from django.db import IntegrityError, OperationalError

from brilliance import celery as celery_app
from brilliance.logs import OneLineFormatter, SecretFilter
from contacts.models import Contact
from tests.harness.demo import free_ports
from tests.harness.workers import ROOT, database_url

SECRET = "ann@example.org"


def written(records: list[logging.LogRecord]) -> str:
    formatter = OneLineFormatter(settings.LOGGING["formatters"]["line"]["format"])
    return "\n".join(formatter.format(record) for record in records)


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> str:
    try:
        raise error
    except Exception:
        logging.getLogger("campaigns").exception("It could not be done")
    return written(caplog.records)


def test_an_error_is_logged_with_its_kind_and_place_and_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(f"{SECRET} is no number") from error
    except ValueError:
        logging.getLogger("campaigns").exception("It could not be done")

    line = written(caplog.records)

    assert SECRET not in line
    assert [kind in line for kind in ("It could not be done", "ValueError (", ", from KeyError (")] == [True] * 3
    assert line.count("brilliance/test_logs.py:") == 2
    assert "\n" not in line


def test_what_the_database_says_of_a_row_is_left_out(db: None, caplog: pytest.LogCaptureFixture) -> None:
    Contact.objects.create(email=SECRET)
    with pytest.raises(IntegrityError) as caught:
        Contact.objects.create(email=SECRET)

    line = logged(caught.value, caplog)

    assert "IntegrityError (" in line
    assert SECRET not in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("the server closed the connection\nDETAIL: a row"), "the server closed the connection ("),
        (FileNotFoundError(2, "No such file or directory", f"/files/{SECRET}"), "No such file or directory ("),
        (AttributeError("'NoneType' object has no attribute 'pk'"), "has no attribute 'pk' ("),
    ],
)
def test_words_about_the_machine_and_the_program_are_kept(
    error: Exception, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = logged(error, caplog)

    assert words in line
    assert SECRET not in line
    assert "DETAIL" not in line


def test_a_task_that_breaks_quotes_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def work(address: str) -> None:
        raise ValueError(address)

    task: Task = celery_app.app.task(work, name="tests.broken", base=Task)
    try:
        task.apply(args=[SECRET])
    finally:
        celery_app.app.tasks.pop("tests.broken")

    line = written([record for record in caplog.records if record.name == "celery.app.trace"])

    assert "Task tests.broken[" in line
    assert "raised unexpected: ValueError" in line
    assert SECRET not in line


def test_nothing_is_logged_in_another_way() -> None:
    assert {handler["formatter"] for handler in settings.LOGGING["handlers"].values()} == {"line"}
    assert settings.CELERY_WORKER_HIJACK_ROOT_LOGGER is False
    whole = re.compile(r"\b(?:format|print)_(?:exc|exception|exception_only|last)\b|\bTracebackException\b")
    root = Path(settings.BASE_DIR)
    rooms = [app for app in settings.INSTALLED_APPS if (root / app).is_dir()]
    sources = [path for room in [*rooms, "mail", "brilliance"] for path in (root / room).rglob("*.py")]

    assert len(sources) > 200
    assert [str(path) for path in sources if whole.search(path.read_text())] == []


# --- secrets in paths


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/hooks/ses/CANARYq7Zt-0_aaaaaaaaaaaaaaaaaaa", "/hooks/ses/…"),
        ("http://a.example/hooks/ses/CANARYq7Zt-0_aaaa?x=CANARY HTTP/1.1", "http://a.example/hooks/ses/… HTTP/1.1"),
        ("'/hooks/x/CANARYq7Zt%2F0_aaaa'", "'/hooks/x/…'"),
        ("GET /c/CANARYq7Zt-0_aaaaaa/CANARY", "GET /c/…"),
        ("/o/CANARYq7Zt-0_aaaaaa.gif", "/o/…"),
        ("/campaigns/12/ and /home/o/file", "/campaigns/12/ and /home/o/file"),
        ("Invalid request from ip=203.0.113.9: Invalid HTTP method", "Invalid request from ip=…: Invalid HTTP method"),
        ("Invalid request from ip=2001:db8::1:9: odd: 'GET'", "Invalid request from ip=…: odd: 'GET'"),
    ],
)
def test_no_log_has_the_secret_of_a_path(path: str, kept: str, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("django.request").warning("Unauthorized: %s", path)
    record = caplog.records[0]

    SecretFilter().filter(foreign := logging.makeLogRecord(dict(vars(record))))

    assert written([record]).endswith(f"Unauthorized: {kept}")
    assert logging.Formatter("%(message)s").format(foreign) == f"Unauthorized: {kept}"


def test_the_servers_that_we_run_in_log_no_secret_path_not_even_in_a_traceback() -> None:
    stream = io.StringIO()
    for name in ("gunicorn.access", "gunicorn.error", "uvicorn.access", "django.server"):
        logger = logging.getLogger(name)
        logger.addHandler(handler := logging.StreamHandler(stream))
        try:
            raise ValueError("/hooks/ses/CANARYq7Zt-0_aaaa is odd")
        except ValueError:
            logger.error(
                '"%(r)s" of %(h)s', {"r": "POST /hooks/ses/CANARYq7Zt-0_aaaa HTTP/1.1", "h": "me"}, exc_info=True
            )
        finally:
            logger.removeHandler(handler)

    assert "CANARY" not in stream.getvalue()
    assert stream.getvalue().count('"POST /hooks/ses/… HTTP/1.1" of me') == 4
    assert stream.getvalue().count("ValueError: /hooks/ses/… is odd") == 4


class OfUvicorn(logging.Formatter):
    """Takes a record of the access log apart as uvicorn.logging.AccessFormatter does."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        client, method, path, version, status = record.args  # type: ignore[misc]  # Five, or it fails.
        return f'{client} - "{method} {path} HTTP/{version}" {status:d}'


@pytest.mark.parametrize("path", ["/hooks/ses/CANARYq7Zt-0_aaaa?x=CANARY", "/healthz"])
def test_the_access_log_of_uvicorn_keeps_its_values_and_no_secret(path: str) -> None:
    stream = io.StringIO()
    logger = logging.getLogger("uvicorn.access")
    logger.addHandler(handler := logging.StreamHandler(stream))
    handler.setFormatter(OfUvicorn())
    try:
        logger.error('%s - "%s %s HTTP/%s" %d', "203.0.113.9:5", "POST", path, "1.1", 200)
    finally:
        logger.removeHandler(handler)

    shown = path if path == "/healthz" else "/hooks/ses/…"
    assert stream.getvalue() == f'203.0.113.9:5 - "POST {shown} HTTP/1.1" 200\n'


@pytest.mark.parametrize(
    ("msg", "args"),
    [
        ("%s", (Path("/hooks/ses/CANARYq7Zt-0_aaaa"),)),
        ("/hooks/%s/%s", ("ses", "CANARYq7Zt-0_aaaa")),
        ("/hooks/ses/CANARYq7Zt-0_aaaa 100%", ()),
    ],
)
def test_a_secret_path_is_cut_wherever_a_record_has_it(msg: str, args: tuple[object, ...]) -> None:
    SecretFilter().filter(record := logging.makeLogRecord({"msg": msg, "args": args}))

    assert "CANARY" not in record.getMessage()


def test_gunicorn_with_its_access_log_on_writes_no_secret_of_a_webhook(tmp_path: Path, db: None) -> None:
    (port,) = free_ports(1)
    log, canary = tmp_path / "log", "CANARYq7Zt0aaaaaaaaaaaaaaaaaaaaa"
    command = [sys.executable, "-m", "gunicorn", "brilliance.wsgi", "--bind", f"127.0.0.1:{port}"]
    options = ["--access-logfile", "-", "--error-logfile", "-", "--log-level", "debug", "--no-control-socket"]
    environment = {**os.environ, "DATABASE_URL": database_url(), "BASE_URL": f"http://localhost:{port}"}
    with log.open("wb") as out:
        process = subprocess.Popen([*command, *options], cwd=ROOT, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 60
        while _status(port, f"/hooks/ses/{canary}", b"{}") != 401:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        assert _status(port, f"/hooks/ses/{canary}") == 405
    finally:
        process.terminate()
        process.wait(20)

    assert '"POST /hooks/ses/… HTTP/1.1" 401' in log.read_text()
    assert canary not in log.read_text()


def _status(port: int, path: str, body: bytes | None = None) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
