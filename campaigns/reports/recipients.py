"""The recipients of a campaign that match a filter: a query, their number, and all of them as CSV."""

import datetime as dt
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from django.db.models import CharField, Exists, OuterRef, QuerySet, Value
from django.db.models.functions import StrIndex, Substr

from campaigns.models import Tally
from campaigns.reports.providers import is_at, name_of
from contacts.transfer.export_contacts import table
from delivery.models import Attempt, Mailing, Message
from delivery.records import figures, search
from mail.addresses import normalise
from mail.links.levels import PERSONAL, YES
from mail.replies.words import meaning_of, rules_of

MOST_COUNTED = 10_000  # Counting stops here. Nobody reads more pages, and counting a million matches is slow.
AT_ONCE = 2_000
# When the first visit was, and the consent that it may be told by name.
VISITED = {"clicked": ("first_clicked_at", "click_tracking"), "opened": ("first_opened_at", "open_tracking")}
HEADINGS = ("recipient", "status", "server", "tries", "last change (UTC)", "answer or reason", "Message-ID")


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter for recipients. An empty field selects all."""

    status: str = ""
    server: str = ""  # The id of a server. Any other word matches nobody.
    provider: str = ""
    answer: str = ""  # The key of a meaning of mail.replies.words.
    reply: str = ""  # Text anywhere in the last answer, in upper or lower case.
    sought: str = ""  # Text anywhere in the address.
    visited: str = ""  # One of ``VISITED``: people who are known to have done so, no programs.

    @property
    def is_empty(self) -> bool:
        return self == Filter()

    @property
    def is_status_alone(self) -> bool:
        """Whether the status is the only filter, so that the stored counts give the number."""
        return self == Filter(status=self.status)

    @property
    def in_the_log(self) -> str:
        """The names of the filters in use, for the log. Values are left out, because one may be a person's address."""
        named = {
            "status": self.status,
            "server": self.server,
            "provider": self.provider,
            "answer": self.answer,
            "reply": self.reply,
            "address": self.sought,
            "opens and clicks": self.visited,
        }
        chosen = [name for name, value in named.items() if value]
        return f"those filtered by {', '.join(chosen)}" if chosen else "all"


def fitting(mailing_ids: Collection[int], given: Filter) -> QuerySet[Message]:
    """Return the messages of matching recipients, ordered by id. Copies do not count as recipients."""
    between = search.span(mailing_ids)
    if between is None:
        return Message.objects.none()
    rows = Message.objects.filter(pk__range=between, mailing__in=list(mailing_ids), copy_of=None)
    rows = rows.select_related("server", "contact").order_by("pk")
    if given.status in Message.Status.values:
        rows = figures.of_status(rows, given.status)
    if given.server:
        rows = rows.filter(server=int(given.server)) if given.server.isdecimal() else rows.none()
    if given.provider:
        domain = Substr("email_key", StrIndex("email_key", Value("@")) + 1, output_field=CharField())
        rows = rows.annotate(domain=domain).filter(is_at(given.provider, "domain"))
    if given.answer:
        # Only messages with a reason have a stored last answer; the others were simply accepted.
        last = Attempt.objects.filter(message=OuterRef("pk"), number=OuterRef("attempt_count"))
        rows = rows.exclude(reason="").filter(Exists(last.filter(rule__in=rules_of(given.answer))))
    if given.reply:
        rows = rows.exclude(reason="").filter(reason__icontains=given.reply)
    if given.visited in VISITED:
        column, consent = VISITED[given.visited]
        rows = rows.filter(**{f"{column}__isnull": False, f"contact__{consent}": YES})  # Uses a partial index.
    if given.sought:
        rows = rows.filter(email_key__contains=normalise(given.sought).lower())
    return rows


def count(mailing_ids: Collection[int], given: Filter) -> int:
    """Return the number of matching recipients; unless the stored counts give it, ``MOST_COUNTED`` at most."""
    if given.is_status_alone:
        counts = [figures.counts(mailing_id) for mailing_id in mailing_ids]
        return sum(found[given.status] if given.status in found else sum(found.values()) for found in counts)
    return fitting(mailing_ids, given).order_by()[:MOST_COUNTED].count()


def are_people_known(mailing_ids: Collection[int]) -> bool:
    """Whether opens and clicks of these mailings are counted by recipient, for those who agreed."""
    return Mailing.objects.filter(pk__in=list(mailing_ids), tracking=PERSONAL).exists()


def providers_among(mailing_ids: Collection[int]) -> list[tuple[str, str]]:
    """Return the providers to choose from with their names, well-known ones first."""
    found = Tally.objects.filter(mailing_id__in=list(mailing_ids)).exclude(provider=Tally.OTHER)
    names = found.values_list("provider", flat=True).distinct()
    return sorted(((name, name_of(name)) for name in names), key=lambda pair: (pair[0] == pair[1], pair[1].lower()))


def answers_among(mailing_ids: Collection[int]) -> list[tuple[str, str]]:
    """Return the meanings of the answers that occurred: key and label, sorted by label."""
    found = Tally.objects.filter(mailing_id__in=list(mailing_ids)).exclude(outcome="accepted")
    meanings = {meaning_of(rule) for rule in found.values_list("rule", flat=True).distinct()}
    return sorted(((meaning.key, meaning.label) for meaning in meanings), key=lambda pair: pair[1])


def write_csv(mailing_ids: Collection[int], given: Filter) -> Iterator[str]:
    """Yield the lines of a CSV file of all matching recipients, safe to open in a spreadsheet.

    The rows are read in slices by id, so that no query takes long and memory stays small.
    """
    knows_people = are_people_known(mailing_ids)
    headings = (*HEADINGS, *(f"{name} (UTC)" for name in VISITED)) if knows_people else HEADINGS
    return table(headings, _cells(mailing_ids, given, knows_people))


def _cells(mailing_ids: Collection[int], given: Filter, knows_people: bool) -> Iterator[Iterable[str]]:
    after = 0
    while rows := list(fitting(mailing_ids, given).filter(pk__gt=after)[:AT_ONCE]):
        figures.show_claimed(rows)
        for row in rows:
            visits = [_told(row, *columns) for columns in VISITED.values()] if knows_people else []
            yield (
                row.email,
                row.status,
                row.server.name if row.server else "",
                str(row.attempt_count),
                f"{row.changed_at:%Y-%m-%d %H:%M:%S}",
                row.reason,
                row.message_id,
                *(f"{at:%Y-%m-%d %H:%M:%S}" if at else "" for at in visits),
            )
        after = rows[-1].pk


def _told(row: Message, column: str, consent: str) -> dt.datetime | None:
    agrees = row.contact is not None and getattr(row.contact, consent) == YES
    return getattr(row, column) if agrees else None
