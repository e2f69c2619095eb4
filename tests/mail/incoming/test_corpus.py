"""The corpus: bounces of many mail systems, and mail that is none, with the kind that each must get."""

import json
import random
from pathlib import Path

from mail.incoming.reader import Kind, fingerprint_bytes, read

CORPUS = Path(__file__).parent / "corpus"
KINDS = {name: Kind(kind) for name, kind in json.loads((CORPUS.parent / "corpus.json").read_text()).items()}
NO_BOUNCES = {Kind.NOTE, Kind.UNKNOWN, Kind.COMPLAINT, Kind.UNSUBSCRIBE}
MUTATIONS = 600


def mails() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(CORPUS.glob("*.eml"))}


def test_every_mail_of_the_corpus_has_a_kind_and_bounces_and_others_are_many():
    assert set(mails()) == set(KINDS)
    assert len(KINDS) >= 120
    assert sum(kind in NO_BOUNCES for kind in KINDS.values()) >= 45


def test_every_mail_of_the_corpus_is_read_as_what_it_is():
    readings = {name: read(mail) for name, mail in mails().items()}

    wrong = {name: reading for name, reading in readings.items() if reading.kind is not KINDS[name]}

    assert wrong == {}


def test_no_mail_that_is_no_bounce_gets_a_hard_verdict():
    for name, mail in mails().items():
        if KINDS[name] in NO_BOUNCES:
            reading = read(mail)
            assert Kind.HARD not in {reading.kind, *(recipient.kind for recipient in reading.recipients)}, name


def test_line_ends_make_no_difference():
    for name, mail in mails().items():
        assert read(mail.replace(b"\n", b"\r\n")) == read(mail), name
        assert fingerprint_bytes(mail.replace(b"\n", b"\r\n")) == fingerprint_bytes(mail), name


def test_a_damaged_mail_is_read_without_an_error():
    chance = random.Random(4711)
    originals = list(mails().values())

    for _ in range(MUTATIONS):
        mail = mutated(chance, chance.choice(originals))
        assert read(mail).reason.endswith(".")
        fingerprint_bytes(mail)


def mutated(chance: random.Random, mail: bytes) -> bytes:
    """Return the mail with a few bits turned, a piece cut out, lines doubled, or its end missing."""
    damaged = bytearray(mail)
    match chance.randrange(4):
        case 0:
            for _ in range(chance.randint(1, 30)):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        case 1:
            start = chance.randrange(len(damaged))
            del damaged[start : start + chance.randint(1, 200)]
        case 2:
            lines = bytes(damaged).split(b"\n")
            for _ in range(chance.randint(1, 10)):
                lines.insert(chance.randrange(len(lines)), chance.choice(lines))
            damaged = bytearray(b"\n".join(lines))
        case _:
            del damaged[chance.randrange(len(damaged)) :]
    return bytes(damaged)
