"""Admin pages of lists: opt-in, number of people, and the export of their consents."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action

from adminpages.fresh_sign_in import asks_first
from adminpages.pages import Deletion, ModelAdmin
from contacts.admin.cells import SummarisedDeletion, chip, download, figure
from contacts.consent import changes
from contacts.models import ContactList, Subscription
from contacts.segments.query import users_of
from contacts.transfer import export_consents as transfer_export_consents
from contacts.transfer import import_contacts
from installation.site import site

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def _count(status: Subscription.Status) -> Coalesce:
    """Return a subquery with the number of people per list, from the index on list and status."""
    of_list = Subscription.objects.filter(list=OuterRef("pk"), status=status).order_by().values("list")
    return Coalesce(Subquery(of_list.annotate(people=Count("pk")).values("people")), 0, output_field=IntegerField())


COUNTS = ["subscribed", "not_confirmed", "unsubscribed"]


@admin.register(ContactList)
class ContactListAdmin(SummarisedDeletion, ModelAdmin):
    list_display = ["name", "purpose", "entry", "visibility", *COUNTS, "created_at"]
    card = ["name", "visibility", COUNTS[0]]
    list_filter = [("opt_in", ChoicesDropdownFilter), "is_public"]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["name", "description"]
    empty_hint = gettext_lazy("A list holds the people who agreed to a kind of mail. Campaigns are sent to lists.")
    list_per_page = 50
    actions_detail = ["export_consents"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactList]:
        lists: QuerySet[ContactList] = super().get_queryset(request)
        return lists.annotate(
            subscribed_count=_count(Subscription.Status.SUBSCRIBED),
            not_confirmed_count=_count(Subscription.Status.PENDING),
            unsubscribed_count=_count(Subscription.Status.UNSUBSCRIBED),
        )

    def get_fieldsets(self, request: HttpRequest, obj: ContactList | None = None) -> Any:
        consent_help = _(
            "Double opt-in is safer: people confirm with a link in an email. With single opt-in, anyone can sign up"
            " someone else. Imports and users add people directly either way."
        )
        return [
            (None, {"fields": ["name", "title", "description", *(COUNTS if obj else [])]}),
            (
                _("Signing up"),
                {
                    "fields": ["is_public", "opt_in", "consent_text", *(["agreed_to", "public_form"] if obj else [])],
                    "description": consent_help,
                },
            ),
            (
                _("Opens and clicks"),
                {
                    "fields": ["tracking"],
                    "description": _(
                        "Measuring what a person opens or clicks needs their prior consent in the EU: GDPR, ePrivacy"
                        " Directive Art. 5(3), CNIL 2026-042. “Personal” counts people by name only if they agreed."
                        " This installation allows at most: %(level)s."
                    )
                    % {"level": ContactList.Tracking(site().tracking).label},
                },
            ),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: ContactList | None = None) -> list[str]:
        return [*COUNTS, "agreed_to", "public_form"]

    @admin.display(description=gettext_lazy("Description"))
    def purpose(self, contact_list: ContactList) -> str:
        return Truncator(contact_list.description).chars(80) or "–"

    @admin.display(description=gettext_lazy("Opt-in"), ordering="opt_in")
    def entry(self, contact_list: ContactList) -> str:
        return contact_list.get_opt_in_display()

    @admin.display(description=gettext_lazy("Visibility"), ordering="is_public")
    def visibility(self, contact_list: ContactList) -> SafeString:
        if contact_list.is_public:
            return chip(
                "public", _("Public"), _("People can sign up with its form and see it on their preference page.")
            )
        return chip("private", _("Private"), _("Only imports and users add people."))

    @admin.display(description=gettext_lazy("People agree to"))
    def agreed_to(self, contact_list: ContactList) -> SafeString:
        return format_html('<span translate="no">“{}”</span>', changes.wording_of(contact_list))

    @admin.display(description=gettext_lazy("Form"))
    def public_form(self, contact_list: ContactList) -> SafeString:
        url = reverse("publicpages:form_of_list", args=[contact_list.pk])
        return format_html(
            '<a href="{}" class="text-link">{}</a>', url, _("Link, HTML for your site, and address for scripts")
        )

    @admin.display(description=gettext_lazy("Subscribed"), ordering="subscribed_count")
    def subscribed(self, contact_list: ContactList) -> SafeString:
        return self._people(contact_list, "subscribed", "subscribed", _("subscribed people"))

    @admin.display(description=gettext_lazy("Pending"), ordering="not_confirmed_count")
    def not_confirmed(self, contact_list: ContactList) -> SafeString:
        return self._people(contact_list, "not_confirmed", "pending", _("pending people"))

    @admin.display(description=gettext_lazy("Unsubscribed"), ordering="unsubscribed_count")
    def unsubscribed(self, contact_list: ContactList) -> SafeString:
        return self._people(contact_list, "unsubscribed", "unsubscribed", _("unsubscribed people"))

    def _people(self, contact_list: ContactList, name: str, state: str, words: str) -> SafeString:
        url = f"{reverse('admin:contacts_contact_changelist')}?list={contact_list.pk}&state={state}"
        return figure(getattr(contact_list, f"{name}_count"), url, words)

    def what_keeps(self, objs: QuerySet[Any] | Collection[Any]) -> list[str]:
        keys = [contact_list.pk for contact_list in objs]
        return [*users_of(lists=keys), *import_contacts.running_into(keys)]

    def deletion(self, obj: ContactList) -> Deletion:
        people = obj.subscriptions.count()
        return Deletion(
            [
                _("The list with its form"),
                ngettext("%(count)s subscription", "%(count)s subscriptions", people) % {"count": f"{people:,}"},
            ],
            [_("The people, as contacts"), _("The consent log, with the name of the list")],
        )

    def count_what_goes_along(self, objs: QuerySet[Any] | Collection[Any]) -> dict[str, int]:
        return {_("subscriptions"): Subscription.objects.filter(list__in=objs).count()}

    # --- the proof

    def has_export_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        may = request.user.has_perm
        return may("contacts.export_contact") and may("contacts.view_consentevent")

    @action(description=gettext_lazy("Export consents"), icon="download", url_path="consents", permissions=["export"])  # type: ignore[untyped-decorator]
    @method_decorator(asks_first)
    def export_consents(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Describe the file (GET), or download it (POST)."""
        contact_list = ContactList.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if contact_list is None:
            raise Http404
        count = transfer_export_consents.events_of(contact_list).count()
        if request.method == "POST":
            actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
            self.log_change(
                request, contact_list, f"{actor.get_username()} exported {count:,} steps of consents as CSV."
            )
            return download(transfer_export_consents.write_csv(contact_list), "consents")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Export consents to %(name)s") % {"name": contact_list.name},
            "contact_list": contact_list,
            "count": count,
        }
        return TemplateResponse(request, "contacts/consent_export.html", context)
