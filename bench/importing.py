"""How fast people are imported: rows a second by the clock, and by the processors' time of client and database.

    python -m bench.importing --rows 1000000 [--again overwrite] [--no-list]

In a database made for it beside the one of DATABASE_URL, and deleted afterwards. The processors' time is what tells
on a machine that does other work at the same time; the database's is that of the one backend, where it runs here.
"""

import argparse
import datetime as dt
import os
import resource
import time
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

import django

django.setup()  # What follows asks for the product's settings.

from django.core.files import File  # noqa: E402
from django.db import connection  # noqa: E402

from bench.processes import seconds_of  # noqa: E402
from contacts.models import ContactImport, ContactList  # noqa: E402
from contacts.transfer import uploads  # noqa: E402
from contacts.transfer.columns import propose  # noqa: E402
from contacts.transfer.csv_file import look  # noqa: E402
from contacts.transfer.import_contacts import import_people  # noqa: E402

SLICE_SECONDS = 5.0  # As the worker's.
CITIES = ("Berlin", "Bonn", "Dakar", "Galway", "Kyoto", "Lima", "Porto", "Zürich")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--again", default="", help="import the file a second time, under this policy")
    parser.add_argument("--no-list", action="store_true", help="store the people, and subscribe them to nothing")
    options = parser.parse_args()
    kept = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    path = Path(uploads.folder()) / "bench-people.csv.part"
    try:
        write_people(path, options.rows)
        print(f"{connection.vendor}, {options.rows:,} rows, {path.stat().st_size / 1e6:.0f} MB")
        lists = [] if options.no_list else [ContactList.objects.create(name="Bench")]
        measure(path, lists, "fill")
        if options.again:
            measure(path, lists, options.again)
    finally:
        path.unlink(missing_ok=True)
        connection.creation.destroy_test_db(kept, verbosity=0)


def write_people(path: Path, rows: int) -> None:
    """Write a file as shops and clubs have it: names, a language, a city, a plan, a number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("E-mail,First name,Last name,Language,City,Plan,Customer number\r\n")
        for number in range(rows):
            spread = number * 7919 % 1_000_003  # Not in the order of the keys.
            file.write(
                f"anna.lee{spread}@mail{spread % 997}.example.org,Anna,Lee-{spread % 5000},de-AT,"
                f"{CITIES[spread % 8]},{'gold' if spread % 3 else 'basic'},K-{spread:07}\r\n"
            )


def measure(path: Path, lists: list[ContactList], policy: str) -> None:
    """Import the file as the worker does, in slices, and print what it took."""
    with path.open("rb") as file:
        layout = look(file)
        draft = uploads.store(File(file, name="people.csv"), layout, None)
    mapping = propose(layout.headings, {})
    uploads.start(draft, layout, mapping, lists=lists, policy=policy, consent="Ticked the box in our shop.")
    resident = resident_megabytes()
    client, backend, started = client_seconds(), backend_seconds(), time.perf_counter()
    slices = 1
    while import_people(draft.pk, dt.datetime.now(dt.UTC), should_pause=Slice()):
        slices += 1
    took = time.perf_counter() - started
    client, backend = client_seconds() - client, backend_seconds() - backend
    done = ContactImport.objects.get(pk=draft.pk)
    rows = done.rows_read
    print(
        f"  {policy}: {done.status}, {done.rows_added:,} new, {done.rows_known:,} known, {done.rows_refused:,} refused;"
        f" {took:.1f} s in {slices} slices, {rows / took:,.0f} rows a second\n"
        f"    processor: client {client:.1f} s, database {backend:.1f} s,"
        f" {rows / (client + backend):,.0f} rows for a second of both,"
        f" {rows / max(client, backend):,.0f} for one of the busier\n"
        f"    memory: {resident:.0f} MB before, {peak_megabytes():.0f} MB at most"
    )


class Slice:
    """Says when a slice is over."""

    def __init__(self) -> None:
        self.ends = time.monotonic() + SLICE_SECONDS

    def __call__(self) -> bool:
        return time.monotonic() > self.ends


def client_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def backend_seconds() -> float:
    """Return the processors' time of our PostgreSQL backend; 0 where it cannot be seen, or is this process."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    return seconds_of(pid)


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
