"""Admin pages: the list of campaigns and the form of a draft. Queued campaigns have their pages in campaigns.views."""

import datetime as dt
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import lazy
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from adminpages.instants import stamp
from adminpages.pages import Deletion
from campaigns.admin.content import WritingAdmin
from campaigns.audience.audience import chosen_names
from campaigns.forms.audience import AUDIENCE_FIELDS
from campaigns.forms.campaign import CampaignForm
from campaigns.models import ArchivedCampaign, Campaign, Variant
from campaigns.reports.report import MAY_ARRIVE
from campaigns.views.content import readiness_of
from delivery.models import Message, StatusCount
from mail.links import utm
from smtpservers.routing.candidates import named_servers

Status = Campaign.Status
_format_html: Any = lazy(format_html, str)  # The texts of a class are translated when they are shown.
MERGE_FIELDS = _format_html(
    _(
        "Merge fields: {} and your contacts' attributes. Add a default for empty ones: <code>{}</code>. An unsubscribe"
        " link is added at the end unless you place one."
    ),
    format_html_join(
        ", ",
        "<code>{{{{ {} }}}}</code>",
        (
            (name,)
            for name in (
                *("first_name", "last_name", "full_name", "email"),
                *("unsubscribe_url", "preferences_url", "tracking_url", "web_version_url"),
            )
        ),
    ),
    '{{ first_name | default: "friend" }}',
)


@admin.register(Campaign)
class CampaignAdmin(WritingAdmin):
    form = CampaignForm
    list_display = ["title", "state", "recipients", "accepted", "queued", "changed"]
    list_display_links = None
    list_filter = ["status"]
    list_per_page = 25
    search_fields = ["name", "subject"]
    search_help_text = _("Name or subject")
    actions = None  # Campaigns are deleted one at a time.
    change_form_outer_before_template = "campaigns/change_form_before.html"
    change_form_before_template = "campaigns/writing.html"
    change_form_outer_after_template = "campaigns/beside.html"
    fieldsets = [
        (None, {"fields": ["name", "subject", "preheader"]}),
        (_("Audience"), {"fields": [*AUDIENCE_FIELDS]}),
        (_("Content"), {"fields": ["markup", *Campaign.Markup.values, "layout", "text"], "description": MERGE_FIELDS}),
        (_("Files"), {"fields": ["embeds_images", "attachments"], "classes": ["collapse"]}),
        (_("Sender"), {"fields": ["mail_from", "reply_to"]}),
        (_("Servers"), {"fields": ["servers"], "classes": ["collapse"]}),
        (_("Copies"), {"fields": ["sends_copies", "confirms_copies"], "classes": ["collapse"]}),
        (_("Opens and clicks"), {"fields": ["tracking", "track_text"], "classes": ["collapse"]}),
        (
            _("UTM codes"),
            {
                "fields": ["is_tagged", *utm.NAMES],
                "description": _("These values override the server's. Leave a field empty to use the server's value."),
                "classes": ["collapse"],
            },
        ),
    ]

    class Media:
        css = {"all": ["campaigns/campaigns.css", "campaigns/writing.css"]}
        js = [
            *("campaigns/insertion.js", "campaigns/formatting.js", "campaigns/writing.js", "campaigns/toolbar.js"),
            "campaigns/beside.js",
        ]

    # --- the list ---------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Campaign]:
        samples = Variant.objects.filter(experiment__campaign=OuterRef(OuterRef("pk")), mailing__isnull=False)
        is_its = Q(mailing=OuterRef("mailing")) | Q(mailing__in=samples.values("mailing"))
        counts = StatusCount.objects.filter(is_its, is_copy=False).order_by()
        number = counts.annotate(all=Value(1)).values("all").annotate(sum=Sum("number")).values("sum")
        queryset: QuerySet[Campaign] = super().get_queryset(request)
        return queryset.select_related("experiment").annotate(
            recipient_count=Coalesce(Subquery(number), 0),
            accepted_count=Coalesce(Subquery(number.filter(status=Message.Status.ACCEPTED)), 0),
            suppressed_count=Coalesce(Subquery(number.filter(status=Message.Status.SUPPRESSED)), 0),
            may_arrive_count=Coalesce(Subquery(number.filter(status__in=MAY_ARRIVE)), 0),
            may_open=Value(super().has_view_permission(request)),
        )

    @admin.display(description=_("Campaign"), ordering="name")
    def title(self, campaign: Campaign) -> SafeString:
        opens_form = campaign.status == Status.DRAFT and getattr(campaign, "may_open", False)
        page = "admin:campaigns_campaign_change" if opens_form else "campaigns:progress"
        return format_html(
            '<a class="campaign-title" href="{}">{}</a>', reverse(page, args=[campaign.pk]), campaign.name
        )

    @admin.display(description=_("Status"), ordering="status")
    def state(self, campaign: Campaign) -> SafeString:
        chip = '<span class="status-chip" data-status="{}">{}</span>'
        if campaign.status == Status.FINISHED and not getattr(campaign, "may_arrive_count", 1):
            return format_html(chip, Message.Status.FAILED, Message.Status.FAILED.label)
        return format_html(chip, campaign.status, campaign.status_word)

    @admin.display(description=_("Recipients"))
    def recipients(self, campaign: Any) -> str:
        if not campaign.recipient_count:
            return "–"
        waiting = _waiting(campaign)
        if not waiting:
            return f"{campaign.recipient_count:,}"
        waits = ngettext("%(n)s waits for the winner", "%(n)s wait for the winner", waiting)
        part = {"part": f"{campaign.recipient_count:,}", "total": f"{campaign.recipient_count + waiting:,}"}
        return format_html(
            '{}<small class="campaign-waits">{}</small>',
            gettext("%(part)s of %(total)s") % part,
            waits % {"n": f"{waiting:,}"},
        )

    @admin.display(description=_("Accepted"))
    def accepted(self, campaign: Any) -> str:
        return f"{campaign.accepted_count:,}" if campaign.recipient_count else "–"

    @admin.display(description=_("Start"), ordering="starts_at")
    def queued(self, campaign: Campaign) -> str:
        return _moment(campaign.starts_at)

    @admin.display(description=_("Changed"), ordering="updated_at")
    def changed(self, campaign: Campaign) -> str:
        return _moment(campaign.updated_at)

    # --- permissions -------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        if obj is None and request.user.has_perm("campaigns.view_progress"):
            return True  # The list contains no personal data, and links to the progress pages.
        return bool(super().has_view_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        is_editable = obj is None or obj.status == Status.DRAFT
        return is_editable and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Campaign | None = None) -> bool:
        is_at_rest = obj is None or obj.status in (Status.DRAFT, Status.FINISHED, Status.CANCELLED)
        return is_at_rest and bool(super().has_delete_permission(request, obj))

    # --- the read-only page of a queued campaign ---------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: Campaign | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if self.has_change_permission(request, obj):
            return fieldsets
        shown_as = {"html": "html_source", "markdown": "markdown_source", "mjml": "mjml_source", "text": "text_source"}
        unused = {*Campaign.Markup.values} - {obj.markup if obj else Campaign.Markup.HTML}
        return [
            (
                heading,
                {**options, "fields": [shown_as.get(name, name) for name in options["fields"] if name not in unused]},
            )
            for heading, options in fieldsets
        ]

    @admin.display(description=_("Segments"))
    def segments(self, campaign: Campaign) -> str:
        return chosen_names(campaign, "segments")

    @admin.display(description=_("Consent lists"))
    def consent_lists(self, campaign: Campaign) -> str:
        return chosen_names(campaign, "consent_lists")

    @admin.display(description=_("Excluded lists"))
    def excluded_lists(self, campaign: Campaign) -> str:
        return chosen_names(campaign, "excluded_lists")

    @admin.display(description=_("Excluded segments"))
    def excluded_segments(self, campaign: Campaign) -> str:
        return chosen_names(campaign, "excluded_segments")

    @admin.display(description="HTML")
    def html_source(self, campaign: Campaign) -> SafeString:
        return _source(campaign.html)

    @admin.display(description="Markdown")
    def markdown_source(self, campaign: Campaign) -> SafeString:
        return _source(campaign.markdown)

    @admin.display(description="MJML")
    def mjml_source(self, campaign: Campaign) -> SafeString:
        return _source(campaign.mjml)

    @admin.display(description=_("Servers"))
    def servers(self, campaign: Campaign) -> str:
        return named_servers(campaign.server_ids) or gettext("All servers, within the routing rules")

    @admin.display(description=_("Text"))
    def text_source(self, campaign: Campaign) -> SafeString:
        return _source(campaign.text)

    # --- the form ---------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        context = {"show_save_and_continue": False, "show_save_and_add_another": False, **(extra_context or {})}
        campaign = self.get_object(request, object_id) if object_id else None
        if campaign and request.method == "GET" and campaign.status == Status.DRAFT:
            context |= readiness_of(campaign)
        return super().changeform_view(request, object_id, form_url, context)

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        # A campaign may have been queued in another window meanwhile, and then it must not change any more.
        current = Campaign.objects.select_for_update().filter(pk=obj.pk)
        if change and current.values_list("status", flat=True).get() != Status.DRAFT:
            raise PermissionDenied
        if change and form.changed_data:
            obj.version += 1
        obj.save()

    def log_change(self, request: HttpRequest, obj: Campaign, message: Any) -> Any:
        """Note only what changed. What was typed is saved and noted by then, see ``campaigns.views.content.draft``."""
        return super().log_change(request, obj, message) if message else None

    def delete_model(self, request: HttpRequest, obj: Campaign) -> None:
        current = Campaign.objects.select_for_update().get(pk=obj.pk)
        if not self.has_delete_permission(request, current):
            raise PermissionDenied
        obj.delete()

    def deletion(self, obj: Campaign) -> Deletion:
        if obj.status == Status.DRAFT:
            return Deletion(
                [gettext("The draft with its content, A/B test, approvals and notes")],
                [gettext("Contacts, lists, segments, layouts and images")],
            )
        gone = [gettext("The campaign with its content, report, approvals and overrides")]
        if ArchivedCampaign.objects.filter(campaign=obj).exists():
            gone.append(gettext("Its page in the public archive"))
        return Deletion(
            gone,
            [
                gettext("Sent messages and their status, under Messages"),
                gettext("Figures by day, server, provider and list, under Reports"),
                gettext("Contacts with their consent and unsubscribes"),
            ],
        )

    def response_add(self, request: HttpRequest, obj: Campaign, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(
            request, gettext("Draft “%(name)s” saved. Check the preview before you send it.") % {"name": obj}
        )
        return redirect("admin:campaigns_campaign_change", obj.pk)

    def response_change(self, request: HttpRequest, obj: Campaign) -> HttpResponse:
        if "_preview" in request.POST:
            return redirect("campaigns:preview", obj.pk)
        if "_review" in request.POST:
            return redirect("campaigns:review", obj.pk)
        messages.success(request, gettext("Draft saved."))
        return redirect("admin:campaigns_campaign_change", obj.pk)


def _waiting(campaign: Any) -> int:
    """Return about how many people wait for the winner of the campaign's A/B test, as its report counts them."""
    test = getattr(campaign, "experiment", None)
    if test is None or not test.holds_rest or campaign.status not in (Status.SENDING, Status.PAUSED):
        return 0
    expected: int = test.expected or 0
    written: int = campaign.recipient_count - campaign.suppressed_count
    return max(0, expected - written)


def _moment(instant: dt.datetime | None) -> str:
    return stamp(instant) or "–"


def _source(content: str) -> SafeString:
    return format_html('<pre class="campaign-pre" tabindex="0">{}</pre>', content or "–")
