"""Texts that rules return, which an edge translates."""

import copy
import datetime as dt
import json
import zoneinfo

import pytest
from django.template import Context, Template
from django.utils.html import format_html

from words.texts import TRANSLATOR, Text, kept, ngettext, restored, told, translated
from words.texts import text as _

GERMAN = {
    "%(server)s is full.": "%(server)s ist voll.",
    "%(n)s message waits: %(why)s": "%(n)s Nachricht wartet: %(why)s",
    "%(n)s messages wait: %(why)s": "%(n)s Nachrichten warten: %(why)s",
}
FULL = _("%(server)s is full.", server="A & B")


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: GERMAN.get(text, text))
    monkeypatch.setattr(TRANSLATOR, "ngettext", lambda one, several, n: GERMAN[one if n == 1 else several])


def test_a_text_is_english_where_it_is_stored_and_translated_where_it_is_shown(german: None) -> None:
    assert (FULL, str(FULL), f"{FULL}") == ("A & B is full.",) * 3
    assert translated(FULL) == "A & B ist voll."
    assert translated(ValueError(FULL)) == "A & B ist voll."
    assert translated("100% of it") == "100% of it"


def test_html_shows_a_text_in_the_language_of_the_reader_and_escapes_its_values(german: None) -> None:
    assert Template("{{ why }}").render(Context({"why": FULL})) == "A &amp; B ist voll."
    assert format_html("<p>{}</p>", FULL) == "<p>A &amp; B ist voll.</p>"


@pytest.mark.parametrize(
    ("number", "shown"),
    [(1, "1 Nachricht wartet: A & B ist voll."), (2000, "2,000 Nachrichten warten: A & B ist voll.")],
)
def test_a_number_agrees_with_its_noun_and_a_text_within_is_translated(german: None, number: int, shown: str) -> None:
    found = ngettext("%(n)s message waits: %(why)s", "%(n)s messages wait: %(why)s", number, why=FULL)

    assert found == f"{number:,} message{' waits' if number == 1 else 's wait'}: A & B is full."
    assert translated(found) == shown


def test_a_copy_can_still_be_translated(german: None) -> None:
    twin = copy.deepcopy(FULL)

    assert isinstance(twin, Text)
    assert translated(twin) == "A & B ist voll."


def test_without_values_a_percent_sign_is_one() -> None:
    assert translated(_("100% of it")) == _("100% of it") == "100% of it"


def test_an_instant_is_told_in_utc_where_it_is_stored_and_on_the_clock_of_the_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = _("Full until %(until)s.", until=dt.datetime(2026, 11, 9, 15, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")))

    monkeypatch.setattr(TRANSLATOR, "instant", lambda instant: f"{instant:%H:%M} in Berlin")

    assert found == "Full until 09 November 2026 14:00 UTC."
    assert translated(found) == "Full until 15:00 in Berlin."


def test_a_kept_text_is_the_same_text_again_with_all_that_is_in_it(german: None) -> None:
    until = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
    said = ngettext(
        "%(n)s message waits: %(why)s", "%(n)s messages wait: %(why)s", 2, why=ValueError(FULL), until=until
    )

    again = restored(json.loads(json.dumps(kept(said))))

    assert isinstance(again, Text)
    assert again == said == "2 messages wait: A & B is full."
    assert translated(again) == "2 Nachrichten warten: A & B ist voll."
    assert again._values["until"] == until


def test_words_that_are_no_text_are_kept_as_they_are() -> None:
    assert restored(kept("550 5.1.1 100% unknown")) == "550 5.1.1 100% unknown"
    assert restored(None) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"template": "a"},
        {"instant": 1},
        {"instant": "never"},
        {"template": 1, "several": "", "number": 1, "values": 2},
    ],
)
def test_what_no_text_was_kept_as_is_an_error(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"no text|Invalid isoformat"):
        restored(wrong)


@pytest.mark.parametrize(
    "other", [None, 1, {}, {"template": 1}, kept("A & B is full."), kept(_("%(server)s is full.", server="C"))]
)
def test_a_stored_sentence_is_shown_as_it_is_unless_its_own_words_were_kept(german: None, other: object) -> None:
    assert translated(told("A & B is full.", kept(FULL))) == "A & B ist voll."
    assert translated(told("A & B", kept(FULL), 5)) == "A & B ist voll."
    assert translated(told("A & B is full.", other)) == "A & B is full."
