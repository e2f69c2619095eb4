"""What follows in other rooms when somebody saves a server."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from domains.models import SendingDomain
from smtpservers.models import SmtpServer
from tests.smtpservers.pages.conftest import change_page, filled

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("began", [None, timezone.now()], ids=["idle", "under way"])
def test_a_server_that_leaves_the_signature_to_us_has_its_domain_looked_at(
    client: Client, boss: User, make_server: Callable[..., SmtpServer], began: dt.datetime | None
) -> None:
    server = make_server(mail_from="News <news@shop.example>")
    later = timezone.now() + dt.timedelta(hours=1)
    for name in ("shop.example", "other.example"):
        SendingDomain.objects.create(name=name, next_check_at=later, taken_at=began)
    client.force_login(boss)

    client.post(change_page(server), filled(mail_from="News <news@shop.example>", dkim="brilliance"))

    server.refresh_from_db()
    assert server.dkim == "brilliance"
    due = SendingDomain.objects.filter(next_check_at__lte=timezone.now()).values_list("name", flat=True)
    assert list(due) == ["shop.example"]
