"""The table of the checks: each row has a function, a weight, and a line of the documentation that says the same."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from campaigns.preflight.finding import BLOCK, CHECKS, FATAL, WARN, Finding, Severity, asking_for, by_weight
from mail.mailbox_providers import PROVIDERS
from mail.sender_rules import CHECKED_ON, RULES, Need

ROOT = Path(settings.BASE_DIR)
PAGE = (ROOT / "docs" / "compliance.md").read_text()
LINES = dict(re.findall(r"^\| ([A-Z]\d+) \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE))
# The rows that the trade's own list of checks has. There is no tracking of people yet, so none of M15.
ASKED_FOR = {
    *(f"M{number}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)),
    *(f"D{number}" for number in range(1, 12)),
    *(f"S{number}" for number in range(1, 6)),
    *(f"C{number}" for number in range(1, 7)),
    *(f"T{number}" for number in range(1, 4)),
}


def worst_in(words: str) -> Severity:
    if "for everybody" in words:
        return FATAL
    return BLOCK if "blocks" in words else WARN if "warns" in words else Severity.INFORM


def test_every_row_is_there_and_documented() -> None:
    assert set(CHECKS) >= ASKED_FOR
    assert set(LINES) == set(CHECKS)


@pytest.mark.parametrize("check_id", CHECKS)
def test_the_documentation_says_how_much_a_row_weighs(check_id: str) -> None:
    assert worst_in(LINES[check_id]) is CHECKS[check_id].worst


@pytest.mark.parametrize("check_id", CHECKS)
def test_a_row_has_code_that_makes_its_findings(check_id: str) -> None:
    folder = ROOT / "campaigns" / "preflight"
    made_in = [path for path in folder.rglob("*.py") if re.search(rf'found\(\s*"{check_id}"', path.read_text())]

    assert made_in


def test_what_is_asked_for_has_a_source_and_a_known_provider() -> None:
    assert {rules.provider for rules in RULES} <= {one.name for one in PROVIDERS}
    assert all(rules.source in PAGE for rules in RULES)
    assert f"State of {CHECKED_ON.day} {CHECKED_ON:%B %Y}" in PAGE
    assert all(rules.since <= CHECKED_ON for rules in RULES)
    assert [rules.company for rules in asking_for([Need.DMARC])] == ["Gmail", "Yahoo", "Microsoft", "Apple"]


def test_findings_stand_by_weight_and_place_and_overridden_ones_warn() -> None:
    findings = [
        Finding("M1", FATAL, "a"),
        Finding("D1", BLOCK, "b"),
        Finding("D3", BLOCK, "c"),
        Finding("M9", WARN, "d"),
    ]

    shown = by_weight(findings, {"D3"})

    assert [(weight.severity, [(group.place, len(group.findings)) for group in weight.groups]) for weight in shown] == [
        (BLOCK, [("campaign", 1), ("dns", 1)]),
        (WARN, [("campaign", 1), ("dns", 1)]),
    ]
