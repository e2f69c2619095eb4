"""Documents are fetched once for a storm of posts, and failures are remembered for a while."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from feedback.hooks import documents
from net.addresses import NotConnected
from net.fetch import Response

URL = "https://keys.example.com/one.pem"


class Outside:
    """A stand-in for the world outside, which no test may ask."""

    def __init__(self, answer: Response | Exception) -> None:
        self.answer, self.asked = answer, 0
        self.may_answer = threading.Event()
        self.may_answer.set()

    def fetch(self, url: str, *, seconds: float) -> Response:
        self.asked += 1
        assert self.may_answer.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1_000.0]
    monkeypatch.setattr(documents.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(documents, "_known", {})
    documents._turns.clear()
    return now


def outside(monkeypatch: pytest.MonkeyPatch, answer: Response | Exception) -> Outside:
    world = Outside(answer)
    monkeypatch.setattr(documents, "fetch", world.fetch)
    return world


def test_a_storm_of_posts_makes_one_fetch(monkeypatch: pytest.MonkeyPatch, steady: list[float]) -> None:
    world = outside(monkeypatch, Response(200, b"pem", "keys.example.com"))
    world.may_answer.clear()
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(documents.document, URL) for _ in range(40)]
        world.may_answer.set()

        assert {each.result(10) for each in asked} == {b"pem"}

    assert world.asked == 1


def test_a_document_is_fetched_again_after_ten_minutes(monkeypatch: pytest.MonkeyPatch, steady: list[float]) -> None:
    world = outside(monkeypatch, Response(200, b"pem", "keys.example.com"))
    for seconds, asked in ((0, 1), (599, 1), (600, 2)):
        steady[0] = 1_000.0 + seconds
        documents.document(URL)

        assert world.asked == asked


@pytest.mark.parametrize(
    "answer",
    [NotConnected("no way"), Response(404, b"", "keys.example.com"), ValueError("a line break"), UnicodeError("ä")],
    ids=repr,
)
def test_a_failure_is_one_of_the_system_and_remembered_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, steady: list[float], answer: Response | Exception
) -> None:
    world = outside(monkeypatch, answer)
    for seconds, asked in ((0, 1), (29, 1), (30, 2)):
        steady[0] = 1_000.0 + seconds
        with pytest.raises(OSError, match=r"no way|answered 404|malformed"):
            documents.document(URL)

        assert world.asked == asked


def test_no_more_than_so_many_documents_are_kept(monkeypatch: pytest.MonkeyPatch, steady: list[float]) -> None:
    outside(monkeypatch, Response(200, b"pem", "keys.example.com"))

    for number in range(200):
        documents.document(f"{URL}?{number}")

    assert len(documents._known) == 64
    assert len(documents._turns) <= 65
