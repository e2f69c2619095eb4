"""The list of servers: what a row shows, how it is searched, filtered, ordered and acted upon."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from smtpservers.admin import list_row, states
from smtpservers.limits.reservations import current_period, reserve, settle, write_ledger
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.smtpservers.pages.conftest import LIST, change_page, filled

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


def use(server: SmtpServer, units: int) -> None:
    """Let a server have sent this much in the period of today."""
    now = timezone.now()
    write_ledger(server.pk, [now] * units)
    QuotaPeriod.objects.filter(pk=current_period(server, now).pk).update(used=units)


def names(client: Client, query: str = "") -> list[str]:
    return [server.name for server in client.get(LIST + query).context["cl"].result_list]


@pytest.fixture
def signed_in(client: Client, boss: User) -> Client:
    client.force_login(boss)
    return client


# What a row shows


def test_a_row_shows_address_security_quota_and_last_success(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(max_per_month=50_000, last_success_at=timezone.now() - dt.timedelta(minutes=3))
    QuotaPeriod.objects.filter(pk=current_period(server, timezone.now()).pk).update(used=12_400)

    page = signed_in.get(LIST).content.decode()

    for text in ("smtp.brilliance.example:587", "STARTTLS", "12,400 of 50,000", "width: 24%", "3 min ago"):
        assert text in page
    assert f'href="/servers/{server.pk}/test/"' in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Active"),
        ({"is_active": False}, "Inactive"),
        ({"is_active": False, "paused_reason": "535 no"}, "Inactive"),
        ({"paused_reason": "535 no"}, "535 no. Paused until resumed or edited."),
        ({"paused_reason": "x", "paused_until": NOW + dt.timedelta(hours=1)}, "Paused until 23 Nov, 13:00."),
        ({"paused_reason": "x", "paused_until": NOW}, "Active"),
        (
            {"full_until": NOW + dt.timedelta(hours=1), "full_reason": "454 daily"},
            "454 daily. Full until 23 Nov, 13:00.",
        ),
        ({"full_until": NOW, "full_reason": "454 daily"}, "Active"),
        ({"slow_factor": 0.25, "slowed_at": NOW - dt.timedelta(minutes=10)}, "35% of normal speed"),
        ({"slow_factor": 0.25, "slowed_at": NOW - dt.timedelta(hours=2)}, "Active"),
    ],
)
def test_the_state_is_the_operators_switch_and_then_the_systems_pause(fields: dict[str, object], words: str) -> None:
    assert words in states.state_badge(SmtpServer(**fields), NOW, with_reason=True)


def test_the_reason_of_a_pause_is_not_for_everybody() -> None:
    for fields in (
        {"paused_reason": "550 to ann@x.test"},
        {"full_reason": "454 to ann@x.test", "full_until": NOW + dt.timedelta(hours=1)},
    ):
        assert "ann@x.test" not in states.state_badge(SmtpServer(**fields), NOW, with_reason=False)


def test_a_row_tells_how_much_of_the_hour_and_the_day_is_used(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(max_per_hour=40, max_per_day=1500)
    now = timezone.now()
    reservation = reserve(server, 12, now)
    assert reservation is not None
    settle(reservation.period_id, used=12, released=0, now=now)

    page = signed_in.get(LIST).content.decode()

    assert "12 of 40 this hour" in page
    assert "12 of 1,500 this day" in page


@pytest.mark.parametrize(
    ("used", "most", "words"),
    [
        (None, None, "0 sent · no monthly limit"),
        (7, None, "7 sent · no monthly limit"),
        (None, 10, "0 of 10"),
        (79, 100, "server-bar-green"),
        (80, 100, "server-bar-orange"),
        (95, 100, "server-bar-red"),
        (150, 100, "width: 100%"),
    ],
)
def test_the_bar_tells_how_full_the_quota_is(used: int | None, most: int | None, words: str) -> None:
    server = SmtpServer(max_per_month=most)
    server.units_used = used  # type: ignore[attr-defined]

    assert words in list_row.quota_bar(server, NOW)


def test_text_from_outside_is_shown_as_text(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    server = make_server("<script>alert(1)</script>", paused_reason='535 <img src=x onerror="alert(2)">')
    wrong = filled(name="<script>alert(1)</script>", host="<img src=x>", mail_to="<img src=x>", time_zone="<img src=x>")

    page = signed_in.get(LIST).content.decode() + signed_in.post(change_page(server), wrong).content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page


def test_fifty_servers_ask_the_database_no_oftener_than_five(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert signed_in.get(LIST).status_code == 200
        # The site's settings are asked for anew every few seconds, however many servers there are.
        return sum("installation_sitesettings" not in query["sql"] for query in asked)

    for number in range(5):
        use(make_server(f"Server {number}", max_per_month=100, max_per_hour=50), 1)
    queries()  # Content types and the like are cached from here on.
    with_five = queries()
    for number in range(5, 50):
        use(make_server(f"Server {number}", max_per_month=100, max_per_hour=50), 1)

    assert queries() == with_five


def test_a_long_list_has_pages(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    SmtpServer.objects.bulk_create(
        SmtpServer(name=f"S{n}", host="h", mail_from="a@x.test", display_order=n) for n in range(150)
    )

    assert len(names(signed_in)) == 100
    assert len(names(signed_in, "?p=2")) == 50


# Search and filters


def test_the_search_goes_through_names_hosts_users_and_notes(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    make_server("One", host="alpha.test")
    make_server("Two", notes="Ticket 4711, asked Kim")
    make_server("Three", username="apikey-beta", password="x")

    assert names(signed_in, "?q=alpha") == ["One"]
    assert names(signed_in, "?q=kim") == ["Two"]
    assert names(signed_in, "?q=beta") == ["Three"]
    assert names(signed_in, "?q=four") == []


def test_the_filters(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    make_server("Fine", max_per_month=10)
    make_server("Off", is_active=False)
    make_server("Held", paused_reason="535")
    make_server("Held once", paused_reason="421", paused_until=timezone.now() - dt.timedelta(minutes=1))
    make_server("Plain", use_tls=False, port=25)
    use(make_server("Nearly", max_per_month=10), 8)
    use(make_server("Full", max_per_month=10), 10)

    assert names(signed_in, "?state=active") == ["Fine", "Held once", "Plain", "Nearly"]
    assert names(signed_in, "?state=full") == ["Full"]
    assert names(signed_in, "?state=paused") == ["Held"]
    assert names(signed_in, "?state=inactive") == ["Off"]
    assert names(signed_in, "?use_tls__exact=0") == ["Plain"]
    assert names(signed_in, "?quota=nearly") == ["Nearly", "Full"]
    assert names(signed_in, "?quota=full") == ["Full"]


# Order


def posted_order(*servers: SmtpServer) -> dict[str, str]:
    form = {"form-TOTAL_FORMS": str(len(servers)), "form-INITIAL_FORMS": str(len(servers)), "_save": "Save"}
    for at, server in enumerate(servers):
        place = {
            f"form-{at}-display_order": str(10 * at),
            f"initial-form-{at}-display_order": str(server.display_order),
        }
        form |= {f"form-{at}-id": str(server.pk), **place}
    return form


def test_a_new_order_is_saved_and_leaves_everything_else_alone(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    first = make_server("First", paused_reason="535")
    second = make_server("Second")
    version = first.version

    form = posted_order(first, second) | {"form-0-display_order": "20", "form-1-display_order": "10"}
    page = signed_in.post(LIST, form, follow=True)

    first.refresh_from_db()
    assert names(signed_in) == ["Second", "First"]
    assert (first.paused_reason, first.version) == ("535", version)
    assert "successfully" not in page.content.decode()
    assert first.history.latest().history_user.username == "boss"


def test_a_wrong_place_is_refused_with_its_range(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    server = make_server()

    page = signed_in.post(LIST, posted_order(server) | {"form-0-display_order": "10000"})

    assert "Enter a whole number from 0 to 9,999." in page.content.decode()


# Actions


def act(client: Client, action: str, *servers: SmtpServer) -> str:
    form = {"action": action, "_selected_action": [str(server.pk) for server in servers]}
    return client.post(LIST, form, follow=True).content.decode()


def test_servers_are_switched_off_and_on_together(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    one, two, three = make_server("One"), make_server("Two"), make_server("Three", is_active=False)

    page = act(signed_in, "deactivate", one, three)

    assert "One is now inactive." in page
    assert "no server is active" not in page
    assert one.history.latest().history_user.username == "boss"
    assert one.history.latest().is_active is False
    assert three.history.count() == 1

    page = act(signed_in, "deactivate", two)
    assert "no server is active" in page

    page = act(signed_in, "activate", one, two)
    assert "2 servers are now active" in page
    assert list(SmtpServer.objects.filter(is_active=True)) == [one, two]

    assert "The selected servers were already active." in act(signed_in, "activate", one)


def test_paused_servers_are_resumed(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    held = make_server("Held", paused_reason="535", failures=3, failed_at=timezone.now())

    page = act(signed_in, "resume", held)

    held.refresh_from_db()
    assert "Held resumed. The next message shows whether it works." in page
    assert (held.paused_reason, held.failures, held.failed_at) == ("", 0, None)
    assert "None of the selected servers was paused." in act(signed_in, "resume", held)


def test_full_and_slowed_servers_are_resumed(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    now = timezone.now()
    full = make_server("Full", full_until=now + dt.timedelta(hours=5), full_reason="454 daily quota")
    slowed = make_server("Slowed", slow_factor=0.25, slowed_at=now, learned_rate=5.0)
    assert names(signed_in, "?state=full") == ["Full"]
    assert names(signed_in, "?state=active") == ["Slowed"]

    page = act(signed_in, "resume", full, slowed)

    assert "2 servers resumed. The next messages show whether they work." in page
    full.refresh_from_db()
    slowed.refresh_from_db()
    assert (full.full_until, full.full_reason) == (None, "")
    assert (slowed.slow_factor, slowed.slowed_at, slowed.learned_rate) == (1.0, None, None)


def test_an_edit_gives_a_full_and_slowed_server_a_new_chance(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    now = timezone.now()
    server = make_server(full_until=now + dt.timedelta(hours=5), full_reason="454", slow_factor=0.5, slowed_at=now)

    assert signed_in.post(change_page(server), filled(notes="Rang them up.")).status_code == 302

    server.refresh_from_db()
    assert (server.full_until, server.full_reason, server.slow_factor, server.slowed_at) == (None, "", 1.0, None)


@pytest.mark.parametrize("action", ["activate", "deactivate", "resume"])
def test_actions_change_nothing_by_get(signed_in: Client, make_server: Callable[..., SmtpServer], action: str) -> None:
    server = make_server(paused_reason="535")

    signed_in.get(LIST, {"action": action, "_selected_action": server.pk})

    server.refresh_from_db()
    assert (server.is_active, server.paused_reason) == (True, "535")


def test_actions_need_the_token_of_the_page(boss: User, make_server: Callable[..., SmtpServer]) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(boss)
    server = make_server()

    answer = strict.post(LIST, {"action": "deactivate", "_selected_action": server.pk})

    server.refresh_from_db()
    assert (answer.status_code, server.is_active) == (403, True)


# Saving


def test_saving_gives_a_paused_server_a_new_chance(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    server = make_server(
        paused_reason="535", paused_until=timezone.now() + dt.timedelta(hours=1), failures=9, failed_at=timezone.now()
    )
    version = server.version

    signed_in.post(change_page(server), filled())

    server.refresh_from_db()
    assert (server.paused_reason, server.paused_until, server.failures, server.failed_at) == ("", None, 0, None)
    assert server.version == version + 1


def test_a_changed_maximum_holds_in_the_running_period(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(max_per_month=100)
    use(server, 5)

    signed_in.post(change_page(server), filled(max_per_month="3"))

    period = current_period(SmtpServer.objects.get(), timezone.now())
    assert (period.quota, period.used, period.room) == (3, 5, 0)
    assert "5 of 3" in signed_in.get(LIST).content.decode()


def test_a_changed_start_day_recounts_the_use(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    server = make_server(max_per_month=100)
    use(server, 5)
    tomorrow = timezone.now().astimezone(dt.UTC).date() + dt.timedelta(days=1)

    signed_in.post(change_page(server), filled(max_per_month="100", month_start_day=str(tomorrow.day)))

    period = current_period(SmtpServer.objects.get(), timezone.now())
    assert (period.used, period.ends_at.astimezone(dt.UTC).date()) == (5, tomorrow)


def test_switching_the_last_server_off_in_its_form_is_pointed_out(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server()

    page = signed_in.post(change_page(server), filled(is_active=None), follow=True).content.decode()

    assert "no server is active" in page
    assert "was changed." in page
    assert "successfully" not in page


def test_a_new_server_is_added_at_the_end(signed_in: Client, make_server: Callable[..., SmtpServer]) -> None:
    make_server("First", display_order=70)

    page = signed_in.post(f"{LIST}add/", filled(name="Second", utm_source="News Letter"), follow=True)

    assert SmtpServer.objects.get(name="Second").display_order == 80
    assert "UTM source has capitals or spaces" in page.content.decode()


def test_a_used_up_quota_is_the_state_on_the_list_the_page_and_health(
    signed_in: Client, make_server: Callable[..., SmtpServer]
) -> None:
    server, roomy = make_server("Spent", max_per_month=120), make_server("Roomy", max_per_month=120)
    use(server, 119)  # One is kept from campaigns.
    use(roomy, 118)

    resets_on = states.moment(current_period(server, timezone.now()).ends_at, timezone.now())
    listed = signed_in.get(LIST).content.decode()
    assert f"Full until {resets_on}." in listed
    assert listed.count("Full until") == 1
    for address in (change_page(server), "/servers/health/"):
        page = signed_in.get(address).content.decode()
        assert f"The quota is used up. It resets on {resets_on}." in page
    assert "Ready to send." in signed_in.get(change_page(roomy)).content.decode()
    assert (names(signed_in, "?state=full"), names(signed_in, "?state=active")) == (["Spent"], ["Roomy"])
    assert names(signed_in, "?quota=full") == ["Spent"]
