"""A bench for the fields of a server: set through the real form, seen at a scripted SMTP server.

Everything an observation needs: mail of the four classes, sent by the real drain and read back by the standard
library's parser, which shares no line with what wrote the mail.
"""

import email
import email.policy
import html
import re
from contextlib import ExitStack
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from django.test import Client
from django.utils import timezone

from contacts.models import Contact, ContactList, Subscription
from delivery.models import Mailing, Message
from delivery.operators.send_test import Content, Conversation, send_test
from delivery.outbox import mailings
from delivery.outbox.snapshot import snapshot
from delivery.outbox.transactional import send_single
from mail.addresses import fold
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.delivery.making import run_drain
from tests.peers.conversation import Script
from tests.peers.name_server import Nameserver
from tests.peers.peer import Peer, running_peer

LIST_PAGE = "/admin/smtpservers/smtpserver/"
# Each link is another case for the UTM fields: plain, with codes of its own, and opted out.
HTML = """<html><body><p>Dear {{ first_name }} {{ last_name }}, known as {{ full_name }}.</p>
<p><a href="https://shop.example/sale">Sale</a> <a href="https://shop.example/new?utm_term=own">New</a>
<a href="https://shop.example/terms" data-utm="off">Terms</a></p></body></html>"""
TEXT = "Dear {{ first_name }} {{ last_name }}, known as {{ full_name }}. https://shop.example/sale"


class Mail:
    """One message as the server got it."""

    def __init__(self, context: dict[str, Any], content: bytes) -> None:
        self.mail_from: str = context["mail_from"]
        self.rcpt_to: str = context["rcpt_to"]
        self.content = content
        self.headers: EmailMessage = email.message_from_bytes(content, policy=email.policy.default)

    def part(self, kind: str) -> str:
        """Return the words of the text part ("plain") or the HTML part ("html")."""
        body = self.headers.get_body((kind,))
        return body.get_content() if body else ""

    @property
    def links(self) -> list[str]:
        """Every address in the HTML, as a browser reads it, then every one in the text."""
        found = re.findall(r'href="([^"]*)"', self.part("html"))
        return [html.unescape(link) for link in found] + re.findall(r"https?://\S+", self.part("plain"))

    def link(self, start: str) -> str:
        """Return the query of the one HTML link that starts so."""
        return next(link.partition("?")[2] for link in self.links if link.startswith(start))


class FormRefused(AssertionError):
    """The form did not take the values of a test."""


class Bench:
    """A server made by the form, the scripted server behind it, and the means to send."""

    def __init__(self, client: Client, resources: ExitStack, folder: Path) -> None:
        self.client = client
        self.resources = resources
        self.folder = folder
        self.heard: list[tuple[str, str]] = []  # What the servers were told: (event, line).
        self.peer = self.start_peer()
        self.server: SmtpServer
        # What a single row needs beside it.
        self.other: Peer
        self.nameserver: Nameserver
        self.names_asked_for: list[str | None] = []

    def start_peer(self, script: Script = lambda event, context: None, **options: Any) -> Peer:
        """Start a scripted server that ends with the test."""

        def hear(event: str, context: dict[str, Any]) -> bytes | None:
            self.heard.append((event, context.get("line", "")))
            return script(event, context)

        return self.resources.enter_context(running_peer(self.folder, hear, **options))

    # --- the form

    def save(self, **changes: Any) -> SmtpServer:
        """Make a tested server by posting the form, filled with ``changes``; None leaves a box unticked."""
        self.server = self._post(f"{LIST_PAGE}add/", _posted(ServerForm()), changes)
        SmtpServer.objects.filter(pk=self.server.pk).update(tested_at=timezone.now())
        return self.server

    def edit(self, server: SmtpServer, **changes: Any) -> SmtpServer:
        """Change a server by posting its form again."""
        self.server = self._post(f"{LIST_PAGE}{server.pk}/change/", _posted(ServerForm(instance=server)), changes)
        return self.server

    def _post(self, page: str, filled: dict[str, Any], changes: dict[str, Any]) -> SmtpServer:
        if "add" in page:
            filled |= {
                "name": f"Server {SmtpServer.objects.count() + 1}",
                "host": "127.0.0.1",
                "port": str(self.peer.port),
                "timeout_seconds": "5",
                "mail_from": "Example Shop <news@shop.example>",
                "use_tls": None,
                "handles_email_validation": "on",
            }
        filled |= changes
        response = self.client.post(page, {name: value for name, value in filled.items() if value is not None})
        if response.status_code != 302:
            raise FormRefused(dict(response.context["adminform"].form.errors))
        return SmtpServer.objects.get(name=filled["name"])

    # --- mail

    def people(self, *addresses: str, name: str = "News", **fields: Any) -> ContactList:
        audience, _ = ContactList.objects.get_or_create(name=name)
        for address in addresses:
            contact = Contact.objects.create(email=address, email_key=fold(address), **fields)
            Subscription.objects.create(contact=contact, list=audience, status="subscribed")
        return audience

    def queue(
        self, *addresses: str, contact: dict[str, Any] | None = None, list_name: str = "News", **fields: Any
    ) -> Mailing:
        """Queue a campaign to new people."""
        audience = self.people(*(addresses or ("ann@customer.example",)), name=list_name, **(contact or {}))
        values = {"stream": "campaign", "name": "Winter", "subject": "Winter sale", "html": HTML, "text": TEXT}
        mailing = mailings.open_mailing(lists=[audience], slug="winter", reference="c7", **(values | fields))
        snapshot(mailing.pk, timezone.now())
        return mailing

    def campaign(self, *addresses: str, contact: dict[str, Any] | None = None, **fields: Any) -> list[Mail]:
        """Send a campaign as the worker does and return what arrived, copies included."""
        self.queue(*addresses, contact=contact, **fields)
        return self.drain()

    def drain(self, **arguments: Any) -> list[Mail]:
        """Send what is due and return what arrived since the last look."""
        before = len(self.peer.bodies)
        arguments.setdefault("idle_seconds", 0.05)
        run_drain(**arguments)
        if Message.objects.exclude(copy_of=None).filter(status="queued").exists():
            run_drain(**arguments)
        return [Mail(*body) for body in self.peer.bodies[before:]]

    def first(self, **fields: Any) -> Mail:
        """Send a campaign to one person and return that person's message."""
        arrived = self.campaign(**fields)
        assert arrived, list(Message.objects.values_list("email", "status", "reason"))
        return next(mail for mail in arrived if mail.rcpt_to == "ann@customer.example")

    def test(self, recipient: str = "ops@customer.example", content: Content | None = None) -> Conversation:
        """Send a test through the server at once."""
        return send_test(server_id=self.server.pk, recipient=recipient, actor=None, now=timezone.now(), content=content)

    def tested(self, content: Content | None = None) -> Mail:
        """Send a test and return what arrived."""
        conversation = self.test(content=content)
        assert conversation.is_accepted, conversation.reason
        return Mail(*self.peer.bodies[-1])

    def single(self, to: str = "ann@customer.example", **fields: Any) -> list[Mail]:
        """Send a transactional message as the worker does."""
        send_single(to=to, now=timezone.now(), **({"subject": "Receipt", "html": HTML, "text": TEXT} | fields))
        return self.drain()

    def said(self, event: str) -> list[str]:
        """Return the command lines of one kind that the servers were told."""
        return [line for heard, line in self.heard if heard == event]


def _posted(form: ServerForm) -> dict[str, Any]:
    """Return what a browser posts for a form that nobody changed; a field without a value is an unticked box."""
    filled: dict[str, Any] = {}
    for bound in form:
        value = bound.value()
        filled[bound.name] = "on" if value is True else None if value is False else "" if value is None else value
    return filled
