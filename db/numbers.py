"""The numbers that a table gives to its new rows."""

from django.db import connection, models

from db.dialect import is_postgresql


def leap_to(model: type[models.Model], least: int) -> None:
    """Have the table's next row get a higher number than ``least``, and than any number that was given before.

    Rolling back does not undo it on PostgreSQL.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute(
                "SELECT setval(numbers, GREATEST(%s, nextval(numbers)))"
                " FROM (SELECT CAST(pg_get_serial_sequence(%s, 'id') AS regclass) AS numbers) AS of_table",
                [least, table],
            )
            return
        cursor.execute("UPDATE sqlite_sequence SET seq = MAX(seq, %s) WHERE name = %s", [least, table])
        if not cursor.rowcount:  # The table never had a row.
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, least])
