"""The web version of a message, for people whose mail program does not show it well.

The only page with foreign markup: it runs in a sandbox, without scripts, forms or an origin. Its unsubscribe and
preference links belong to nobody, because people share the page.
"""

from django.http import HttpRequest, HttpResponse

from delivery.content import previews, tokens
from feedback import unsubscribe
from publicpages.views.base import dead_link, public, show
from publicpages.views.unsubscribe import language_of_reader

# Pictures load from the sources in the message, as in a mail program.
SANDBOX = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src https: http: data:;"
    " style-src 'unsafe-inline'; font-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@public("GET")
def web_version(request: HttpRequest, web_token: str) -> HttpResponse:
    message = unsubscribe.find_message(web_token, tokens.WEB_VERSION)
    if message is None:
        is_nobodys = unsubscribe.belongs_to_nobody(web_token, tokens.WEB_VERSION)
        return dead_link(request, belongs_to_nobody=is_nobodys)
    try:
        rendered = previews.web_version(message)
    except ValueError:  # The person's present values no longer fit the tags.
        return dead_link(request, belongs_to_nobody=False)
    if not rendered.html:
        context = {"heading": rendered.subject, "text": rendered.text}
        return show(request, "web_version", language_of_reader(message), context)
    return HttpResponse(rendered.html, headers={"Content-Security-Policy": SANDBOX})
