"""A password and an API key are typed, used, refused and repeated by servers, and turn up nowhere.

Everything is looked through as bytes: pages, the whole data folder with its database and broker, the logs of the
worker and of the web, exports and what a command prints.
"""

import base64
import inspect
import itertools
import logging
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings, settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path

from brilliance.urls import urlpatterns as real_urls
from campaigns.models import Campaign
from delivery.models import Mailing
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing
from tests.harness.send_test import tried
from tests.harness.workers import Worker
from tests.peers.conversation import Script
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD, API_KEY = "canary-Pa55word-of-the-relay", "canary-Ap1-key-of-the-relay"
LIST = "/admin/smtpservers/smtpserver/"
DEADLINE_SECONDS = 120


def explode(request: Any) -> None:
    """A page that fails with a secret in its hands."""
    server = SmtpServer.objects.order_by("pk").first()
    assert server is not None
    secret = server.password.reveal(server.destination)
    raise RuntimeError(f"nobody expected this ({len(secret)})")


urlpatterns = [*real_urls, path("explode", explode)]


def traces() -> list[bytes]:
    """What would give a secret away: itself, and base64 of it wherever it stands in what is encoded."""
    found = []
    for secret in (PASSWORD, API_KEY):
        found.append(secret.encode())
        # The three ways bytes fall into groups; the ends depend on the neighbours.
        whole = [base64.b64encode(b"x" * shift + secret.encode())[4:-4] for shift in range(3)]
        found += [text[:16] for text in whole]  # Also the beginning of one that was cut.
    return found


def assert_clean(where: str, content: bytes) -> None:
    for trace in traces():
        assert trace not in content, (
            f"{where} holds {trace!r}: …{content[max(0, content.index(trace) - 200) :][:400]!r}"
        )


def repeating() -> Script:
    """Return a script that refuses the sign-in and says back what was said, each time in another way."""
    turns = itertools.count()

    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event != "auth":
            return None
        line = context["line"]
        encoded = line.split(" ")[-1]
        ways = (
            f"535-5.7.8 refused:\r\n535 5.7.8 {line}",
            f"{line} is no reply at all",
            f"535 5.7.8 refused: {base64.b64decode(encoded).decode()}".replace("\0", " "),
            f"500 5.5.2 line too long: {line[:50]}",
        )
        return ways[next(turns) % len(ways)].encode()

    return script


@pytest.fixture
def admin() -> Client:
    user = User.objects.create_user("ann", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def posted(name: str, port: int, **changes: str) -> dict[str, str]:
    return {
        "name": name,
        "host": "127.0.0.1",
        "port": str(port),
        "timeout_seconds": "5",
        "mail_from": "news@shop.example",
        "is_active": "on",
        "handles_email_validation": "on",
        "month_start_day": "1",
        "rate_unit": "second",
        "pipelining": "look-ahead",
        "weight": "1",
        "time_zone": "UTC",
        "max_connections": "2",
        "messages_per_connection": "100",
        "username": "ann",
        **changes,
    }


def wait_for(condition: Callable[[], bool], worker: Worker) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
        time.sleep(0.1)


def every_page(client: Client, numbers: dict[str, int]) -> Iterator[tuple[str, bytes]]:
    """Open each address that takes at most a number, with each kind of number, and where it leads to; each once."""

    def walk(patterns: Any, prefix: str = "") -> Iterator[str]:
        for pattern in patterns:
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, prefix + str(pattern.pattern))
            elif isinstance(pattern, URLPattern):
                yield prefix + str(pattern.pattern)

    met: set[str] = set()
    for address in walk(get_resolver().url_patterns):
        if address.startswith(("admin/^", "admin/(", "admin/logout")) or "(" in address or "media" in address:
            continue
        for number in sorted(set(numbers.values())) if "<" in address else [0]:
            filled = address
            while "<" in filled:
                filled = filled[: filled.index("<")] + str(number) + filled[filled.index(">") + 1 :]
            opened = f"/{filled}"
            while opened not in met:
                met.add(opened)
                answer = client.get(opened)
                body = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
                yield opened, body + str(answer.headers).encode()
                opened = urljoin(opened, answer.headers.get("Location", ""))


def database_dump() -> bytes:
    """Every cell of every table."""
    cells: list[str] = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            cells.extend(str(bytes(cell) if isinstance(cell, memoryview) else cell) for row in cursor for cell in row)
    return "\n".join(cells).encode()


def use_the_secrets(admin: Client, folder: Path, worker_folder: Path) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Type, change, test and send with them; return what the worker logged, and the pages met on the way."""
    met: list[tuple[str, bytes]] = []
    with running_peer(folder, repeating()) as rude, running_peer(folder) as polite:
        typed = (
            posted("Rude", rude.port, password=PASSWORD, api_key=API_KEY),
            posted("Rude by key", rude.port, api_key=API_KEY),
            posted("Polite", polite.port, password=PASSWORD, display_order="9"),
            posted("Refused form", 0, password=PASSWORD, api_key=API_KEY),
        )
        met += [("add", admin.post(f"{LIST}add/", form, follow=True).content) for form in typed]
        rude_server, by_key, polite_server = SmtpServer.objects.order_by("pk")
        change = f"{LIST}{rude_server.pk}/change/"
        met.append(("notes", admin.post(change, posted("Rude", rude.port, notes="x", password=PASSWORD)).content))
        for server in (*[rude_server] * 4, *[by_key] * 4, polite_server):  # Each way the peer has.
            test = f"/servers/{server.pk}/test/"
            met.append((test, tried(admin, test, {"recipient": "captain@customer.example"}).content))

        broken = Campaign.objects.create(name="Broken", subject="{{ first_name", html="<p>x</p>")
        met.append(("broken", admin.get(f"/campaigns/{broken.pk}/preview/").content))
        broken_mailing = make_mailing(make_list(2, "Few"))
        Mailing.objects.filter(pk=broken_mailing.pk).update(subject="{{ first_name")
        mailing = make_mailing(make_list(30))
        Campaign.objects.create(name="Winter", subject="Winter", mailing=mailing, status="sending")
        keys = ",".join(settings.FIELD_ENCRYPTION_KEYS)
        worker = Worker(worker_folder, LOG_LEVEL="DEBUG", FIELD_ENCRYPTION_KEYS=keys)
        try:
            wait_for(lambda: Mailing.objects.get(pk=mailing.pk).finished_at is not None, worker)
        finally:
            worker.stop()
        assert polite.accepted(), "the second server takes over"
        signed_in = rude.journal.events("auth")
        assert any(PASSWORD in base64.b64decode(e["line"].split(" ")[-1]).decode() for e in signed_in)
        assert any(API_KEY in base64.b64decode(e["line"].split(" ")[-1]).decode() for e in signed_in)
    return worker.log.read_bytes(), met


def test_a_secret_turns_up_nowhere(
    admin: Client, tmp_path: Path, settings: LazySettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.ROOT_URLCONF = "tests.brilliance.security.test_secrets"

    worker_log, met = use_the_secrets(admin, tmp_path / "peers", tmp_path / "worker")
    server = SmtpServer.objects.get(name="Rude")
    numbers = {"first": server.pk, "campaign": Campaign.objects.latest("pk").pk, "attempt": 1}
    for where, content in (*met, *every_page(admin, numbers)):
        assert_clean(where, content)
    failed = admin.get("/explode")
    assert failed.status_code == 500
    assert_clean("the error page", failed.content)
    dumped = StringIO()
    call_command("dumpdata", stdout=dumped)
    assert "Rude" in dumped.getvalue()
    assert_clean("dumpdata", dumped.getvalue().encode())
    assert_clean("the worker's log", worker_log)
    assert b"celery" in worker_log.lower()
    assert_clean("the log", caplog.text.encode())
    assert_clean("the database", database_dump())


def test_a_secret_is_in_no_file(admin: Client, tmp_path: Path) -> None:
    worker_folder = tmp_path / "worker"

    use_the_secrets(admin, tmp_path / "peers", worker_folder)

    looked_at = [
        found
        for folder in (worker_folder, Path(settings.DATA_DIR))
        for found in folder.rglob("*")
        if found.is_file() and "keys" not in found.parts
    ]
    for file in looked_at:
        assert_clean(str(file), file.read_bytes())
    expected = {"worker.log", "test.sqlite3"} if connection.vendor == "sqlite" else {"worker.log"}
    assert expected <= {file.name.partition("_gw")[0] for file in looked_at}


def test_with_a_wrong_key_there_is_a_sentence_and_neither_secret_nor_ciphertext(
    admin: Client, settings: LazySettings
) -> None:
    admin.post(f"{LIST}add/", posted("Locked", 9, password=PASSWORD, api_key=API_KEY))
    server = SmtpServer.objects.get()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    tested = tried(admin, f"/servers/{server.pk}/test/", {"recipient": "captain@customer.example"})

    page = tested.content.decode()
    assert "A stored secret cannot be decrypted with the keys in FIELD_ENCRYPTION_KEYS." in page
    for secret in (server.password, server.api_key):
        assert secret.ciphertext not in page
    assert_clean("the test's page", tested.content)


def test_what_a_task_is_told_are_numbers_and_never_content(settings: LazySettings) -> None:
    """Arguments lie in the broker in clear text, so they are ids."""
    from brilliance.celery import app

    app.loader.import_default_modules()
    ours = [task for name, task in app.tasks.items() if not name.startswith("celery.")]
    assert ours
    for task in ours:
        for parameter in inspect.signature(task.run).parameters.values():
            assert parameter.annotation in (int, "int", "int | None"), f"{task.name}({parameter})"
