"""When a server rests, for how long, and how refused senders and learned limits are remembered."""

import datetime as dt

import pytest
from django.utils import timezone

from smtpservers.limits import circuit_breaker, rate_limiter, refused_senders, throttling
from smtpservers.models import RefusedSender, SmtpServer
from smtpservers.smtp.endpoint import endpoint_of

pytestmark = pytest.mark.django_db

T = timezone.now()
SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def server() -> SmtpServer:
    return SmtpServer.objects.create(
        name="Alpha", host="127.0.0.1", port=25, use_tls=False, mail_from="News <News@shop.example>", max_connections=8
    )


def fail(server: SmtpServer, *instants: dt.datetime) -> None:
    for instant in instants:
        circuit_breaker.note_failure(server.pk, "the line was lost", instant)
    server.refresh_from_db()


def test_the_third_failure_within_five_minutes_pauses(server: SmtpServer) -> None:
    fail(server, T, T + 4 * MINUTE)
    assert server.paused_reason == ""

    fail(server, T + 8 * MINUTE)
    assert server.paused_until == T + 8 * MINUTE + 30 * SECOND


def test_failures_far_apart_do_not_add_up(server: SmtpServer) -> None:
    fail(server, T, T + 6 * MINUTE, T + 12 * MINUTE, T + 18 * MINUTE)

    assert (server.paused_reason, server.failures) == ("", 1)


def test_what_was_on_the_line_when_the_pause_began_is_not_counted(server: SmtpServer) -> None:
    fail(server, *[T] * 10)

    assert (server.failures, server.paused_until) == (3, T + 30 * SECOND)


def test_a_pause_doubles_up_to_an_hour_however_long_nothing_was_sent(server: SmtpServer) -> None:
    at = T
    fail(server, at, at, at)
    pauses = []
    for _ in range(9):
        assert server.paused_until is not None
        pauses.append((server.paused_until - at) / SECOND)
        at = server.paused_until + 7 * HOUR
        assert circuit_breaker.is_on_probation(server)
        fail(server, at)

    assert pauses == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_an_answer_ends_the_probation(server: SmtpServer) -> None:
    fail(server, T, T, T)
    circuit_breaker.note_answer(server.pk)

    server.refresh_from_db()
    assert not circuit_breaker.is_on_probation(server)
    assert server.last_success_at is None
    fail(server, T + HOUR)
    assert server.failures == 1


def test_a_longer_pause_stays(server: SmtpServer) -> None:
    assert circuit_breaker.pause(server.pk, "an hour", T + HOUR, T)
    assert not circuit_breaker.pause(server.pk, "a minute", T + MINUTE, T)
    server.refresh_from_db()
    assert server.paused_reason == "an hour"

    assert circuit_breaker.pause(server.pk, "for good", None, T)
    assert not circuit_breaker.pause(server.pk, "two hours", T + 2 * HOUR, T)
    fail(server, *[T + 3 * HOUR] * 5)
    server.refresh_from_db()
    assert (server.paused_reason, server.paused_until) == ("for good", None)


def test_a_pause_that_the_server_asked_for_doubles_up_to_its_own_end(server: SmtpServer) -> None:
    at, pauses = T, []
    for _ in range(4):
        circuit_breaker.trip(server.pk, "454", 5 * MINUTE, 20 * MINUTE, at)
        circuit_breaker.trip(server.pk, "454", 5 * MINUTE, 20 * MINUTE, at)  # By another worker.
        server.refresh_from_db()
        assert server.paused_until is not None
        pauses.append((server.paused_until - at) / MINUTE)
        at = server.paused_until + SECOND

    assert pauses == [5, 10, 20, 20]


def test_the_last_success_is_written_once_a_second(server: SmtpServer) -> None:
    for milliseconds in (0, 500, 1500):
        circuit_breaker.note_success(server.pk, T + milliseconds * SECOND / 1000)

    server.refresh_from_db()
    assert server.last_success_at == T + 1.5 * SECOND


def test_a_success_after_the_clock_was_set_back_takes_the_place_of_the_one_in_the_future(server: SmtpServer) -> None:
    circuit_breaker.note_success(server.pk, T + HOUR)

    circuit_breaker.note_success(server.pk, T)

    server.refresh_from_db()
    assert server.last_success_at == T


def test_a_refused_sender_is_forgotten_with_the_next_edit(server: SmtpServer) -> None:
    assert refused_senders.refuse(server.pk, "", "553 not owned", T)
    assert refused_senders.refused(T + 300 * HOUR) == {server.pk: {"news@shop.example": None}}

    server.save()
    assert refused_senders.refused(T) == {}
    assert refused_senders.of_server(server, T) == []
    assert refused_senders.refuse(server.pk, "Shop <shop@shop.example>", "553", T)
    assert refused_senders.refuse(server.pk, "", "553", T)
    assert set(refused_senders.refused(T)[server.pk]) == {"news@shop.example", "shop@shop.example"}


def test_a_refusal_without_a_reason_counts_from_the_third_within_an_hour(server: SmtpServer) -> None:
    def refuse(at: dt.datetime) -> bool:
        return refused_senders.refuse(server.pk, "", "550", at, lasts=HOUR, times=3)

    assert [refuse(T), refuse(T + HOUR), refuse(T + 1.5 * HOUR)] == [False, False, False]
    assert refused_senders.refused(T + 1.5 * HOUR) == {}
    assert refuse(T + 1.6 * HOUR)
    assert refused_senders.refused(T + 2 * HOUR) == {server.pk: {"news@shop.example": T + 2.6 * HOUR}}
    assert refused_senders.refused(T + 3 * HOUR) == {}


def test_a_refusal_until_the_edit_is_not_shortened_by_one_without_a_reason(server: SmtpServer) -> None:
    refused_senders.refuse(server.pk, "", "553 not owned", T)
    refused_senders.refuse(server.pk, "", "550", T, lasts=HOUR, times=3)

    assert RefusedSender.objects.get().until is None


def test_a_learned_limit_only_shrinks_and_ends_with_an_edit(server: SmtpServer) -> None:
    for taken in (20, 30, 7, 0):
        throttling.learn_messages_per_connection(server.pk, taken)
    server.refresh_from_db()
    assert endpoint_of(server, final_timeout=600, clock=timezone.now).messages_per_connection == 1

    server.save()
    server.refresh_from_db()
    assert endpoint_of(server, final_timeout=600, clock=timezone.now).messages_per_connection == 100
    assert not throttling.learn_messages_per_connection(server.pk, 5, version=server.version - 1)


def test_one_connection_less_each_time_and_one_at_least(server: SmtpServer) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(max_connections=3)
    found = []
    for minutes in range(4):
        throttling.take_one_connection(server.pk, T + minutes * MINUTE)
        throttling.take_one_connection(server.pk, T + minutes * MINUTE)  # Said at the same time.
        server.refresh_from_db()
        found.append(rate_limiter.effective(server, T + minutes * MINUTE).connections)

    assert found == [2, 1, 1, 1]


def test_a_single_connection_for_an_hour_is_not_shortened(server: SmtpServer) -> None:
    throttling.keep_to_one_connection(server.pk, T + HOUR)
    throttling.keep_to_one_connection(server.pk, T + MINUTE)

    server.refresh_from_db()
    found = [rate_limiter.effective(server, T + hours * HOUR).connections for hours in (0, 0.9, 1.5, 2.9)]
    assert found == [1, 1, 3, 8]


def test_the_history_has_the_first_pause_of_an_outage_and_each_that_waits_for_a_person(server: SmtpServer) -> None:
    def pauses() -> list[tuple[str, object]]:
        found = server.history.filter(history_change_reason__startswith="Paused")
        return list(found.order_by("history_id").values_list("history_change_reason", "history_user"))

    fail(server, T, T, T, T + MINUTE)
    assert pauses() == [("Paused: the line was lost", None)]

    for _ in range(2):
        circuit_breaker.pause(server.pk, "535 no", None, T + MINUTE)
    assert pauses() == [("Paused: the line was lost", None), ("Paused: 535 no", None)]
