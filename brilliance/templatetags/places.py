"""Where the open page is: the tabs of its place, its name, the way to it, and the zone of its times."""

from typing import Any

from django import template
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.template import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from brilliance.web.first_run.steps import Step, here, is_hidden, steps
from brilliance.web.navigation import is_a_tab, tabs_of, where
from words import time_zones

register = template.Library()


@register.inclusion_tag("adminpages/place_tabs.html", takes_context=True)
def place_tabs(context: Context) -> dict[str, Any]:
    """Draw the tabs of the place on a page that is one of them."""
    request = context["request"]
    here = where(request)
    if here is None or context.get("is_popup") or not is_a_tab(here[1], request):
        return {"tabs": []}
    place, open_tab = here
    return {"place": place, "tabs": tabs_of(place, request), "open_tab": open_tab}


@register.simple_tag(takes_context=True)
def page_name(context: Context) -> str:
    """Return the name of the open page, as the browser's tab and the heading have it."""
    here = where(context["request"])
    if here is not None and is_a_tab(here[1], context["request"]):
        return str(here[1].title)
    return str(context.get("subtitle") or context.get("title") or "")


@register.inclusion_tag("adminpages/crumbs.html", takes_context=True)
def crumbs(context: Context) -> dict[str, Any]:
    """Draw the way to the open page: its place, its tab, the thing it is about, and at last its own name as heading.

    A template with a block ``crumbs`` says itself what follows the tab.
    """
    request = context["request"]
    here = where(request)
    way: list[tuple[str, str]] = []
    name = page_name(context)
    if here is not None:
        place, tab = here
        tabs = tabs_of(place, request)
        if tabs and place.title != tab.title:
            way.append((str(place.title), tabs[0].link))
        if not is_a_tab(tab, request):
            if tab in tabs:
                way.append((str(tab.title), tab.link))
            name = _below(context, request.resolver_match.view_name, way) or name
    return {"way": way, "name": name, "own": context.get("own_crumbs", "")}


@register.simple_tag
def page_zone() -> SafeString:
    """Name the time zone of the times on this page, with a link to where the user chooses it."""
    name = str(timezone.get_current_timezone())
    place = time_zones.place(name)
    text = _("%(place)s time") % {"place": place} if place else _("Times in %(zone)s") % {"zone": name}
    return format_html('<a class="page-zone" href="{}" title="{}">{}</a>', reverse("account"), name, text)


@register.inclusion_tag("brilliance/first_run/step.html", takes_context=True)
def set_up_step(context: Context) -> dict[str, Any]:
    """Draw which step of the first run the open page belongs to, and the way on once it is done."""
    found = _step(context)
    if found is None:
        return {}
    number, step, next_step = found
    is_told_below = context["request"].resolver_match.view_name == "delivery:follow_test"
    return {"number": number, "step": step, "next_step": None if is_told_below else next_step}


@register.inclusion_tag("brilliance/first_run/step.html", takes_context=True)
def set_up_next(context: Context) -> dict[str, Any]:
    """Draw the way on alone, where it appears while the page is open."""
    found = _step(context)
    return {"next_step": found[2]} if found else {}


def _step(context: Context) -> tuple[int, Step, Step | None] | None:
    request = context["request"]
    match = request.resolver_match
    return here(match.view_name, request.user) if match and not context.get("is_popup") else None


@register.simple_tag(takes_context=True)
def hides_set_up(context: Context) -> bool:
    """Whether the user has hidden the steps of the first run, which are not over yet."""
    user = context["request"].user
    return user.is_authenticated and is_hidden(user) and bool(steps(user))


def _below(context: Context, view: str, way: list[tuple[str, str]]) -> str:
    """Return the name of a page of the admin about one thing, and add the thing to the way if the page is below it."""
    thing = context.get("original") or context.get("object")
    if not isinstance(thing, Model):
        return ""
    if view.endswith("_change"):
        return str(thing)
    if _may_open(context["request"], thing):
        name = f"admin:{thing._meta.app_label}_{thing._meta.model_name}_change"
        way.append((str(thing), reverse(name, args=[quote(thing.pk)])))
    return {"history": _("History"), "delete": _("Delete")}.get(view.rpartition("_")[2], "")


def _may_open(request: HttpRequest, thing: Model) -> bool:
    return request.user.has_perm(f"{thing._meta.app_label}.view_{thing._meta.model_name}")
