"""For users: the form of a list for another site, as HTML to copy and as a URL for scripts."""

import json

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages.access import needs
from contacts.models import ContactList
from installation.site import site
from publicpages.appearance.looks import looks
from publicpages.subscriptions import tracking
from publicpages.subscriptions.subscribe import wording
from publicpages.words.subscribe import SIGN_UP
from publicpages.words.tracking import TRACKING
from publicpages.words.unsubscribe import best_language


@require_GET
@staff_member_required
@needs("contacts.view_contactlist")
def form_of_list(request: HttpRequest, list_id: int) -> HttpResponse:
    contact_list = get_object_or_404(ContactList, pk=list_id)
    language = best_language(request.GET.get("language", ""), site().language)
    context = {
        **admin.site.each_context(request),
        "title": _("Subscribe form of %(list)s") % {"list": contact_list},
        "opts": ContactList._meta,
        "object": contact_list,
        "contact_list": contact_list,
        "url": _url("publicpages:subscribe_to", contact_list.pk),
        "json_url": _url("publicpages:subscribe_json"),
        "json_example": json.dumps({"email": "ann@example.com", "lists": [contact_list.pk], "language": language}),
        "asks_to_count": tracking.asks([contact_list]),
        "snippet": snippet(contact_list, language),
        "language": language,
        "languages": settings.LANGUAGES,
    }
    return TemplateResponse(request, "publicpages/form_of_list.html", context)


def snippet(contact_list: ContactList, language: str) -> str:
    """Return the form as HTML for another site: no script, no style, and nothing loaded from us."""
    context = {
        "contact_list": contact_list,
        "url": _url("publicpages:subscribe_to", contact_list.pk),
        "labels": SIGN_UP[language],
        "language": language,
        "wording": wording(contact_list, language),
        "counting": TRACKING[language],
        "switches": tracking.switches(language, looks().organisation) if tracking.asks([contact_list]) else [],
    }
    return str(render_to_string("publicpages/snippet.html", context)).strip()


def _url(name: str, *keys: int) -> str:
    return f"{settings.BASE_URL}{reverse(name, args=keys)}"
