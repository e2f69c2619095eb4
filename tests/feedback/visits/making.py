"""Mailings with counted links, messages of people who agreed or not, and requests for them."""

import datetime as dt
import hashlib
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults

from django.conf import settings

from contacts.models import Contact
from delivery.models import Mailing, Message, TrackedLink, TrackedMailing, TrackedTarget
from delivery.outbox import mailings
from feedback.visits.edge import Edge
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import FILE_SECONDS, finished
from installation.models import SiteSettings
from mail.addresses import fold
from mail.links.tracking import new_code, token_of_group, token_of_message
from tests.delivery.making import make_attempt

SENT_AT = dt.datetime(2026, 3, 1, 9, 0, tzinfo=dt.UTC)
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
URL = "https://shop.example.com/sale?utm_source=news&q=a%20b#top"


_made: list[Edge] = []


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


def allow(level: str = "personal") -> None:
    """Let the installation count up to a level."""
    SiteSettings.objects.update_or_create(pk=1, defaults={"tracking": level})


def tracked_mailing(level: str = "personal", **fields: Any) -> Mailing:
    mailing = mailings.open_mailing(stream="campaign", name="Sale", subject="Sale", html="<p>Hi</p>", text="Hi")
    Mailing.objects.filter(pk=mailing.pk).update(tracking=level, **fields)
    mailing.refresh_from_db()
    return mailing


def link_of(mailing: Mailing, position: int = 1, url: str = URL) -> str:
    """Make a counted link and return its code."""
    link, _ = TrackedLink.objects.get_or_create(mailing=mailing, part="html", position=position)
    return TrackedTarget.objects.create(
        link=link, url=url, url_hash=hashlib.sha256(url.encode()).hexdigest(), code=new_code()
    ).code


def message_to(
    mailing: Mailing, email: str = "ann@example.net", consent: str = "yes", server_name: str = "One", **fields: Any
) -> Message:
    """Make a message that a server of this name accepted at ``SENT_AT``."""
    contact, _ = Contact.objects.update_or_create(
        email=email, defaults={"open_tracking": consent, "click_tracking": consent}
    )
    message = Message.objects.create(
        mailing=mailing, contact=contact, email=email, email_key=fold(email), status="accepted", **fields
    )
    make_attempt(message, 1, server_name=server_name, started_at=SENT_AT, finished_at=SENT_AT, outcome="accepted")
    return message


def click_of(message: Message, code: str) -> str:
    return f"/c/{token_of_message(message.pk, settings.TOKEN_KEYS)}{code}"


def open_of(message: Message) -> str:
    return f"/o/{token_of_message(message.pk, settings.TOKEN_KEYS)}.gif"


def group_of(mailing: Mailing, server_name: str = "One") -> str:
    """Return the anonymous token of a mailing through a server."""
    group, _ = TrackedMailing.objects.get_or_create(mailing=mailing, server_name=server_name)
    return token_of_group(group.pk, settings.TOKEN_KEYS)


def django_instead(environ: Any, start: Any) -> Iterable[bytes]:
    """Stand where Django does, and tell that the request came through."""
    start("299 Django", [("Content-Type", "text/plain"), ("X-Host", environ["HTTP_HOST"])])
    return [b"Django"]


def edge_before(application: Callable[..., Iterable[bytes]] = django_instead) -> Edge:
    edge = Edge(application, lambda languages: f"<p>busy {languages}</p>".encode())
    _made.append(edge)
    return edge


def end_edges() -> None:
    """End the threads of all edges, which would read the settings and databases of later tests."""
    while _made:
        _made.pop().end()


def ask(edge: Edge, path: str, *, method: str = "GET", agent: str = CHROME, **environ: str) -> Answer:
    """Ask as a server would."""
    asked: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "HTTP_HOST": "click.example.com",
        "HTTP_USER_AGENT": agent,
        "REMOTE_ADDR": "192.0.2.7",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(),
        **environ,
    }
    setup_testing_defaults(asked)
    told: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], Any]:
        told.extend((int(status[:3]), dict(headers)))
        return lambda body: None

    body = b"".join(edge(asked, start))
    return Answer(told[0], told[1], body)


def finish(edge: Edge) -> list[Path]:
    """Have the files of this process finished, as after a while, and return them."""
    edge._spool._began_at -= FILE_SECONDS
    edge._spool.tend()
    return finished(edge._spool._folder)


def gather(edge: Edge, now: dt.datetime) -> None:
    """Finish the files of this process, and gather everything."""
    finish(edge)
    assert not gather_for_a_while(edge._spool._folder, lambda: now, 60)
