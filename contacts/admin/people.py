"""The pages of contacts: the list with its marks, the form with attributes and lists, the export."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action

from contacts import consent
from contacts.admin.drawing import SummarisedDeletion, badge
from contacts.exporting import record_export, write_csv
from contacts.forms import ContactForm, ExportForm
from contacts.models import Contact, ContactList, Subscription, Suppression

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LISTS_SHOWN = 3
SUBSCRIBED, UNSUBSCRIBED = Subscription.Status.SUBSCRIBED, Subscription.Status.UNSUBSCRIBED


def suppressed() -> Exists:
    return Exists(Suppression.objects.filter(email_key=OuterRef("email_key")))


def on_a_list(list_id: int | None = None, **conditions: Any) -> Exists:
    """Hold for contacts with a subscription that meets the conditions, to that list or to any."""
    subscriptions = Subscription.objects.filter(contact=OuterRef("pk"), **conditions)
    if list_id:
        subscriptions = subscriptions.filter(list=list_id)
    return Exists(subscriptions)


def in_state(contacts: QuerySet[Contact], state: str | None, list_id: int | None = None) -> QuerySet[Contact]:
    """Return those contacts a filter's choice means; unsubscribing from a list counts when that list is chosen."""
    match state:
        case "mailable":
            return contacts.filter(on_a_list(list_id, status=SUBSCRIBED)).exclude(suppressed())
        case "subscribed":
            return contacts.filter(on_a_list(list_id, status=SUBSCRIBED))
        case "unsubscribed":
            return contacts.filter(on_a_list(list_id, status=UNSUBSCRIBED))
        case "suppressed":
            return contacts.filter(suppressed())
        case "none":
            return contacts.exclude(on_a_list())
        case _:
            return contacts


class ListFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    title = "list"
    parameter_name = "list"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in ContactList.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = self.value()
        if not value:
            return queryset
        list_id = _key(value)
        return queryset.none() if list_id is None else queryset.filter(on_a_list(list_id))


class StateFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    """Who may be written to. With a list chosen, it speaks of that list."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("mailable", "may be written to"),
            ("subscribed", "subscribed, suppressed or not"),
            ("unsubscribed", "unsubscribed"),
            ("suppressed", "suppressed"),
            ("none", "on no list"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        return in_state(queryset, self.value(), _key(request.GET.get(ListFilter.parameter_name, "")))


def _key(text: str) -> int | None:
    """Return a primary key out of an address; None for what cannot be one."""
    return int(text) if text.isdecimal() and len(text) < 19 else None  # More digits fit into no column.


class SubscriptionInline(TabularInline):  # type: ignore[misc]  # unfold ships no types.
    """The lists a person is or was on. Nothing is deleted here: a withdrawal must stay on record."""

    model = Subscription
    verbose_name_plural = "lists of this person"
    fields = ["list", "status", "source", "changed_at"]
    readonly_fields = ["list", "source", "changed_at"]
    ordering = ["list__name"]
    extra = 0
    can_delete = False
    hide_title = True

    def has_add_permission(self, request: HttpRequest, obj: Contact | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        subscriptions: QuerySet[Subscription] = super().get_queryset(request).select_related("list", "contact")
        return subscriptions


@admin.register(Contact)
class ContactAdmin(SummarisedDeletion, ModelAdmin):  # type: ignore[misc]  # unfold ships no types.
    form = ContactForm
    list_display = ["address", "name", "list_names", "state", "created_at"]
    list_filter = [ListFilter, StateFilter]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER  # They would count all people once for each choice.
    search_fields = ["email", "first_name", "last_name"]
    search_help_text = "Search by address or name."
    list_per_page = 50
    actions = ["export_chosen"]
    actions_list = ["import_people", "export_people"]
    readonly_fields = ["mail_state"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        reason = Suppression.objects.filter(email_key=OuterRef("email_key")).values("reason")[:1]
        contacts: QuerySet[Contact] = super().get_queryset(request)
        return contacts.annotate(suppression_reason=Subquery(reason)).prefetch_related(
            Prefetch("subscriptions", Subscription.objects.select_related("list").order_by("list__name"))
        )

    def get_fieldsets(self, request: HttpRequest, obj: Contact | None = None) -> Any:
        person = ["email", ("first_name", "last_name"), "language", "attributes", "add_to_lists"]
        if not self.has_change_permission(request, obj):
            person.remove("add_to_lists")
        return [(None, {"fields": ["mail_state", *person] if obj else person})]

    def get_inlines(self, request: HttpRequest, obj: Contact | None) -> list[type[SubscriptionInline]]:
        return [SubscriptionInline] if obj else []

    # --- the list ---------------------------------------------------------------------------

    @admin.display(description="E-mail", ordering="email_key")
    def address(self, contact: Contact) -> str:
        return contact.email

    @admin.display(description="Name", ordering="last_name")
    def name(self, contact: Contact) -> str:
        return contact.full_name or "–"

    @admin.display(description="Lists")
    def list_names(self, contact: Contact) -> SafeString | str:
        subscriptions = list(contact.subscriptions.all())
        shown = format_html_join(", ", "{}", ((_list_name(each),) for each in subscriptions[:LISTS_SHOWN]))
        more = len(subscriptions) - LISTS_SHOWN
        return format_html("{} and {} more", shown, more) if more > 0 else shown or "–"

    @admin.display(description="State")
    def state(self, contact: Contact) -> SafeString:
        reason: str | None = getattr(contact, "suppression_reason", None)
        if reason:
            return badge("suppressed", "danger", f"Never written to: {Suppression.Reason(reason).label}.")
        statuses = [subscription.status for subscription in contact.subscriptions.all()]
        if not statuses:
            return badge("on no list")
        if SUBSCRIBED not in statuses:
            return badge("unsubscribed", "warning", "Unsubscribed from every list.")
        if UNSUBSCRIBED in statuses:
            return badge("unsubscribed in part", "warning", "Unsubscribed from some of the lists.")
        return badge("subscribed", "success")

    # --- the form ---------------------------------------------------------------------------

    @admin.display(description="Mail to this person")
    def mail_state(self, contact: Contact) -> SafeString | str:
        suppression = Suppression.objects.filter(email_key=contact.email_key).first()
        if suppression is None:
            statuses = {subscription.status for subscription in contact.subscriptions.all()}
            if SUBSCRIBED in statuses:
                return "May be written to, on the lists marked subscribed below."
            return "Is not written to: subscribed to no list."
        since = date_format(timezone.localtime(suppression.created_at), "DATE_FORMAT")
        return format_html(
            "{} Nothing is sent to this address since {}: {}.{}"
            ' <a class="text-link" href="{}">See the suppression.</a>',
            badge("suppressed", "danger"),
            since,
            suppression.get_reason_display(),
            f" {suppression.source}." if suppression.source else "",
            reverse("admin:contacts_suppression_change", args=[suppression.pk]),
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        super().save_related(request, form, formsets, change)
        for contact_list in form.cleaned_data.get("add_to_lists", []):
            consent.subscribe(form.instance, contact_list, method="admin", source=_by(request), now=timezone.now())

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for subscription in formset.save(commit=False):
            if subscription.status == SUBSCRIBED:
                consent.subscribe(
                    form.instance, subscription.list, method="admin", source=_by(request), now=timezone.now()
                )
            else:
                consent.unsubscribe(
                    form.instance.pk,
                    [subscription.list_id],
                    method="admin",
                    source=_by(request),
                    now=timezone.now(),
                )

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Any]) -> dict[str, int]:
        return {"subscriptions": Subscription.objects.filter(contact__in=objs).count()}

    # --- import and export ------------------------------------------------------------------

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("contacts.import_contact")

    def has_export_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("contacts.export_contact")

    @action(description="Import", icon="upload", url_path="import", permissions=["import"])  # type: ignore[untyped-decorator]
    def import_people(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:contacts_contactimport_add")

    @admin.action(description="Export the selected contacts as CSV", permissions=["export"])
    def export_chosen(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponseBase:
        chosen = Contact.objects.filter(pk__in=queryset.values("pk"))
        return _download(request, chosen, "a selection made by hand")

    @action(description="Export", icon="download", url_path="export", permissions=["export"])  # type: ignore[untyped-decorator]
    def export_people(self, request: HttpRequest) -> HttpResponseBase:
        """Ask whom to export, and hand the file out at the press of the button."""
        form = ExportForm(request.POST if request.method == "POST" else None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            contact_list: ContactList | None = form.cleaned_data["list"]
            contacts = Contact.objects.all()
            if contact_list:
                contacts = contacts.filter(on_a_list(contact_list.pk))
            if form.cleaned_data["only_mailable"]:
                contacts = in_state(contacts, "mailable", contact_list.pk if contact_list else None)
            if not contacts.exists():
                messages.warning(request, "Nobody matches this choice. Choose another list, or everyone.")
                return redirect("admin:contacts_contact_export_people")
            whom = f"the list “{contact_list}”" if contact_list else "everyone"
            whom += ", without who unsubscribed or is suppressed" if form.cleaned_data["only_mailable"] else ""
            return _download(request, contacts, whom)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Export contacts",
            "form": form,
            "total": Contact.objects.count(),
        }
        return TemplateResponse(request, "contacts/export.html", context)


def _by(request: HttpRequest) -> str:
    return f"admin: {request.user.get_username()}"


def _list_name(subscription: Subscription) -> SafeString:
    if subscription.status == UNSUBSCRIBED:
        return format_html(
            '<del class="withdrawn" title="Unsubscribed from this list">{}</del>', subscription.list.name
        )
    return format_html("{}", subscription.list.name)


def _download(request: HttpRequest, contacts: QuerySet[Contact], whom: str) -> StreamingHttpResponse:
    actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
    record_export(actor, contacts.count(), whom)
    name = f"contacts-{timezone.localtime():%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        write_csv(contacts),
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
