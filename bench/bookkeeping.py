"""What the account costs: chunks claimed and recorded, and an audience of a million turned into messages.

No mail is sent: each message is answered at once. Everything else is what a worker does, through the same functions:
lane, quota, attempts, statuses, ledger, counts. Prints a line of JSON for each measurement.

    python -m bench.bookkeeping --database postgres://user@127.0.0.1/bench --rows 10000 100000 --processes 1 2 4 8
    python -m bench.bookkeeping --database postgres://user@127.0.0.1/bench --snapshot 1000000

The database named is made and dropped again; one that exists is left alone. ``sqlite:////tmp/bench.sqlite3`` works too.
"""

import argparse
import datetime as dt
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

READY_SECONDS = 120  # The longest that processes are waited for to be ready.
RENEW_SECONDS = 5  # How often a worker renews its lease.


def main() -> None:
    given = _arguments()
    with _database(given.database):
        if given.snapshot:
            print(json.dumps(measure_snapshot(given.snapshot)), flush=True)
        for rows in given.rows:
            for processes in given.processes:
                print(json.dumps(measure_claims(rows, processes, given.group)), flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", required=True, help="an address as in DATABASE_URL, of a database to be made")
    parser.add_argument("--rows", type=int, nargs="*", default=[], help="messages to claim and record")
    parser.add_argument("--processes", type=int, nargs="*", default=[1], help="how many do it at once")
    parser.add_argument("--group", type=int, default=1000, help="results that are recorded together")
    parser.add_argument("--snapshot", type=int, default=0, help="contacts to queue a campaign to")
    return parser.parse_args()


@contextmanager
def _database(address: str) -> Iterator[None]:
    """Make the database with all its tables, and drop it at the end."""
    os.environ.update(DATABASE_URL=address, DJANGO_SETTINGS_MODULE="brilliance.settings")
    parts = urlsplit(address)
    name = parts.path.lstrip("/")
    if parts.scheme == "sqlite":
        path = Path(parts.path[1:])
        if path.exists():
            sys.exit(f"{path} exists; name a file that does not.")
        try:
            _migrate()
            yield
        finally:
            for each in path.parent.glob(f"{path.name}*"):
                each.unlink()
        return
    import psycopg

    with psycopg.connect(parts._replace(path="/postgres").geturl(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            _migrate()
            yield
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _migrate() -> None:
    subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
    import django

    django.setup()


def _people(number: int) -> int:
    """Add contacts and a list of them all, by the million within seconds; return the list."""
    from django.db import connection

    from contacts.models import ContactList

    audience = ContactList.objects.create(name=f"Bench {time.time_ns()}")
    if connection.vendor == "postgresql":
        series = "generate_series(1, %s) AS series (n)"
    else:
        series = "(WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < %s) SELECT n FROM s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO contacts_contact
                (email, email_key, first_name, last_name, language, time_zone, attributes, created_at, updated_at)
            SELECT 'person' || n || '.{audience.pk}@example.com', 'person' || n || '.{audience.pk}@example.com',
                'Ann' || n, 'Example', '', '', '{{"city": "Bern", "plan": "gold"}}',
                CURRENT_TIMESTAMP, CURRENT_TIMESTAMP
            FROM {series}
            """,  # noqa: S608  # Made of constants.
            [number],
        )
        cursor.execute(
            f"""
            INSERT INTO contacts_subscription (contact_id, list_id, status, source, created_at, changed_at)
            SELECT id, {audience.pk}, 'subscribed', 'bench', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP
            FROM contacts_contact WHERE email_key LIKE '%%.{audience.pk}@example.com' ORDER BY id
            """,  # noqa: S608
            [],
        )
    _analyse()
    return audience.pk


def _analyse() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def _mailing(list_id: int) -> Any:
    from contacts.models import ContactList
    from delivery.outbox import mailings

    return mailings.open_mailing(
        stream="campaign",
        name="Bench",
        subject="Bench",
        html="<p>{{ first_name }}</p>",
        text="",
        lists=ContactList.objects.filter(pk=list_id),
    )


def measure_snapshot(contacts: int) -> dict[str, Any]:
    """Queue a campaign to that many contacts; return how long it took until all their rows were there."""
    from delivery.outbox import status_counts
    from delivery.outbox.snapshot import snapshot

    mailing = _mailing(_people(contacts))
    begun = time.perf_counter()
    count = snapshot(mailing.pk, dt.datetime.now(dt.UTC))
    seconds = time.perf_counter() - begun
    assert count == contacts == status_counts.by_status(mailing.pk)["queued"], count
    return {"measured": "snapshot", "rows": contacts, "seconds": round(seconds, 2), "rows/s": round(contacts / seconds)}


def measure_claims(rows: int, processes: int, group: int) -> dict[str, Any]:
    """Claim and record that many messages by so many processes, each with a server of its own."""
    from django.db import connections

    from delivery.models import Attempt, Batch
    from delivery.outbox import status_counts
    from delivery.outbox.snapshot import snapshot
    from smtpservers.models import QuotaPeriod, SmtpServer

    mailing = _mailing(_people(rows))
    snapshot(mailing.pk, dt.datetime.now(dt.UTC))
    prefix = f"Bench {time.time_ns()}"
    servers = [
        SmtpServer.objects.create(
            name=f"{prefix} {number}",
            host="127.0.0.1",
            mail_from="Shop <news@example.com>",
            tested_at=dt.datetime.now(dt.UTC),
        ).pk
        for number in range(processes)
    ]
    _analyse()
    connections.close_all()
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(processes + 1), context.Queue()
    workers = [
        context.Process(target=_work, args=(server, mailing.pk, group, ready, done), daemon=True) for server in servers
    ]
    for worker in workers:
        worker.start()
    ready.wait(READY_SECONDS)
    begun = time.perf_counter()
    shares = [done.get() for _ in workers]
    seconds = time.perf_counter() - begun
    for worker in workers:
        worker.join()

    # The account adds up, or the figure is worth nothing.
    messages = sum(share["messages"] for share in shares)
    assert messages == rows == status_counts.by_status(mailing.pk)["accepted"], messages
    assert Attempt.objects.filter(message__mailing=mailing.pk, outcome="accepted").count() == rows
    assert not Batch.objects.filter(Batch.OPEN, mailing=mailing.pk).exists()
    periods = QuotaPeriod.objects.filter(server__in=servers)
    assert (sum(p.used for p in periods), sum(p.reserved for p in periods)) == (rows, 0)
    return {
        "measured": "claim and record",
        "rows": rows,
        "processes": processes,
        "seconds": round(seconds, 2),
        "messages/s": round(rows / seconds),
        "client us": round(sum(share["cpu"] for share in shares) / rows * 1e6, 1),
        "claim us": round(sum(share["claim"] for share in shares) / rows * 1e6, 1),
        "record us": round(sum(share["record"] for share in shares) / rows * 1e6, 1),
    }


def _work(server_id: int, mailing_id: int, group: int, ready: Any, done: Any) -> None:
    """Claim and record as one worker until nothing is left, and tell how many and for how much processor time."""
    import django

    django.setup()
    from delivery.outbox import claims as outbox_claims
    from delivery.outbox import leases
    from delivery.outbox.plan import LaneShare
    from delivery.outcomes import results as outcomes_results
    from delivery.outcomes.result import Result
    from delivery.outcomes.verdicts import Judgement
    from mail.replies.reply import Reply
    from smtpservers.models import SmtpServer

    server = SmtpServer.objects.get(pk=server_id)
    lease = leases.acquire(server_id)
    assert lease is not None
    share = LaneShare(mailing_id, f"{server.name} is first in the display order.")
    accepted = Judgement("accepted", "accepted", "", is_accepted=True, holds_unit=True)
    messages, renewed, spent = 0, time.monotonic(), {"claim": 0.0, "record": 0.0}
    ready.wait(READY_SECONDS)
    while True:
        before = _processor_time()
        claims = outbox_claims.claim(lease.token, server, share, outbox_claims.CLAIM_MESSAGES, dt.datetime.now(dt.UTC))
        spent["claim"] += _processor_time() - before
        if not claims:
            break
        messages += len(claims)
        results = [
            Result(
                attempt_id=claim.attempt_id,
                message=claim.message,
                mailing_id=mailing_id,
                stream="campaign",
                server_id=server_id,
                period_id=claim.period_id,
                reserved_at=claim.reserved_at,
                judgement=accepted,
                stage="DOT",
                reply=Reply(250, "2.0.0", f"Ok: queued as {claim.attempt_id:X}"),
            )
            for claim in claims
        ]
        before = _processor_time()
        if time.monotonic() - renewed > RENEW_SECONDS:
            assert not leases.renew([lease])
            renewed = time.monotonic()
        for start in range(0, len(results), group):
            assert outcomes_results.record(lease.token, results[start : start + group], dt.datetime.now(dt.UTC))
        spent["record"] += _processor_time() - before
    done.put({"messages": messages, "cpu": spent["claim"] + spent["record"], **spent})


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
