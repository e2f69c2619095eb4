"""The reference of a server's fields says what the form says."""

from django.conf import settings

from docs.write_fields import ACCEPTS, EFFECTS, PAGE, page
from smtpservers.forms import ServerForm

REMOVES = {"remove_password", "remove_api_key"}


def test_the_page_is_what_the_form_makes_of_it() -> None:
    assert PAGE.read_text() == page(), "write it anew: .venv/bin/python -m docs.write_fields"


def test_every_field_is_told_once_and_no_other() -> None:
    fields = set(ServerForm.base_fields) - REMOVES

    assert set(EFFECTS) == fields
    assert set(ACCEPTS) <= fields
    assert page().count("\n### ") == len(fields)
    assert all(text.endswith(".") for text in EFFECTS.values())


def test_the_readme_leads_to_it() -> None:
    assert "(docs/fields.md)" in (settings.BASE_DIR / "README.md").read_text()
