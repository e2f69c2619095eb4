"""Pagination of lists with a million rows: rows are counted only up to a limit."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.views import ChangeList

from contacts.models import Contact

if TYPE_CHECKING:
    ContactPaginator = Paginator[Contact]
else:
    ContactPaginator = Paginator

COUNTED = 10_000  # Nobody pages further, people search; counting a million rows takes a second per page.


class LimitedPaginator(ContactPaginator):
    """Ends at ``COUNTED`` rows; its template says if there are more."""

    template_name = "contacts/pagination.html"
    most = COUNTED

    @cached_property
    def counted(self) -> int:
        """The number of rows, at most ``COUNTED`` + 1."""
        assert isinstance(self.object_list, QuerySet)
        return self.object_list.order_by().values("pk")[: COUNTED + 1].count()

    @cached_property
    def count(self) -> int:
        return min(self.counted, COUNTED)

    @property
    def has_more(self) -> bool:
        return self.counted > COUNTED


class PeopleList(ChangeList):  # type: ignore[misc]  # unfold ships no types.
    """Shows the total next to a search result only if it is known."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        paginator: Any = self.paginator
        is_narrowed = bool(self.query or self.has_active_filters)
        if paginator.has_more or not is_narrowed:
            self.full_result_count = self.result_count
