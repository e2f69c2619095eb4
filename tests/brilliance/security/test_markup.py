"""What people typed is text on every page: nothing is markup that code did not mark as safe."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models, transaction
from django.template import engines
from django.template.loader import get_template
from django.test import Client
from django.urls import get_resolver

from contacts.models import Attribute, Contact
from encryption.secret_field import SecretField
from tests.brilliance.test_roles import addresses, filled, things  # noqa: F401 - a fixture is asked for by its name.

HOSTILE = '"><b hostile x-data></b>'
# What must be of a certain form for its page to open at all, or is no text for people.
OF_A_FORM = {"time_zone", "stored_name", "conditions", "password", "api_key", "content_type", "slug", "key"}

# In a template, what may be put in without escaping, and why.
RENDERED = {"fields", "fields_output"}  # By crispy-forms, from templates of its own.
CONSTANT = {("unfold/helpers/app_list.html", "item.title")}  # The sidebar's titles, from brilliance.web.navigation.
MAIL = {"registration/password_reset_email.html"}  # Plain text; no HTML is made of it.


class Marked(HTMLParser):
    """Collects the elements that came out of the hostile text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if any(name == "hostile" for name, _ in attrs):
            self.found.append(f"<{tag}> in line {self.getpos()[0]}")


def installed_templates() -> Iterator[tuple[str, str]]:
    """Yield name and source of each template as Django finds it: an override hides what it overrides.

    The pages of allauth are closed, and ours in their place have templates of their own; see tests/accounts.
    """
    folders = [Path(folder) for loader in engines["django"].engine.template_loaders for folder in directories(loader)]
    folders = [folder for folder in folders if folder.parent.name != "allauth"]
    for name in sorted({str(file.relative_to(folder)) for folder in folders for file in folder.rglob("*.html")}):
        yield name, Path(get_template(name).origin.name).read_text()


def directories(loader: Any) -> list[Any]:
    inner = getattr(loader, "loaders", None)
    return [folder for each in inner for folder in directories(each)] if inner else list(loader.get_dirs())


def test_no_installed_template_takes_a_text_for_markup() -> None:
    found = set()
    for name, source in installed_templates():
        if "autoescape off" in source and name not in MAIL:
            found.add((name, "autoescape off"))
        for expression in re.findall(r"\{\{([^}]*)\}\}", source):
            value, *filters = (part.strip() for part in expression.split("|"))
            if {"safe", "safeseq"} & set(filters) and value not in RENDERED:
                found.add((name, value))

    assert found == CONSTANT


def test_no_page_draws_a_form_by_djangos_own_templates() -> None:
    # They print help texts without escaping, and are looked for beside ours.
    drawing = re.compile(r"as_(p|ul|table|div|field_group)\b|\{\{ *form *\}\}")

    for name, source in installed_templates():
        if Path(get_template(name).origin.name).is_relative_to(settings.BASE_DIR / "templates"):
            assert not drawing.search(source), name


def make_hostile(thing: models.Model) -> None:
    """Put the hostile text in each column of the row that takes a text."""
    model = type(thing)
    columns = {
        field.name: HOSTILE
        for field in model._meta.fields
        if isinstance(field, models.CharField | models.TextField)
        and not isinstance(field, SecretField)  # No page shows it.
        and not field.choices
        and not field.primary_key
        and field.name not in OF_A_FORM
        and (field.max_length or 100) >= len(HOSTILE)
    }
    if columns:
        model._default_manager.filter(pk=thing.pk).update(**columns)


@pytest.fixture
def hostile(things: dict[str, Any], client: Client) -> dict[str, Any]:  # noqa: F811
    """One row of every kind, full of markup, and an administrator who is signed in as ``client``."""
    for thing in list(things.values()):
        if isinstance(thing, models.Model):
            make_hostile(thing)
    kinds = [kind.value for kind in Attribute.Kind]
    for kind in kinds:
        Attribute.objects.create(name=f"of_{kind}", label=HOSTILE, kind=kind, choices=[HOSTILE + "2"])
    Contact.objects.update(attributes={**{f"of_{kind}": HOSTILE for kind in kinds}, HOSTILE: HOSTILE})
    client.force_login(User.objects.create_superuser("boss"))
    client.raise_request_exception = False
    return things


def test_nothing_stored_is_markup_on_any_page(
    hostile: dict[str, Any], client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")
    shown = 0
    for address in addresses(get_resolver().url_patterns):
        if address in ("admin/logout/", "accounts/login/"):
            continue
        with transaction.atomic():
            answer = client.get(filled(address, hostile), follow=True)
            transaction.set_rollback(True)
        page = b"".join(answer.streaming_content) if answer.streaming else answer.content  # type: ignore[attr-defined]
        # A campaign's HTML is markup, and is shown where no script runs.
        is_sandboxed = "sandbox" in answer.headers["Content-Security-Policy"]
        if "html" in answer.headers.get("Content-Type", "") and not is_sandboxed:
            marked = Marked()
            marked.feed(page.decode())
            assert not marked.found, (address, marked.found)
            shown += "hostile x-data" in page.decode()
    assert shown > 30


def test_a_value_that_does_not_fit_its_kind_is_told_as_text(hostile: dict[str, Any], client: Client) -> None:
    contact = hostile["contacts/contact"]

    page = client.get(f"/admin/contacts/contact/{contact.pk}/change/").content.decode()

    assert "The stored value “&quot;&gt;&lt;b hostile x-data&gt;&lt;/b&gt;” doesn't fit the kind “Number”." in page


def test_the_registry_is_walked_whole(things: dict[str, Any]) -> None:  # noqa: F811
    for model in admin.site._registry:
        assert f"{model._meta.app_label}/{model._meta.model_name}" in things
        assert apps.get_model(model._meta.label) is model
