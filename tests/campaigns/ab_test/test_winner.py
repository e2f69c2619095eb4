"""The winner of an A/B test by figures: visits by people decide, once, or a person is asked."""

import datetime as dt
import random
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from brilliance.web import attention
from campaigns.ab_test import run, winner
from campaigns.ab_test.comparison import verdict
from campaigns.ab_test.winner import Standing
from campaigns.models import Campaign, Experiment, Variant
from campaigns.schedule import mailings
from delivery.models import Mailing, Message, Notice
from feedback.models import VisitCount
from installation.models import SiteSettings
from tests.campaigns.ab_test.test_run import LATER, NOW, answer_all, crowd, per_person, start, tested, tick

__all__ = ["crowd", "tested"]  # Fixtures.

TIE, FEW, UNCOUNTED = Experiment.Undecided.TIE, Experiment.Undecided.FEW, Experiment.Undecided.UNCOUNTED


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        ([(500, 20, 0), (500, 30, 0)], 2),
        ([(500, 30, 0), (250, 20, 0)], 2),  # Per accepted message, not in all.
        ([(300, 20, 0), (600, 40, 0)], TIE),
        ([(3, 10, 0), (9, 30, 0), (500, 0, 0)], TIE),
        ([(500, 9, 0), (500, 3, 0)], FEW),
        ([(500, 0, 0), (500, 0, 0)], FEW),
        ([(0, 0, 0), (500, 12, 0)], FEW),  # The other had no chance.
        ([(500, 4, 8), (500, 5, 0)], 1),  # Clicks without a name count, too.
    ],
)
def test_the_most_visits_per_accepted_message_win(visits: list[tuple[int, int, int]], expected: Any) -> None:
    assert winner.leader([Standing(place, *each) for place, each in enumerate(visits, 1)]) == expected


@pytest.mark.parametrize(
    ("visits", "expected"),
    [
        ([(1000, 50, 0), (1000, 71, 0)], True),  # z = 1.97, and 1.96 is needed.
        ([(1000, 50, 0), (1000, 70, 0)], False),  # z = 1.88
        ([(1000, 50, 0), (1000, 80, 0)], True),
        ([(1000, 50, 0), (1000, 60, 0)], False),
        ([(1000, 50, 0), (1000, 72, 0), (1000, 40, 0)], False),  # Three variants: a lead has to be larger.
        ([(20, 0, 0), (20, 9, 0)], False),  # Fewer than ten.
        ([(1000, 0, 50), (1000, 0, 80)], False),  # Without a name, one person may have clicked four times.
        ([(1000, 0, 50), (1000, 0, 150)], True),
        ([(0, 0, 0), (1000, 80, 0)], False),
    ],
)
def test_a_lead_is_clear_if_it_is_more_than_chance(visits: list[tuple[int, int, int]], expected: bool) -> None:
    assert winner.is_clear([Standing(place, *each) for place, each in enumerate(visits)]) is expected


def test_too_few_visits_are_said_with_the_number_that_is_needed() -> None:
    needed = str(winner.FEWEST)

    assert verdict([Standing(1, 500, 9), Standing(2, 500, 3)], {}).endswith(f"needs at least {needed}.")
    assert str(FEW.label).endswith(f"needs at least {needed}.")
    assert f"fewer than {needed} clicks" in Experiment._meta.get_field("winner_by").help_text


@pytest.mark.parametrize(("variants", "share"), [(2, 0.03), (2, 0.2), (5, 0.05)])
def test_equal_variants_are_called_different_in_one_test_of_twenty_at_most(variants: int, share: float) -> None:
    chance = random.Random(f"{variants} {share}")
    accepted, rounds, clear = 400, 400, 0
    for _ in range(rounds):
        clicked = [sum(chance.random() < share for _ in range(accepted)) for _ in range(variants)]
        clear += winner.is_clear([Standing(place, accepted, each) for place, each in enumerate(clicked)])

    assert clear / rounds <= 0.05 + 3 * (0.05 * 0.95 / rounds) ** 0.5


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("winner_by", "level", "says"),
    [
        ("clicks", "anonymous", "Automatically: the variant with the most clicks goes to everyone else 4 hours after"),
        ("opens", "personal", "Automatically: the variant with the most opens goes to everyone else 4 hours after"),
        ("opens", "anonymous", "You choose. This campaign doesn&#x27;t count opens by name."),
        ("clicks", "off", "You choose. This campaign doesn&#x27;t count clicks."),
        ("hand", "personal", "You choose, 4 hours after the test starts or earlier."),
    ],
)
def test_the_review_says_who_chooses_the_winner_by_what_and_when(
    tested: Campaign, marketer: Client, saved_settings: None, winner_by: str, level: str, says: str
) -> None:
    SiteSettings.objects.create(tracking=level)
    tested.lists.update(tracking="personal")
    Experiment.objects.update(winner_by=winner_by, sample_percent=50, wait_hours=4)

    page = marketer.get(reverse("campaigns:review", args=[tested.pk])).content.decode()

    assert says in page
    Experiment.objects.update(sample_percent=100)  # Nothing is left for a winner.
    assert says not in marketer.get(reverse("campaigns:review", args=[tested.pk])).content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("winner_by", "track_text", "says"),
    [
        ("clicks", False, "You choose. This campaign doesn&#x27;t count the links of its text."),
        ("clicks", True, "Automatically: the variant with the most clicks goes to everyone else"),
        ("opens", True, "You choose. An email in text only counts no opens."),
    ],
)
def test_nothing_is_chosen_by_what_a_mail_in_text_only_does_not_count(
    tested: Campaign, marketer: Client, saved_settings: None, winner_by: str, track_text: bool, says: str
) -> None:
    SiteSettings.objects.create(tracking="personal")
    tested.lists.update(tracking="personal")
    Campaign.objects.update(html="", text="Snow: https://example.com/", track_text=track_text)
    Variant.objects.update(body="")
    Experiment.objects.update(winner_by=winner_by, sample_percent=50)

    assert says in marketer.get(reverse("campaigns:review", args=[tested.pk])).content.decode()


@pytest.mark.django_db
def test_clicks_on_a_mail_in_text_only_decide_if_its_links_are_counted(by_clicks: Campaign) -> None:
    Mailing.objects.update(html="", text="Snow: https://example.com/")
    count(0, 11)
    count(1, 20)

    assert run.decide(LATER) == 0
    assert Experiment.objects.get().undecided == UNCOUNTED

    Experiment.objects.update(undecided="")
    Mailing.objects.update(track_text=True)
    assert run.decide(LATER) == 1


@pytest.mark.django_db
def test_nobody_is_asked_to_choose_what_is_chosen_automatically(by_clicks: Campaign, marketer: Client) -> None:
    url = reverse("campaigns:progress", args=[by_clicks.pk])
    long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=2)
    Experiment.objects.update(begun_at=long_ago)

    due = marketer.get(url).content.decode()
    Experiment.objects.update(undecided=TIE)
    undecided = marketer.get(url).content.decode()

    assert "The winner is being chosen automatically." in due
    assert "Choose the winner for everyone else." not in due
    assert "Choose the winner for everyone else." in undecided


def count(position: int, number: int, **more: Any) -> None:
    """Store visits of a variant, as they are counted."""
    mailing = Variant.objects.get(position=position).mailing
    facts = {"kind": "click", "visitor": "human", "family": "chrome", "is_personal": True, "people": number, **more}
    VisitCount.objects.create(mailing=mailing, quarter_at=NOW, loads=number * 3, **facts)


@pytest.fixture
def by_clicks(tested: Campaign, people: dict[str, User]) -> Campaign:
    """A test whose winner is chosen automatically, and whose sample is sent."""
    Experiment.objects.update(winner_by="clicks", sample_percent=50)
    start(tested, people["marketer"])
    answer_all()
    Mailing.objects.update(tracking="personal")
    return tested


@pytest.mark.django_db
def test_the_rest_gets_what_most_people_clicked_once_the_time_is_over(by_clicks: Campaign) -> None:
    count(0, 11)
    count(1, 20)
    for noise in ({"visitor": "machine"}, {"visitor": "unknown"}, {"link_id": 7}, {"kind": "open"}):
        count(0, 90, **noise)

    early = run.decide(NOW + dt.timedelta(hours=3, minutes=59))
    assert (early, Experiment.objects.get().winner) == (0, None)

    assert run.decide(LATER) == 1
    assert run.decide(LATER) == 0
    tick()
    experiment = Experiment.objects.get()
    assert (str(experiment.winner), experiment.chosen_by, experiment.chosen_at) == ("B", None, LATER)
    assert experiment.is_rest_open
    by_clicks.refresh_from_db()
    assert by_clicks.mailing is not None
    assert (by_clicks.mailing.subject, by_clicks.mailing.tracking) == ("Snow at last", "personal")
    assert set(per_person(by_clicks).values()) == {1}
    assert not Notice.objects.filter(mailing__name__contains="rest").exists()


@pytest.mark.django_db
def test_clicks_without_a_name_decide_too_and_opens_without_one_never(by_clicks: Campaign) -> None:
    Mailing.objects.update(tracking="anonymous")
    count(0, 0, is_personal=False, people=0)
    VisitCount.objects.update(loads=30)
    count(1, 5, is_personal=False, people=0, family="other")

    assert run.decide(LATER) == 1
    assert str(Experiment.objects.get().winner) == "A"

    Experiment.objects.update(winner=None, winner_by="opens", is_rest_open=False)
    count(0, 90, kind="open", is_personal=False, people=0)
    assert run.decide(LATER) == 0
    assert Experiment.objects.get().undecided == UNCOUNTED


@pytest.mark.django_db
def test_clicks_without_a_name_are_not_called_people_who_clicked(by_clicks: Campaign, marketer: Client) -> None:
    def headings() -> list[bool]:
        page = marketer.get(reverse("campaigns:progress", args=[by_clicks.pk])).content.decode()
        table = page.split("campaign-variants")[1].split("</table>")[0]
        return [f'<th scope="col">{words}</th>' in table for words in ("Clicked", "Counted clicks")]

    count(0, 11)
    assert headings() == [True, False]

    count(1, 0, is_personal=False, people=0, family="other")
    VisitCount.objects.filter(is_personal=False).update(loads=3)
    assert headings() == [False, True]


@pytest.mark.django_db
def test_no_two_tables_of_a_report_give_one_name_to_different_numbers(by_clicks: Campaign, marketer: Client) -> None:
    count(0, 11)
    count(1, 0, is_personal=False, people=0, family="other")
    VisitCount.objects.filter(is_personal=False).update(loads=3)

    page = marketer.get(reverse("campaigns:report", args=[by_clicks.pk])).content.decode()
    by_variant = page.split("<h2>Opens and clicks by variant</h2>")[1].split("</section>")[0]
    test = page.split("<h2>A/B test</h2>")[1].split("</section>")[0]

    assert '<td data-label="Clicks by people">33</td>' in by_variant  # Each click.
    assert '<td data-label="Counted clicks"><span>11 ' in test  # Each person once.
    assert "Clicks by people" not in test
    assert "each person known by name counts once" in test


@pytest.mark.parametrize(
    ("winner_by", "percent", "people", "unlikely"),
    [
        ("clicks", 40, 23, True),  # Four people and five.
        ("opens", 40, 23, True),
        ("clicks", 40, 49, False),  # Ten and ten.
        ("clicks", 40, 48, True),  # Nine and ten.
        ("hand", 40, 23, False),
        ("clicks", 100, 10, False),
        ("clicks", 40, 0, False),  # Nobody has been counted yet.
    ],
)
def test_an_automatic_winner_of_a_tiny_sample_is_called_unlikely(
    winner_by: str, percent: int, people: int, unlikely: bool
) -> None:
    experiment = Experiment(winner_by=winner_by, sample_percent=percent)

    assert bool(winner.why_unlikely(experiment, 2, people)) is unlikely


@pytest.mark.django_db
def test_no_page_promises_a_winner_of_a_tiny_sample(
    tested: Campaign, people: dict[str, User], marketer: Client, saved_settings: None
) -> None:
    SiteSettings.objects.create(tracking="personal")
    tested.lists.update(tracking="personal")
    Experiment.objects.update(winner_by="clicks", sample_percent=4)  # Of 300 people: six for each variant.
    said = "about 6 people for each variant"

    def page(name: str) -> str:
        return marketer.get(reverse(name, args=[tested.pk])).content.decode()

    before = [page("campaigns:review"), page("campaigns:variants")]
    start(tested, people["marketer"])
    Mailing.objects.update(tracking="personal")
    Experiment.objects.update(begun_at=dt.datetime.now(dt.UTC))
    before.append(page("campaigns:progress"))

    assert [said in each for each in before] == [True, True, True]
    assert not [each for each in before if "goes to everyone else" in each]
    Experiment.objects.update(expected=3000)
    after = page("campaigns:progress")
    assert said not in after
    assert f"if it has at least {winner.FEWEST} clicks" in after


@pytest.mark.django_db
def test_opens_by_name_decide_if_they_are_asked(by_clicks: Campaign) -> None:
    Experiment.objects.update(winner_by="opens")
    count(0, 90)
    count(1, 15, kind="open")
    count(0, 12, kind="open")

    assert run.decide(LATER) == 1
    assert str(Experiment.objects.get().winner) == "B"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("clicked", "level", "reason"),
    [((12, 12), "personal", TIE), ((9, 2), "personal", FEW), ((99, 1), "off", UNCOUNTED)],
)
def test_a_person_is_asked_once_where_the_figures_do_not_decide(
    by_clicks: Campaign, people: dict[str, User], marketer: Client, clicked: tuple[int, int], level: str, reason: str
) -> None:
    User.objects.filter(pk=people["marketer"].pk).update(email="marketer@example.com")
    Mailing.objects.update(tracking=level)
    for position, number in enumerate(clicked):
        count(position, number)

    assert (run.decide(LATER), run.decide(LATER)) == (0, 0)
    tick()

    experiment = Experiment.objects.get()
    assert (experiment.winner, experiment.undecided) == (None, reason)
    assert Notice.objects.filter(kind="campaign").count() == 1
    rows, _more = attention.rows([], [], people["marketer"], LATER)
    assert [row.name for row in rows] == [by_clicks.name]
    assert rows[0].text.startswith("Choose the winner of the A/B test.")
    shown = marketer.get(reverse("campaigns:progress_json", args=[by_clicks.pk])).json()["test"]
    assert "No winner was chosen automatically." in shown
    assert "Choose B…" in shown

    run.choose(by_clicks.pk, experiment.variants.get(position=1).pk, people["marketer"], LATER)
    assert attention.rows([], [], people["marketer"], LATER) == ([], 0)


@pytest.mark.django_db
@pytest.mark.parametrize("change", ["hand", "paused", "everyone", "unapproved", "begun"])
def test_nothing_is_chosen_that_a_person_did_not_leave_to_the_figures(by_clicks: Campaign, change: str) -> None:
    count(0, 11)
    count(1, 20)
    experiments, campaigns = Experiment.objects.all(), Campaign.objects.all()
    {
        "hand": lambda: experiments.update(winner_by="hand"),
        "paused": lambda: campaigns.update(status="paused"),
        "everyone": lambda: experiments.update(sample_percent=100),
        "unapproved": lambda: experiments.update(unapproved=900),
        "begun": lambda: experiments.update(begun_at=None),
    }[change]()

    assert run.decide(LATER) == 0
    experiment = Experiment.objects.get()
    assert (experiment.winner, experiment.undecided) == (None, "")


@pytest.mark.django_db
def test_a_winner_that_would_reach_more_people_than_approved_waits_for_a_person(
    by_clicks: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(0, 11)
    count(1, 20)
    monkeypatch.setattr("campaigns.audience.allowances.unapproved", lambda campaign, people: True)

    assert run.decide(LATER) == 1
    tick()
    assert run.decide(LATER) == 0

    experiment = Experiment.objects.get()
    assert (experiment.winner, experiment.is_rest_open) == (None, False)
    assert experiment.unapproved is not None
    assert set(per_person(by_clicks).values()) == {1}


@pytest.mark.django_db
def test_the_comparison_says_whether_the_lead_is_more_than_chance(by_clicks: Campaign, marketer: Client) -> None:
    page = reverse("campaigns:progress_json", args=[by_clicks.pk])
    count(0, 12)
    count(1, 13, family="other")
    close = marketer.get(page).json()["test"]
    count(1, 45)
    clear = marketer.get(page).json()["test"]
    count(1, 1, is_personal=False, people=0)
    unnamed = marketer.get(page).json()["test"]

    assert "Too close to call" in close
    assert "16.0%" in close  # 12 of 75.
    assert "Variant B is ahead, and by more than chance." in clear
    assert "an estimate" not in clear
    assert "Clicks without a name are an estimate" in unnamed


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_choose_once_and_everyone_gets_one_message(by_clicks: Campaign) -> None:
    count(0, 11)
    count(1, 20)
    chosen: list[int] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        try:
            chosen.append(run.decide(LATER))
            run.open_rests(LATER)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    run.open_rests(LATER)

    assert sum(chosen) == 1
    assert str(Experiment.objects.get().winner) == "B"
    by_clicks.refresh_from_db()
    assert len(mailings.mailing_ids(by_clicks)) == 3
    assert set(per_person(by_clicks).values()) == {1}
    assert Message.objects.filter(mailing=by_clicks.mailing).exists()
    assert not Experiment.objects.exclude(undecided="").exists()
