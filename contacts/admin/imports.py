"""The pages of imports: upload a file, watch it being read, look at the rows that were refused."""

import csv
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from contacts import importing, tasks
from contacts.admin.drawing import badge
from contacts.csvfiles import neutralise
from contacts.exporting import Echo
from contacts.forms import ImportForm
from contacts.models import ContactImport, ContactList, RefusedRow

REFUSED_ROWS_SHOWN = 100
KINDS = {
    ContactImport.Status.WAITING: "info",
    ContactImport.Status.RUNNING: "info",
    ContactImport.Status.FINISHED: "success",
    ContactImport.Status.FAILED: "danger",
}


@admin.register(ContactImport)
class ContactImportAdmin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types.
    form = ImportForm
    add_form_template = "contacts/import_form.html"
    fields = ["file", "list", "new_list"]
    list_display = ["file_name", "state", "list", "figures", "created_by", "created_at"]
    list_select_related = ["list", "created_by"]
    list_per_page = 50
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:import_id>/progress.json", view(self.progress_view), name="contacts_contactimport_progress"),
            path("<int:import_id>/refused.csv", view(self.refused_view), name="contacts_contactimport_refused"),
            *super().get_urls(),
        ]

    # One permission rules all of it; an import is never edited or deleted.
    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("contacts.import_contact")

    def has_view_permission(self, request: HttpRequest, obj: ContactImport | None = None) -> bool:
        return request.user.has_perm("contacts.import_contact")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("contacts.import_contact")

    def has_change_permission(self, request: HttpRequest, obj: ContactImport | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ContactImport | None = None) -> bool:
        return False

    # --- the list ---------------------------------------------------------------------------

    @admin.display(description="State", ordering="status")
    def state(self, contact_import: ContactImport) -> SafeString:
        return badge(contact_import.get_status_display(), KINDS[ContactImport.Status(contact_import.status)])

    @admin.display(description="Rows")
    def figures(self, contact_import: ContactImport) -> str:
        return (
            f"{contact_import.rows_added:,} new, {contact_import.rows_known:,} known,"
            f" {contact_import.rows_refused:,} refused"
        )

    # --- upload -----------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        response: HttpResponse = super().add_view(
            request, form_url, {"title": "Import contacts", **(extra_context or {})}
        )
        return response

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> ContactImport:
        contact_list = form.cleaned_data["list"]
        if contact_list is None:
            contact_list = ContactList.objects.create(name=form.cleaned_data["new_list"])
        return importing.store(form.cleaned_data["file"], contact_list, request.user)  # type: ignore[arg-type]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing hangs on an import but what the worker adds."""

    def save_model(self, request: HttpRequest, obj: ContactImport, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        # Robust: without a broker the upload still stands, and the sweep rings when there is one again.
        transaction.on_commit(lambda: tasks.ring(obj.pk), robust=True)

    def response_add(self, request: HttpRequest, obj: ContactImport, post_url_continue: Any = None) -> HttpResponse:
        messages.info(request, "The file was taken. The people in it are added now; you can leave this page.")
        return redirect("admin:contacts_contactimport_change", obj.pk)

    # --- progress ---------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        contact_import = self._find(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": contact_import.file_name,
            "contact_import": contact_import,
            "progress": progress(contact_import),
            "refused_rows": contact_import.refused_rows.all()[:REFUSED_ROWS_SHOWN],
            "refused_rows_shown": REFUSED_ROWS_SHOWN,
            "people_url": _people_url(contact_import),
        }
        return TemplateResponse(request, "contacts/import_progress.html", context)

    def progress_view(self, request: HttpRequest, import_id: int) -> JsonResponse:
        return JsonResponse(progress(self._find(request, import_id)), headers={"Cache-Control": "no-store"})

    def refused_view(self, request: HttpRequest, import_id: int) -> HttpResponseBase:
        contact_import = self._find(request, import_id)
        return StreamingHttpResponse(
            _write_refused(contact_import),
            content_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="refused-rows.csv"',
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _find(self, request: HttpRequest, import_id: str | int) -> ContactImport:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not str(import_id).isdigit():
            raise Http404
        contact_import = ContactImport.objects.select_related("list", "created_by").filter(pk=import_id).first()
        if contact_import is None:
            raise Http404
        return contact_import


def progress(contact_import: ContactImport) -> dict[str, Any]:
    """Return what the page shows and its script asks for again and again."""
    is_over = contact_import.status in (ContactImport.Status.FINISHED, ContactImport.Status.FAILED)
    share = contact_import.read_bytes / contact_import.size_bytes if contact_import.size_bytes else 0.0
    percent = 100 if contact_import.status == ContactImport.Status.FINISHED else min(99, int(share * 100))
    return {
        "status": contact_import.status,
        "is_over": is_over,
        "percent": percent,
        "sentence": _sentence(contact_import, percent),
        "rows_read": f"{contact_import.rows_read:,}",
        "rows_added": f"{contact_import.rows_added:,}",
        "rows_known": f"{contact_import.rows_known:,}",
        "rows_refused": f"{contact_import.rows_refused:,}",
    }


def _sentence(contact_import: ContactImport, percent: int) -> str:
    match contact_import.status:
        case ContactImport.Status.WAITING:
            return "The file waits for the worker; it starts within a few seconds."
        case ContactImport.Status.RUNNING:
            return f"The file is being read: {percent} % so far."
        case ContactImport.Status.FAILED:
            return contact_import.error
    if not contact_import.rows_read:
        return "The file holds no rows below its headings; nobody was added."
    return "The file was read to its end."


def _people_url(contact_import: ContactImport) -> str:
    url = reverse("admin:contacts_contact_changelist")
    return f"{url}?list={contact_import.list_id}" if contact_import.list_id else url


def _write_refused(contact_import: ContactImport) -> Iterator[str]:
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"
    yield writer.writerow(["line", "reason", "row"])
    rows = RefusedRow.objects.filter(contact_import=contact_import).order_by("line_number", "pk")
    for row in rows.iterator():
        yield writer.writerow([row.line_number, neutralise(row.reason), neutralise(row.content)])
