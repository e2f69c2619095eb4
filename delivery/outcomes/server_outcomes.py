"""Counts of outcomes by server and quarter of an hour: what the days on the dashboard are made of."""

import datetime as dt
from collections.abc import Mapping

from django.db import connection


def add(numbers: Mapping[tuple[str, str], int], now: dt.datetime) -> None:
    """Add to the counts of the present quarter of an hour, in the caller's transaction.

    :param numbers: by the server's name and the outcome: one of an attempt, or ``ServerOutcome.LATE``.
    """
    quarter = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    at = connection.ops.adapt_datetimefield_value(quarter)
    with connection.cursor() as cursor:
        for (server, outcome), number in sorted(numbers.items()):  # Sorted, so that two workers cannot deadlock.
            cursor.execute(
                "INSERT INTO delivery_serveroutcome AS o (quarter_at, server_name, outcome, number)"
                " VALUES (%s, %s, %s, %s) ON CONFLICT (quarter_at, server_name, outcome)"
                " DO UPDATE SET number = o.number + excluded.number",
                [at, server, outcome, number],
            )
