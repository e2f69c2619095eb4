"""Admin pages of imports: upload, column mapping, progress, refused rows."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString

from adminpages.fresh_sign_in import asks_first
from adminpages.pages import ModelAdmin
from contacts import tasks
from contacts.admin.cells import badge
from contacts.forms.imports import ImportUploadForm, MappingForm, ReadingForm
from contacts.models import ContactImport, ContactList, RefusedRow
from contacts.transfer import import_contacts, uploads
from contacts.transfer.columns import REPORT_HEADINGS, describe
from contacts.transfer.csv_file import DELIMITERS, ENCODINGS, CsvRefused
from contacts.transfer.export_contacts import csv_response, table

if TYPE_CHECKING:
    from django.contrib.auth.models import User

REFUSED_ROWS_SHOWN = 100
Status = ContactImport.Status
KINDS = {
    Status.DRAFT: "",
    Status.WAITING: "info",
    Status.RUNNING: "info",
    Status.FINISHED: "success",
    Status.FAILED: "danger",
    Status.CANCELLED: "warning",
}
POLICIES = {
    ContactImport.Policy.SKIP: "Left unchanged.",
    ContactImport.Policy.FILL: "Empty fields were filled in.",
    ContactImport.Policy.OVERWRITE: "Overwritten with values from the file.",
}


@admin.register(ContactImport)
class ContactImportAdmin(ModelAdmin):
    list_display = ["file_name", "state", "list_names", "figures", "created_by", "created_at"]
    list_select_related = ["created_by"]
    list_per_page = 50
    actions = None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:import_id>/columns/", view(self.columns_view), name="contacts_contactimport_columns"),
            path("<int:import_id>/cancel/", view(self.cancel_view), name="contacts_contactimport_cancel"),
            path("<int:import_id>/progress.json", view(self.progress_view), name="contacts_contactimport_progress"),
            path("<int:import_id>/refused.csv", view(self.refused_view), name="contacts_contactimport_refused"),
            *super().get_urls(),
        ]

    # One permission covers everything; an import is never edited or deleted.
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
        return badge(contact_import.get_status_display(), KINDS[Status(contact_import.status)])

    @admin.display(description="Lists")
    def list_names(self, contact_import: ContactImport) -> str:
        return ", ".join(name for _, name in contact_import.lists) or "–"

    @admin.display(description="Rows")
    def figures(self, contact_import: ContactImport) -> str:
        return (
            f"{contact_import.rows_added:,} new, {contact_import.rows_known:,} known,"
            f" {contact_import.rows_refused:,} refused"
        )

    # --- upload -----------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportUploadForm(request.POST or None, request.FILES or None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            draft = uploads.store(form.cleaned_data["file"], form.layout, _actor(request))
            return redirect("admin:contacts_contactimport_columns", draft.pk)
        context = {**self._context(request), "title": "Import contacts", "form": form}
        return TemplateResponse(request, "contacts/import_upload.html", context)

    def columns_view(self, request: HttpRequest, import_id: int) -> HttpResponse:
        """Show a preview of the file and the mapping form; a valid answer starts the import."""
        draft = self._find(request, import_id)
        if draft.status != Status.DRAFT:
            return redirect("admin:contacts_contactimport_change", draft.pk)
        chosen = request.POST if request.method == "POST" else request.GET
        reading = ReadingForm(chosen if "delimiter" in chosen else None, initial=_reading_of(draft), label_suffix="")
        delimiter, encoding = "", ""
        if reading.is_bound and reading.is_valid():
            delimiter, encoding = reading.cleaned_data["delimiter"], reading.cleaned_data["encoding"]
        context = {**self._context(request), "title": draft.file_name, "contact_import": draft, "reading": reading}
        try:
            layout, rows = uploads.preview(draft, encoding, delimiter)
        except CsvRefused as error:
            return TemplateResponse(request, "contacts/import_columns.html", {**context, "refusal": str(error)})
        remembered = uploads.remembered_mapping(layout.headings)
        form = MappingForm(
            request.POST if request.method == "POST" else None,
            layout=layout,
            rows=rows,
            remembered=remembered,
            label_suffix="",
        )
        if request.method == "POST" and form.is_valid():
            self._start(request, draft, form)
            return redirect("admin:contacts_contactimport_change", draft.pk)
        context |= {"form": form, "layout": layout, "remembered": remembered, "row_count": len(rows)}
        return TemplateResponse(request, "contacts/import_columns.html", context)

    def _start(self, request: HttpRequest, draft: ContactImport, form: MappingForm) -> None:
        chosen = form.cleaned_data
        with transaction.atomic():
            lists = list(chosen["lists"])
            if chosen["new_list"]:
                lists.append(ContactList.objects.create(name=chosen["new_list"]))
            started = uploads.start(
                draft,
                form.layout,
                chosen["mapping"],
                lists=lists,
                policy=chosen["policy"],
                consent=chosen["consent"],
                date_order=chosen["date_order"],
                may_define=request.user.has_perm("contacts.add_attribute"),
            )
            # Robust: without a broker the import is still stored, and the sweep enqueues it later.
            transaction.on_commit(lambda: tasks.ring(draft.pk), robust=True)
        if started:
            messages.info(request, "Import started. You can leave this page.")

    def cancel_view(self, request: HttpRequest, import_id: int) -> HttpResponse:
        contact_import = self._find(request, import_id)
        if request.method != "POST":
            return redirect("admin:contacts_contactimport_change", contact_import.pk)
        if import_contacts.cancel(contact_import.pk, timezone.now()):
            messages.info(request, "Import cancelled. People already added were kept.")
        else:
            messages.warning(request, "The import has already ended.")
        return redirect("admin:contacts_contactimport_change", contact_import.pk)

    # --- progress ---------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        contact_import = self._find(request, object_id)
        if contact_import.status == Status.DRAFT:
            return redirect("admin:contacts_contactimport_columns", contact_import.pk)
        refused = list(contact_import.refused_rows.all()[: REFUSED_ROWS_SHOWN + 1])
        context = {
            **self._context(request),
            "title": contact_import.file_name,
            "contact_import": contact_import,
            "progress": progress(contact_import),
            "refused_rows": [_shown(row) for row in refused[:REFUSED_ROWS_SHOWN]],
            "refused_rows_shown": REFUSED_ROWS_SHOWN,
            "has_more_refused_rows": len(refused) > REFUSED_ROWS_SHOWN,
            "refused_rows_kept_days": settings.RETAIN_REFUSED_ROWS_DAYS,
            "people_url": _people_url(contact_import),
            "policy": POLICIES[ContactImport.Policy(contact_import.policy)],
            "written": " · ".join(
                filter(None, [ENCODINGS.get(contact_import.encoding), DELIMITERS.get(contact_import.delimiter)])
            ),
            "columns": [
                (heading or f"Column {number}", describe(target))
                for number, (heading, target) in enumerate(
                    zip(contact_import.headings, contact_import.mapping, strict=False), start=1
                )
            ],
        }
        return TemplateResponse(request, "contacts/import_progress.html", context)

    def progress_view(self, request: HttpRequest, import_id: int) -> JsonResponse:
        return JsonResponse(progress(self._find(request, import_id)), headers={"Cache-Control": "no-store"})

    @method_decorator(asks_first)
    def refused_view(self, request: HttpRequest, import_id: int) -> HttpResponseBase:
        return csv_response(_write_refused(self._find(request, import_id)), "refused-rows.csv")

    def _context(self, request: HttpRequest) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts}

    def _find(self, request: HttpRequest, import_id: str | int) -> ContactImport:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if not str(import_id).isdecimal():
            raise Http404
        contact_import = ContactImport.objects.select_related("created_by").filter(pk=import_id).first()
        if contact_import is None:
            raise Http404
        return contact_import


def progress(contact_import: ContactImport) -> dict[str, Any]:
    """Return the state of the import for the page, and for the script that polls it."""
    share = contact_import.read_bytes / contact_import.size_bytes if contact_import.size_bytes else 0.0
    percent = 100 if contact_import.status == Status.FINISHED else min(99, int(share * 100))
    return {
        "status": contact_import.status,
        "is_over": contact_import.status in (Status.FINISHED, Status.FAILED, Status.CANCELLED),
        "percent": percent,
        "sentence": _sentence(contact_import, percent),
        "rows_read": f"{contact_import.rows_read:,}",
        "rows_added": f"{contact_import.rows_added:,}",
        "rows_known": f"{contact_import.rows_known:,}",
        "rows_refused": f"{contact_import.rows_refused:,}",
        "cells_left_out": f"{contact_import.cells_left_out:,}",
        "subscribed": f"{contact_import.subscribed:,}",
    }


def _sentence(contact_import: ContactImport, percent: int) -> str:
    match contact_import.status:
        case Status.WAITING:
            return "Waiting for a worker. It starts within a few seconds."
        case Status.RUNNING:
            return f"Importing: {percent}% done."
        case Status.FAILED:
            return contact_import.error
        case Status.CANCELLED:
            return "Import cancelled. People already added were kept."
    if not contact_import.rows_read:
        return "The file has no rows below its headings, so nobody was added."
    return (
        f"Import finished: {contact_import.rows_added:,} added, {contact_import.rows_known:,} already there,"
        f" {contact_import.rows_refused:,} not imported."
    )


def _actor(request: HttpRequest) -> "User":
    actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
    return actor


def _reading_of(contact_import: ContactImport) -> dict[str, str]:
    return {"delimiter": contact_import.delimiter, "encoding": contact_import.encoding}


def _people_url(contact_import: ContactImport) -> str:
    url = reverse("admin:contacts_contact_changelist")
    return f"{url}?list={contact_import.lists[0][0]}" if len(contact_import.lists) == 1 else url


def _shown(row: RefusedRow) -> dict[str, Any]:
    return {
        "line_number": row.line_number,
        "reason": row.reason,
        "text": row.content or " · ".join(row.cells),
    }


def _write_refused(contact_import: ContactImport) -> Iterator[str]:
    """Yield each refused row with its line, cells and reasons; the file can be corrected and imported again."""
    headings = [heading or f"Column {number}" for number, heading in enumerate(contact_import.headings, start=1)]
    rows = RefusedRow.objects.filter(contact_import=contact_import).order_by("line_number", "pk")
    return table(
        [*REPORT_HEADINGS, *headings],
        ([str(row.line_number), row.reason, *(row.cells or [row.content])] for row in rows.iterator()),
    )
