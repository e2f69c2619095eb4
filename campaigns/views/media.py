"""Pictures and documents of the media library for everybody who was sent their address."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from campaigns.models import MediaFile
from delivery.content.attachments import is_stored_name, media_folder


@require_safe
def file(request: HttpRequest, stored_name: str) -> HttpResponse:
    """Answer with one file. Nobody can guess its name, and it never changes."""
    if not is_stored_name(stored_name):
        raise Http404
    stored = get_object_or_404(MediaFile, stored_name=stored_name)
    is_image = stored.kind == MediaFile.Kind.IMAGE
    try:
        content = (media_folder() / stored.stored_name).read_bytes()
    except FileNotFoundError:
        raise Http404 from None
    # What a browser could take for a page is saved, never shown; and no browser guesses.
    return HttpResponse(
        content,
        content_type=stored.content_type,
        headers={
            "Content-Disposition": content_disposition_header(not is_image, stored.name) or "attachment",
            "Cache-Control": "public, max-age=31536000, immutable",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cross-Origin-Resource-Policy": "cross-origin",  # Mail programs in a browser show it on their own pages.
            "X-Content-Type-Options": "nosniff",
        },
    )
