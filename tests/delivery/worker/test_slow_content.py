"""A content that takes long to fill costs its own messages; the other mail of the process goes on meanwhile."""

import time
from pathlib import Path
from typing import Any

import pytest

from delivery.content.composer import Composer
from delivery.models import Attempt, Mailing, Message
from delivery.worker import composer_cache
from tests.delivery.making import HTML, make_list, make_mailing, make_server, run_drain, run_until_finished
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

TEXT = "{% capture s %}{% for i in (1..5000) %}all the warm things of the winter, {% endfor %}{% endcapture %}"
ENDLESS = {
    "filters": TEXT + "{% for i in (1..4900) %}{{ s | split: '' | reverse | join: '' | size }}{% endfor %}",
    "captures": "{% for i in (1..4900) %}{% capture x %}" + "w" * 90_000 + "{% endcapture %}{% endfor %}",
    "nested loops": "{% for i in (1..70) %}{% for j in (1..70) %}"
    + "{% if a %}{% endif %}" * 900
    + "{% endfor %}{% endfor %}",
}
# About an eighth of what a message may cost: on a machine that has other work, too, it stays below the limit of time.
LABORIOUS = "{% for i in (1..1500) %}" + "{% if a %}{% endif %}" * 11 + "{% endfor %}"


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"


@pytest.mark.parametrize("name", ENDLESS)
def test_one_recipient_whose_message_is_endless_fails_alone(tmp_path: Path, name: str) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        audience = make_list(12)
        only = f"{{% if email == 'person7.{audience.pk}@customer.example' %}}{ENDLESS[name]}{{% endif %}}"
        hostile = make_mailing(audience, html=HTML.replace("<p>", f"{only}<p>"), text="x" + only)
        harmless = make_mailing(make_list(12, "Other"))

        run_drain()

        assert len(peer.accepted()) == 23
    poison = Message.objects.get(status="failed")
    assert (poison.mailing_id, poison.email.partition(".")[0]) == (hostile.pk, "person7")
    assert poison.reason.startswith("Poison: the message could not be composed. Filling the merge tags takes too")
    assert Attempt.objects.get(message=poison).rule == "poison"
    harmless.refresh_from_db()
    assert harmless.finished_at is not None


def test_a_content_that_is_endless_for_everybody_waits_for_a_person(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("delivery.worker.composer_cache.SLOW_SECONDS", 0.0)  # As if it took its time.
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        hostile = make_mailing(make_list(60), text=ENDLESS["captures"])
        harmless = make_mailing(make_list(40, "Other"))

        run_until_finished(harmless, 120)
        run_until_paused = time.monotonic() + 60
        while not Mailing.objects.filter(pk=hostile.pk, state="paused").exists():
            assert time.monotonic() < run_until_paused, "nobody stopped it"
            run_drain()
        run_drain()

        assert len(peer.accepted()) == 40
    hostile.refresh_from_db()
    assert hostile.state == "paused"
    assert hostile.waiting_reason.startswith("Poison: filling the content took too much work for 10 of ")
    assert Message.objects.filter(mailing=hostile, status="failed").count() < 60
    assert Message.objects.filter(mailing=hostile, status="queued").exists()


def test_a_content_that_takes_long_is_sent_all_the_same(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        "delivery.worker.composer_cache.SLOW_SECONDS", 0.0
    )  # So that nobody has to wait for a slow one.
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        slow = make_mailing(make_list(9), text=f"{LABORIOUS}Dear {{{{ first_name }}}}")
        other = make_mailing(make_list(9, "Other"))

        run_drain()

        assert len(peer.accepted()) == 18
    for mailing in (slow, other):
        assert set(Message.objects.filter(mailing=mailing).values_list("status", flat=True)) == {"accepted"}
    assert Attempt.objects.count() == 18


def test_a_busy_machine_makes_no_content_slow(tmp_path: Path, monkeypatch: Any) -> None:
    compose, made_beside = Composer.compose, []

    def compose_late(*words: Any) -> Any:
        time.sleep(1.2 * composer_cache.SLOW_SECONDS)  # As if other programs had the processors.
        return compose(*words)

    monkeypatch.setattr(Composer, "compose", compose_late)
    monkeypatch.setattr(composer_cache.ComposerCache, "make_in_background", lambda *words: made_beside.append(words))
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        make_mailing(make_list(9))

        run_drain()

        assert len(peer.accepted()) == 9
    assert made_beside == []


def test_what_is_composed_when_the_lane_is_given_up_goes_back(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("delivery.worker.composer_cache.SLOW_SECONDS", 0.0)
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        make_mailing(make_list(60), text=f"{LABORIOUS}Dear {{{{ first_name }}}}")

        run_drain(until=lambda: len(peer.accepted()) >= 3)

        sent = len(peer.accepted())
    assert 3 <= sent < 60
    assert Message.objects.filter(status="accepted").count() == sent
    assert Message.objects.filter(status="queued").count() == 60 - sent


ANSWERS = {
    "too much work": ENDLESS["filters"],
    "too large": "{% for i in (1..4000) %}canary canary canary canary canary{{ canary }}" + "w" * 900 + "{% endfor %}",
    "a value that does not fit": "{{ canary | divided_by: 0 }}{{ email | times: 'canary' }}",
}


@pytest.mark.parametrize("name", ANSWERS)
def test_messages_that_cannot_be_filled_are_logged_once_and_without_their_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        make_mailing(make_list(9), html=HTML, text=f"canary {ANSWERS[name]}")

        run_drain()

    assert Message.objects.filter(status="failed").count() == 9
    told = [record for record in caplog.records if "could not be composed" in record.getMessage()]
    assert len(told) == 1
    assert told[0].exc_info is None
    assert "canary" not in caplog.text
    assert "@" not in caplog.text
    assert "Traceback" not in caplog.text
