"""The style sheet and the logo of the public pages."""

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from adminpages.one_row import THE_ONE
from publicpages.appearance.looks import looks
from publicpages.models import Appearance

# Their URLs change with their content.
KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}


@require_safe
def style(request: HttpRequest, name: str) -> HttpResponse:
    shown = looks()
    if name != shown.style_name:
        return HttpResponse(shown.style, "text/css", headers={"Cache-Control": "no-store"})
    return HttpResponse(shown.style, "text/css", headers=KEPT)


@require_safe
def logo(request: HttpRequest, name: str) -> HttpResponse:
    """The picture as uploaded; opened directly it cannot run anything."""
    chosen = Appearance.objects.filter(pk=THE_ONE).first()
    if chosen is None or chosen.logo is None:
        raise Http404
    headers = {**KEPT, "Content-Security-Policy": "default-src 'none'; sandbox"}
    return HttpResponse(bytes(chosen.logo), chosen.logo_type, headers=headers)
