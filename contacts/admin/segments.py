"""Admin pages of segments: the list, the form with its builder, and the preview of matching people."""

from collections.abc import Collection
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from adminpages.pages import Deletion, ModelAdmin
from contacts.admin.cells import SummarisedDeletion
from contacts.forms.segment import SegmentForm, read
from contacts.models import Contact, Segment
from contacts.segments import query
from contacts.segments.conditions import ConditionsInvalid, Group, describe, load
from db.dialect import is_postgresql
from words.texts import translated

SAMPLE_PEOPLE = 10
LONGEST_COUNT_SECONDS = 20


@admin.register(Segment)
class SegmentAdmin(SummarisedDeletion, ModelAdmin):
    form = SegmentForm
    list_display = ["name", "asked", "created_by", "updated_at"]
    list_select_related = ["created_by"]
    search_fields = ["name", "description"]
    empty_hint = gettext_lazy("Group contacts by what they have in common, such as city or language.")
    list_per_page = 50
    fields = ["name", "description", "conditions"]

    def get_urls(self) -> list[URLPattern]:
        preview = self.admin_site.admin_view(self.preview_view)
        return [path("preview.json", preview, name="contacts_segment_preview"), *super().get_urls()]

    # --- the list ---------------------------------------------------------------------------

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        self.vocabulary = query.vocabulary()  # Once for all rows.
        response: HttpResponse = super().changelist_view(request, extra_context)
        return response

    @admin.display(description=gettext_lazy("People"))
    def asked(self, segment: Segment) -> str:
        return (
            Truncator(translated(describe(load(segment.conditions), self.vocabulary))).chars(160)
            if segment.conditions
            else "–"
        )

    # --- the form ---------------------------------------------------------------------------

    def get_fields(self, request: HttpRequest, obj: Segment | None = None) -> list[str]:
        if self.has_change_permission(request, obj):
            return self.fields
        return ["name", "description", "conditions_to_read"]

    def get_readonly_fields(self, request: HttpRequest, obj: Segment | None = None) -> list[str]:
        return [] if self.has_change_permission(request, obj) else ["conditions_to_read"]

    @admin.display(description=gettext_lazy("Conditions"))
    def conditions_to_read(self, segment: Segment) -> SafeString:
        return format_html("{}", describe(load(segment.conditions), query.vocabulary()))

    def save_model(self, request: HttpRequest, obj: Segment, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
        super().save_model(request, obj, form, change)

    # --- the preview ------------------------------------------------------------------------

    def preview_view(self, request: HttpRequest) -> HttpResponse:
        """Return the number of people who meet the conditions under construction, and some of them."""
        if not (request.user.has_perm("contacts.view_segment") and request.user.has_perm("contacts.view_contact")):
            raise PermissionDenied
        if request.method != "POST":  # Conditions may be longer than a URL.
            return HttpResponseNotAllowed(["POST"])
        try:
            group = query.check(read(request.POST.get("conditions", "")))
        except ConditionsInvalid as error:
            problems = [
                {"path": problem.path, "parameter": problem.parameter, "text": translated(problem.text)}
                for problem in error.problems
            ]
            return _answer(_("Complete the conditions to see who meets them."), problems=problems)
        try:
            number, unknown, people = _count(group)
        except OperationalError:
            return _answer(_("Counting these people takes too long. You can still save and use the segment."))
        total = Contact.objects.count()
        sentence = ngettext(
            "%(count)s of %(total)s people meets the conditions.",
            "%(count)s of %(total)s people meet the conditions.",
            number,
        )
        counted = sentence % {"count": f"{number:,}", "total": f"{total:,}"}
        if unknown:
            more = ngettext(
                "%(count)s more is not known: a visit may not be stored by name, still be judged, or be a program's.",
                "%(count)s more are not known: visits may not be stored by name, still be judged, or be a program's.",
                unknown,
            )
            counted += " " + more % {"count": f"{unknown:,}"}
        return _answer(counted, number, people)

    # --- deleting ---------------------------------------------------------------------------

    def deletion(self, obj: Segment) -> Deletion:
        return Deletion([_("The segment with its conditions")], [_("The people in it")])

    def what_keeps(self, objs: QuerySet[Any] | Collection[Any]) -> list[str]:
        return query.users_of(segments=[segment.pk for segment in objs])


def _count(group: Group) -> tuple[int, int, list[dict[str, str]]]:
    """Return the number of people who meet the conditions, the number of whom that isn't known, and some who meet them.

    :raises OperationalError: if PostgreSQL takes longer than ``LONGEST_COUNT_SECONDS``.
    """
    now = timezone.now()
    found = query.people(group, now)
    with transaction.atomic():
        if is_postgresql():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{LONGEST_COUNT_SECONDS}s'")
        number, unknown = query.count(group, now)
        people = list(found.order_by("pk")[:SAMPLE_PEOPLE]) if number else []
    found_people = [
        {
            "email": person.email,
            "name": person.full_name,
            "url": reverse("admin:contacts_contact_change", args=[person.pk]),
        }
        for person in people
    ]
    return number, unknown, found_people


def _answer(
    sentence: str,
    count: int | None = None,
    sample: list[dict[str, str]] | None = None,
    problems: list[dict[str, Any]] | None = None,
) -> JsonResponse:
    found = {"sentence": sentence, "count": count, "sample": sample or [], "problems": problems or []}
    return JsonResponse(found, headers={"Cache-Control": "no-store"})
