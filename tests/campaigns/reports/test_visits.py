"""Reports of opens and clicks tell people from clicks, machines from people, and what nobody knows from both."""

import csv
import datetime as dt
import io
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.db.models import Max
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Campaign, Tally
from campaigns.reports import tally
from campaigns.reports.charts import hours_chart
from campaigns.reports.recipients import Filter, fitting
from campaigns.reports.recipients import write_csv as recipients_csv
from campaigns.reports.side_by_side import compare_campaigns
from campaigns.reports.visits import Visited, VisitTotal, first_hours, visit_total, why_off
from contacts.models import Contact, ContactList
from delivery.content import targets
from delivery.models import Attempt, Mailing, MailingOutcome, Message
from feedback.models import Feedback, VisitCount
from feedback.visits.gather import JUDGED_AFTER
from feedback.visits.verdicts import judge
from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.feedback.visits.making import (
    SENT_AT,
    allow,
    ask,
    click_of,
    edge_before,
    gather,
    link_of,
    message_to,
    tracked_mailing,
)

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
SLACK = 6  # Queries that a page asks every few seconds, such as those of the site's settings.
PERIOD = "?from=2026-11-30&to=2026-12-01"
HEADED = ("Opens and clicks by server", "Opens and clicks by mailbox provider")


@pytest.fixture
def sent(campaign: Campaign, server: SmtpServer) -> Campaign:
    """A campaign of which 200 messages were accepted, of people who agreed to be counted."""
    return send(campaign, server)


def send(campaign: Campaign, server: SmtpServer, level: str = "personal", number: int = 200) -> Campaign:
    mailing = Mailing.objects.create(stream="campaign", name=campaign.name, subject="Snow", tracking=level)
    Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing, status="finished", starts_at=NOW)
    Message.objects.bulk_create(
        Message(mailing=mailing, email=f"p{each}@village.net", email_key=f"p{each}@village.net", status="accepted")
        for each in range(number)
    )
    MailingOutcome.objects.create(
        mailing=mailing, server_name=server.name, outcome="accepted", minute_at=NOW, first_at=NOW, number=number
    )
    for provider, part in (("google.com", number - 5), ("village.net", 5)):
        Tally.objects.create(
            day=NOW.date(),
            mailing_id=mailing.pk,
            server_name=server.name,
            provider=provider,
            outcome="accepted",
            number=part,
        )
    return Campaign.objects.get(pk=campaign.pk)


def visited(
    campaign: Campaign, kind: str, visitor: str, loads: int, people: int | None = None, **fields: object
) -> None:
    """Store a count.

    :param people: None: counted without the recipient.
    """
    assert campaign.mailing is not None
    VisitCount.objects.create(
        mailing=campaign.mailing,
        kind=kind,
        visitor=visitor,
        loads=loads,
        people=people or 0,
        is_personal=people is not None,
        **{"quarter_at": NOW, "family": "chrome", **fields},
    )


def total(campaign: Campaign) -> VisitTotal:
    assert campaign.mailing_id is not None
    return visit_total(campaign, [campaign.mailing_id], 200)


def test_people_count_once_and_machines_are_none_of_them(sent: Campaign) -> None:
    visited(sent, "click", "human", 30, 20)
    visited(sent, "click", "machine", 400, 150)
    visited(sent, "click", "unknown", 7, 6)
    visited(sent, "open", "human", 90, 80)
    visited(sent, "open", "machine", 110, 100, family="apple privacy")

    found = total(sent)

    assert found.counted == "personal"
    assert found.line.clicks == Visited(people=20, human=30, machine=400, unknown=7)
    assert (found.line.clicked_percent, found.line.opened_percent, found.line.click_to_open) == ("10%", "40%", "25%")
    assert found.apple_percent == "55%"


def test_what_is_counted_without_the_person_is_no_person(sent: Campaign) -> None:
    Mailing.objects.update(tracking="anonymous")
    visited(sent, "click", "human", 30)
    visited(sent, "open", "human", 90)

    found = total(sent)

    assert found.counted == "anonymous"
    assert not found.knows_people
    assert found.line.clicks == Visited(human=30, unnamed=30)
    assert (found.line.clicks_percent, found.line.click_to_open) == ("15%", "")


def test_clicks_without_a_name_are_called_an_estimate_and_no_bound(sent: Campaign, marketer: Client) -> None:
    """Some scanners are among them, and some quick readers are not."""
    Mailing.objects.update(tracking="anonymous")
    visited(sent, "click", "human", 30)

    for name in ("campaigns:progress", "campaigns:report"):
        page = marketer.get(reverse(name, args=[sent.pk])).content.decode().partition('id="campaign-visits"')[2]
        card = page.partition("</section>")[0]
        assert "estimate, 15% of accepted" in card
        assert "Clicks by people are an estimate" in card
        assert "at most" not in card
    assert (
        "Clicks without a name are an estimate."
        in marketer.get(reverse("campaigns:click_map", args=[sent.pk])).content.decode()
    )


def test_people_and_nameless_clicks_of_one_campaign_stay_apart(sent: Campaign) -> None:
    visited(sent, "click", "human", 30, 20)
    visited(sent, "click", "human", 5)

    found = total(sent)

    assert found.counted == "mixed"
    assert found.line.clicks == Visited(people=20, human=35, unnamed=5)


def test_a_person_is_not_lost_among_the_links(sent: Campaign) -> None:
    visited(sent, "click", "human", 30, 20)
    visited(sent, "click", "human", 18, 15, link_id=1)
    visited(sent, "click", "human", 12, 11, link_id=2)

    assert total(sent).line.clicks == Visited(people=20, human=30)


@pytest.mark.parametrize(
    ("installation", "of_list", "of_campaign", "because"),
    [
        ("", "personal", "", "An administrator can change that"),
        ("off", "personal", "personal", "An administrator can change that"),
        ("personal", "personal", "off", "this campaign is set to Off"),
        ("personal", "off", "", "News is set to Off. Whoever edits lists"),
        ("personal", "personal", "", "Later campaigns may be."),
    ],
)
def test_a_report_says_why_nothing_was_counted_and_who_may_change_it(
    sent: Campaign,
    marketer: Client,
    saved_settings: None,
    installation: str,
    of_list: str,
    of_campaign: str,
    because: str,
) -> None:
    SiteSettings.objects.create(tracking=installation)
    ContactList.objects.update(tracking=of_list)
    Campaign.objects.update(tracking=of_campaign)
    Mailing.objects.update(tracking="off")

    found = total(Campaign.objects.get())

    assert found.counted == "off"
    assert because in found.why_off
    for page in ("campaigns:report", "campaigns:progress"):
        assert found.why_off in marketer.get(reverse(page, args=[sent.pk])).content.decode().replace("&#x27;", "'")


def test_what_was_counted_stays_when_the_installation_stops(sent: Campaign, saved_settings: None) -> None:
    visited(sent, "click", "human", 30, 20)
    SiteSettings.objects.create(tracking="off")

    assert total(sent).line.clicks.people == 20
    assert why_off(sent)


@pytest.mark.parametrize(("hours", "has_points"), [(1, True), (2, False)])
def test_opens_of_a_single_hour_are_a_point_in_the_chart(sent: Campaign, hours: int, has_points: bool) -> None:
    for number in range(hours):
        visited(sent, "open", "human", 4, 4, quarter_at=NOW + number * HOUR)
    assert sent.mailing_id is not None

    drawn = hours_chart(first_hours([sent.mailing_id]))

    assert (len(drawn["labels"]), drawn["datasets"][-1]["has_points"]) == (hours, has_points)


def test_the_first_hours_begin_with_the_first_accepted_message(sent: Campaign) -> None:
    visited(sent, "click", "machine", 9, 9)
    visited(sent, "click", "human", 3, 3, quarter_at=NOW + 2 * HOUR)
    visited(sent, "open", "human", 4, 4, quarter_at=NOW + 71.75 * HOUR)
    visited(sent, "open", "human", 5, 5, quarter_at=NOW + 72 * HOUR)
    assert sent.mailing_id is not None

    hours = first_hours([sent.mailing_id])

    assert len(hours) == 72
    assert hours[0].at == NOW
    assert (hours[0].clicks.machine, hours[2].clicks.human, hours[71].opens.human) == (9, 3, 4)
    assert sum(hour.opens.human for hour in hours) == 4


# --- pages


@pytest.mark.parametrize("has_unnamed", [False, True])
def test_a_share_of_people_is_a_least_one_everywhere_if_some_clicks_have_no_name(
    sent: Campaign, marketer: Client, server: SmtpServer, has_unnamed: bool
) -> None:
    visited(sent, "click", "human", 30, 20, server_name=server.name, provider="google.com")
    if has_unnamed:
        visited(sent, "click", "human", 5, server_name=server.name)

    report = marketer.get(reverse("campaigns:report", args=[sent.pk])).content.decode()
    parts = [report.split(f"<h2>{heading}</h2>")[1].split("</section>")[0] for heading in HEADED]
    compared = marketer.get(reverse("reports:compare")).content.decode()

    assert ["at least 10%" in part for part in (parts[0], compared)] == [has_unnamed, has_unnamed]
    assert ("<small>at least 10%</small>" in parts[1], "10%" in parts[1]) == (has_unnamed, True)


def test_bars_of_campaigns_that_are_counted_differently_are_called_incomparable(
    sent: Campaign, marketer: Client, server: SmtpServer
) -> None:
    visited(sent, "click", "human", 30, 20)
    other = Campaign.objects.create(name="Other", subject="x")
    other = send(other, server, "personal")
    visited(other, "click", "human", 30, 20)
    words = "counted at different levels"

    alike = marketer.get(reverse("reports:compare")).content.decode()
    VisitCount.objects.filter(mailing=other.mailing).update(is_personal=False, people=0)
    Mailing.objects.filter(pk=other.mailing_id).update(tracking="anonymous")
    different = marketer.get(reverse("reports:compare")).content.decode()

    assert (words in alike, words in different) == (False, True)


def test_tables_whose_accepted_differ_from_the_total_say_so(
    sent: Campaign, marketer: Client, server: SmtpServer
) -> None:
    """A bounce that came later leaves the total, and stays in what its server and its provider accepted."""
    visited(sent, "click", "human", 3, 3, server_name=server.name, provider="google.com")
    url = reverse("campaigns:report", args=[sent.pk])
    words = "Messages that bounced or failed later still count here."

    def said() -> list[bool]:
        cache.clear()  # What took long is kept for a while.
        page = marketer.get(url).content.decode()
        parts = [page.split(f"<h2>{heading}</h2>")[1].split("</section>")[0] for heading in HEADED]
        return [words in part for part in parts]

    assert said() == [False, False]
    late = Message.objects.filter(mailing=sent.mailing).values_list("pk", flat=True)[:1]
    Message.objects.filter(pk__in=list(late)).update(status="bounced")

    assert said() == [True, True]


@pytest.mark.parametrize(
    "page",
    ["/campaigns/{pk}/", "/campaigns/{pk}/report/", "/campaigns/{pk}/clicks/", f"/reports/opens-clicks/{PERIOD}"],
)
def test_pages_say_how_long_a_visit_waits_for_its_verdict(sent: Campaign, marketer: Client, page: str) -> None:
    visited(sent, "click", "human", 30, 20)
    minutes = int(JUDGED_AFTER / dt.timedelta(minutes=1))

    assert f"about {minutes} minutes after they happen" in marketer.get(page.format(pk=sent.pk)).content.decode()


def test_the_progress_page_reads_neither_visits_nor_messages(sent: Campaign, marketer: Client) -> None:
    visited(sent, "click", "human", 30, 20)
    url = reverse("campaigns:progress_json", args=[sent.pk])
    marketer.get(url)
    cache.clear()  # What took long is kept for a while.

    with CaptureQueriesContext(connection) as queries:
        figures = marketer.get(url).json()["figures"]

    assert "20 people" in figures
    asked = [query["sql"] for query in queries if 'FROM "feedback_visit"' in query["sql"]]
    assert asked == []
    assert len([query for query in queries if "feedback_visitcount" in query["sql"]]) == 1


def test_the_report_costs_as_many_queries_with_many_counts_as_with_few(
    sent: Campaign, marketer: Client, server: SmtpServer
) -> None:
    def cost() -> int:
        cache.clear()  # What took long is kept for a while.
        with CaptureQueriesContext(connection) as queries:
            assert marketer.get(reverse("campaigns:report", args=[sent.pk])).status_code == 200
        return len(queries)

    visited(sent, "click", "human", 1, 1, server_name=server.name)
    few = cost()
    for number in range(30):
        other = SmtpServer.objects.create(name=f"S{number}", host="localhost", mail_from="a@example.com")
        visited(
            *(sent, "click", "human", 1, 1),
            server_name=other.name,
            provider=f"d{number}.net",
            quarter_at=NOW + number * HOUR,
        )

    assert cost() < few + SLACK


def test_roles_see_figures_and_small_domains_only_with_the_recipients(
    sent: Campaign, people: dict[str, User], server: SmtpServer
) -> None:
    visited(sent, "click", "human", 3, 3, provider="village.net", server_name=server.name)
    visited(sent, "click", "human", 2, 2, provider="google.com", server_name=server.name)
    urls = [
        reverse("campaigns:report", args=[sent.pk]),
        reverse("campaigns:visits_csv", args=[sent.pk, "providers"]),
        reverse("reports:visits") + PERIOD,
        reverse("reports:visits_csv", args=["providers"]) + PERIOD,
        reverse("reports:compare"),
    ]
    for url in urls:
        for role, user in people.items():
            answer = client_of(user).get(url)
            assert answer.status_code == 200, (url, role)
            names_it = b"village.net" in answer.getvalue()
            assert names_it == (role in ("admin", "marketer") and "compare" not in url), (url, role)
            assert b"p1@" not in answer.getvalue()
        assert Client().get(url).status_code == 302


def test_a_period_counts_days_of_the_site_and_adds_up(sent: Campaign, marketer: Client, server: SmtpServer) -> None:
    visited(sent, "click", "human", 3, 2, server_name=server.name, provider="google.com")
    visited(sent, "click", "machine", 5, 5, quarter_at=NOW + 12 * HOUR, server_name=server.name)
    visited(sent, "open", "human", 4, quarter_at=NOW + 12 * HOUR)
    visited(sent, "click", "human", 9, 9, quarter_at=NOW + 48 * HOUR)

    tables = marketer.get(reverse("reports:visits") + PERIOD).context["tables"]

    assert tables.total.clicks == Visited(people=2, human=3, machine=5)
    assert tables.total.opens == Visited(human=4, unnamed=4)
    assert [(line.key, line.clicks.loads) for line in tables.days] == [("2026-11-30", 3), ("2026-12-01", 5)]
    assert [(line.label, line.accepted, line.clicks.loads) for line in tables.servers] == [
        ("Alpha", 0, 8),
        ("unknown server", 0, 0),
    ]
    for table in (tables.days, tables.servers, tables.providers, tables.campaigns):
        assert sum(line.clicks.loads for line in table) == 8
        assert sum(line.opens.loads for line in table) == 4


@pytest.mark.parametrize("query", ["?from=0001-01-01&to=9999-12-31", "?from=9999-12-31&to=9999-12-31", "?server=gone"])
def test_no_period_is_too_long_and_no_server_too_strange(sent: Campaign, marketer: Client, query: str) -> None:
    visited(sent, "click", "human", 3, 2)

    assert marketer.get(reverse("reports:visits") + query).status_code == 200


def test_files_are_safe_in_a_spreadsheet_and_have_numbers_of_people(sent: Campaign, marketer: Client) -> None:
    Campaign.objects.update(name="=Winter")
    visited(sent, "click", "human", 30, 20)
    visited(sent, "click", "machine", 400, 150)

    url = reverse("reports:visits_csv", args=["campaigns"]) + PERIOD
    rows = list(csv.reader(io.StringIO(marketer.get(url).getvalue().decode("utf-8-sig"))))

    assert rows[1:] == [["'=Winter", "20", "30", "400", "0", "0", "0", "0", "0"]]
    assert rows[0][:3] == ["campaign", "clicked", "clicks by people"]
    assert marketer.get(reverse("reports:visits_csv", args=["people"])).status_code == 404


def test_a_campaigns_file_has_what_each_server_accepted(sent: Campaign, marketer: Client, server: SmtpServer) -> None:
    visited(sent, "click", "human", 30, 20, server_name=server.name)

    url = reverse("campaigns:visits_csv", args=[sent.pk, "servers"])
    rows = list(csv.reader(io.StringIO(marketer.get(url).getvalue().decode("utf-8-sig"))))

    assert rows[0][:4] == ["server", "accepted", "clicked", "clicks by people"]
    assert rows[1:] == [["Alpha", "200", "20", "30", "0", "0", "0", "0", "0", "0"]]


@pytest.mark.django_db(transaction=True)  # The edge closes old connections.
def test_a_server_keeps_its_name_at_sending_when_it_is_renamed_or_deleted(
    campaign: Campaign,
    server: SmtpServer,
    marketer: Client,
    settings: LazySettings,
    saved_settings: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As if no other transaction ran: in PostgreSQL those of every database hold the count back.
    monkeypatch.setattr(tally, "_ceiling", lambda mark: Attempt.objects.aggregate(last=Max("pk"))["last"])
    settings.DATA_DIR = tmp_path  # The spool.
    allow()
    mailing = tracked_mailing()
    Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing, status="finished", starts_at=SENT_AT)
    gone = SmtpServer.objects.create(name="Beta", host="localhost", mail_from="a@example.com")
    paths, code = [], link_of(mailing)
    for each in (server, gone):
        message = message_to(mailing, f"{each.name}@example.net", server=each, server_name=each.name)
        paths += [click_of(message, code), f"/c/{targets.store(mailing.pk, each.name, []).token}{code}"]
    server.name = "Renamed"
    server.save()
    gone.delete()

    edge, now = edge_before(), timezone.now()
    for number, path in enumerate(paths):
        ask(edge, path, REMOTE_ADDR=f"192.0.{number}.7")
    gather(edge, now)
    judge(now + HOUR)
    tally.tally(now, ask=lambda domains: {})

    def rows(url: str, columns: int) -> list[list[str]]:
        read = csv.reader(io.StringIO(marketer.get(url).getvalue().decode("utf-8-sig")))
        return [row[:columns] for row in read][1:]

    expected = [["Alpha", "1"], ["Beta", "1"]]
    assert sorted(rows(reverse("campaigns:report_csv", args=[campaign.pk, "servers"]), 2)) == expected
    clicked = [["Alpha", "1", "1", "2"], ["Beta", "1", "1", "2"]]  # Accepted, people, clicks.
    assert rows(reverse("campaigns:visits_csv", args=[campaign.pk, "servers"]), 4) == clicked
    for name, loads in (("Alpha", 2), ("Beta", 2), ("Renamed", 0)):
        tables = marketer.get(reverse("reports:visits"), {"server": name}).context["tables"]
        assert tables.total.clicks.loads == loads, name


# --- side by side


def test_campaigns_are_compared_by_what_is_known_of_each(sent: Campaign, server: SmtpServer) -> None:
    visited(sent, "click", "human", 30, 20)
    visited(sent, "open", "human", 90, 80)
    other = send(Campaign.objects.create(name="Spring"), server, "anonymous", 100)
    visited(other, "click", "human", 40)
    silent = send(Campaign.objects.create(name="Summer"), server, "off", 100)
    message = Message.objects.filter(mailing=silent.mailing).first()
    Feedback.objects.create(kind="complaint", channel="arf", message=message, email="a@village.net", received_at=NOW)

    found = compare_campaigns([sent, other, silent])

    assert [(each.name, each.counted, each.accepted) for each in found] == [
        ("Winter sale", "personal", 200),
        ("Spring", "anonymous", 100),
        ("Summer", "off", 100),
    ]
    assert [(each.clicks.number, each.clicks.words, each.clicks.width) for each in found] == [
        (20, "10%", 25),
        (40, "40%", 100),
        (0, "0%", 0),
    ]
    assert [each.click_to_open.words for each in found] == ["25%", "", ""]
    assert [(each.complaints.number, each.complaints.words) for each in found] == [
        (0, "0.00%"),
        (0, "0.00%"),
        (1, "1.00%"),
    ]


def test_the_comparison_takes_the_chosen_campaigns_and_costs_no_more_for_many(
    sent: Campaign, server: SmtpServer, marketer: Client
) -> None:
    def cost(url: str) -> int:
        marketer.get(url)
        with CaptureQueriesContext(connection) as queries:
            assert marketer.get(url).status_code == 200
        return len(queries)

    others = [send(Campaign.objects.create(name=f"C{number}"), server, number=6) for number in range(12)]
    url = reverse("reports:compare")

    two = f"{url}?campaign={sent.pk}&campaign={others[0].pk}&campaign=x&campaign={10**30}"
    assert {each.name for each in marketer.get(two).context["compared"]} == {"Winter sale", "C0"}
    assert len(marketer.get(url).context["compared"]) == 10
    assert cost(url) < cost(two) + SLACK


def test_nothing_sent_is_nothing_to_compare(marketer: Client) -> None:
    assert "No campaigns to compare yet." in marketer.get(reverse("reports:compare")).content.decode()


# --- recipients


@pytest.fixture
def met(sent: Campaign) -> Campaign:
    """A campaign of which one recipient clicked, and another one opened."""
    one, two = (
        Contact.objects.create(email=f"p{number}@village.net", open_tracking="yes", click_tracking="yes")
        for number in (1, 2)
    )
    Message.objects.filter(email=one.email).update(contact=one, first_clicked_at=NOW + HOUR, first_opened_at=NOW)
    Message.objects.filter(email=two.email).update(contact=two, first_opened_at=NOW + 2 * HOUR)
    return sent


def test_who_took_a_consent_back_is_no_longer_named(met: Campaign, marketer: Client) -> None:
    Contact.objects.filter(email="p1@village.net").update(click_tracking="none")
    assert met.mailing_id is not None
    url = reverse("campaigns:recipients", args=[met.pk])

    clicked = marketer.get(f"{url}?visited=clicked")
    everybody = marketer.get(f"{url}?q=p1@").content.decode()
    exported = csv.DictReader(io.StringIO("".join(recipients_csv([met.mailing_id], Filter(sought="p1@")))))

    assert [*clicked.context["rows"]] == []
    assert "Clicked 30" not in everybody
    assert "Opened 30" in everybody
    assert [(row["clicked (UTC)"], row["opened (UTC)"]) for row in exported] == [("", "2026-11-30 12:00:00")]


@pytest.mark.parametrize(
    ("visited", "found"),
    [
        ("clicked", ["p1@village.net"]),
        ("opened", ["p1@village.net", "p2@village.net"]),
        ("opened&status=bounced", []),
    ],
)
def test_recipients_are_filtered_by_what_people_did(
    met: Campaign, marketer: Client, visited: str, found: list[str]
) -> None:
    page = marketer.get(reverse("campaigns:recipients", args=[met.pk]) + f"?visited={visited}")

    assert [row.email for row in page.context["rows"]] == found


def test_a_filter_by_clicks_reads_an_index_that_other_messages_are_not_in(met: Campaign) -> None:
    assert met.mailing_id is not None
    if connection.vendor == "postgresql":  # It would rather read a table of so few rows as a whole.
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")

    plan = fitting([met.mailing_id], Filter(visited="clicked")).order_by("pk")[:51].explain()

    assert "message_clicked" in plan


def test_recipients_are_exported_with_their_clicks_at_the_personal_level_alone(met: Campaign) -> None:
    assert met.mailing_id is not None

    personal = list(csv.DictReader(io.StringIO("".join(recipients_csv([met.mailing_id], Filter(visited="opened"))))))
    Mailing.objects.update(tracking="anonymous")
    anonymous = list(csv.DictReader(io.StringIO("".join(recipients_csv([met.mailing_id], Filter())))))

    assert [(row["clicked (UTC)"], row["opened (UTC)"]) for row in personal] == [
        ("2026-11-30 13:00:00", "2026-11-30 12:00:00"),
        ("", "2026-11-30 14:00:00"),
    ]
    assert "clicked (UTC)" not in anonymous[0]


def test_only_the_personal_level_offers_the_filter(met: Campaign, marketer: Client) -> None:
    url = reverse("campaigns:recipients", args=[met.pk])
    assert 'name="visited"' in marketer.get(url).content.decode()

    Mailing.objects.update(tracking="anonymous")

    assert 'name="visited"' not in marketer.get(url).content.decode()
