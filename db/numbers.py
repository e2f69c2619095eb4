"""The numbers that a table gives to its new rows."""

from django.db import connection, models

from db.dialect import is_postgresql


def leap(model: type[models.Model], ahead: int, most: int) -> None:
    """Leave out the table's next ``ahead`` numbers, or half of those that are left up to ``most``.

    Rolling back does not undo it on PostgreSQL.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if is_postgresql():
            cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
            [numbers] = cursor.fetchone()
            cursor.execute("SELECT nextval(%s)", [numbers])
            [last] = cursor.fetchone()
            cursor.execute("SELECT setval(%s, %s)", [numbers, _after(last, ahead, most)])
            return
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        found = cursor.fetchone()
        if found is None:  # The table never had a row.
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, 0)", [table])
        last = found[0] if found else 0
        cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [_after(last, ahead, most), table])


def _after(last: int, ahead: int, most: int) -> int:
    return last + min(ahead, max(most - last, 0) // 2)
