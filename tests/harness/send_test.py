"""A test through one server as a person makes it: the form, a worker's errand, and the page that follows."""

from typing import Any

from django.http import HttpResponse
from django.test import Client

from delivery import clock
from delivery.operators import trials


def tried(client: Client, address: str, posted: dict[str, Any]) -> HttpResponse:
    """Post the form at ``address``, make the test as a worker would, and return the page that shows its result."""
    answer = client.post(address, posted)
    if answer.status_code != 302:
        return answer
    while trials.make_next(clock.now):
        pass
    return client.get(answer.headers["Location"])
