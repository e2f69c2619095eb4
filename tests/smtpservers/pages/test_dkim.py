"""The fields DKIM and DKIM required: their defaults, who may sign, and what a saved server says without a key."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from smtpservers import presets
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.domains.keys.making import make_signing
from tests.smtpservers.pages.conftest import LIST, filled

pytestmark = pytest.mark.django_db
WAITS = "Mail waits, because Primary has no DKIM key for brilliance.example that DNS confirms."
UNSIGNED = "Mail goes out unsigned, because Primary has no DKIM key for brilliance.example that DNS confirms."


def saved(client: Client, boss: User, **fields: Any) -> str:
    client.force_login(boss)
    return client.post(f"{LIST}add/", filled(**fields), follow=True).content.decode()


def test_providers_sign_unless_somebody_chooses_otherwise() -> None:
    form = ServerForm(filled())

    assert form.is_valid(), form.errors
    assert (form.save().dkim, SmtpServer().requires_dkim) == ("provider", True)
    assert {preset.values["dkim"] for preset in presets.PRESETS.values()} == {"provider"}


def test_what_a_form_leaves_out_stays_as_it_is() -> None:
    server = SmtpServer.objects.create(**{"name": "Primary", "host": "h.example", "mail_from": "a@brilliance.example"})
    SmtpServer.objects.update(dkim="brilliance")
    server.refresh_from_db()

    form = ServerForm(filled(), instance=server)

    assert form.is_valid(), form.errors
    assert form.save().dkim == "brilliance"


@pytest.mark.parametrize("key", ["ses", "emailit"])
def test_a_provider_that_rewrites_headers_says_that_only_it_can_sign(key: str) -> None:
    assert "It replaces Message-ID and Date, so only it can sign." in map(str, presets.PRESETS[key].facts)
    assert [key for key, preset in presets.PRESETS.items() if preset.rewrites] == ["ses", "emailit"]


def test_a_saved_server_without_a_key_says_what_becomes_of_its_mail(client: Client, boss: User) -> None:
    assert WAITS in saved(client, boss, dkim="brilliance", requires_dkim="on")
    assert UNSIGNED.replace("Primary", "Second") in saved(client, boss, name="Second", dkim="brilliance")
    assert "because Third" not in saved(client, boss, name="Third")

    make_signing("brilliance.example", timezone.now())
    assert "because Fourth" not in saved(client, boss, name="Fourth", dkim="brilliance", requires_dkim="on")


def test_the_page_of_a_server_that_waits_for_a_key_says_so(client: Client, boss: User) -> None:
    client.force_login(boss)
    fields = {
        "host": "h.example",
        "mail_from": "a@brilliance.example",
        "tested_at": timezone.now(),
        "dkim": "brilliance",
    }
    server = SmtpServer.objects.create(name="Primary", **fields)
    page = f"{LIST}{server.pk}/change/"

    waiting = client.get(page).content.decode()
    SmtpServer.objects.update(requires_dkim=False)
    unsigned = client.get(page).content.decode()
    make_signing("brilliance.example", timezone.now())
    ready = client.get(page).content.decode()

    assert "<strong>Waiting for key</strong>" in waiting
    assert WAITS in waiting
    assert UNSIGNED in unsigned
    assert "Ready to send." in ready
