"""The log: it names what went wrong and where, and quotes nobody."""

import logging
import re
from pathlib import Path

import pytest
from celery import Task
from django.conf import settings
from django.db import IntegrityError, OperationalError

from brilliance import celery as celery_app
from brilliance.logs import OneLineFormatter
from contacts.models import Contact

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
