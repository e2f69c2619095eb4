"""How many events providers can post a second: to the product's own web processes, stored in the database.

    DATABASE_URL=postgres://… python -m bench.webhooks [--seconds 10] [--batch 100] [--connections 8]

In a database made for it beside the one of DATABASE_URL, and deleted afterwards. One gunicorn with two processes of
eight threads, as the Dockerfile starts it, takes SendGrid's signed posts over loopback: first single events, then
batches. Every post has a body and a signature of its own, made before the clock runs. At the end the rows are counted:
a post that was answered 200 and isn't stored fails the run.
"""

import argparse
import base64
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

import django

django.setup()  # What follows asks for the product's settings.

from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.processes import ROOT, Failed, seconds_of, seconds_of_children  # noqa: E402
from feedback.hooks import addresses, keys  # noqa: E402
from feedback.models import RawReport  # noqa: E402
from smtpservers.models import SmtpServer  # noqa: E402

GUNICORN = ("--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket")
NAME = "x-twilio-email-event-webhook-"
MOST_POSTS = 20_000


@dataclass
class Posts:
    """Requests that wait, and how many were answered 200."""

    waiting: list[tuple[bytes, dict[str, str]]]
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> tuple[bytes, dict[str, str]] | None:
        with self.lock:
            return self.waiting.pop() if self.waiting else None

    def count(self) -> None:
        with self.lock:
            self.answered += 1


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batch", type=int, default=100, help="events in a post of the second round")
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    kept = connection.settings_dict["NAME"]
    made = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        key = ec.generate_private_key(ec.SECP256R1())
        path = make_hook(key)
        with web(made) as (port, master):
            for events in (1, options.batch):
                measure(port, path, key, events, options.seconds, options.connections, master)
    except Failed as error:
        sys.exit(str(error))
    finally:
        connection.creation.destroy_test_db(kept, verbosity=0)


def make_hook(key: ec.EllipticCurvePrivateKey) -> str:
    """Make a server with a webhook, and return the path to post to."""
    server = SmtpServer.objects.create(name="B", host="r.example.com", mail_from="a@example.com", preset="sendgrid")
    hook = addresses.renew(server, timezone.now())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    keys.store(hook, {"public_key": public.decode()})
    return urlsplit(addresses.url_of(hook)).path


@contextlib.contextmanager
def web(database: str) -> Iterator[tuple[int, int]]:
    """Run the product's web processes on this database; yield their port, and the process that has them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = connection.settings_dict
    environment = {**os.environ, "DATABASE_URL": url_of(settings, database), "BASE_URL": f"http://localhost:{port}"}
    command = [sys.executable, "-m", "gunicorn", "brilliance.wsgi", "--bind", f"127.0.0.1:{port}", *GUNICORN]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not is_up(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("the web processes did not start")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def url_of(settings: dict[str, str], database: str) -> str:
    """Return the address of a database beside the one of DATABASE_URL."""
    if connection.vendor == "sqlite":
        return f"sqlite:///{database}"
    login = ":".join(filter(None, (settings["USER"], settings["PASSWORD"])))
    host = f"{settings['HOST'] or 'localhost'}:{settings['PORT'] or 5432}"
    return f"postgres://{login}@{host}/{database}"


def is_up(port: int) -> bool:
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        client.request("GET", "/healthz")
        return client.getresponse().status == 200
    except OSError:
        return False


def measure(
    port: int, path: str, key: ec.EllipticCurvePrivateKey, events: int, seconds: float, connections: int, master: int
) -> None:
    """Post for a while, and print what was stored."""
    before = RawReport.objects.count()
    posts = Posts([signed(key, number, events) for number in range(min(MOST_POSTS, int(seconds * 1500)))])
    until, web_before, database_before = time.monotonic() + seconds, seconds_of_children(master), database_seconds()
    started = time.perf_counter()
    clients = [threading.Thread(target=post, args=(port, path, posts, until)) for _ in range(connections)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    took = time.perf_counter() - started
    stored = RawReport.objects.count() - before
    if stored != posts.answered or not stored:
        raise Failed(f"{posts.answered} posts were answered 200, and {stored} are stored")
    rate, each = posts.answered / took, 1000 / posts.answered
    web_cpu, database_cpu = (
        (seconds_of_children(master) - web_before) * each,
        (database_seconds() - database_before) * each,
    )
    print(
        f"{connection.vendor}, {events} events a post: {rate:,.0f} posts/s, {rate * events:,.0f} events/s stored;"
        f" CPU a post: web {web_cpu:.1f} ms, database {database_cpu:.1f} ms; load {os.getloadavg()[0]:.1f}"
    )


def database_seconds() -> float:
    """Return the processors' time of PostgreSQL's processes for this database; 0 where it can't be seen."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        return sum(seconds_of(pid) for (pid,) in cursor.fetchall())


def signed(key: ec.EllipticCurvePrivateKey, number: int, events: int) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a post that no other one is like."""
    timestamp = str(int(time.time()))
    told = [
        {
            "email": f"person{number}.{each}@example.com",
            "timestamp": int(timestamp),
            "event": "bounce" if each % 10 == 0 else "delivered",
            "type": "bounce",
            "reason": "550 5.1.1 The email account that you tried to reach does not exist",
            "smtp-id": f"<{number}.{each}.{events}@example.org>",
            "sg_event_id": f"{number}-{each}-{events}",
            "brilliance": "abcdefghijklmnopqrstuv23",
        }
        for each in range(events)
    ]
    body = json.dumps(told).encode()
    signature = base64.b64encode(key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
    headers = {f"{NAME}signature": signature, f"{NAME}timestamp": timestamp, "content-type": "application/json"}
    return body, headers


def post(port: int, path: str, posts: Posts, until: float) -> None:
    """Post one after the other over one connection, until the time is over or nothing waits."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while time.monotonic() < until and (waiting := posts.next()):
        body, headers = waiting
        try:
            client.request("POST", path, body, headers)
            answer = client.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):  # Gunicorn ended an idle connection.
            client.close()
            continue
        if answer.status == 200:
            posts.count()


if __name__ == "__main__":
    main()
