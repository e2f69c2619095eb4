"""When people first opened and clicked their messages. Machines, and who agreed to nothing, leave no trace here."""

import datetime as dt
from collections.abc import Collection, Mapping

from django.db import connection

from db.rows import rows
from delivery.models import Message


def note_first_visits(opened_at: Mapping[int, dt.datetime], clicked_at: Mapping[int, dt.datetime]) -> None:
    """Note when messages were first opened and clicked by people, where that is not known yet."""
    for column, at in (("first_opened_at", opened_at), ("first_clicked_at", clicked_at)):
        if not at:
            continue
        given, parameters = rows(numbers={"id": sorted(at)}, instants={"at": [at[pk] for pk in sorted(at)]})
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE delivery_message SET {column} = given.at FROM {given}"  # noqa: S608  # Of constants.
                f" WHERE delivery_message.id = given.id AND delivery_message.{column} IS NULL"
                " AND delivery_message.contact_id IS NOT NULL",  # Erased while their visits were judged.
                parameters,
            )


def forget_first_visits(opened: Collection[int], clicked: Collection[int]) -> None:
    """Forget when people first opened and clicked these messages."""
    Message.objects.filter(pk__in=opened).update(first_opened_at=None)
    Message.objects.filter(pk__in=clicked).update(first_clicked_at=None)
