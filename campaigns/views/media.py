"""Files of the media library for everybody who knows their URL, such as recipients of mails."""

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from campaigns.models import MediaFile
from delivery.content.attachments import is_stored_name, media_folder


@require_safe
def file(request: HttpRequest, stored_name: str) -> HttpResponse:
    """Answer with one file. Its name cannot be guessed, and its content never changes."""
    if not is_stored_name(stored_name):
        raise Http404
    stored = get_object_or_404(MediaFile, stored_name=stored_name)
    is_image = stored.kind == MediaFile.Kind.IMAGE
    try:
        content = (media_folder() / stored.stored_name).read_bytes()
    except FileNotFoundError:
        raise Http404 from None
    # Browsers save documents and never show them, and must not guess the type.
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
