"""The causes are complete: each sentence that a room stores as a cause is found again, word for word."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from words.reasons import SENTENCES
from words.texts import Text, translated

ROOT = Path(__file__).parents[2]
# Modules whose every sentence is a cause …
WHOLE = [
    *("net/*.py", "feedback/mailboxes/*.py", "encryption/keys.py", "feedback/webhooks/event.py"),
    *("feedback/webhooks/frame.py", "feedback/reports/batch.py", "feedback/reports/effects.py"),
    *("feedback/reports/queue.py", "feedback/reports/reader.py", "feedback/hooks/receive.py", "feedback/relay.py"),
    *("mail/incoming/*.py", "mail/aggregates/*.py", "oauth/client/*.py", "oauth/grants.py", "oauth/tokens.py"),
    *("smtpservers/one_click.py", "domains/reports/store.py"),
]
# … and those whose other sentences are help texts.
RAISED = ["feedback/webhooks/adapters/*.py", "feedback/webhooks/sns/*.py", "feedback/webhooks/proofs.py"]
OTHERS = {
    # Their values are few words of ours, so that each has a sentence of its own.
    *("It reports 7.", "The report doesn't say when it 7s.", "The report has no 7.", "“7” is no number of 7."),
    # Answers to a provider, which tries again; nothing stores them.
    *("Postal's keys can't be fetched now.", "The signing certificate can't be fetched now."),
    *("The topic can't be confirmed now.", "This restored copy waits to be confirmed."),
}


def sentences(patterns: list[str], *, raised: bool) -> Iterator[str]:
    """Yield the sentences in modules, with 7 for each value."""
    for path in (path for pattern in patterns for path in sorted(ROOT.glob(pattern))):
        tree = ast.parse(path.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        tops = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)] if raised else [tree]
        yield from (said for top in tops for said in _within(top, docs))


def _within(top: ast.AST, docs: set[int]) -> Iterator[str]:
    parts = {id(part) for node in ast.walk(top) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(top):
        said = ""
        if isinstance(node, ast.JoinedStr):
            said = "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | parts:
            said = re.sub(r"%\(\w+\)s", "7", node.value)
        if re.fullmatch(r"[^ ].* .*(\.|replied: 7)", said):
            yield said


@pytest.mark.parametrize(("patterns", "raised", "least"), [(WHOLE, False, 100), (RAISED, True, 15)])
def test_each_sentence_that_is_stored_as_a_cause_is_found_again(patterns: list[str], raised: bool, least: int) -> None:
    found = set(sentences(patterns, raised=raised)) - OTHERS

    assert len(found) > least
    assert sorted(said for said in found if not isinstance(SENTENCES.known(said), Text)) == []


@pytest.mark.parametrize(
    "stored",
    [
        "Mail to ann@shop.example: failed (550 5.1.1 unknown). Rule: user-unknown.",
        "Mail to an address that isn't named: no action given (without a code).",
        "“x” is no number of messages.",
        "The report doesn't say when it ends.",
        "It reports a wrong folder.",
        "Server replied: [AUTHENTICATIONFAILED] %(words)s",
    ],
)
def test_a_cause_with_the_words_of_others_stays_the_same_in_english(stored: str) -> None:
    found = SENTENCES.known(stored)

    assert isinstance(found, Text)
    assert translated(found) == found == stored
