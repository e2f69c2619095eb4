"""Every field of a server does what it says: set through the form, seen on the wire, in DNS, or on a page."""

from collections import Counter

import pytest

from smtpservers.forms.server import ServerForm
from tests.fields.bench import Bench
from tests.fields.rows import ROWS, Row


@pytest.mark.parametrize("is_on", [True, False], ids=["on", "off"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-{row.name}")
def test_a_field_does_what_it_says(bench: Bench, row: Row, is_on: bool) -> None:
    prepared = row.prepare(bench)
    typed = row.on if is_on else row.off
    bench.save(**prepared, **{name: value(bench) if callable(value) else value for name, value in typed.items()})

    assert row.observe(bench) == (row.seen if is_on else row.otherwise)


def test_there_is_one_row_for_each_of_the_39_fields() -> None:
    assert Counter(row.number for row in ROWS) == Counter(range(1, 40))
    assert len({row.name for row in ROWS}) == 39
    assert {row.name for row in ROWS} <= set(ServerForm.base_fields)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number}-{row.name}")
def test_a_row_sees_a_difference_that_its_field_makes(row: Row) -> None:
    assert row.seen != row.otherwise
