"""Admin pages of contacts: the list, the form with attributes and lists, and the contact page around it."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.db.models import OuterRef, Prefetch, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.decorators import action

from adminpages.fresh_sign_in import asks_first
from adminpages.instants import day, stamp
from adminpages.pages import Deletion, ModelAdmin, TabularInline
from contacts.admin.cells import SummarisedDeletion, chip
from contacts.admin.filters import (
    ContactStateFilter,
    DomainFilter,
    LanguageFilter,
    ListFilter,
    filter_of,
    in_state,
    key_of,
    on_a_list,
)
from contacts.admin.pagination import LimitedPaginator, PeopleList
from contacts.admin.retention import RetentionPage
from contacts.admin.rights import RightsPages
from contacts.attributes.rules import value_text
from contacts.consent import changes, tracking
from contacts.consent.suppressed import suppressed, suppression_of
from contacts.forms.contact import PREFIX, SubscriptionForm, contact_form
from contacts.forms.export import ExportForm
from contacts.models import Attribute, Contact, ContactList, Segment, Subscription, Suppression
from contacts.privacy import contact_page, erasure
from contacts.segments import query
from contacts.segments.conditions import load
from contacts.transfer.export_contacts import export_people
from mail.addresses import AddressInvalid, check_address, fold, read_address

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LISTS_SHOWN = 3
SUBSCRIBED, UNSUBSCRIBED = Subscription.Status.SUBSCRIBED, Subscription.Status.UNSUBSCRIBED
PENDING = Subscription.Status.PENDING


class SubscriptionInline(TabularInline):
    """The lists a person is or was on. No deletion here: a withdrawal must stay on record."""

    model = Subscription
    form = SubscriptionForm
    verbose_name_plural = gettext_lazy("lists of this person")
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
class ContactAdmin(RetentionPage, RightsPages, SummarisedDeletion, ModelAdmin):
    list_filter = [ListFilter, ContactStateFilter, LanguageFilter, DomainFilter]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER  # They would count all people once per choice.
    show_full_result_count = False
    paginator = LimitedPaginator
    search_fields = ["email", "first_name", "last_name"]
    search_help_text = gettext_lazy("A whole address, @ and a domain, or a part of an address or name.")
    card = ["address", "state", "name"]
    empty_hint = gettext_lazy("Contacts are the people you write to. Add them one by one, or import a file.")
    list_before_template = "contacts/list_shown.html"
    list_per_page = 50
    actions = ["export_chosen"]
    actions_list = ["import_people", "export_people", "by_address"]
    actions_detail = ["personal_data", "erase_person"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Contact]:
        reason = Suppression.objects.filter(email_key=OuterRef("email_key")).order_by().values("reason")[:1]
        contacts: QuerySet[Contact] = super().get_queryset(request)
        return contacts.annotate(
            suppression_reason=Subquery(reason), is_suppressed=suppressed(timezone.now())
        ).prefetch_related(
            Prefetch("subscriptions", Subscription.objects.select_related("list").order_by("list__name"))
        )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Name the list that the contacts are filtered by."""
        list_id = key_of(request.GET.get(ListFilter.parameter_name, ""))
        shown = ContactList.objects.filter(pk=list_id).first() if list_id is not None else None
        return super().changelist_view(request, {**(extra_context or {}), "shown_list": shown})

    def get_fieldsets(self, request: HttpRequest, obj: Contact | None = None) -> Any:
        person = ["email", ("first_name", "last_name"), ("language", "time_zone")]
        if obj:
            person.append("paused_until")
        if self._is_erased(request, obj):
            person.insert(1, "why_again")
        may_change = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)
        defined = [PREFIX + definition.name for definition in Attribute.objects.all()] if may_change else []
        if may_change:
            defined.append("attributes")
            may_add_lists = request.user.has_perm("contacts.add_contactlist")
            person.append(("add_to_lists", "new_list") if may_add_lists else "add_to_lists")
        else:
            defined.append("held_attributes")
        recorded = [("count_opens", "count_clicks"), "agreed_how"] if may_change else [tuple(tracking.FIELDS.values())]
        counting = _(
            "Nobody is counted by name who hasn't agreed (GDPR, ePrivacy Directive Art. 5(3)). New mail to people"
            " who don't agree isn't counted, and mail they already have is counted without them."
        )
        return [
            (None, {"fields": person}),
            (_("Attributes"), {"fields": defined}),
            (_("Opens and clicks"), {"fields": recorded, "description": counting}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Contact | None = None) -> list[str]:
        return ["held_attributes", *tracking.FIELDS.values()]

    def get_form(self, request: HttpRequest, obj: Contact | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=contact_form(list(Attribute.objects.all())), **kwargs)

    @admin.display(description=gettext_lazy("Attributes"))
    def held_attributes(self, contact: Contact) -> SafeString | str:
        """All attributes, for users who may not change the contact."""
        labels = dict(Attribute.objects.values_list("name", "label"))
        pairs = ((labels.get(name) or name, value_text(value)) for name, value in sorted(contact.attributes.items()))
        return format_html_join("", "<div><b>{}</b>: {}</div>", pairs) or "–"

    def _is_erased(self, request: HttpRequest, obj: Contact | None) -> bool:
        """Whether the newly typed address belongs to a person who had everything erased."""
        email = request.POST.get("email", "")
        is_changed = bool(email) and (obj is None or fold(email) != obj.email_key)
        return is_changed and bool(erasure.is_erased([email]))

    def get_inlines(self, request: HttpRequest, obj: Contact | None) -> list[type[SubscriptionInline]]:
        return [SubscriptionInline] if obj else []

    # --- the list ---------------------------------------------------------------------------

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        columns = [_column(definition) for definition in Attribute.objects.filter(is_column=True)]
        return ["address", "name", "list_names", "state", *columns, "created"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*self.list_filter, *map(filter_of, Attribute.objects.all())]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PeopleList]:
        return PeopleList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        """Find a whole address or domain by its index; parts of them need a full scan."""
        term = search_term.strip()
        try:
            if term.startswith("@"):
                return queryset.filter(domain=fold(f"x{check_address(f'x{term}')}").rpartition("@")[2]), False
            found = queryset.filter(email_key=fold(read_address(term)))
            if found.exists():
                return found, False
        except AddressInvalid:
            pass
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description=gettext_lazy("Email"), ordering="email_key")
    def address(self, contact: Contact) -> str:
        return contact.email

    @admin.display(description=gettext_lazy("Name"))  # Not sortable: that would sort a million names per page.
    def name(self, contact: Contact) -> str:
        return contact.full_name or "–"

    @admin.display(description=gettext_lazy("Created at"), ordering="pk")  # Nearly the same order, and it has an index.
    def created(self, contact: Contact) -> str:
        return stamp(contact.created_at)

    @admin.display(description=gettext_lazy("Lists"))
    def list_names(self, contact: Contact) -> SafeString | str:
        subscriptions = list(contact.subscriptions.all())
        shown = format_html_join(", ", "{}", ((_list_name(each),) for each in subscriptions[:LISTS_SHOWN]))
        more = len(subscriptions) - LISTS_SHOWN
        return format_html(_("{} and {} more"), shown, more) if more > 0 else shown or "–"

    @admin.display(description=gettext_lazy("Status"))
    def state(self, contact: Contact) -> SafeString:
        if getattr(contact, "is_suppressed", False):
            reason: str | None = getattr(contact, "suppression_reason", None)
            why = Suppression.Reason(reason).label if reason else _("The whole domain is suppressed")
            return chip("suppressed", _("Suppressed"), str(why))
        if contact.paused_until and contact.paused_until > timezone.now():
            until = _("Asked for a break until %(day)s.") % {"day": day(contact.paused_until)}
            return chip("paused", _("Paused"), until)
        statuses = [subscription.status for subscription in contact.subscriptions.all()]
        if not statuses:
            return chip("none", _("No list"))
        if SUBSCRIBED not in statuses and PENDING in statuses:
            return chip(PENDING, PENDING.label, _("Hasn't clicked the confirmation link yet."))
        if SUBSCRIBED not in statuses:
            return chip(UNSUBSCRIBED, UNSUBSCRIBED.label, _("Unsubscribed from every list."))
        if UNSUBSCRIBED in statuses:
            return chip(SUBSCRIBED, SUBSCRIBED.label, _("Unsubscribed from some lists."))
        return chip(SUBSCRIBED, SUBSCRIBED.label)

    # --- the form ---------------------------------------------------------------------------

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Add the standing and the sections of the contact page."""
        contact: Contact | None = context.get("original")
        if contact is not None:
            now = timezone.now()
            context["standing"] = contact_page.standing(contact, now)
            context["sections"] = contact_page.sections(contact, request, now)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Contact, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and "email" in form.changed_data:
            self._warn_of_suppression(request, obj)
        why = form.cleaned_data.get("why_again", "").strip()
        if why and erasure.admit(obj.email):
            assert request.user.pk is not None
            words = f"Added again after everything about them had been erased: {why}"
            LogEntry.objects.log_actions(request.user.pk, [obj], ADDITION, words, single_object=True)

    def _warn_of_suppression(self, request: HttpRequest, contact: Contact) -> None:
        """Warn that the new address is suppressed too; the suppression may be newer than the open page."""
        wish = suppression_of(contact.email_key, timezone.now())
        if wish is not None and wish.reason in changes.OWN_WILL:
            messages.warning(
                request,
                _("%(email)s is suppressed too. Reason: %(reason)s. %(source)s")
                % {"email": contact.email, "reason": wish.get_reason_display(), "source": wish.source},
            )

    def save_related(self, request: HttpRequest, form: Any, formsets: Iterable[Any], change: bool) -> None:
        super().save_related(request, form, formsets, change)
        lists = list(form.cleaned_data.get("add_to_lists", []))
        # The form has the field whether or not the page shows it.
        new_list = form.cleaned_data.get("new_list")
        if new_list and request.user.has_perm("contacts.add_contactlist"):
            lists.append(ContactList.objects.create(name=new_list))
        for contact_list in lists:
            changes.subscribe(form.instance, contact_list, method="admin", source=_by(request), now=timezone.now())
        tracking.decide(
            form.instance.pk,
            form.tracking_wishes(),
            method="admin",
            source=_by(request),
            now=timezone.now(),
            wordings=dict.fromkeys(tracking.FIELDS, form.cleaned_data.get("agreed_how", "").strip()),
        )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        for subscription in formset.save(commit=False):
            if subscription.status == SUBSCRIBED:
                changes.subscribe(
                    form.instance, subscription.list, method="admin", source=_by(request), now=timezone.now()
                )
            else:
                changes.unsubscribe(
                    form.instance.pk,
                    [subscription.list_id],
                    method="admin",
                    source=_by(request),
                    now=timezone.now(),
                )

    def deletion(self, obj: Contact) -> Deletion:
        lists = obj.subscriptions.count()
        return Deletion(
            [
                _("The contact with names and attributes"),
                ngettext("Subscriptions to %(count)s list", "Subscriptions to %(count)s lists", lists)
                % {"count": f"{lists:,}"},
                _("The consent history"),
            ],
            [
                _("Sent messages and feedback, with the address. Use Erase to remove it everywhere."),
                _("Suppressions of the address"),
            ],
        )

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Any]) -> dict[str, int]:
        return {_("subscriptions"): Subscription.objects.filter(contact__in=objs).count()}

    # --- import and export ------------------------------------------------------------------

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("contacts.import_contact")

    def has_export_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("contacts.export_contact")

    @action(description=gettext_lazy("Import"), icon="upload", url_path="import", permissions=["import"])  # type: ignore[untyped-decorator]
    def import_people(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:contacts_contactimport_add")

    @admin.action(description=gettext_lazy("Export the selected contacts as CSV"), permissions=["export"])
    @method_decorator(asks_first)
    def export_chosen(self, request: HttpRequest, queryset: QuerySet[Contact]) -> HttpResponseBase:
        chosen = Contact.objects.filter(pk__in=queryset.values("pk"))
        return _download(request, chosen, "a selection made by hand")

    @action(description=gettext_lazy("Export"), icon="download", url_path="export", permissions=["export"])  # type: ignore[untyped-decorator]
    @method_decorator(asks_first)
    def export_people(self, request: HttpRequest) -> HttpResponseBase:
        """Ask which contacts to export (GET), or download them (POST)."""
        form = ExportForm(request.POST if request.method == "POST" else None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            contacts, whom = _chosen(form)
            if not contacts.exists():
                messages.warning(request, _("Nobody matches this choice. Choose another list, or everyone."))
                return redirect("admin:contacts_contact_export_people")
            return _download(request, contacts, whom)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Export contacts"),
            "form": form,
            "total": Contact.objects.count(),
        }
        return TemplateResponse(request, "contacts/export.html", context)


def _column(definition: Attribute) -> Any:
    """Return the list column of a defined attribute."""

    @admin.display(description=str(definition), empty_value="–")
    def show(contact: Contact) -> str:
        return Truncator(value_text(contact.attributes.get(definition.name))).chars(60) or "–"

    show.__name__ = f"attribute_{definition.name}"
    return show


def _by(request: HttpRequest) -> str:
    return f"admin: {request.user.get_username()}"


def _list_name(subscription: Subscription) -> SafeString:
    if subscription.status == UNSUBSCRIBED:
        return format_html(
            '<del class="withdrawn" title="{}">{}</del>', _("Unsubscribed from this list"), subscription.list.name
        )
    if subscription.status == PENDING:
        return format_html('<span class="awaited">{} ({})</span>', subscription.list.name, PENDING.label)
    return format_html("{}", subscription.list.name)


def _chosen(form: ExportForm) -> tuple[QuerySet[Contact], str]:
    """Return the contacts of an export, and the name of the selection for the log."""
    contact_list: ContactList | None = form.cleaned_data["list"]
    segment: Segment | None = form.cleaned_data["segment"]
    contacts, whom = Contact.objects.all(), []
    if contact_list:
        contacts = contacts.filter(on_a_list(contact_list.pk))
        whom.append(f"the list “{contact_list}”")
    if segment:
        contacts = contacts.filter(pk__in=query.people(load(segment.conditions), timezone.now()).values("pk"))
        whom.append(f"the segment “{segment}”")
    if form.cleaned_data["only_mailable"]:
        contacts = in_state(contacts, "mailable", contact_list.pk if contact_list else None)
    left_out = ", without who unsubscribed or is suppressed" if form.cleaned_data["only_mailable"] else ""
    return contacts, (" and ".join(whom) or "everyone") + left_out


def _download(request: HttpRequest, contacts: QuerySet[Contact], whom: str) -> StreamingHttpResponse:
    actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
    return export_people(contacts, actor, whom, timezone.localtime())
