"""The reference of a server's fields says what the form says."""

import re
import subprocess

from django.conf import settings

from docs.write_fields import ACCEPTS, EFFECTS, PAGE, page
from smtpservers.forms.server import ServerForm

REMOVES = {"remove_password", "remove_api_key"}


def test_the_page_is_what_the_form_makes_of_it() -> None:
    assert PAGE.read_text() == page(), "write it anew: .venv/bin/python -m docs.write_fields"


def test_every_field_is_told_once_and_no_other() -> None:
    fields = set(ServerForm.base_fields) - REMOVES

    assert set(EFFECTS) == fields
    assert set(ACCEPTS) <= fields
    assert page().count("\n### ") == len(fields)
    assert all(text.endswith(".") for text in EFFECTS.values())


def test_texts_name_the_fields_as_their_labels_do() -> None:
    labels = {str(field.label) for field in ServerForm().fields.values()}
    # As people are tempted to write them: SMTP Mail To, Never Encrypt.
    otherwise = {" ".join(word[0].upper() + word[1:] for word in label.split()) for label in labels} - labels
    names = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, sorted(otherwise)))})(?!\w)")
    listed = subprocess.run(
        ["git", "ls-files", "--", "*.py", "*.html", "*.js", ":!tests", ":!*/migrations/*"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    texts = {path: (settings.BASE_DIR / path).read_text() for path in listed.stdout.split()}

    assert otherwise
    assert {path: found for path, text in texts.items() if (found := names.findall(text))} == {}


def test_the_way_to_a_first_campaign_leads_to_it() -> None:
    assert "(fields.md)" in (settings.BASE_DIR / "docs" / "first-campaign.md").read_text()
