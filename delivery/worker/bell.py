"""The bell: tells a drain at once of urgent mail, which would otherwise wait for the next plan.

A plan is made every half second, and more rarely if it takes long. A password must not wait for it.
"""

import datetime as dt

from django.db import connection

from delivery.outbox.plan import URGENT

RING_SECONDS = 0.08  # Between two looks.
MOST = 100  # Mailings that one look finds, the latest first.


class Bell:
    """What urgent mail was due at the last look."""

    def __init__(self) -> None:
        self._due: set[int] = set()

    def rings(self, now: dt.datetime) -> bool:
        """Whether urgent mail is due that was not due at the last look. Mail that waits for a server rings once."""
        before, self._due = self._due, _due(now)
        return not self._due <= before


def _due(now: dt.datetime) -> set[int]:
    """Return mailings with due urgent mail; by the indexes for the plan and for claims."""
    streams = sorted(URGENT)
    with connection.cursor() as cursor:
        # Hand-written for speed: each sending worker asks this twelve times a second.
        cursor.execute(
            "SELECT ml.id FROM delivery_mailing ml WHERE ml.finished_at IS NULL AND ml.state = 'open'"  # noqa: S608
            f" AND ml.stream IN ({', '.join(['%s'] * len(streams))}) AND EXISTS (SELECT 1 FROM delivery_message m"
            " WHERE m.mailing_id = ml.id AND m.due_at <= %s AND m.status IN ('queued', 'deferred'))"
            " ORDER BY ml.id DESC LIMIT %s",
            [*streams, connection.ops.adapt_datetimefield_value(now), MOST],
        )
        return {row[0] for row in cursor.fetchall()}
