"""Sums of opens and clicks are those of the stored counts, and only of what was asked."""

import datetime as dt

import pytest

from delivery.models import Mailing
from delivery.records.visits import VisitQuery, VisitSum, visit_sums
from feedback.models import VisitCount
from installation.models import SiteSettings

pytestmark = pytest.mark.django_db
LATE = dt.datetime(2026, 11, 30, 22, 45, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def mailing(db: None) -> Mailing:
    return Mailing.objects.create(stream="campaign", name="Winter sale", subject="Snow")


def count(mailing: Mailing, kind: str, visitor: str, loads: int, people: int = 0, **fields: object) -> None:
    VisitCount.objects.create(
        mailing=mailing,
        kind=kind,
        visitor=visitor,
        loads=loads,
        people=people,
        **{"quarter_at": LATE, "family": "chrome", "is_personal": people > 0, **fields},
    )


def test_a_click_counts_once_for_its_mailing_and_once_for_its_link(mailing: Mailing) -> None:
    count(mailing, "click", "human", 3, 2)
    count(mailing, "click", "human", 3, 2, link_id=7)

    assert visit_sums(VisitQuery()) == [VisitSum("", "click", "human", True, 3, 2)]
    assert visit_sums(VisitQuery(by="link")) == [VisitSum(7, "click", "human", True, 3, 2)]


def test_classes_and_what_is_counted_without_the_person_stay_apart(mailing: Mailing) -> None:
    count(mailing, "open", "human", 3, 2)
    count(mailing, "open", "human", 5)
    count(mailing, "open", "machine", 9, 4, family="apple privacy")
    count(mailing, "open", "human", 2, 1, family="firefox")

    assert sorted(visit_sums(VisitQuery(by="mailing"))) == [
        VisitSum(mailing.pk, "open", "human", False, 5, 0),
        VisitSum(mailing.pk, "open", "human", True, 5, 3),
        VisitSum(mailing.pk, "open", "machine", True, 9, 4),
    ]


def test_a_day_is_one_of_the_site(mailing: Mailing, saved_settings: None) -> None:
    SiteSettings.objects.create(time_zone="Asia/Kathmandu")  # 5 hours 45 before UTC.
    midnight = dt.datetime(2026, 11, 30, 18, 15, tzinfo=dt.UTC)
    count(mailing, "open", "human", 1, quarter_at=midnight - dt.timedelta(minutes=15))
    count(mailing, "open", "human", 2, quarter_at=midnight)

    found = visit_sums(VisitQuery(by="day"))

    assert {(each.key, each.loads) for each in found} == {(dt.date(2026, 11, 30), 1), (dt.date(2026, 12, 1), 2)}


@pytest.mark.parametrize(
    ("asked", "loads"),
    [
        (VisitQuery(), 7),
        (VisitQuery(server_name="Beta"), 4),
        (VisitQuery(start=LATE), 6),
        (VisitQuery(end=LATE), 1),
        (VisitQuery(mailing_ids=[]), 0),
    ],
)
def test_sums_are_of_what_was_asked(mailing: Mailing, asked: VisitQuery, loads: int) -> None:
    count(mailing, "open", "human", 1, quarter_at=LATE - HOUR)
    count(mailing, "open", "human", 2, server_name="Alpha")
    count(mailing, "open", "human", 4, server_name="Beta")

    assert sum(each.loads for each in visit_sums(asked)) == loads
