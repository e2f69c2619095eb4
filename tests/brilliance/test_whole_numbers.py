"""A number that means a thousand to some people and one to others is refused, in every form there is."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.test import Client, RequestFactory

from contacts.attributes.rules import parse_value, value_text
from tests.smtpservers.pages.conftest import filled

OURS = ("brilliance", "contacts", "smtpservers", "delivery", "campaigns", "feedback", "sandbox", "adminpages")
DOUBTFUL = ["1.000", "10.000", "1.000.000", "1.0", "5.", "1.500", "1,000", "1'000", "1 000.00", " 2.000 ", "1e3"]


def every_form() -> Iterator[type[forms.BaseForm]]:
    """All form classes of ours, and those that the admin makes by itself."""
    for room in map(importlib.import_module, OURS):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if not {"migrations", "management", "urls", "wsgi"} & set(module.name.split(".")):
                importlib.import_module(module.name)
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True)
    for page in admin.site._registry.values():
        yield page.get_form(request)
        for formset, _ in page.get_formsets_with_inlines(request):
            yield formset.form
    waiting: list[type] = [forms.BaseForm]
    while waiting:
        found = waiting.pop().__subclasses__()
        waiting += found
        yield from (form for form in found if hasattr(form, "base_fields"))


def number_fields() -> dict[str, forms.Field]:
    kinds = (forms.IntegerField, forms.FloatField)  # A decimal field is an integer field.
    return {
        f"{form.__module__}.{form.__name__}.{name}": field
        for form in every_form()
        for name, field in form.base_fields.items()
        if isinstance(field, kinds)
    }


def is_refused(field: forms.Field, text: str) -> bool:
    try:
        field.clean(text)
    except ValidationError as error:
        return error.code == "invalid" and "whole number" in error.messages[0]
    return False


@pytest.mark.django_db
def test_no_form_takes_a_thousand_for_one() -> None:
    fields = number_fields()

    taken = [(where, text) for where, field in fields.items() for text in DOUBTFUL if not is_refused(field, text)]
    assert taken == []
    assert len(fields) > 20
    assert "smtpservers.forms.server.ServerForm.max_per_month" in fields


@pytest.mark.django_db
def test_plain_numbers_are_read() -> None:
    field = forms.IntegerField()

    assert [field.clean(text) for text in ("1000", " 1000 ", "-5", "0", 7)] == [1000, 1000, -5, 0, 7]


@pytest.mark.django_db
def test_a_limit_of_a_server_says_how_to_write_it(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))

    page = client.post("/admin/smtpservers/smtpserver/add/", filled(max_per_month="1.000", max_per_day="10.000"))

    assert page.status_code == 200
    assert "from 0 to 2,000,000,000, without dots or commas." in page.content.decode()


@pytest.mark.parametrize("text", ["1.000", "10.000", "999.990", "+1.000", "-12.500", "1,000", "1,234"])
def test_imported_values_that_can_be_read_twice_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="can be read as two numbers"):
        parse_value("number", (), text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1000", 1000),
        ("1 000", 1000),
        ("1.5", 1.5),
        ("0.500", 0.5),
        ("1.2340", 1.234),
        ("1.234", 1.234),
        ("38,5", 38.5),
    ],
)
def test_values_that_can_be_read_once_are_taken(text: str, value: Any) -> None:
    assert parse_value("number", (), text) == value
    assert parse_value("number", (), value_text(value)) == value, "an export is read back"
