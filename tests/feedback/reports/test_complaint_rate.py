"""The rate of complaints: a notice, a warning, or a stop of the domain's campaigns, once a day."""

import datetime as dt
from collections import Counter

import pytest

from delivery.models import Incident, Mailing, ScoreCount
from delivery.outcomes import scorecard
from delivery.outcomes.scorecard import ScoreKey
from delivery.records.scorecard import of_server
from feedback.reports import complaint_rate
from smtpservers.models import SmtpServer
from tests.feedback.reports.making import NOW, event, make_mailing, make_server, post, process, sent_to

pytestmark = pytest.mark.django_db

DAY = NOW.date()


@pytest.fixture
def server() -> SmtpServer:
    return make_server()


def accepted(server: SmtpServer, number: int, day: dt.date = DAY, provider: str = "yahoodns.net") -> None:
    scorecard.add(Counter({ScoreKey(day, server.pk, "shop.example", provider, "accepted"): number}))


def complain(server: SmtpServer, number: int, at: str = "yahoo.com", now: dt.datetime = NOW) -> None:
    mailing = make_mailing(finished_at=NOW)
    first = Incident.objects.count() + ScoreCount.objects.count() * 1000
    for place in range(number):
        message = sent_to(f"p{first + place}.{mailing.pk}@{at}", mailing, server)
        post(server, event("SpamComplaint", message, ID=message.pk), now=now)
    process(now)


def state(mailing: Mailing) -> str:
    return Mailing.objects.get(pk=mailing.pk).state


@pytest.mark.parametrize(
    ("complaints", "of", "tells", "stops"),
    [
        (2, 100, True, False),  # Too few to say anything.
        (3, 999, True, False),
        (3, 3_001, False, False),  # Below 1 in 1,000.
        (3, 3_000, True, False),
        (3, 1_001, True, False),  # Below 3 in 1,000.
        (3, 1_000, True, True),
    ],
)
def test_the_rate_decides(server: SmtpServer, complaints: int, of: int, tells: bool, stops: bool) -> None:
    running = [make_mailing(), make_mailing(mail_from="Us <a@shop.example>"), make_mailing(mail_from="b@there.example")]
    single = make_mailing("single")
    accepted(server, of)

    complain(server, complaints)

    # One after the other they are few at first, so somebody is told in any case but the last sum decides.
    assert [state(each) for each in (*running, single)] == ["paused" if stops else "open"] * 2 + ["open", "open"]
    assert Incident.objects.exists() == tells
    if stops:
        assert "3 people at Yahoo marked mail from shop.example" in Mailing.objects.get(pk=running[0].pk).waiting_reason


def test_the_next_day_stops_a_domain_with_a_long_name_again(server: SmtpServer) -> None:
    long = ".".join(["a" * 60] * 3) + ".example"
    provider = ".".join(["b" * 60] * 3) + ".example"
    mailing = make_mailing(mail_from=f"us@{long}")

    for day in (DAY, DAY + dt.timedelta(days=1)):
        Mailing.objects.filter(pk=mailing.pk).update(state="open")
        keys = [ScoreKey(day, server.pk, long, provider, kind) for kind in ("accepted", "complaint")]
        scorecard.add(Counter(dict(zip(keys, (1_000, 3), strict=True))))
        complaint_rate.check([complaint_rate.Cell(day, long, provider, server.pk)], NOW + (day - DAY))
        assert state(mailing) == "paused"


def test_whoever_resumes_is_not_stopped_again_that_day(server: SmtpServer) -> None:
    mailing = make_mailing()
    accepted(server, 1_000)
    complain(server, 3)
    before = state(mailing)
    Mailing.objects.filter(pk=mailing.pk).update(state="open")

    complain(server, 3)

    assert (before, state(mailing)) == ("paused", "open")


def test_another_provider_and_another_day_have_a_rate_of_their_own(server: SmtpServer) -> None:
    mailing = make_mailing()
    accepted(server, 1_000, DAY - dt.timedelta(days=1))
    accepted(server, 1_000, provider="web.de")

    complain(server, 2)
    complain(server, 1, at="web.de")

    assert state(mailing) == "open"


def test_a_scorecard_adds_up_by_day_provider_and_domain(server: SmtpServer) -> None:
    accepted(server, 2_000)
    accepted(server, 500, DAY - dt.timedelta(days=1), provider="web.de")
    accepted(make_server("Beta"), 7)
    complain(server, 2)

    card = of_server(server.pk, DAY - dt.timedelta(days=1), DAY)

    assert (card.total.of("accepted"), card.total.of("complaint"), card.total.share("complaint")) == (2_500, 2, 0.0008)
    assert [(line.label, line.of("accepted")) for line in card.days] == [("2026-11-29", 500), ("2026-11-30", 2_000)]
    assert [(line.label, line.of("complaint")) for line in card.providers] == [("yahoodns.net", 2), ("web.de", 0)]
    assert [line.label for line in card.from_domains] == ["shop.example"]
    assert of_server(server.pk, DAY, DAY).total.of("accepted") == 2_000
