"""The sentences of ours among the reasons of messages."""

import datetime as dt

import pytest

from contacts.consent.suppressed import NOT_CONFIRMED, UNSUBSCRIBED
from contacts.models import Suppression
from delivery.identity import REASONS
from delivery.operators.restored_copy import REASON
from delivery.outbox.mailings import CANCELLED_REASON
from delivery.outcomes.verdicts import judge, judge_connection
from delivery.records.erasure import STOPPED
from mail.replies.rules import Stage
from smtpservers.smtp.answer import Answer
from words.reasons import SENTENCES
from words.texts import Text

LOST = "the server closed the connection"


def lost(is_sent: bool) -> str:
    answer = Answer(Stage.DOT, None, is_sent, LOST)
    return judge(answer, stream="campaign", attempts=1, back_off=[dt.timedelta(minutes=1)]).reason


@pytest.mark.parametrize(
    "stored",
    [
        *(UNSUBSCRIBED, NOT_CONFIRMED, REASON, CANCELLED_REASON, STOPPED, lost(True), lost(False)),
        *(f"On the suppression list: {each.in_files}." for each in Suppression.Reason),
        *("The domain shop.example is on the suppression list.", "Asked for a break until 2026-12-01."),
        *REASONS,
        "It closes every connection and accepts nothing: 421 4.7.0 Try later",
        "OAuth account Our mail: The provider refused the account. Provider replied: invalid_grant",
        "127.0.0.1 port 25: connection refused",
        judge_connection(Stage.CONNECT, LOST, None).reason,
    ],
)
def test_a_sentence_of_ours_is_found_and_stays_the_same_in_english(stored: str) -> None:
    found = SENTENCES.known(stored)

    assert isinstance(found, Text)
    assert found == stored


def test_a_sentence_within_another_is_found_too_and_a_servers_words_within_it_are_not() -> None:
    ours = SENTENCES.known(f"Given up: {lost(True)}")
    theirs = SENTENCES.known("Given up: 550 5.1.1 %(why)s {0} unknown")

    assert isinstance(ours, Text)
    assert isinstance(ours._values["why"], Text)
    assert isinstance(theirs, Text)
    assert type(theirs._values["why"]) is str
    assert theirs.translated() == "Given up: 550 5.1.1 %(why)s {0} unknown"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "550 5.1.1 unknown",
        "550 %(why)s",
        "%(why)s",
        "550 Unsubscribed.",
        "Unsubscribed. Go away.",
        "550 x port 1: y",
    ],
)
def test_what_a_server_said_is_no_sentence_of_ours(said: str) -> None:
    assert SENTENCES.known(said) is said
