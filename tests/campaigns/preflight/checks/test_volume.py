"""The checks of volume and reputation: who counts as a bulk sender, jumps, complaints and bounces."""

import pytest

from campaigns.models import Campaign
from campaigns.preflight.checks.volume import large_providers, reputation, volume_of
from campaigns.preflight.review import review
from tests.campaigns.gate import AUTHOR, NOW, accepted, of, told

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("people", "before", "strict"),
    [
        ({"Gmail": 5_000}, [], []),
        ({"Gmail": 5_001}, [], ["Gmail"]),
        ({"Yahoo": 5_001, "Outlook": 5_001}, [], ["Outlook", "Yahoo"]),
        ({"Gmail": 2_000}, [("google.com", 3_001, 1)], ["Gmail"]),
        ({"Gmail": 2_000}, [("google.com", 3_001, 2)], []),
        ({"Gmail": 1}, [("google.com", 5_001, 6)], ["Gmail"]),  # Who was a bulk sender stays one.
        ({"iCloud": 9_000}, [], []),  # Apple names no number.
    ],
)
def test_more_than_its_number_a_day_makes_a_bulk_sender(
    people: dict[str, int], before: list[tuple[str, int, int]], strict: list[str]
) -> None:
    for provider, number, days_ago in before:
        accepted(provider, number, days_ago=days_ago)

    assert [one.name for one in volume_of(people, [AUTHOR], NOW).strict] == strict


def test_all_names_below_a_domain_count_together() -> None:
    accepted("google.com", 3_000)

    assert volume_of({"Gmail": 2_001}, [f"shop.{AUTHOR}"], NOW).strict


def test_a_jump_in_volume_warns() -> None:
    accepted("google.com", 1_000, days_ago=3)

    fine = list(large_providers(volume_of({"Gmail": 2_000}, [AUTHOR], NOW)))
    [jump] = large_providers(volume_of({"Gmail": 2_001}, [AUTHOR], NOW))

    assert fine == []
    assert jump.sentence == (
        "2,001 messages to Gmail is a jump: at most 1,000 were accepted on a day of the last week."
    )
    assert jump.severity.value == "warn"


@pytest.mark.parametrize(
    ("complaints", "of_accepted", "severities"),
    [(2, 1_000, []), (3, 999, []), (3, 4_000, []), (3, 3_000, ["warn"]), (3, 1_000, ["block"])],
)
def test_complaints_warn_and_block(relayed: Campaign, complaints: int, of_accepted: int, severities: list[str]) -> None:
    accepted("yahoodns.net", of_accepted)
    accepted("yahoodns.net", complaints, kind="complaint")

    assert told(relayed, "T1") == severities


@pytest.mark.parametrize(("hard", "severities"), [(19, []), (20, ["warn"]), (50, ["block"])])
def test_hard_bounces_warn_and_block(relayed: Campaign, hard: int, severities: list[str]) -> None:
    accepted("google.com", 1_000 - hard)
    accepted("google.com", hard, kind="hard")

    assert told(relayed, "T2") == severities


def test_a_rate_of_few_messages_says_nothing() -> None:
    accepted("google.com", 10)
    accepted("google.com", 9, kind="hard")

    assert list(reputation(volume_of({}, [AUTHOR], NOW))) == []


def test_findings_name_the_providers_that_ask_for_it(relayed: Campaign) -> None:
    accepted("google.com", 5_001)
    accepted("yahoodns.net", 1_000)
    accepted("yahoodns.net", 3, kind="complaint")

    [finding] = of(review(relayed, NOW), "T1")

    assert [rules.company for rules in finding.asked_by] == ["Gmail", "Yahoo"]
    assert "as spam: 0.30% of what was accepted there." in finding.sentence
