"""Replies that are read all at once lead to the same verdicts and the same journal as replies read line by line."""

import asyncio
import datetime as dt
import itertools
import json
import random
import socket
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from delivery.outcomes import journal
from delivery.outcomes.journal import Journal
from delivery.outcomes.verdicts import Judgement, judge
from mail.replies.reply import PlainReply, Reply
from smtpservers.smtp.answer import Answer, accepted
from smtpservers.smtp.connection import masking
from smtpservers.smtp.conversation import Extensions
from smtpservers.smtp.pipeline import Envelope, Pipeline
from smtpservers.smtp.wire import Wire
from tests.smtpservers.smtp.test_wire import endpoint

FOLDER = Path(__file__).parents[2] / "mail" / "replies"
SAMPLES = sorted(
    {
        row[1]
        for name in ("replies.json", "account_replies.json")
        for row in json.loads((FOLDER / name).read_text())
        if row[1].isascii()
    }
)
# Agreements in all shapes, and what only looks like one.
AGREEMENTS = [
    b"250 2.0.0 Ok: queued as 4F\r\n",
    b"250 2.6.0 <a@b> Queued mail\r\n",
    b"250 ok  with   blanks \r\n",
    b"250 2.0.0 2.0.0 twice\r\n",
    b"250 #2.0.0: marked\r\n",
    b"250 2.0.0:colon\r\n",
    b"250 5.1.1 contradicts itself\r\n",
    b"250 CANARY-7c1 and Q0FOQVJZLTdjMQ== are a secret\r\n",
    b"250 \r\n",
    b"250\r\n",
    b"250 bare line feed\n",
    b"250-2.0.0 two\r\n250 2.0.0 lines\r\n",
    b"250 caf\xc3\xa9\r\n",
    b"250 \xff\x00\x1b[0m\r\n",
    b"250 tab\there\r\n",
    b"250 carriage\rreturn\r\n",
    b"250 " + b"x" * 500 + b"\r\n",
    b"250 " + b"x" * 501 + b"\r\n",
    b"251 2.1.5 forwarded\r\n",
    b"2500 no code\r\n",
    b"250_no separator\r\n",
    b" 250 indented\r\n",
    b"354 go on\r\n",
    b"200 odd\r\n",
    b"421 4.7.0 closing\r\n",
    b"hello\r\n",
]
USUAL = (b"250 2.1.0 sender ok\r\n", b"250 2.1.5 recipient ok\r\n", b"354 go on\r\n", b"250 2.0.0 Ok: queued as 1\r\n")
BACK_OFF = (dt.timedelta(minutes=1), dt.timedelta(minutes=5))
LOOK_AHEAD, ONE_BY_ONE = ("PIPELINING",), ()


class LineByLine(Pipeline[Envelope]):
    """The pipeline without its way for plain agreements."""

    def read_plain(self, data: bytes) -> bool:
        return False


class Recorder:
    """A source that keeps a real journal, and the judgement of each message."""

    def __init__(self, folder: Path, messages: int) -> None:
        self.folder, self.token = folder, uuid.uuid4()
        self.journal = Journal(folder, self.token)
        self.told: list[tuple[str, str, str, Judgement | None]] = []
        self.plain = 0
        self._waiting = [
            Envelope(f"{n}@shop.example", f"{n}@customer.example", b"Subject: x\r\n\r\nx\r\n", False, False)
            for n in range(messages)
        ]

    def next(self, sent_before: int) -> Envelope | None:
        return self._waiting.pop(0) if self._waiting else None

    def _number(self, envelope: Envelope) -> int:
        return int(envelope.rcpt_to.partition("@")[0])

    def may_finish(self, envelope: Envelope) -> bool:
        self.journal.dot(self._number(envelope))
        return True

    def dot_kept(self, envelope: Envelope) -> None:
        self.journal.kept(self._number(envelope))

    def agreed(self, envelope: Envelope, text: str) -> None:
        self.plain += 1
        self.journal.agreed(self._number(envelope), text)
        self._note(
            envelope, str(PlainReply(text)), judge(accepted(text), stream="campaign", attempts=1, back_off=BACK_OFF)
        )

    def answered(self, envelope: Envelope, answer: Answer) -> None:
        self.journal.answer(self._number(envelope), answer.stage, answer.reply, answer.lost)
        verdict = judge(answer, stream="campaign", attempts=1, back_off=BACK_OFF)
        self._note(envelope, str(answer.reply) if answer.reply else answer.lost, verdict)

    def put_back(self, envelope: Envelope, answer: Answer) -> None:
        self.told.append((envelope.rcpt_to, "put back", str(answer.reply or answer.lost), None))

    def _note(self, envelope: Envelope, words: str, judgement: Judgement) -> None:
        self.told.append((envelope.rcpt_to, judgement.outcome, words, judgement))

    def idle(self) -> None:
        self.told.append(("", "idle", "", None))

    def ended(self) -> None:
        self.told.append(("", "ended", "", None))


async def _converse(
    kind: type[Pipeline[Envelope]], folder: Path, extensions: Iterable[str], chunks: Sequence[bytes]
) -> tuple[Any, ...]:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    wire = Wire()
    await asyncio.get_running_loop().create_connection(lambda: wire, sock=ours)
    there = endpoint(25, timeout=60.0, final_timeout=60.0, username="ann", password="CANARY-7c1")
    wire.mask = masking(there)
    recorder = Recorder(folder, 3)
    kind(wire, Extensions(dict.fromkeys(extensions, "")), there, recorder, None).wake()
    for chunk in chunks:
        wire.data_received(chunk)
    why = wire.lost
    wire.fail("the end")
    for _ in range(3):  # The transport closes its socket in a later turn of the loop.
        await asyncio.sleep(0)
    written = b"".join(iter(lambda: theirs.recv(65536), b""))
    theirs.close()
    recorder.journal.close()
    known = journal.read(folder, recorder.token)
    journal.remove(folder, recorder.token)
    return recorder.plain, (recorder.told, known, written, why)


def compare(folder: Path, extensions: Iterable[str], talks: Iterable[Sequence[bytes]]) -> int:
    """Hold each talk, given as chunks, in both ways; return how many answers were read all at once."""

    async def run() -> int:
        plain = 0
        for chunks in talks:
            none, slow = await _converse(LineByLine, folder, extensions, chunks)
            some, quick = await _converse(Pipeline, folder, extensions, chunks)
            assert quick == slow, chunks
            assert none == 0
            plain += some
        return plain

    return asyncio.run(run())


def rounds(reply: bytes, place: int) -> list[bytes]:
    """Return what a server says to three messages, with ``reply`` to one command of the second; a chunk for each."""
    usual = list(USUAL)
    usual[place] = reply
    mail, rcpt, data, dot = usual
    return [b"".join(USUAL[:3]), USUAL[3] + mail + rcpt + data, dot + b"".join(USUAL[:3]), USUAL[3]]


@pytest.mark.parametrize("extensions", [LOOK_AHEAD, ONE_BY_ONE])
def test_every_known_reply_gets_the_same_verdict(tmp_path: Path, extensions: tuple[str, ...]) -> None:
    lines = [f"{text}\r\n".replace("\n", "\r\n").encode() for text in SAMPLES]
    talks = [rounds(line, place) for line in [*AGREEMENTS, *lines] for place in range(4)]
    single = [[part for chunk in talk for part in chunk.splitlines(keepends=True)] for talk in talks]

    plain = compare(tmp_path, extensions, talks if extensions else single)

    # One message before the odd reply, and mostly none after it.
    assert plain > (len(talks) // 2 if extensions else len(talks))


def test_it_does_not_matter_where_the_bytes_are_cut(tmp_path: Path) -> None:
    talks = []
    for reply in AGREEMENTS:
        if len(reply) < 100:
            first, second, third, last = rounds(reply, 3)
            talks += [[first, second, third[:cut], third[cut:], last] for cut in range(1, len(third))]
    stream = b"".join(rounds(USUAL[3], 3))
    talks += [[stream[:cut], stream[cut:]] for cut in range(1, len(stream))]

    assert compare(tmp_path, LOOK_AHEAD, talks) > 0


def test_no_order_of_replies_makes_a_difference(tmp_path: Path) -> None:
    dice = random.Random(22)
    known = [*AGREEMENTS, *USUAL, *USUAL, *USUAL, *(f"{text}\r\n".encode() for text in SAMPLES[::9])]
    talks = []
    for _ in range(1500):
        stream = b"".join(dice.choices(known, k=dice.randrange(1, 12)))
        cuts = sorted({0, len(stream), *(dice.randrange(len(stream) + 1) for _ in range(dice.randrange(5)))})
        greeting = [b"".join(USUAL[:3])] if dice.random() < 0.8 else []
        talks.append(greeting + [stream[start:end] for start, end in itertools.pairwise(cuts)])

    compare(tmp_path, LOOK_AHEAD, talks)


def test_an_unread_reply_has_the_words_of_a_read_one() -> None:
    dice = random.Random(7)
    pieces = [
        "2.0.0",
        "2.6.0",
        "5.1.1",
        "#2.0.0:",
        "2.0.0:",
        " ",
        "  ",
        "Ok",
        "queued as 4F",
        "<a@b>",
        "(x)",
        "250 ",
        "-",
    ]
    texts = ["", *("".join(dice.choices(pieces, k=dice.randrange(1, 7))) for _ in range(3000))]
    texts += [text[4:] for text in SAMPLES if "\n" not in text]

    for text in texts:
        assert str(PlainReply(text)) == str(Reply.of(250, text)), text
