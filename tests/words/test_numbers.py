"""Numbers as people read them."""

import pytest

from words.numbers import rate_of


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "–"),
        (0.0, "0.00%"),
        (0.00001, "<0.01%"),
        (0.000999, "0.09%"),
        (0.001, "0.10%"),
        (0.00299999, "0.29%"),
        (0.003, "0.30%"),
        (0.99999, "99.99%"),
        (1.0, "100%"),
    ],
)
def test_a_share_shows_a_limit_only_where_it_is_reached(share: float | None, text: str) -> None:
    assert rate_of(share) == text
