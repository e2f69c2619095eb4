"""The page of the organisation: what it takes, what it refuses, and what follows of it."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from delivery.models import Message
from delivery.operators import notices
from installation.models import SiteSettings
from installation.site import site
from smtpservers.models import SmtpServer
from tests.harness.forms import opened

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]
PAGE = "/admin/installation/sitesettings/1/change/"
EMPTY = dict.fromkeys(
    ["organisation", "postal_address", "time_zone", "language", "alert_address", "tracking", "gateway_networks"], ""
)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("boss"))
    return client


def test_the_list_leads_to_the_only_row_and_says_what_holds(boss: Client, settings: Any) -> None:
    settings.ORGANISATION_NAME = "Env & Sons"

    page = boss.get("/admin/installation/sitesettings/", follow=True)

    assert page.redirect_chain[-1][0] == PAGE
    assert "Env &amp; Sons" in page.content.decode()
    assert SiteSettings.objects.count() == 0


def test_what_is_saved_holds(boss: Client) -> None:
    answer = boss.post(
        PAGE,
        EMPTY | {"organisation": "Nordlicht", "time_zone": "Europe/Berlin", "alert_address": "Ops <ops@example.com>"},
    )

    assert answer.status_code == 302
    assert (site().organisation, str(site().time_zone)) == ("Nordlicht", "Europe/Berlin")
    assert site().alert_address == "ops@example.com"
    assert SiteSettings.objects.get().pk == 1


def test_the_time_zone_is_chosen_and_a_stored_one_without_a_place_stays(boss: Client) -> None:
    SiteSettings.objects.create(pk=1, time_zone="CET")

    form = opened(boss.get(PAGE).content, "sitesettings_form")
    boss.post(PAGE, form | {"organisation": "Nordlicht"})

    assert form["time_zone"] == "CET"
    assert (site().organisation, str(site().time_zone)) == ("Nordlicht", "CET")


def test_only_what_somebody_changed_is_in_the_history(boss: Client) -> None:
    SiteSettings.objects.create(pk=1, postal_address="1 Quay Street\nHamburg")
    form = opened(boss.get(PAGE).content, "sitesettings_form")
    as_a_browser_sends_it = form | {"postal_address": "1 Quay Street\r\nHamburg"}

    boss.post(PAGE, as_a_browser_sends_it | {"tracking": "anonymous"})
    assert LogEntry.objects.latest("pk").get_change_message() == "Changed Opens and clicks."

    boss.post(PAGE, as_a_browser_sends_it | {"tracking": "anonymous", "postal_address": "2 Quay Street\r\nHamburg"})
    assert LogEntry.objects.latest("pk").get_change_message() == "Changed Postal address."
    assert SiteSettings.objects.get().postal_address == "2 Quay Street\nHamburg"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("time_zone", "Moon/Tycho"),
        ("time_zone", "factory"),
        ("time_zone", "localtime"),
        ("time_zone", "../../etc/passwd"),
        ("alert_address", "nobody"),
        ("alert_address", "a@b.example\r\nBcc: c@d.example"),
        ("language", "xx"),
        ("tracking", "everything"),
        ("organisation", "x" * 151),
        ("postal_address", "x" * 501),
        ("gateway_networks", "# x\n" * 5_001),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(boss: Client, field: str, value: str) -> None:
    answer = boss.post(PAGE, EMPTY | {field: value})

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors.keys() == {field}
    assert SiteSettings.objects.count() == 0


@pytest.mark.parametrize(
    ("environment", "says"),
    [("", "Not decided (off for now)"), ("anonymous", "Anonymous, from the installation&#x27;s configuration")],
)
def test_the_level_of_opens_and_clicks_says_what_holds_while_nothing_is_saved(
    boss: Client, settings: Any, environment: str, says: str
) -> None:
    settings.TRACKING_LEVEL = environment

    assert says in boss.get(PAGE).content.decode()
    assert site().tracking == (environment or "off")


@pytest.mark.parametrize("level", ["off", "anonymous", "personal"])
def test_a_saved_level_of_opens_and_clicks_holds(boss: Client, settings: Any, level: str) -> None:
    settings.TRACKING_LEVEL = "anonymous"

    assert boss.post(PAGE, EMPTY | {"tracking": level}).status_code == 302

    assert site().tracking == level


@pytest.mark.parametrize("level", ["", "off", "anonymous", "personal"])
@pytest.mark.parametrize("is_saved", [True, False])
def test_what_a_lower_level_costs_is_said_at_the_field_while_there_is_something_to_lose(
    boss: Client, settings: Any, level: str, is_saved: bool
) -> None:
    settings.TRACKING_LEVEL = "" if is_saved else level
    if is_saved:
        SiteSettings.objects.create(pk=1, tracking=level)

    field = boss.get(PAGE).context["adminform"].form.fields["tracking"]

    usual = str(SiteSettings._meta.get_field("tracking").help_text)
    added = field.help_text.removeprefix(usual)
    assert ("did not open or click" in added) == (level == "personal")


def test_saved_networks_of_gateways_win_over_the_environment_s_until_the_field_is_cleared(
    boss: Client, settings: Any
) -> None:
    settings.GATEWAY_NETWORKS = ["198.51.100.0/24", "2001:db8::/48"]
    assert "configuration: 198.51.100.0/24, 2001:db8::/48." in boss.get(PAGE).content.decode()

    assert boss.post(PAGE, EMPTY | {"gateway_networks": "# Ours\r\n192.0.2.0/24  # Rome\r\n"}).status_code == 302
    assert site().gateway_networks == ("# Ours", "192.0.2.0/24  # Rome")
    assert boss.post(PAGE, EMPTY | {"gateway_networks": " \r\n"}).status_code == 302

    assert site().gateway_networks == ("198.51.100.0/24", "2001:db8::/48")


@pytest.mark.parametrize("wrong", ["192.0.2.1/24", "192.0.2.0/33", "mail.example", "192.0.2.0/24, 198.51.100.0/24"])
def test_a_line_that_is_no_network_is_named_with_what_to_write(boss: Client, wrong: str) -> None:
    answer = boss.post(PAGE, EMPTY | {"gateway_networks": f"\r\n192.0.2.0/24\r\n{wrong}  # x\r\nnext"})

    assert answer.context["adminform"].form.errors == {
        "gateway_networks": [
            f"Line 3 isn't a network: “{wrong}  # x”. Write its first address and size, e.g. 192.0.2.0/24."
        ]
    }
    assert SiteSettings.objects.count() == 0


def test_pages_tell_times_in_the_zone_that_was_saved(boss: Client) -> None:
    SiteSettings.objects.create(pk=1, time_zone="Asia/Tokyo")

    page = boss.get("/reports/")

    assert "Asia/Tokyo" in page.content.decode()


def test_alerts_of_a_server_without_mail_to_go_to_the_alert_address() -> None:
    now = timezone.now()
    User.objects.create_superuser("boss", "boss@example.com")
    SiteSettings.objects.create(pk=1, alert_address="ops@example.com")
    server = SmtpServer.objects.create(name="A", host="a.example", mail_from="n@a.example")
    SmtpServer.objects.filter(pk=server.pk).update(
        paused_reason="wrong password", outage_at=now, paused_until=None, failures=9
    )

    notices.notice(now)

    assert [message.email for message in Message.objects.filter(mailing__stream="notice")] == ["ops@example.com"]
