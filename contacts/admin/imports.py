"""Admin pages of imports: upload, column mapping, progress, refused rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from adminpages import deadlines
from adminpages.access import is_ours
from adminpages.fresh_sign_in import asks_first
from adminpages.pages import ModelAdmin
from contacts import tasks
from contacts.admin.cells import chip
from contacts.attributes.retype import holders
from contacts.forms.imports import CLOSED, DELIMITER_NAMES, ENCODING_NAMES, ImportUploadForm, MappingForm, ReadingForm
from contacts.models import Attribute, ContactImport, ContactList, RefusedRow
from contacts.transfer import import_contacts, uploads
from contacts.transfer.columns import ATTRIBUTE, REPORT_HEADINGS, describe
from contacts.transfer.csv_file import CsvLayout, CsvRefused
from contacts.transfer.export_contacts import csv_response, table
from contacts.transfer.reasons import OTHER, Reason, Reasons
from contacts.transfer.trial import Trial, try_out
from words import time_zones
from words.numbers import percentage
from words.texts import told, translated

if TYPE_CHECKING:
    from django.contrib.auth.models import User

REFUSED_ROWS_SHOWN = 100
REASONS_SHOWN = 50
TRIAL_SECONDS = 30.0  # Of the database, for a trial run: it looks up everybody in the file.
Status = ContactImport.Status
POLICIES = {
    ContactImport.Policy.SKIP: gettext_lazy("Left unchanged."),
    ContactImport.Policy.FILL: gettext_lazy("Empty fields were filled in."),
    ContactImport.Policy.OVERWRITE: gettext_lazy("Overwritten with values from the file."),
}
# The keys of contacts.transfer.reasons.
REASONS = {
    "address": gettext_lazy("Unusable email address"),
    "no_address": gettext_lazy("No email address"),
    "width": gettext_lazy("More cells than the first row"),
    "row": gettext_lazy("Quotation marks that don't match, or a cell of more than 10,000 characters"),
    "erased": gettext_lazy("Erased and asked to be kept out"),
    "unreadable": gettext_lazy("%(column)s: characters that the file's encoding doesn't have"),
    "control": gettext_lazy("%(column)s: characters that can't be stored"),
    "line_break": gettext_lazy("%(column)s: a line break"),
    "long": gettext_lazy("%(column)s: more than 150 characters"),
    "formula": gettext_lazy("%(column)s: begins with =, + or @ like a spreadsheet formula"),
    "time_zone": gettext_lazy("Unknown time zone “%(value)s”"),
    "language": gettext_lazy("Unknown language “%(value)s”"),
    "number": gettext_lazy("%(column)s: not a number"),
    "date": gettext_lazy("%(column)s: not a date"),
    "date_order": gettext_lazy("%(column)s: day or month first? Choose it under “Dates such as 03/04/2026”"),
    "boolean": gettext_lazy("%(column)s: “%(value)s” is neither yes nor no"),
    "consent": gettext_lazy("%(column)s: “%(value)s” is none of yes, none and unset"),
    "choice": gettext_lazy("%(column)s: “%(value)s” isn't one of the choices"),
    "too_much": gettext_lazy("Too many characters in the attributes of one person"),
    OTHER: gettext_lazy("Other reasons"),
}


@admin.register(ContactImport)
class ContactImportAdmin(ModelAdmin):
    list_display = ["file_name", "state", "list_names", "figures", "created_by", "created_at"]
    card = ["file_name", "state", "figures"]
    list_select_related = ["created_by"]
    empty_hint = gettext_lazy("Import people from a CSV file. You choose what each column means and try it first.")
    list_per_page = 50
    actions = None

    class Media:
        css = {"all": ["contacts/contacts.css"]}

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

    @admin.display(description=gettext_lazy("Status"), ordering="status")
    def state(self, contact_import: ContactImport) -> SafeString:
        return chip(contact_import.status, contact_import.get_status_display())

    @admin.display(description=gettext_lazy("Lists"))
    def list_names(self, contact_import: ContactImport) -> str:
        return ", ".join(name for _, name in contact_import.lists) or "–"

    @admin.display(description=gettext_lazy("Rows"))
    def figures(self, contact_import: ContactImport) -> str:
        return _("%(new)s new, %(known)s already there, %(refused)s not imported") % {
            "new": f"{contact_import.rows_added:,}",
            "known": f"{contact_import.rows_known:,}",
            "refused": f"{contact_import.rows_refused:,}",
        }

    # --- upload -----------------------------------------------------------------------------

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = ImportUploadForm(request.POST or None, request.FILES or None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            draft = uploads.store(form.cleaned_data["file"], form.layout, _actor(request))
            if chosen := request.GET.get("list"):
                uploads.keep_choices(draft, form.layout.headings, {"lists": [chosen]})
            return redirect(_onward(request, "columns", draft))
        context = {**self._context(request), "title": _("Import contacts"), "form": form}
        return TemplateResponse(request, "contacts/import_upload.html", context)

    def columns_view(self, request: HttpRequest, import_id: int) -> HttpResponse:
        """Show a preview of the file and the mapping form; a valid answer starts the import, or a trial run."""
        draft = self._find(request, import_id)
        if draft.status != Status.DRAFT:
            return redirect(_onward(request, "change", draft))
        chosen = request.POST if request.method == "POST" else request.GET
        reading = ReadingForm(chosen if "delimiter" in chosen else None, initial=_reading_of(draft), label_suffix="")
        delimiter, encoding = "", ""
        if reading.is_bound and reading.is_valid():
            delimiter, encoding = reading.cleaned_data["delimiter"], reading.cleaned_data["encoding"]
        context = {**self._context(request), "title": draft.file_name, "contact_import": draft, "reading": reading}
        try:
            layout, rows = uploads.preview(draft, encoding, delimiter)
            remembered = uploads.remembered(layout.headings)
            kept = _kept(draft, layout)
            is_trial = request.method == "GET" and "trial" in request.GET and bool(kept)
            form = MappingForm(
                request.POST if request.method == "POST" else kept if is_trial else None,
                layout=layout,
                rows=rows,
                remembered=remembered,
                kept=dict(kept.lists()),
                label_suffix="",
            )
            if request.method == "POST":
                if (answer := self._answer(request, draft, form)) is not None:
                    return answer
            elif is_trial and form.is_valid():
                context |= _trial_context(form, _try_out(draft, form))
            context.setdefault("questions", form.answers())
        except CsvRefused as error:
            return TemplateResponse(request, "contacts/import_columns.html", {**context, "refusal": translated(error)})
        context |= {
            "form": form,
            "layout": layout,
            "remembered": remembered,
            "row_count": len(rows),
            "time_zones": time_zones.inhabited(),
            "languages": settings.LANGUAGES,
            "input_classes": UnfoldAdminTextInputWidget().attrs["class"],
            "select_classes": UnfoldAdminSelectWidget().attrs["class"],
        }
        return TemplateResponse(request, "contacts/import_columns.html", context)

    def _answer(self, request: HttpRequest, draft: ContactImport, form: MappingForm) -> HttpResponse | None:
        """Start the import, or show what it would do; None if something has to be corrected first.

        What was chosen is kept in any case, so that neither a reload nor another visit begins from the start.
        """
        uploads.keep_choices(draft, form.layout.headings, form.to_keep())
        if "keep" in request.POST:
            return HttpResponse(status=204)
        if not form.is_valid():
            return None
        is_trial = "trial" in request.POST
        has_wrong_answers = form.has_wrong_answers()
        may_have_questions = not is_trial and not form.was_asked and set(CLOSED) & set(form.cleaned_data["mapping"])
        if may_have_questions and form.questions(_try_out(draft, form).reasons.most_common()):
            is_trial = True
            messages.warning(
                request, _("Nothing is imported yet. Choose below what the unknown values mean, or skip them.")
            )
        if has_wrong_answers:
            messages.error(request, _("Nothing is imported yet. Correct the marked meaning below."))
        if is_trial or has_wrong_answers:
            reading = {"delimiter": form.layout.delimiter, "encoding": form.layout.encoding}
            place = "#questions" if has_wrong_answers else "#trial"
            return redirect(_onward(request, "columns", draft, trial="1", **reading) + place)
        self._start(request, draft, form)
        return redirect(_onward(request, "change", draft))

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
                kinds=chosen["kinds"],
                meanings=chosen["meanings"],
                subscribes_by=chosen.get("subscribes_by"),
            )
            # Robust: without a broker the import is still stored, and the sweep enqueues it later.
            transaction.on_commit(lambda: tasks.ring(draft.pk), robust=True)
        if started:
            _retype_held(chosen["kinds"])
            messages.info(request, _("Import started. You can leave this page."))

    def cancel_view(self, request: HttpRequest, import_id: int) -> HttpResponse:
        contact_import = self._find(request, import_id)
        was_draft = contact_import.status == Status.DRAFT
        if request.method != "POST":
            return redirect("admin:contacts_contactimport_change", contact_import.pk)
        if not import_contacts.cancel(contact_import.pk, timezone.now()):
            messages.warning(request, _("The import has already ended."))
        elif was_draft:
            messages.info(request, _("File discarded. Nobody was added."))
            return redirect(_way_back(request) or reverse("admin:contacts_contactimport_changelist"))
        else:
            contact_import.refresh_from_db()
            messages.info(request, _cancelled(contact_import))
        return redirect(_onward(request, "change", contact_import))

    # --- progress ---------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        contact_import = self._find(request, object_id)
        if contact_import.status == Status.DRAFT:
            return redirect(_onward(request, "columns", contact_import))
        labels = dict(Attribute.objects.values_list("name", "label"))
        refused = list(contact_import.refused_rows.all()[: REFUSED_ROWS_SHOWN + 1])
        context = {
            **self._context(request),
            "title": contact_import.file_name,
            "contact_import": contact_import,
            "progress": progress(contact_import),
            "reasons": _reasons(
                Reasons(contact_import.reasons).most_common(), contact_import.mapping, contact_import.headings
            ),
            "refused_rows": [_shown(row) for row in refused[:REFUSED_ROWS_SHOWN]],
            "refused_rows_shown": REFUSED_ROWS_SHOWN,
            "has_more_refused_rows": len(refused) > REFUSED_ROWS_SHOWN,
            "refused_rows_kept_days": settings.RETAIN_REFUSED_ROWS_DAYS,
            "people_url": _people_url(contact_import),
            "meanings": [pair for target in CLOSED for pair in sorted(contact_import.meanings.get(target, {}).items())],
            "subscribes_by": None
            if contact_import.subscribes_by is None
            else contact_import.headings[contact_import.subscribes_by],
            "policy": POLICIES[ContactImport.Policy(contact_import.policy)],
            "written": " · ".join(
                str(name)
                for name in (
                    ENCODING_NAMES.get(contact_import.encoding),
                    DELIMITER_NAMES.get(contact_import.delimiter),
                )
                if name
            ),
            "columns": [
                (
                    heading or _("Column %(number)s") % {"number": number},
                    (labels.get(target.removeprefix(ATTRIBUTE)) or describe(target)) if target else _("not imported"),
                )
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
        return {**self.admin_site.each_context(request), "opts": self.opts, "way_back": _way_back(request)}

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
    read = min(99, percentage(contact_import.read_bytes, contact_import.size_bytes))
    percent = 100 if contact_import.status == Status.FINISHED else read
    return {
        "status": contact_import.status,
        "is_over": contact_import.status in (Status.FINISHED, Status.FAILED, Status.CANCELLED),
        "percent": percent,
        "sentence": _sentence(contact_import, percent),
        "rows_read": f"{contact_import.rows_read:,}",
        "rows_added": f"{contact_import.rows_added:,}",
        "rows_known": f"{contact_import.rows_known:,}",
        "rows_updated": f"{contact_import.rows_updated:,}",
        "rows_refused": f"{contact_import.rows_refused:,}",
        "cells_left_out": f"{contact_import.cells_left_out:,}",
        "subscribed": f"{contact_import.subscribed:,}",
        "not_subscribed": f"{contact_import.not_subscribed:,}",
    }


def _sentence(contact_import: ContactImport, percent: int) -> str:
    match contact_import.status:
        case Status.WAITING:
            return _("Waiting for a worker. It starts within a few seconds.")
        case Status.RUNNING:
            return _("Importing: %(percent)s%% done.") % {"percent": percent}
        case Status.FAILED:
            return contact_import.error
        case Status.CANCELLED:
            return _cancelled(contact_import)
    if not contact_import.rows_read:
        return _("The file has no rows below its headings, so nobody was added.")
    said = _(
        "Import finished: %(added)s added, %(known)s already there (%(updated)s updated), %(refused)s not imported."
    )
    return said % {
        "added": f"{contact_import.rows_added:,}",
        "known": f"{contact_import.rows_known:,}",
        "updated": f"{contact_import.rows_updated:,}",
        "refused": f"{contact_import.rows_refused:,}",
    }


def _cancelled(contact_import: ContactImport) -> str:
    count = contact_import.rows_added
    if not count:
        return _("Import cancelled. Nobody was added.")
    return ngettext(
        "Import cancelled. %(count)s person already added was kept.",
        "Import cancelled. %(count)s people already added were kept.",
        count,
    ) % {"count": f"{count:,}"}


def _kept(draft: ContactImport, layout: CsvLayout) -> QueryDict:
    """Return what the page had typed in on an earlier visit; its columns only if the file is still read the same."""
    kept = QueryDict(mutable=True)
    is_same = draft.choices.get("headings") == list(layout.headings)
    for name, values in draft.choices.get("fields", {}).items():
        if is_same or not name.startswith(("column_", "kind_", "unknown", "meaning", "subscribes_by")):
            kept.setlist(name, values)
    return kept


def _try_out(draft: ContactImport, form: MappingForm) -> Trial:
    """Return what the import would do with the choices of a valid form."""
    chosen = form.cleaned_data
    for name in ("mapping", "policy", "date_order", "meanings", "subscribes_by"):
        setattr(draft, name, chosen.get(name))  # In memory alone.
    deadlines.extend(TRIAL_SECONDS)
    return try_out(draft, form.layout, chosen["kinds"])


def _trial_context(form: MappingForm, trial: Trial) -> dict[str, Any]:
    reasons = trial.reasons.most_common()
    return {
        "trial": trial,
        "counts_not_subscribed": form.cleaned_data.get("subscribes_by") is not None
        and bool(form.cleaned_data["lists"] or form.cleaned_data["new_list"]),
        "reasons": _reasons(reasons, form.cleaned_data["mapping"], form.layout.headings),
        "questions": form.questions(reasons),
    }


def _reasons(reasons: list[Reason], mapping: list[str], headings: Sequence[str]) -> list[dict[str, Any]]:
    """Return the reasons for the page, those that explain most first; what does not fit counts as other reasons."""
    columns = dict(zip(mapping, headings, strict=False))
    shown, rest = reasons[:REASONS_SHOWN], reasons[REASONS_SHOWN:]
    if rest:
        refused, left_out = (sum(getattr(each, name) for each in rest) for name in ("refused", "left_out"))
        shown.append(Reason(OTHER, "", "", refused, left_out))
    return [
        {
            "count": reason.total,
            "text": REASONS.get(reason.key, REASONS[OTHER])
            % {"column": columns.get(reason.target) or describe(reason.target), "value": reason.value},
            "is_refused": bool(reason.refused),
            "is_skipped": bool(reason.left_out),
        }
        for reason in shown
    ]


def _retype_held(kinds: Mapping[str, str]) -> None:
    """Have values that people held under a name before it was defined read as its kind."""
    defined = Attribute.objects.filter(name__in=kinds).exclude(kind=Attribute.Kind.TEXT)
    for definition in defined:
        if holders(definition.name):
            tasks.retype.delay(definition.pk)


def _way_back(request: HttpRequest) -> str:
    """Return the campaign's page that led here, from ``next`` in the address; empty if none did."""
    page = request.GET.get("next")
    return page if page and is_ours(request, page) else ""


def _onward(request: HttpRequest, name: str, contact_import: ContactImport, **query: str) -> str:
    """Return the address of another page of the import, which keeps the way back."""
    if page := _way_back(request):
        query["next"] = page
    return f"{reverse(f'admin:contacts_contactimport_{name}', args=[contact_import.pk])}?{urlencode(query)}".rstrip("?")


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
        "reason": told(row.reason, row.words),
        "text": row.content or " · ".join(row.cells),
    }


def _write_refused(contact_import: ContactImport) -> Iterator[str]:
    """Yield each refused row with its line, cells and reasons; the file can be corrected and imported again."""
    headings = [
        heading or _("Column %(number)s") % {"number": number}
        for number, heading in enumerate(contact_import.headings, start=1)
    ]
    rows = RefusedRow.objects.filter(contact_import=contact_import).order_by("line_number", "pk")
    return table(
        [*REPORT_HEADINGS, *headings],
        ([str(row.line_number), row.reason, *(row.cells or [row.content])] for row in rows.iterator()),
    )
