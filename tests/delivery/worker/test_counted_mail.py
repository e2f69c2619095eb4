"""Opens and clicks on the wire: who is counted how, and mail without a trace of us where nothing is counted."""

import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from contacts.models import Contact, ContactList, Subscription
from delivery.models import Batch, Message, TrackedMailing, TrackedTarget
from delivery.outbox import mailings
from delivery.outbox.transactional import send_single
from domains.models import SendingDomain
from installation.models import SiteSettings
from mail.addresses import fold
from mail.links import tracking
from mail.links.tracking import Token
from tests.delivery.making import make_mailing, make_server, run_drain
from tests.feedback.visits.conftest import own_spool  # noqa: F401  # A fixture.
from tests.feedback.visits.making import ask, edge_before
from tests.peers.conversation import DROP
from tests.peers.peer import Peer, running_peer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("saved_settings")]

PAGE = (
    '<html><body><p>Dear {{ first_name }}</p><a href="https://shop.example/sale?a=1&amp;b=2">Sale</a>'
    '<a href="https://shop.example/{{ first_name }}">Yours</a><a href="{{ web_version_url }}">Web</a>'
    '<a href="https://shop.example/quiet" data-track="off">Quiet</a></body></html>'
)
TEXT = "Dear {{ first_name }}, https://shop.example/sale"


@pytest.fixture(autouse=True)
def hosts(settings: Any) -> None:
    settings.BASE_URL, settings.TRACKING_URL = "https://mail.example.com", "https://click.example.com"


def allow(level: str) -> None:
    SiteSettings.objects.update_or_create(pk=1, defaults={"tracking": level})


def make_people(*people: tuple[str, str]) -> ContactList:
    """Return a list with people of these consents to opens and clicks."""
    audience = ContactList.objects.create(name="News")
    for number, (opens, clicks) in enumerate(people):
        address = f"{opens}.{clicks}@customer{number}.example"
        contact = Contact.objects.create(
            email=address, email_key=fold(address), first_name="Ann", open_tracking=opens, click_tracking=clicks
        )
        Subscription.objects.create(contact=contact, list=audience, status="subscribed")
    return audience


def bodies(peer: Peer) -> dict[str, email.message.EmailMessage]:
    parsed = {}
    for context, content in peer.bodies:
        message = email.message_from_bytes(content, policy=email.policy.default)
        parsed[context["rcpt_to"]] = message
    return parsed  # type: ignore[return-value]


def html_of(message: Any) -> str:
    return str(message.get_body(("html",)).get_content())


def found_in(html: str) -> tuple[Token | None, list[tuple[Token, str]]]:
    """Return the token of the pixel, and those of the links with their targets."""
    pixel = re.search(r'<img src="https://click\.example\.com/o/([^"]+)" alt="" width="1" height="1" border="0">', html)
    links = []
    for text in re.findall(r'href="https://click\.example\.com/c/([^"]+)"', html):
        token, code = tracking.read_link(text, settings.TOKEN_KEYS) or (None, "")
        assert token is not None
        links.append((token, TrackedTarget.objects.get(code=code).url))
    return pixel and tracking.read_pixel(pixel[1], settings.TOKEN_KEYS), links


CONSENTS = [("yes", "yes"), ("unset", "unset"), ("none", "none"), ("none", "yes"), ("yes", "unset"), ("unset", "none")]


@pytest.mark.parametrize("level", ["personal", "anonymous"])
def test_everyone_is_counted_as_they_agreed(tmp_path: Path, level: str) -> None:
    allow("personal")
    with running_peer(tmp_path) as peer:
        make_server(peer.port, utm_source="alpha")
        mailing = make_mailing(make_people(*CONSENTS), html=PAGE, tracking=level)

        run_drain()

        sent = bodies(peer)
    group = Token("g", TrackedMailing.objects.get(mailing=mailing, server_name=Batch.objects.get().server_name).pk)
    for message in Message.objects.filter(mailing=mailing):
        opens, clicks = message.email.partition("@")[0].split(".")
        person = Token("m", message.pk) if level == "personal" else group
        expected: dict[str, Token | None] = {"yes": person, "unset": group, "none": None}
        pixel, links = found_in(html_of(sent[message.email]))
        assert pixel == expected[opens]
        target = "https://shop.example/sale?a=1&b=2&utm_source=alpha"
        assert links == ([(expected[clicks], target)] if expected[clicks] else [])
    for each in sent.values():
        html, text = html_of(each), each.get_body(("plain",)).get_content()
        assert "https://shop.example/Ann?utm_source=alpha" in html
        assert "https://shop.example/quiet?utm_source=alpha" in html
        assert "data-track" not in html
        assert "click.example.com" not in text + str(each["List-Unsubscribe"])


@pytest.mark.parametrize(("installation", "frozen"), [("off", "personal"), ("", "personal"), ("personal", "off")])
def test_without_counting_a_mail_has_our_host_in_its_footer_alone(
    tmp_path: Path, installation: str, frozen: str
) -> None:
    allow(installation)
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        make_mailing(make_people(("yes", "yes")), html=PAGE, tracking=frozen, track_text=True)

        run_drain()

        (sent,) = bodies(peer).values()
    assert b"click.example.com" not in sent.as_bytes()
    assert "<img" not in html_of(sent)
    ours = re.findall(r"https://mail\.example\.com/(\w)/", html_of(sent))
    assert sorted(ours) == ["u", "v"]  # The footer's link, and the author's {{ web_version_url }}.
    assert not TrackedTarget.objects.exists()


def test_links_lead_to_the_host_of_the_domain_of_from_and_from_there_to_the_same_bytes(tmp_path: Path) -> None:
    allow("anonymous")
    host = "click.alpha.example"
    SendingDomain.objects.create(
        name="alpha.example", tracking_host=host, proved_tracking_host=host, is_tracking_host_good=True
    )
    SendingDomain.objects.create(name="beta.example", tracking_host="click.beta.example")  # Never proved.
    with running_peer(tmp_path) as peer:
        for name in ("alpha", "beta"):
            make_server(
                peer.port, name, mail_from=f"a@{name}.example", max_per_month=1, display_order=len(name), utm_source="x"
            )
        make_mailing(make_people(("unset", "unset"), ("unset", "unset")), html=PAGE, tracking="anonymous")
        # What was frozen holds, whatever the next look finds.
        SendingDomain.objects.update(is_tracking_host_good=False, tracking_host="")

        run_drain()

        sent = {each["From"].addresses[0].addr_spec: html_of(each) for each in bodies(peer).values()}
    starts = {name: set(re.findall(r'"(https://[^/"]+)/[co]/', html)) for name, html in sent.items()}
    assert starts == {
        "a@alpha.example": {"https://click.alpha.example"},
        "a@beta.example": {"https://click.example.com"},
    }
    urls = set()
    for html in sent.values():
        assert len(re.findall(r"/o/[^/]+\.gif", html)) == 1
        for path in re.findall(r'"https://[^/"]+(/c/[^"]+)"', html):
            urls.add(ask(edge_before(), path, HTTP_HOST="click.alpha.example").headers["Location"])
    assert urls == {"https://shop.example/sale?a=1&b=2&utm_source=x"}


def test_a_link_that_is_counted_under_a_domains_host_already_is_not_counted_twice(tmp_path: Path) -> None:
    allow("anonymous")
    host = "shop.example"  # A site may share its host with our links.
    SendingDomain.objects.create(
        name="shop.example", tracking_host=host, proved_tracking_host=host, is_tracking_host_good=True
    )
    pasted = f"https://{host}/c/{tracking.token_of_group(1, settings.TOKEN_KEYS)}abcdefgh"
    html = f'<p><a href="{pasted}">Old</a><a href="https://{host}/sale">New</a></p>'
    with running_peer(tmp_path) as peer:
        make_server(peer.port, utm_source="")
        make_mailing(make_people(("unset", "unset")), html=html, tracking="anonymous", is_tagged=False)

        run_drain()

        (sent,) = (html_of(each) for each in bodies(peer).values())
    assert f'href="{pasted}"' in sent
    assert list(TrackedTarget.objects.values_list("url", flat=True)) == [f"https://{host}/sale"]


def test_the_same_bytes_leave_with_counting_off_as_with_consent_refused(tmp_path: Path) -> None:
    allow("personal")
    wires = []
    for level in ("off", "personal"):
        Contact.objects.all().delete()
        ContactList.objects.all().delete()
        with running_peer(tmp_path) as peer:
            server = make_server(peer.port, level)
            make_mailing(make_people(("none", "none")), html=PAGE, text=TEXT, tracking=level, track_text=True)
            run_drain()
            (wire,) = [content for _, content in peer.bodies]
        server.delete()
        wires.append(re.sub(rb"(?m)^(Date|Message-ID|List-\w+|Feedback-ID|CFBL-\S+):.*(\r\n[ \t].*)*", b"", wire))
    plain, refused = (re.sub(rb"/[uv]/[\w=\r\n-]+", b"", wire) for wire in wires)

    assert plain == refused


def test_a_level_lowered_while_sending_wins_within_seconds(tmp_path: Path) -> None:
    allow("personal")
    lowered: list[bool] = []

    def lower(event: str, context: dict[str, object]) -> None:
        if event == "dot" and not lowered:
            lowered.append(True)
            try:
                allow("off")
            finally:
                connection.close()

    with running_peer(tmp_path, lower) as peer:
        make_server(peer.port, max_connections=1, rate_limit=2, rate_unit="second")
        audience = make_people(*[("yes", "yes")] * 8)
        mailing = make_mailing(audience, html=PAGE, tracking="personal")
        run_drain()
        sent = [html_of(email.message_from_bytes(each, policy=email.policy.default)) for _, each in peer.bodies]

    found = [found_in(each) for each in sent]
    assert len(found) == 8
    assert found[0][0] is not None
    assert found[-1] == (None, [])
    mailing.refresh_from_db()
    assert mailing.tracking == "personal"  # Frozen; what the installation allows is asked again and again.


def test_a_message_keeps_its_token_on_another_server(tmp_path: Path) -> None:
    allow("personal")
    with (
        running_peer(tmp_path, lambda event, context: DROP if event == "dot" else None) as broken,
        running_peer(tmp_path) as whole,
    ):
        make_server(broken.port, "Broken", utm_source="broken", display_order=1, max_per_month=1)
        make_server(whole.port, "Whole", utm_source="whole", display_order=2)
        mailing = make_mailing(make_people(("yes", "yes")), html=PAGE, tracking="personal")
        run_drain()
        message = Message.objects.get(mailing=mailing)
        assert mailings.resend(message.pk, timezone.now())
        run_drain()
        sent = [content for each in (broken, whole) for _, content in each.bodies]

    links = [found_in(html_of(email.message_from_bytes(each, policy=email.policy.default)))[1] for each in sent]
    assert [each[0][1].rpartition("=")[2] for each in links] == ["broken", "whole"]
    assert {token for found in links for token, _ in found} == {Token("m", message.pk)}


def test_copies_and_redirected_mail_are_not_counted(tmp_path: Path) -> None:
    allow("personal")
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, mail_bcc="archive@shop.example", mail_to_unknown="unknown@shop.example")
        make_mailing(make_people(("yes", "yes")), html=PAGE, tracking="personal")
        send_single(to="nobody", subject="x", html=PAGE, tracking="personal", server=server, now=timezone.now())

        run_drain()

        sent = bodies(peer)
    assert found_in(html_of(sent["yes.yes@customer0.example"]))[1]
    for address in ("archive@shop.example", "unknown@shop.example"):
        assert b"click.example.com" not in sent[address].as_bytes()


@pytest.mark.parametrize(("asked", "kind"), [("personal", "m"), ("anonymous", "g"), ("off", None)])
def test_a_single_message_is_counted_only_if_asked_for(tmp_path: Path, asked: Any, kind: str | None) -> None:
    allow("personal")
    make_people(("yes", "yes"))
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        send_single(to="yes.yes@customer0.example", subject="Receipt", html=PAGE, tracking=asked, now=timezone.now())

        run_drain()

        (sent,) = bodies(peer).values()
    assert [token.kind for token, _ in found_in(html_of(sent))[1]] == ([kind] if kind else [])


def test_targets_are_stored_when_the_first_message_is_on_the_line(tmp_path: Path) -> None:
    allow("anonymous")
    seen: list[int] = []
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        make_mailing(make_people(("unset", "unset")), html=PAGE, tracking="anonymous")
        keep: Callable[..., None] = peer._server.keep  # type: ignore[attr-defined]

        def look_and_keep(context: Any, content: bytes) -> None:
            seen.append(TrackedTarget.objects.count())
            keep(context, content)

        peer._server.keep = look_and_keep  # type: ignore[attr-defined]
        run_drain()

    assert seen == [1]
