"""A run of Brilliance counts only with an exact account."""

import argparse
from collections.abc import Iterator

import pytest
from django.utils import timezone

from bench import ours
from bench.processes import Failed
from bench.sinks.servers import Sink, fast_sink
from contacts.consent import changes
from contacts.models import Contact, Suppression
from delivery.models import Attempt

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with fast_sink("sink") as running:
        yield running


def options(sink: Sink) -> argparse.Namespace:
    return argparse.Namespace(people=[30], port=sink.port, connections=2, number=0, key="", waits=False)


def test_a_campaign_is_sent_to_everybody_and_told_with_its_cost(sink: Sink) -> None:
    before, _ = sink.counted()
    ours.prepare([30])

    told = ours.send(options(sink))

    assert told["messages"] == Attempt.objects.count() == sink.counted()[0] - before == 30
    assert 0 < told["seconds"] < told["whole_seconds"] + 1
    assert told["cpu_seconds"] > 0


def test_a_run_in_which_somebody_got_nothing_is_refused(sink: Sink) -> None:
    ours.prepare([30])
    email = Contact.objects.latest("pk").email
    changes.suppress(email, Suppression.Reason.COMPLAINT, "a test", timezone.now())

    with pytest.raises(Failed, match="29 of 30"):
        ours.send(options(sink))
