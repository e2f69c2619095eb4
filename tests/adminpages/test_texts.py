"""Characters that nobody sees: refused where people type, left out where programs read."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django import forms
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from adminpages.text_fields import RefusesControls
from adminpages.texts import MOST_NESTED, one_line, read_json, without_controls
from campaigns.models import ArchivedCampaign, ArchiveSettings, Campaign, Layout
from contacts.models import ContactList, Segment
from smtpservers.models import SmtpServer
from tests.adminpages.conftest import SignIn
from tests.harness.forms import opened

CONTROLS = ["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\x9f", "\ud800"]


class Note(RefusesControls, forms.Form):
    text = forms.CharField(strip=False, widget=forms.Textarea)


class Named(RefusesControls, forms.Form):
    prose = frozenset({"subject"})
    name = forms.CharField()
    subject = forms.CharField()
    password = forms.CharField(widget=forms.PasswordInput)


TURNS = ["\u202a", "\u202e", "\u2066", "\u2069"]
MARKS = [
    "\u00ad",
    "\u061c",
    "\u180e",
    "\u200b",
    "\u200e",
    "\u200f",
    "\u2028",
    "\u2060",
    "\u3164",
    "\ufeff",
    "\U000e0041",
]


@pytest.mark.parametrize("sign", CONTROLS, ids=lambda sign: f"{ord(sign):04X}")
def test_a_control_character_is_refused_with_its_line(sign: str) -> None:
    form = Note({"text": f"one\ntwo\r\nth{sign}ree"})

    assert not form.is_valid()
    if sign != "\x00":  # Django itself refuses that one.
        assert form.errors["text"] == [
            f"Line 3 has an invisible control character (U+{ord(sign):04X}). Delete it and save again."
        ]


@pytest.mark.parametrize("sign", [*TURNS, *MARKS], ids=lambda sign: f"{ord(sign):04X}")
def test_a_name_holds_nothing_that_nobody_sees(sign: str) -> None:
    form = Named({"name": f"An{sign}n", "subject": f"Sno{sign}w", "password": f"se{sign}cret"})

    assert not form.is_valid()
    sentence = f"This has an invisible character (U+{ord(sign):04X}). Delete the text and type it again."
    assert form.errors == {name: [sentence] for name in ("name", "subject")[: 2 if sign in TURNS else 1]}


@pytest.mark.parametrize(
    "name", ["Grüße 👩‍👩‍👧", "علي\u200cرضا", "Paris\u00a0: l’été\u202f!", "חדשות", "新聞\u3000A", "❤️"]
)
def test_a_name_in_any_script_is_taken(name: str) -> None:
    assert Named({"name": name, "subject": name, "password": "x"}).is_valid()


def _forms_below(kind: type[forms.BaseForm]) -> set[type[forms.BaseForm]]:
    return {kind}.union(*map(_forms_below, kind.__subclasses__()))


def test_every_form_of_the_house_refuses_them() -> None:
    rooms = {app.name for app in apps.get_app_configs() if Path(app.path).parent == settings.BASE_DIR}
    assert {"accounts", "contacts", "smtpservers"} <= rooms
    for room in sorted(rooms):
        for module in pkgutil.walk_packages([str(settings.BASE_DIR / room)], f"{room}."):
            if ".migrations" not in module.name and module.name not in ("brilliance.wsgi", "brilliance.celery"):
                importlib.import_module(module.name)

    own = {form for form in _forms_below(forms.BaseForm) if form.__module__.partition(".")[0] in rooms}
    # Others build on these; they stand on no page themselves.
    bases = {"accounts.by_mail.forms._NewPassword", "accounts.sign_in.usernames.RefusesTakenUsername"}

    lacking = {f"{form.__module__}.{form.__qualname__}" for form in own if not issubclass(form, RefusesControls)}
    assert len(own) > 40
    assert lacking == bases


@pytest.mark.parametrize("text", ["a\tb\r\nc\n", "Grüße 👩‍👩‍👧 \u200c\u200d", "a\u00a0b", "\u2028"])
def test_what_people_write_is_taken(text: str) -> None:
    assert Note({"text": text}).is_valid()
    assert without_controls(text) == text


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (" Ann  Lee\u00a0", "Ann Lee"),
        ("Ann\r\nBcc: x", "Ann Bcc: x"),
        ("A\u202enn", "A nn"),
        ("\u200bAnn\u2066", "Ann"),
        ("على\u200cرضا 👩\u200d🔬", "على\u200cرضا 👩\u200d🔬"),
    ],
)
def test_a_line_holds_no_character_that_nobody_sees(text: str, seen: str) -> None:
    assert one_line(text) == seen


@pytest.mark.parametrize(
    ("page", "form", "field"),
    [
        ("campaigns_campaign_change", "campaign_form", "html"),
        ("campaigns_campaign_change", "campaign_form", "text"),
        ("campaigns_layout_change", "layout_form", "footer"),
        ("contacts_contactlist_change", "contactlist_form", "consent_text"),
        ("smtpservers_smtpserver_change", "smtpserver_form", "notes"),
    ],
)
def test_forms_of_the_admin_refuse_them(page: str, form: str, field: str, signed_in: SignIn) -> None:
    rows: dict[str, Any] = {
        "campaign_form": Campaign.objects.create(name="News", subject="News"),
        "layout_form": Layout.objects.create(name="House"),
        "contactlist_form": ContactList.objects.create(name="News"),
        "smtpserver_form": SmtpServer.objects.create(name="One", host="relay.example.com"),
    }
    client, address = signed_in("admin"), reverse(f"admin:{page}", args=[rows[form].pk])

    fields = opened(client.get(address).content, form)
    answer = client.post(address, fields | {field: "one\ntw\x0bo"})
    stopped = client.post(address, fields | {field: "one\ntw\x00o"})

    assert "Line 2 has an invisible control character (U+000B)." in answer.content.decode()
    assert stopped.status_code == 200
    assert "Line 2 has an invisible control character. Delete it and save again." in stopped.content.decode()
    rows[form].refresh_from_db()
    assert "tw" not in getattr(rows[form], field)


@pytest.mark.parametrize("sign", ["\x00", "\x0b", "\u202e", "\u200b"], ids=lambda sign: f"{ord(sign):04X}")
def test_the_host_of_a_server_says_so_in_its_own_words(sign: str, signed_in: SignIn) -> None:
    server = SmtpServer.objects.create(name="One", host="relay.example.com")
    client, address = signed_in("admin"), reverse("admin:smtpservers_smtpserver_change", args=[server.pk])

    fields = opened(client.get(address).content, "smtpserver_form")
    answer = client.post(address, fields | {"host": f"relay{sign}.example.com"})

    assert answer.status_code == 200
    assert "invisible character" in answer.content.decode()
    server.refresh_from_db()
    assert server.host == "relay.example.com"


@pytest.mark.parametrize("sign", ["\u202e", "\u200b"], ids=lambda sign: f"{ord(sign):04X}")
@pytest.mark.parametrize(
    ("page", "form"),
    [
        ("campaigns_campaign_change", "campaign_form"),
        ("campaigns_layout_change", "layout_form"),
        ("contacts_contactlist_change", "contactlist_form"),
        ("contacts_segment_change", "segment_form"),
        ("smtpservers_smtpserver_change", "smtpserver_form"),
    ],
)
def test_no_name_looks_like_another_or_turns_its_row_around(page: str, form: str, sign: str, signed_in: SignIn) -> None:
    rows: dict[str, Any] = {
        "campaign_form": Campaign.objects.create(name="News", subject="News"),
        "layout_form": Layout.objects.create(name="House"),
        "contactlist_form": ContactList.objects.create(name="News"),
        "segment_form": Segment.objects.create(name="News"),
        "smtpserver_form": SmtpServer.objects.create(name="One", host="relay.example.com"),
    }
    client, address = signed_in("admin"), reverse(f"admin:{page}", args=[rows[form].pk])

    answer = client.post(address, opened(client.get(address).content, form) | {"name": f"fdp{sign}.exe"})

    assert "This has an invisible character" in answer.content.decode()
    rows[form].refresh_from_db()
    assert sign not in rows[form].name


def test_the_feed_of_the_archive_survives_what_was_stored_before(db: None) -> None:
    now = timezone.now()
    ArchiveSettings.objects.create(pk=1, is_on=True, title="Our\x0bnews", description="All\x01 of it")
    campaign = Campaign.objects.create(name="News", subject="News")
    ArchivedCampaign.objects.create(
        campaign=campaign, slug="news", subject="Win\x07ter", text="Snow\x1b[0m", sent_at=now, published_at=now
    )

    answer = Client().get("/archive/feed.xml")

    assert answer.status_code == 200
    channel = ElementTree.fromstring(answer.content)[0]  # noqa: S314 - our own.
    assert channel.findtext("title") == "Ournews"
    assert channel.findtext("description") == "All of it"
    assert channel.findtext("item/title") == "Winter"
    assert channel.findtext("item/description") == "Snow[0m"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "{",
        b"\xff",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        "[" * (MOST_NESTED + 2) + "]" * (MOST_NESTED + 2),
        '"\\ud800"',
        '{"a": ["\\u0000"]}',
        '{"\\udfff": 1}',
        "1" * 5_000,
    ],
    ids=range(10),
)
def test_what_is_no_json_of_ours_is_nothing(sent: str | bytes) -> None:
    assert read_json(sent) is None


def test_json_that_is_meant_is_read() -> None:
    assert read_json('{"a": [1, 2.5, true, null, "\\ud83d\\ude00"]}') == {"a": [1, 2.5, True, None, "😀"]}
    assert read_json("[1]", most=2) is None
