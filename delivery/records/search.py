"""Search over the messages of all mailings, newest first, read-only.

An index on the status would cost a write at every change, and no index helps with a part of an address. So without an
index a search scans one window of messages: from the newest mailing with the status on, and further back on request.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet, Sum

from delivery.models import FAILED, NOT_ACCEPTED, Message, StatusCount
from delivery.records import figures
from mail.addresses import AddressInvalid, fold, read_address

PAGE = 50
WINDOW = 200_000  # Messages that one search scans.
MOST_MAILINGS = 200  # The most mailings that are checked one by one for the start of the window.


@dataclass(frozen=True, slots=True)
class SearchPage:
    """One page of a search."""

    messages: list[Message]
    older: int | None = None  # More matches are before this id.
    unsearched: int | None = None  # Messages before this id were not scanned.


def search(
    messages: QuerySet[Message],
    address: str,
    status: str,
    server_id: int | None,
    before: int | None,
    since: dt.datetime | None = None,
) -> SearchPage:
    """Return a page of the matching messages.

    :param address: a whole address, or a part of one.
    :param before: only messages with a lower id; None: from the newest on.
    :param since: only messages that changed at this instant or later; None: at any time.
    """
    rows = messages.order_by("-pk")
    if since is not None:
        rows = rows.filter(changed_at__gte=since)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    if server_id is not None:
        rows = rows.filter(server=server_id)
    if status:
        rows = figures.of_status(rows, status)
    if address:
        try:
            return _page(rows.filter(email_key=fold(read_address(address))))  # Uses an index.
        except AddressInvalid:
            rows = rows.filter(email__icontains=address)
    elif not status and server_id is None and since is None:
        return _page(rows)
    mailings = _with_status(status) if status else None
    if mailings is not None:
        rows = rows.filter(mailing__in=mailings)
    newest = _newest(mailings, before)
    if newest is None:
        return SearchPage([])
    first = newest - WINDOW + 1
    found = _page(rows.filter(pk__lte=newest, pk__gte=first))
    if found.older is None and first > 1 and _newest(mailings, first) is not None:
        return SearchPage(found.messages, unsearched=first)
    return found


def _page(rows: QuerySet[Message]) -> SearchPage:
    # One more than shown, to see whether there are others: to count millions of rows takes seconds.
    some = list(rows[: PAGE + 1])
    return SearchPage(some[:PAGE], older=some[PAGE - 1].pk if len(some) > PAGE else None)


def _with_status(status: str) -> list[int] | None:
    """Return the mailings that have messages with this status; None if they are too many to be of use."""
    # Claimed messages are still queued in their rows.
    meant: tuple[str, ...] = ("queued", "sending") if status in ("queued", "sending") else (status,)
    if status == NOT_ACCEPTED:
        meant = FAILED
    counts = StatusCount.objects.filter(status__in=meant).order_by().values("mailing").annotate(sum=Sum("number"))
    found = list(counts.filter(sum__gt=0).values_list("mailing", flat=True)[: MOST_MAILINGS + 1])
    return found if len(found) <= MOST_MAILINGS else None


def span(mailings: Collection[int]) -> tuple[int, int] | None:
    """Return the ids of the first and the last message of these mailings; None if they have no messages.

    With both bounds the database need not scan earlier messages.
    """
    ends = [(_end(mailing, ""), _end(mailing, "-")) for mailing in mailings]
    known = [(first, last) for first, last in ends if first is not None and last is not None]
    return (min(first for first, _ in known), max(last for _, last in known)) if known else None


def _end(mailing: int, sign: str, before: int | None = None) -> int | None:
    """Return the id of the mailing's first message, or of its last one for the sign "-"."""
    # A range of mailings, in the order of the index: for one mailing PostgreSQL would walk the primary key, through all
    # messages before it.
    rows = Message.objects.filter(mailing__gte=mailing, mailing__lte=mailing)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return rows.order_by(f"{sign}mailing_id", f"{sign}pk").values_list("pk", flat=True).first()


def _newest(mailings: Collection[int] | None, before: int | None) -> int | None:
    """Return the id of the newest message of these mailings, or of all, before an id; None if there is none."""
    if mailings is None:
        rows = Message.objects.order_by("-pk").values_list("pk", flat=True)
        return (rows if before is None else rows.filter(pk__lt=before)).first()
    return max((pk for mailing in mailings if (pk := _end(mailing, "-", before)) is not None), default=None)
