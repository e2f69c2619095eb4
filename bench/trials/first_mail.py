"""How long a campaign to 500 people takes on an idle installation: from the click on Send to its first MAIL at a sink.

    DATABASE_URL=postgres://user@127.0.0.1/bench_first BROKER_URL=redis://127.0.0.1:6379/12 DATA_DIR=/tmp/first \
        python -m bench.trials.first_mail --times 20

Starts the web server and the two workers as ``make run`` does, in an empty database and data folder that are given, and
queues one campaign after the other. Between two of them everything comes to rest, for times of different length.
Prints the seconds of each, with the time until the page answered, and at the end the median as a line of JSON.
"""

import argparse
import html.parser
import http.client
import json
import os
import random
import socketserver
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from bench import ours  # Sets up Django, and comes first.  # isort: skip
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bench.processes import ROOT, Failed
from brilliance.demo.supervisor import web, worker
from campaigns.models import Campaign
from contacts.models import ContactList
from delivery.models import Batch

PEOPLE = 500
PATIENCE = 180.0  # Seconds for the processes to be ready, and for a campaign to begin or to be over.
REST = (4.0, 8.0)  # Seconds between two campaigns.


class _Sink(socketserver.StreamRequestHandler):
    """Takes mail, and notes when the first MAIL came since the event was cleared."""

    has_come = threading.Event()
    came_at = 0.0

    def handle(self) -> None:
        self.wfile.write(b"220 sink.example ESMTP\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"MAIL" and not self.has_come.is_set():
                _Sink.came_at = time.monotonic()
                self.has_come.set()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() != b".\r\n":
                    pass
            self.wfile.write(b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 ok\r\n")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Form(html.parser.HTMLParser):
    """The hidden fields of the form with the id ``send_form``."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._is_inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form":
            self._is_inside = given.get("id") == "send_form"
        elif tag == "input" and self._is_inside and given.get("type") == "hidden":
            self.fields[given.get("name") or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False


def measure(times: int) -> list[float]:
    """Queue so many campaigns, and return the seconds until the first MAIL of each.

    :raises Failed: if a campaign does not begin or end in time.
    """
    ours.prepare([PEOPLE])
    with _Server(("127.0.0.1", 0), _Sink) as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        ours.server_on(sink.server_address[1], 10)
        user = get_user_model().objects.create_superuser("bench", "bench@example.org", "bench")
        client = Client()
        client.force_login(user)
        cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
        with _processes():
            _wait("the installation", lambda: _request("GET", "/readyz", cookies)[0] == 200)
            waits = [_once(number, cookies) for number in range(times + 1)]
        sink.shutdown()
    return waits[1:]  # The first one finds processes that have imported nothing yet.


def _once(number: int, cookies: str) -> float:
    time.sleep(random.uniform(*REST))
    campaign = Campaign.objects.create(
        name=f"Sale {number}", subject="Sale", html="<p>Dear {{ first_name }}, snow!</p>", text="Dear {{ first_name }}"
    )
    campaign.lists.set(ContactList.objects.filter(name=f"{PEOPLE} people"))
    _, page, more = _request("GET", reverse("campaigns:review", args=[campaign.pk]), cookies)
    body = urlencode(_Form(page).fields)
    _Sink.has_come.clear()
    began, began_at = time.monotonic(), timezone.now()
    status, page, _ = _request("POST", reverse("campaigns:queue", args=[campaign.pk]), f"{cookies}; {more}", body)
    answered = time.monotonic()
    if status != 302 or not _Sink.has_come.wait(PATIENCE):
        campaign.refresh_from_db()
        raise Failed(f"the page said {status}, and the campaign is {campaign.status}: {campaign.returned_reason}")
    # Each line is a figure of its own, so that a run that is cut off leaves some.
    print(f"{_Sink.came_at - began:.3f} s; the page answered after {answered - began:.3f} s", end="", flush=True)
    _wait("the campaign", lambda: Campaign.objects.filter(pk=campaign.pk, status="finished").exists())
    campaign.refresh_from_db()
    batch = Batch.objects.filter(mailing=campaign.mailing_id).earliest("pk")
    steps = {"a worker began": batch.mailing.created_at, "messages were claimed": batch.started_at}
    print("".join(f", {what} after {(at - began_at).total_seconds():.3f} s" for what, at in steps.items()), flush=True)
    return _Sink.came_at - began


def _request(method: str, path: str, cookies: str, body: str | None = None) -> tuple[int, str, str]:
    """Return status, page and new cookies; the status is 0 if nobody answers."""
    port = int(settings.PORT)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Cookie": cookies, "Content-Type": "application/x-www-form-urlencoded", "Host": f"127.0.0.1:{port}"}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        new = "; ".join(value.partition(";")[0] for name, value in answer.getheaders() if name == "Set-Cookie")
        return answer.status, answer.read().decode(), new
    except OSError:
        return 0, "", ""
    finally:
        connection.close()


def _wait(what: str, is_true: object) -> None:
    end = time.monotonic() + PATIENCE
    while not is_true():  # type: ignore[operator]
        if time.monotonic() > end:
            raise Failed(f"{what} is not ready after {PATIENCE:g} s")
        time.sleep(0.2)


@contextmanager
def _processes() -> Iterator[None]:
    """Run what ``make run`` runs, without its sandbox."""
    errands = worker("errands", "errands", slots=2, with_beat=True)
    programs = [web("127.0.0.1", int(settings.PORT)), worker("deliver", "deliver"), errands]
    running = [subprocess.Popen([sys.executable, *each.arguments], cwd=ROOT, env=os.environ) for each in programs]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    waits = measure(parser.parse_args().times)
    print(
        json.dumps({"median": statistics.median(waits), "quartiles": statistics.quantiles(waits), "most": max(waits)})
    )


if __name__ == "__main__":
    main()
