"""The events in providers' posts, of samples in their documented forms, and as django-anymail reads the same posts.

Kinds are compared as far as both have a word for them. A sample says where django-anymail differs, and how.
"""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from feedback.webhooks.adapters import ADAPTERS
from feedback.webhooks.event import EventKind, from_epoch, from_iso, make_event
from tests.feedback.webhooks.oracle import ORACLES, anymail_kinds
from tests.feedback.webhooks.posts import body_of

SAMPLES = Path(__file__).parent / "samples"
TAG = "abcdefghijklmnopqrstuv23"
CASES = [
    pytest.param(file.stem, sample, id=f"{file.stem}: {sample['title']}")
    for file in sorted(SAMPLES.glob("*.json"))
    for sample in json.loads(file.read_text())
]
# What django-anymail calls each of our kinds.
WORDS = {
    EventKind.BOUNCE: {"bounced", "rejected", "failed"},
    EventKind.SOFT_BOUNCE: {"bounced", "failed"},
    EventKind.CONTENT: {"bounced", "rejected", "failed"},
    EventKind.SERVER: {"bounced", "rejected", "failed"},
    EventKind.COMPLAINT: {"complained"},
    EventKind.DELIVERED: {"delivered"},
    EventKind.SUPPRESSED: {"bounced", "rejected"},
    EventKind.UNSUBSCRIBE: {"unsubscribed"},
    EventKind.AUTO_REPLY: {"autoresponded"},
    EventKind.DELAYED: {"deferred"},
    EventKind.OTHER: {"unknown", "subscribed"},
}


@pytest.mark.parametrize(("provider", "sample"), CASES)
def test_a_sample_is_read(provider: str, sample: dict[str, Any]) -> None:
    body, headers = body_of(provider, sample["post"])

    events = ADAPTERS[provider].events(body, headers)

    assert [event.kind for event in events] == sample["kinds"]
    assert all(event.recipient in ("ann@example.com", "bob@example.com") for event in events)
    assert all(event.at is not None and event.at.year == 2026 for event in events)
    assert all(event.tag == TAG for event in events if "has_no_tag" not in sample)
    assert all(event.message_id in ("", "<7k3f9q2mzx4a@example.org>") for event in events)
    assert len({event.event_id for event in events}) == len(events) or not events[0].event_id
    assert [event.code for event in events][:1] == [sample["code"]] if "code" in sample else True
    assert [event.enhanced for event in events][:1] == [sample["enhanced"]] if "enhanced" in sample else True


@pytest.mark.parametrize(("provider", "sample"), [case for case in CASES if case.values[0] in ORACLES])
def test_django_anymail_reads_the_same(provider: str, sample: dict[str, Any]) -> None:
    body, headers = body_of(provider, sample["post"])
    ours = [event.kind for event in ADAPTERS[provider].events(body, headers)]

    theirs = anymail_kinds(provider, body, headers)

    agrees = len(ours) == len(theirs) and all(word in WORDS[kind] for kind, word in zip(ours, theirs, strict=True))
    assert agrees == ("anymail_differs" not in sample), (ours, theirs)


@pytest.mark.parametrize("provider", ADAPTERS)
@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"null", b"[]", b"{}", b"[[]]", b"7", b'"text"', b"[" * 100_000, b'{"a":' * 5_000, b"a=b&c=%ff"],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_garbage_holds_no_event(provider: str, body: bytes) -> None:
    try:
        events = ADAPTERS[provider].events(body, {})
    except ValueError as error:
        events, said = [], str(error)
    else:
        said = "."

    assert events == []
    assert said.endswith(".")


@pytest.mark.parametrize(("provider", "sample"), CASES)
def test_a_sample_with_any_value_replaced_by_garbage_ends_nothing(provider: str, sample: dict[str, Any]) -> None:
    for post in _damaged(sample["post"]):
        body, headers = body_of(provider, post)
        try:
            events = ADAPTERS[provider].events(body, headers)
        except ValueError:
            continue
        for event in events:
            assert "\0" not in repr(event)
            assert len(event.text) <= 600


@pytest.mark.parametrize(
    "at",
    [
        *(from_epoch(value) for value in (10**400, -(10**400), 1e999, "nan", "1e300", -(2**40), 2**40, None, [])),
        *(from_iso(f"{day}T00:00:00{zone}") for day in ("0001-01-01", "9999-12-31") for zone in ("+23:00", "-23:00")),
        *(from_iso(value) for value in ("2026-11-30T08:00:00", "2026-13-01T00:00:00Z", "", None, 7)),
    ],
)  # fmt: skip
def test_a_time_that_no_mail_has_is_none(at: dt.datetime | None) -> None:
    assert at is None


def test_milliseconds_are_a_time_too() -> None:
    assert (
        from_epoch(1_796_025_605_000, per_second=1_000) == from_epoch("1796025605") == from_iso("2026-11-30T08:00:05Z")
    )


@pytest.mark.parametrize(
    ("reply", "status", "said"),
    [
        ("smtp;550 5.1.1 The email account is gone", "", "550 5.1.1 The email account is gone"),
        ("550 5.1.1 smtp;550 5.1.1 The email account is gone", "", "550 5.1.1 The email account is gone"),
        ("550 smtp; 550 5.1.1 gone", "", "550 5.1.1 gone"),
        ("550 550-5.1.1 gone\n550 5.1.1 for good", "", "550 5.1.1 gone\n550 5.1.1 for good"),
        ("550 user unknown", "5.1.1", "550 5.1.1 user unknown"),
        ("5.1.1 user unknown", "", "550 5.1.1 user unknown"),
        ("smtp; it did not answer", "", "it did not answer"),
        ("550 5.1.1", "", "550 5.1.1"),
        ("452 4.2.2 550 messages are too many", "", "452 4.2.2 550 messages are too many"),
        ("", "5.1.1", ""),
    ],
)
def test_codes_are_said_once(reply: str, status: str, said: str) -> None:
    event = make_event(EventKind.BOUNCE, "ann@example.com", reply=reply, status=status)

    assert event.text == said
    assert (event.enhanced or "5.1.1") in ("5.1.1", "4.2.2")


@pytest.mark.parametrize(("provider", "sample"), CASES)
def test_no_sample_says_a_code_twice(provider: str, sample: dict[str, Any]) -> None:
    for event in ADAPTERS[provider].events(*body_of(provider, sample["post"])):
        assert not event.text.lower().startswith("smtp;")
        assert event.text.count(f"{event.code} {event.enhanced}") <= 1


def _damaged(value: Any) -> list[Any]:
    """Return copies in which one value each, at any depth, is something else."""
    ends = ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]  # Of the calendar.
    found: list[Any] = [None, 7, 10**400, 1e999, "\0x\ud800" * 700, [], {}, [None], True, *ends]
    if isinstance(value, dict):
        found += [{**value, key: other} for key in value for other in _damaged(value[key])]
    if isinstance(value, list):
        found += [[*value[:n], other, *value[n + 1 :]] for n in range(len(value)) for other in _damaged(value[n])]
    return found


@pytest.mark.parametrize(
    "provider", ["sendgrid", "mailjet", "brevo", "postmark", "sparkpost", "azure", "mandrill", "signed"]
)
def test_a_batch_of_500_is_read_whole(provider: str) -> None:
    sample = next(case.values[1]["post"] for case in CASES if case.values[0] == provider)
    some = sample["events"] if provider == "signed" else sample
    one = json.dumps(some[0] if isinstance(some, list) else some)
    batch = [json.loads(one.replace("ann@example.com", f"person{number}@example.com")) for number in range(500)]
    body, headers = body_of(provider, {"events": batch} if provider == "signed" else batch)

    events = ADAPTERS[provider].events(body, headers)

    assert [event.recipient for event in events] == [f"person{number}@example.com" for number in range(500)]


@pytest.mark.parametrize("start", ["smtp;", "smtp; ", "SMTP ;", ""])
def test_a_reply_is_kept_without_the_type_in_front_of_it(start: str) -> None:
    event = make_event(EventKind.BOUNCE, "ann@example.com", reply=f"{start}550 5.1.1 smtp;no user")

    assert (event.code, event.enhanced, event.text) == (550, "5.1.1", "550 5.1.1 smtp;no user")
