"""Admin pages of routing rules: the list, the form, and a test that shows which server would take a message and why.

Only administrators change rules, because one rule moves everybody's mail. Everybody who may view rules may test them.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminpages.pages import Deletion, ModelAdmin
from mail.addresses import domain_of
from smtpservers.admin.states import badge
from smtpservers.forms.route import RouteForm, TryForm
from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.models import Route
from smtpservers.routing import rules, selection
from smtpservers.routing.candidates import fleet, named_servers
from smtpservers.routing.rules import RoutingRule
from smtpservers.routing.strategies import EXAMPLE_MESSAGES, Portion

SHOWN_DOMAINS = 3
FITS_EVERYTHING = _("Everything else")


@dataclass(frozen=True, slots=True)
class RouteExample:
    """A rule that was evaluated in a test, and whether it decides."""

    name: str
    why: str
    decides: bool


@dataclass(frozen=True, slots=True)
class ServerShare:
    """The part of one server in the example."""

    server: str
    messages: int
    why: str


@admin.register(Route)
class RouteAdmin(ModelAdmin):
    form = RouteForm
    list_display = ("name", "state", "decides_on", "strategy_words", "servers", "place")
    card = ("name", "state", "servers")
    ordering = ("is_default", "display_order", "id")
    sortable_by = ()  # Always in the order of evaluation.
    actions = None
    list_before_template = "admin/smtpservers/route/introduction.html"
    fieldsets = (
        (None, {"fields": ("name", ("is_active", "display_order"))}),
        (_("Mail"), {"fields": (("from_domains", "recipient_domains"),)}),
        (_("Servers"), {"fields": ("strategy", "servers")}),
    )

    class Media:
        css = {"all": ("smtpservers/servers.css",)}

    # --- the list

    @admin.display(description=_("State"))
    def state(self, route: Route) -> SafeString:
        if route.is_active:
            return badge("green", gettext("Active"), gettext("This rule is used."))
        return badge("grey", gettext("Inactive"), gettext("This rule is ignored."))

    @admin.display(description=_("Matches"))
    def decides_on(self, route: Route) -> SafeString:
        if route.is_default:
            return format_html("{}", FITS_EVERYTHING)
        senders, recipients = route.from_domains.split(), route.recipient_domains.split()
        parts = [gettext("From %(domains)s") % {"domains": _some(senders)}] if senders else []
        parts += [gettext("To %(domains)s") % {"domains": _some(recipients)}] if recipients else []
        return format_html("{}", " · ".join(parts) or gettext("Everything (rules below are never used)"))

    @admin.display(description=_("Strategy"))
    def strategy_words(self, route: Route) -> str:
        return str(Route.Strategy(route.strategy).label)

    @admin.display(description=_("Servers"))
    def servers(self, route: Route) -> str:
        return named_servers(route.server_ids) or gettext("All")

    @admin.display(description=_("Display order"))
    def place(self, route: Route) -> str:
        return gettext("Last") if route.is_default else str(route.display_order)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context = {"title": gettext("Routing rules"), "try_form": TryForm(), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    # --- one rule

    def get_fieldsets(self, request: HttpRequest, obj: Route | None = None) -> Any:
        if obj is not None and obj.is_default:
            return ((FITS_EVERYTHING, {"fields": ("strategy", "servers")}),)
        return self.fieldsets

    def has_delete_permission(self, request: HttpRequest, obj: Route | None = None) -> bool:
        return (obj is None or not obj.is_default) and bool(super().has_delete_permission(request, obj))

    def deletion(self, obj: Route) -> Deletion:
        return Deletion(
            [gettext("The rule. Mail that it matched goes by the rules below it.")],
            [gettext("Servers, and messages that the rule has routed")],
        )

    # --- trying

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.try_view)
        return [path("try/", view, name="smtpservers_route_try"), *super().get_urls()]

    def try_view(self, request: HttpRequest) -> HttpResponse:
        """Show which server would take a message now, and why. Nothing is sent or stored."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = TryForm(request.GET if request.GET else None)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Test routing rules"),
            "try_form": form,
            "media": self.media,
            **(_decision(form.cleaned_data["sender"], form.cleaned_data["recipient"]) if form.is_valid() else {}),
        }
        return render(request, "admin/smtpservers/route/try.html", context)


def _decision(sender: str, recipient: str) -> dict[str, Any]:
    now = timezone.now()
    every, domain = rules.rules(), domain_of(recipient)
    rule = next(rule for rule in every if rule.fits_sender(sender) and rule.fits_recipient(domain))
    candidates = [server.leaving(kept_from_campaigns(server.quota)) for server in fleet(now)]
    able = selection.able(candidates, now, rule=rule, mail_from=sender)
    choice = able.choice()
    parts = [_part(*each) for each in able.spread(EXAMPLE_MESSAGES)] if able.is_shared else []
    return {
        "asked": [
            RouteExample(each.name, _why(each, sender, domain), decides=each is rule)
            for each in every[: every.index(rule) + 1]
        ],
        "choice": choice,
        "parts": parts,
        "without_room": EXAMPLE_MESSAGES - sum(part.messages for part in parts),
        "example_messages": EXAMPLE_MESSAGES,
        "next_up": [server.name for server in able.servers[1:4]] if not able.is_shared else [],
        "until": choice.until,
    }


def _part(portion: Portion, messages: int) -> ServerShare:
    room = gettext("Room for %(n)s.") % {"n": f"{messages:,}"} if messages == portion.server.room else ""
    return ServerShare(portion.server.name, messages, f"{portion.reason} {room}".strip())


def _why(rule: RoutingRule, sender: str, domain: str) -> str:
    if not rule.fits_sender(sender):
        domains = _some(rule.from_domains)
        if not sender:
            return gettext(
                "doesn’t match: it’s for mail from %(domains)s, and this message uses each server’s own From."
            ) % {"domains": domains}
        return gettext("doesn’t match: it’s for mail from %(domains)s, and this message is from %(sender)s.") % {
            "domains": domains,
            "sender": sender,
        }
    if not rule.fits_recipient(domain):
        return gettext("doesn’t match: it’s for recipients at %(domains)s, not %(domain)s.") % {
            "domains": _some(rule.recipient_domains),
            "domain": domain,
        }
    return gettext("matches: %(strategy)s.") % {"strategy": str(Route.Strategy(rule.strategy).label).lower()}


def _some(domains: Any) -> str:
    rest = len(domains) - SHOWN_DOMAINS
    shown = ", ".join(domains[:SHOWN_DOMAINS])
    return gettext("%(domains)s and %(n)s more") % {"domains": shown, "n": rest} if rest > 0 else shown
