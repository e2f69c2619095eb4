"""Where the open page is: the tabs of its place, and its name."""

from typing import Any

from django import template
from django.template import Context

from brilliance.web.navigation import is_a_tab, tabs_of, where

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
        return here[1].title
    return str(context.get("subtitle") or context.get("title") or "")
