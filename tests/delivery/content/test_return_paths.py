"""Envelope senders: made for many messages at once, they are those that each message has alone."""

import pytest
from django.conf import settings

from delivery.content.message import Outgoing
from delivery.content.return_paths import ReturnPath
from mail.tokens import proofs_of_messages


@pytest.mark.parametrize("stream", ["campaign", "notice"])
@pytest.mark.parametrize("is_tagged", [True, False])
@pytest.mark.parametrize("redirected", [frozenset(), frozenset({3})])
@pytest.mark.parametrize("address", ["bounces@shop.example", f"{'b' * 60}@shop.example"])
def test_senders_of_many_messages_are_those_of_each(
    stream: str, is_tagged: bool, redirected: frozenset[int], address: str
) -> None:
    path = ReturnPath.recorded(address, is_tagged=is_tagged, stream=stream)
    numbers = [1, 3, 2**34 - 1, 4711]
    proofs = proofs_of_messages(numbers, settings.TOKEN_KEYS)
    messages = [
        Outgoing(pk, 7, "ann@a.example", "ann@a.example", attempt_count=70 * place, proof=proof)
        for place, (pk, proof) in enumerate(zip(numbers, proofs, strict=True))
    ]
    for message in messages:
        message.redirected_to = "desk@shop.example" if message.pk in redirected else ""

    assert path.of_all(messages) == [path.of(message) for message in messages]
