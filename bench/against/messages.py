"""Whether two checkouts send the same message: only then can what it costs them be compared.

Each sends one campaign into a mailbox. What names the single message may differ: its Message-ID, its date, its return
path, its tokens and the boundary between its parts.
"""

import difflib
import email
import email.policy
import re
from collections.abc import Mapping
from email.message import EmailMessage

from bench.processes import Failed
from bench.sinks.mailbox import Letter, mailbox
from bench.stage.checkout import Checkout
from bench.stage.databases import SQLITE

SHOWN = 20  # Lines of a difference.
OWN = ("date", "message-id")
RETURN_PATH = re.compile(r"(?i)^(MAIL FROM:<[^+>]*\+)[^@>]*")
TOKEN = re.compile(r"[\w-]{24,}")
REWORDED = ("e-mail", "email")  # Our footer's spelling up to November 2026, and since then.


def check_same(ours: Checkout, theirs: Checkout, people: int) -> float:
    """Let both send a campaign to so many people, and return the size of our message in units of theirs.

    :raises Failed: if somebody would get another message; with the difference.
    """
    mine, other = letters_of(ours, people), letters_of(theirs, people)
    if told := difference(mine, other):
        raise Failed(f"The two do not send the same message, so their costs cannot be compared. {told}")
    return _octets(mine) / _octets(other)


def difference(mine: Mapping[str, Letter], other: Mapping[str, Letter]) -> str:
    """Return how the first message that is not the same differs; empty if all are the same."""
    if mine.keys() != other.keys():
        return f"Only one of them writes to {min(mine.keys() ^ other.keys())}."
    for recipient, letter in mine.items():
        lines = readable(other[recipient]), readable(letter)
        if told := list(difflib.unified_diff(*lines, "that commit", "here", lineterm="", n=0)):
            return f"{recipient}:\n" + "\n".join(told[:SHOWN])
    return ""


def letters_of(checkout: Checkout, people: int) -> dict[str, Letter]:
    """Return what each of so many people gets from a checkout, by the recipient as MAIL and RCPT say it.

    :raises Failed: if its account is not exact.
    """
    with mailbox() as box:
        checkout.answer(SQLITE, checkout.command("send", people=people, port=box.port, connections=1))
    return {letter.envelope[-1].upper(): letter for letter in box.letters}


def readable(letter: Letter) -> list[str]:
    """Return envelope, headers and decoded parts line by line, without what names the single message."""
    message = email.message_from_bytes(letter.content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    lines = [RETURN_PATH.sub(r"\1...", words) for words in letter.envelope]
    for part in message.walk():
        if part.is_multipart():
            part.del_param("boundary")
        lines += [
            f"{name}: {'...' if name.lower() in OWN else TOKEN.sub('...', str(value))}" for name, value in part.items()
        ]
        if not part.is_multipart():
            content = part.get_content().replace(*REWORDED)
            lines += ["", *(TOKEN.sub("...", line) for line in content.splitlines()), ""]
    return lines


def _octets(letters: Mapping[str, Letter]) -> int:
    return sum(len(letter.content) for letter in letters.values())
