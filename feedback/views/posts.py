"""The address that mail providers post to: ``/hooks/<provider>/<secret>``.

Nobody is signed in there: the secret in the path alone decides. Providers take 200 for taken and repeat after a 503;
403 and 410 end a subscription for good, so neither is ever answered. A wrong secret gets 401, whatever it is wrong in.
"""

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from feedback.hooks import addresses
from feedback.hooks.receive import receive, refuse_size
from feedback.webhooks.adapter import Post, TryLater
from feedback.webhooks.adapters import ADAPTERS

MOST_BYTES = 10 * 1024 * 1024
PLAIN = "text/plain; charset=utf-8"
HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "Referrer-Policy": "no-referrer"}
LATER = {"Retry-After": "60"}


@csrf_exempt
def hook(request: HttpRequest, provider: str, secret: str) -> HttpResponse:
    """Take a post, or answer whether there is anybody here."""
    try:
        response = _answer(request, provider, secret)
    except (DatabaseError, TryLater):
        response = HttpResponse("Try again later.", PLAIN, 503, headers=LATER)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _answer(request: HttpRequest, provider: str, secret: str) -> HttpResponse:
    if request.method in ("HEAD", "OPTIONS"):
        return HttpResponse(headers=_allowed(request, provider) if request.method == "OPTIONS" else {})
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST", "HEAD", "OPTIONS"])
    now = timezone.now()
    found = addresses.find(provider, secret, now)
    if found is None:
        return HttpResponse("This address is unknown.", PLAIN, 401)
    try:
        body = _read(request)
    except UnreadablePostError:  # The connection ended.
        return HttpResponse("The request is incomplete.", PLAIN, 400)
    if len(body) > MOST_BYTES:
        refuse_size(found.server_id, now)
        return HttpResponse("The request is too large.", PLAIN, 413)
    headers = {name.lower(): value for name, value in request.headers.items()}
    answer = receive(found, Post(body, headers, f"{settings.BASE_URL}{request.path}"), now)
    return HttpResponse(answer.body, answer.content_type, headers=dict(answer.headers))


def _read(request: HttpRequest) -> bytes:
    """Return the body, and no more of it than shows that it is too large.

    Django takes a body in chunks (RFC 9112 section 7.1) for an empty one, because it has no length. Gunicorn ends it.
    """
    meta = request.META
    is_chunked = "chunked" in meta.get("HTTP_TRANSFER_ENCODING", "").lower()
    if is_chunked and meta.get("wsgi.input_terminated"):
        return bytes(meta["wsgi.input"].read(MOST_BYTES + 1))
    return bytes(request.read(MOST_BYTES + 1))


def _allowed(request: HttpRequest, provider: str) -> dict[str, str]:
    """Return what OPTIONS allows. Event Grid asks whether it may post here before it does."""
    allowed = {"Allow": "POST, HEAD, OPTIONS"}
    adapter = ADAPTERS.get(provider)
    origin = request.headers.get("WebHook-Request-Origin", "")
    if adapter is not None and origin and origin == adapter.asks_from:
        allowed |= {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
    return allowed
