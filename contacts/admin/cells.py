"""Building blocks of the pages about people: badges, linked numbers, deletion summaries, downloads."""

from collections.abc import Collection, Iterator
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

NAMED_AT_MOST = 20


def chip(status: str, text: object, title: str = "") -> SafeString:
    """Return the chip of a status; ``status`` sets its colour, in ``contacts.css``, and ``title`` explains it."""
    return format_html(
        '<span class="status-chip" data-status="{}"{}>{}</span>',
        status,
        format_html(' title="{}"', title) if title else "",
        text,
    )


def figure(number: int, url: str = "", words: str = "") -> SafeString:
    """Return a number with thousands separators, as a link if ``url`` is given."""
    shown = f"{number:,}"
    if not url or not number:
        return format_html("{}", shown)
    return format_html('<a href="{}" class="text-link" aria-label="{} {}">{}</a>', url, shown, words, shown)


class SummarisedDeletion:
    """Names the deleted objects but only counts dependent rows: a list may have 100,000 subscriptions."""

    def get_deleted_objects(
        self, objs: QuerySet[Any] | Collection[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        opts = self.opts  # type: ignore[attr-defined]  # A mix-in of ModelAdmin.
        count = objs.count() if isinstance(objs, QuerySet) else len(objs)
        named = [str(item) for item in objs[:NAMED_AT_MOST]]  # type: ignore[index]  # A list or a queryset.
        if count > NAMED_AT_MOST:
            named.append(_("and %(count)s more") % {"count": f"{count - NAMED_AT_MOST:,}"})
        is_allowed = self.has_delete_permission(request)  # type: ignore[attr-defined]
        lacking = set() if is_allowed else {str(opts.verbose_name)}
        counts = {str(opts.verbose_name_plural): count} | self.count_what_goes_along(objs)
        return named, counts, lacking, self.what_keeps(objs)  # type: ignore[attr-defined]

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Model]) -> dict[str, int]:
        return {}


def download(lines: Iterator[str], what: str) -> StreamingHttpResponse:
    """Return the lines as a CSV file named after its content and today's date."""
    name = f"{what}-{timezone.localtime():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
