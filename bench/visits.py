"""How many opens and clicks the product's own web processes answer a second, and whether any is lost.

    DATABASE_URL=postgres://… BROKER_URL=redis://… python -m bench.visits [--quick | --seconds 60]

In a database made for it beside the one of DATABASE_URL, and deleted afterwards. One gunicorn with two processes of
eight threads, as the Dockerfile starts it, answers over loopback. First as fast as it can, with nothing else running.
Then 200 requests a second come beside a campaign of 100 messages a second, sent by the product's own workers. At the
end everything is gathered and counted: one answer that isn't in the numbers fails the run.
"""

import argparse
import contextlib
import datetime as dt
import hashlib
import os
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

import django

django.setup()  # What follows asks for the product's settings.

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count, Max, Min, Sum  # noqa: E402

from bench import ours, webhooks  # noqa: E402
from bench.processes import ROOT, Failed, seconds_of_children  # noqa: E402
from bench.sinks.servers import fast_sink  # noqa: E402
from brilliance.demo import supervisor  # noqa: E402
from contacts.models import Contact  # noqa: E402
from delivery.models import Attempt, Mailing, Message, TrackedLink, TrackedTarget  # noqa: E402
from delivery.outbox import mailings  # noqa: E402
from feedback.models import PendingVisit, VisitCount  # noqa: E402
from feedback.visits.gather import gather_for_a_while  # noqa: E402
from feedback.visits.verdicts import judge_for_a_while  # noqa: E402
from installation.models import SiteSettings  # noqa: E402
from mail.links.tracking import new_code, token_of_message  # noqa: E402

PEOPLE, LINKS = 2_000, 12
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
RATE, CAMPAIGN_RATE = 200, 100
EVERYTHING = 3600.0  # Seconds that gathering may take.


@dataclass
class Load:
    """What came of some requests."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)  # Seconds from a request to its answer.
    refused: int = 0

    def line(self, name: str) -> str:
        waits = sorted(self.waits)
        middle, late = waits[len(waits) // 2] * 1e3, waits[int(len(waits) * 0.99)] * 1e3
        return (
            f"{name}: {len(waits) / self.seconds:,.0f} answers/s, {middle:.1f} ms in the median, {late:.1f} ms p99,"
            f" {waits[-1] * 1e3:.0f} ms at most"
        )


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of each of the two parts")
    parser.add_argument("--quick", dest="seconds", action="store_const", const=10, help="10 seconds each")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", choices=("alone", "beside"), default="")
    options = parser.parse_args()
    seconds = options.seconds
    kept = connection.settings_dict["NAME"]
    made = connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        SiteSettings.objects.update_or_create(pk=1, defaults={"tracking": "personal"})
        requests = make_requests()
        with tempfile.TemporaryDirectory() as folder:
            if options.only != "beside":
                alone(made, Path(folder, "alone"), requests, seconds, options.connections)
            if options.only != "alone":
                beside_a_campaign(made, Path(folder, "beside"), requests, seconds, options.connections)
    except Failed as error:
        sys.exit(str(error))
    finally:
        connection.creation.destroy_test_db(kept, verbosity=0)


def alone(database: str, folder: Path, requests: Sequence[bytes], seconds: float, connections: int) -> None:
    """Ask as fast as answers come."""
    with web(database, folder) as (port, master):
        ask(port, requests, 1, connections)  # Each process knows the links.
        before = seconds_of_children(master)
        load = ask(port, requests, seconds, connections)
        cpu = (seconds_of_children(master) - before) / len(load.waits) * 1e6
        print(load.line(f"{connection.vendor}, nothing else running"), f"; CPU an answer {cpu:.0f} µs", sep="")
    count(folder / "spool", load)


def beside_a_campaign(database: str, folder: Path, requests: Sequence[bytes], seconds: float, connections: int) -> None:
    """Ask at a fixed rate while a campaign is sent."""
    with fast_sink("sink") as sink, web(database, folder) as (port, _master), workers(database, folder):
        ask(port, requests, 1, connections)
        mailing = queue_campaign(sink.port, int(seconds * CAMPAIGN_RATE))
        deadline = time.monotonic() + 60
        while not Attempt.objects.filter(message__mailing=mailing).exists():
            if time.monotonic() > deadline:
                raise Failed("no message of the campaign was sent")
            time.sleep(0.2)
        load = ask(port, requests, seconds, connections, RATE)
        while Message.objects.filter(mailing=mailing, status__in=Message.PENDING).exists():
            if time.monotonic() > deadline + seconds * 2:
                raise Failed("the campaign did not end")
            time.sleep(0.5)
        sent = Attempt.objects.filter(message__mailing=mailing, outcome="accepted")
        told = sent.aggregate(number=Count("pk"), first=Min("finished_at"), last=Max("finished_at"))
        rate = told["number"] / (told["last"] - told["first"]).total_seconds()
        print(load.line(f"{connection.vendor}, beside {rate:.0f} messages/s of a campaign limited to {CAMPAIGN_RATE}"))
    count(folder / "spool", load)


def make_requests() -> list[bytes]:
    """Make a sent campaign with links, and return a request for a pixel or a link of each message in turn."""
    mailing = mailings.open_mailing(stream=Mailing.Stream.CAMPAIGN, **ours.CAMPAIGN)
    Mailing.objects.filter(pk=mailing.pk).update(tracking="personal", is_snapshotted=True)
    codes = []
    for position in range(1, LINKS + 1):
        link = TrackedLink.objects.create(mailing=mailing, part="html", position=position)
        url = f"https://shop.example.com/{position}?utm_source=newsletter&utm_medium=email&utm_campaign=winter-sale"
        codes.append(new_code())
        url_hash = hashlib.sha256(url.encode()).hexdigest()
        TrackedTarget.objects.create(link=link, url=url, url_hash=url_hash, code=codes[-1])
    consent = {"open_tracking": "yes", "click_tracking": "yes"}
    emails = [f"p{number}@customer{number % 50}.example" for number in range(PEOPLE)]
    contacts = Contact.objects.bulk_create(Contact(email=email, email_key=email, **consent) for email in emails)
    messages = Message.objects.bulk_create(
        Message(mailing=mailing, contact=each, email=each.email, email_key=each.email_key, status="accepted")
        for each in contacts
    )
    tokens = [token_of_message(message.pk, settings.TOKEN_KEYS) for message in messages]
    paths = [
        f"/c/{token}{codes[number % LINKS]}" if number % 2 else f"/o/{token}.gif" for number, token in enumerate(tokens)
    ]
    return [
        f"GET {path} HTTP/1.1\r\nHost: click.example.com\r\nUser-Agent: {AGENT}\r\n"
        f"X-Forwarded-For: 198.{number % 100}.{number // 100 % 250}.7\r\n\r\n".encode()
        for number, path in enumerate(paths)
    ]


def queue_campaign(port: int, people: int) -> Mailing:
    """Queue a campaign of so many messages through a server with a rate."""
    ours.make_list(people)
    server = ours.server_on(port, 4)
    type(server).objects.filter(pk=server.pk).update(rate_limit=CAMPAIGN_RATE, rate_unit="second")
    mailing = ours.queue(people, server)
    mailings.resume(mailing.pk)
    return mailing


# --- the processes


def environment_of(database: str, folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": webhooks.url_of(connection.settings_dict, database),
        "DATA_DIR": str(folder),
        "TOKEN_KEYS": ",".join(settings.TOKEN_KEYS),
        "TRUST_PROXY": "on",
    }


@contextlib.contextmanager
def web(database: str, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the product's web processes on this database; yield their port, and the process that has them."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**environment_of(database, folder), "BASE_URL": f"http://localhost:{port}"}
    command = [sys.executable, "-m", "gunicorn", "brilliance.wsgi", "--bind", f"127.0.0.1:{port}", *webhooks.GUNICORN]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not webhooks.is_up(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed("the web processes did not start")
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def workers(database: str, folder: Path) -> Iterator[None]:
    """Run the worker that sends, and the one for errands, which also gathers."""
    parts = (supervisor.worker("deliver", "deliver"), supervisor.worker("errands", "errands", slots=2, with_beat=True))
    environment = environment_of(database, folder)
    running = [
        subprocess.Popen([sys.executable, *part.arguments], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
        for part in parts
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)


# --- the requests


class _Asked(NamedTuple):
    at: float
    answer: bytes  # As far as it has come.


def is_whole(answer: bytes) -> bool:
    """Tell whether an answer is there with its body."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


def ask(port: int, requests: Sequence[bytes], seconds: float, connections: int, rate: float = 0) -> Load:
    """Ask over some connections that are kept, each when its answer is there.

    :param rate: requests a second of all connections together; 0: as fast as answers come.
    """
    load, selector = Load(), selectors.DefaultSelector()
    asked: dict[socket.socket, _Asked] = {}
    idle = deque(_connected(port) for _ in range(connections))
    began = now = time.perf_counter()
    number, end = 0, began + seconds
    while now < end or asked:
        is_due = not rate or number < (now - began) * rate
        while idle and now < end and is_due:
            one = idle.popleft()
            asked[one] = _Asked(time.perf_counter(), b"")
            one.sendall(requests[number % len(requests)])
            selector.register(one, selectors.EVENT_READ)
            number += 1
            is_due = not rate or number < (now - began) * rate
        for key, _events in selector.select(0.001 if rate else 0.1):
            one = key.fileobj  # type: ignore[assignment]  # All that were registered are sockets.
            got = one.recv(65_536)
            answer = asked[one].answer + got
            if got and not is_whole(answer):
                asked[one] = asked[one]._replace(answer=answer)
                continue
            selector.unregister(one)
            waited = time.perf_counter() - asked.pop(one).at
            if is_whole(answer) and answer.startswith((b"HTTP/1.1 302", b"HTTP/1.1 200")):
                load.waits.append(waited)
            elif answer:
                load.refused += 1
            if not got or b"Connection: close" in answer:  # Gunicorn ends connections now and then.
                one.close()
                one = _connected(port)
            idle.append(one)
        now = time.perf_counter()
    load.seconds = min(now, end) - began
    for one in idle:
        one.close()
    if load.refused:
        raise Failed(f"{load.refused} requests were not answered as they should be")
    return load


def _connected(port: int) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=30)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def count(spool: Path, load: Load) -> None:
    """Gather and judge everything, and compare the numbers with the answers.

    :raises Failed: if one is missing.
    """
    before = time.perf_counter()
    while gather_for_a_while(spool, lambda: dt.datetime.now(dt.UTC), EVERYTHING):
        pass
    judge_for_a_while(lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=9), EVERYTHING)
    took = time.perf_counter() - before
    counted = VisitCount.objects.filter(link_id=0).aggregate(n=Sum("loads"))["n"] or 0
    waiting = PendingVisit.objects.filter(is_judged=False).count()
    VisitCount.objects.all().delete()
    if waiting or counted < len(load.waits):
        raise Failed(f"{len(load.waits):,} requests were answered, and {counted:,} are counted")
    print(f"  {counted:,} counted, those of the start too, and 0 lost; gathered and judged in {took:.1f} s")


if __name__ == "__main__":
    main()
