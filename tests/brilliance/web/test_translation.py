"""What signed-in users read goes through gettext: in a made-up language that marks every text, no page has others."""

import io
import re
import zoneinfo
from collections import defaultdict
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db.models import CharField, Model, TextField
from django.test import Client
from django.urls import get_resolver
from django.utils import timezone, translation

from adminpages import pages
from brilliance.roles import ROLES
from contacts.models import ContactImport
from contacts.transfer.bulk_store import store_refused
from contacts.transfer.contact_row import RowParser
from contacts.transfer.csv_file import CsvLayout, CsvRow, Rows
from delivery.models import Attempt, Message, Trial
from delivery.operators import trials
from delivery.operators.trials import NOT_TRIED
from feedback.models import Mailbox, RawReport, Report
from oauth.client.explanations import explain
from oauth.models import OAuthAccount
from smtpservers.limits import circuit_breaker
from smtpservers.mechanisms import PREFERRED
from smtpservers.models import SmtpServer
from smtpservers.presets import PRESETS
from tests.brilliance.test_roles import addresses, filled, things  # noqa: F401 - a fixture is asked for by its name.
from words.texts import kept

OPEN, CLOSE = "⟦", "⟧"
# Elements whose text nobody reads, and attributes that people read or hear.
UNREAD = {"script", "style", "template", "code", "pre", "textarea", "svg", "noscript"}
ICON = "material-symbols-outlined"
READ_ATTRIBUTES = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-label")
WITHIN_SENTENCES = {"a", "b", "br", "code", "em", "i", "span", "strong", "time"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# Strangers' pages speak eight languages by tables of their own; machines and files read the others.
FOREIGN = re.compile(
    r"^/(subscribe|s/|u/|p/|t/|v/|c/|archive|campaigns/\d+/(preview|clicks)/html|unsubscribe|preferences|confirm|media|healthz|readyz|static)"
)


# Addresses, zones, files, colours, secrets, names of standards: texts that are the same in every language.
DATA = re.compile(
    r"[A-Z2-7 ]{39}|Brilliance|HTML|PDF|SPF|DKIM|DMARC|MX|MTA-STS|BIMI|SMTP|STARTTLS|UTM|-----BEGIN CERTIFICATE-----|[\w.-]+:\d+|\S+@\S+|https?://\S+|/\S*|\w+/[\w/+-]+|UTC|GMT|[\w-]+\.(csv|pdf|json|html|com|example\.com)|#\w+"
)


class Texts(HTMLParser):
    """Collects what a person reads or hears of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, int]] = []  # Each with how many marks are open before it.
        self._depth = 0
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._leave_sentence(tag)
        self.found += [(value, 0) for name in READ_ATTRIBUTES if (value := given.get(name))]
        if tag == "input" and given.get("type") in ("submit", "button"):
            self.found.append((given.get("value") or "", 0))
        if tag not in VOID:
            is_unread = tag in UNREAD or ICON in (given.get("class") or "") or given.get("translate") == "no"
            self._open.append((tag, is_unread))

    def handle_endtag(self, tag: str) -> None:
        self._leave_sentence(tag)
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(is_unread for _, is_unread in self._open):
            self.found.append((data, self._depth))
        self._depth += data.count(OPEN) - data.count(CLOSE)

    def _leave_sentence(self, tag: str) -> None:
        """Forget open marks at the edges of a block: only a link and its like stand within a sentence."""
        if tag not in WITHIN_SENTENCES:
            self._depth = 0


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put marks around every text that goes through gettext."""

    def one(message: str) -> str:
        return f"{OPEN}{message}{CLOSE}" if message else message

    def several(singular: str, plural: str, number: int) -> str:
        return one(singular if number == 1 else plural)

    fakes: dict[str, Callable[..., str]] = {
        "gettext": one,
        "ngettext": several,
        "pgettext": lambda context, message: one(message),
        "npgettext": lambda context, singular, plural, number: several(singular, plural, number),
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(translation._trans, name, fake)  # type: ignore[attr-defined]  # Django's own seam.
    pages._checkbox.cache_clear()  # Kept for each language, and the marks are none.
    yield
    pages._checkbox.cache_clear()


def unmarked(page: str) -> Iterator[str]:
    """Yield the texts with letters that stand outside of the marks."""
    texts = Texts()
    texts.feed(page)
    for text, depth in texts.found:
        outside = []
        for part in re.split(f"([{OPEN}{CLOSE}])", text):
            depth += {OPEN: 1, CLOSE: -1}.get(part, 0)
            if not depth and part not in (OPEN, CLOSE):
                outside.append(part)
        for piece in "\n".join(outside).replace("|", "\n").replace("·", "\n").split("\n"):
            words = " ".join(piece.split()).rstrip(" (–")
            if re.search(r"[^\W\d_]{2}", words) and not DATA.fullmatch(words):
                yield words


# Columns of sentences that the product wrote itself, beside the words that make them again in any language.
OURS = {
    ("Attempt", "reply"),
    ("Mailbox", "last_error"),
    ("Message", "reason"),
    ("OAuthAccount", "last_error"),
    ("RawReport", "problem"),
    ("RefusedRow", "reason"),
    ("Report", "reason"),
    ("ServerSession", "sentence"),
    ("SmtpServer", "paused_reason"),
    ("SmtpServer", "unsubscribe_problem"),
    ("Trial", "refusal"),
}


AS_STORED = "/personal-data/"  # The end of the page that shows what is held, word for word.


def data() -> set[str]:
    """Return every text that stands in the database: users wrote it, or a server did."""
    known = {name for _, name in settings.LANGUAGES}
    known |= {shown for name in zoneinfo.available_timezones() for shown in (name, name.replace("_", " "))}
    known |= {preset.name for preset in PRESETS.values()} | set(PREFERRED)
    for model in apps.get_models():
        names = [field.name for field in model._meta.get_fields() if isinstance(field, CharField | TextField)]
        known |= stored_in(model, [name for name in names if (model.__name__, name) not in OURS])
    return known


def stored_in(model: type[Model], names: list[str]) -> set[str]:
    rows = model._base_manager.values_list(*names) if names else ()
    return {" ".join(str(value).split()) for row in rows for value in row if value}


def refuse_rows(contact_import: ContactImport) -> None:
    """Store what an import says of bad rows: refused ones, and people who came in without some cells."""
    parse = RowParser(["email", "first_name", "time_zone", "attributes.age"], {"age": ("number", ())}, ["en"])
    rows = [["@"], [""], ["a@example.org", "=1", "Mars", "old"], ["b@example.org", "x" * 151], ["1"] * 5, ["c\x07"]]
    refusals = [
        parse(CsvRow(number, [*cells, "", "", ""][: max(4, len(cells))]))[1] for number, cells in enumerate(rows)
    ]
    broken = next(iter(Rows(io.BytesIO(b'email\n"a"b\n'), CsvLayout("utf-8-sig", ",", ("email",)))))
    store_refused(contact_import.pk, [each for each in (*refusals, parse(broken)[1]) if each])


def send_test(trial: Trial) -> None:
    """Send a test through a server without a port, as a worker does; the second one of its batch is not tried."""
    now = timezone.now()
    SmtpServer.objects.filter(pk=trial.server_id).update(host="127.0.0.1", port=1, return_path="b@reserved.example")
    Trial.objects.exclude(pk=trial.pk).update(ended_at=now, refusal=str(NOT_TRIED), refusal_words=kept(NOT_TRIED))
    assert trials.make_next(lambda: now)
    trial.refresh_from_db()
    assert trial.steps[-1][0]["name"] == "connect"


def fail(things: dict[str, Any]) -> None:  # noqa: F811
    """Store why a mailbox, an OAuth account, an unsubscribe page, a webhook's post and a report failed."""
    token = OAuthAccount.objects.get(pk=things["oauth/oauthaccount"].pk)
    why = explain("microsoft", True, "invalid_client", "AADSTS7000222: The provided client secret keys are expired.")
    OAuthAccount.objects.filter(pk=token.pk).update(state="refused", last_error=why)
    no_token = f"OAuth account {token.name}: There is no token yet. Open the account and connect it."
    Mailbox.objects.filter(pk=things["feedback/mailbox"].pk).update(failures=1, last_error=no_token)
    unproved = RawReport.objects.filter(pk=things["feedback/rawreport"].pk)
    unproved.update(state="unproved", problem="The username and password are missing.")
    Report.objects.filter(pk=things["feedback/report"].pk).update(state="noted", reason="Its message was deleted.")
    SmtpServer.objects.filter(pk=things["server_id"].pk).update(
        unsubscribe_url="https://shop.example/leave",
        use_unsubscribe_link=True,
        unsubscribe_probed_at=timezone.now(),
        unsubscribe_problem="There is no address for shop.example. Check its spelling, or its record in DNS.",
    )


@pytest.fixture
def stored(things: dict[str, Any]) -> None:  # noqa: F811
    """Store sentences of the product, as workers do."""
    refuse_rows(things["contacts/contactimport"])
    suppressed = "On the suppression list: hard bounce."
    Message.objects.filter(pk=things["message_id"].pk).update(status="suppressed", reason=suppressed)
    send_test(things["trial_id"])
    closed = "It closes every connection and accepts nothing: the server closed the connection"
    circuit_breaker.pause(things["server_id"].pk, closed, None, timezone.now())
    fail(things)


def pages_of(role: str, things: dict[str, Any]) -> Iterator[tuple[str, str]]:  # noqa: F811
    user = User.objects.create_user(f"reader-{role}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client(raise_request_exception=False)
    client.force_login(user)
    for address in addresses(get_resolver().url_patterns):
        opened = filled(address, things)
        if FOREIGN.match(opened) or "logout" in opened:
            continue
        answer = client.get(opened)
        assert answer.status_code < 500, opened
        if answer.status_code == 200 and "html" in answer.headers.get("Content-Type", ""):
            yield opened, answer.content.decode()


@pytest.mark.timeout(600)
def test_no_page_says_what_did_not_go_through_gettext(things: dict[str, Any], stored: None, marked: None) -> None:  # noqa: F811
    found: dict[str, set[str]] = defaultdict(set)
    for role in ROLES:
        for address, page in pages_of(role, things):
            for text in unmarked(page):
                found[text].add(address)
    for text in data() & found.keys():
        del found[text]
    for text in found.keys() & (stored_in(Message, ["reason"]) | stored_in(Attempt, ["reply"])):
        found[text] = {address for address in found[text] if not address.endswith(AS_STORED)}

    assert sorted((min(where), text) for text, where in found.items() if where) == []
