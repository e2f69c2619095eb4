"""The pages behind counted links and pixels that lead nowhere. Those that lead somewhere never come here."""

import html
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.translation.trans_real import parse_accept_lang_header

from mail.links.tracking import CODE_LETTERS, TOKEN_LETTERS, read_link
from publicpages.appearance.looks import Looks, looks
from publicpages.views.base import language_of, public, say
from publicpages.words.links import LINKS
from publicpages.words.unsubscribe import best_language


@public("GET")
def dead_click(request: HttpRequest, click_token: str) -> HttpResponse:
    """Say that a genuine link is no longer kept, or that a link is none of ours. Never redirect to a guess."""
    language = language_of(request)
    words, shown = LINKS[language], looks()
    if read_link(click_token[: TOKEN_LETTERS + CODE_LETTERS], settings.TOKEN_KEYS) is None:
        return say(request, language, words.wrong_title, words.wrong, status=404)
    home = {"home": _home(shown), "to_home": words.to_home.format(organisation=shown.organisation)}
    return say(request, language, words.gone_title, words.gone, status=410, **home)


@public("GET")
def dead_pixel(request: HttpRequest, pixel_token: str) -> HttpResponse:
    """Say that a pixel is none of ours."""
    language = language_of(request)
    return say(request, language, LINKS[language].wrong_title, LINKS[language].wrong, status=404)


def busy_page(accepted_languages: str) -> bytes:
    """Return the page for a link that cannot be looked up now. It needs no database and no other file.

    :param accepted_languages: the value of Accept-Language.
    """
    language = best_language(*[name for name, _ in parse_accept_lang_header(accepted_languages)])
    words = {name: html.escape(getattr(LINKS[language], name)) for name in ("busy_title", "busy", "again")}
    return (
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme"'
        f' content="light dark"><title>{words["busy_title"]}</title></head><body><h1>{words["busy_title"]}</h1>'
        f'<p>{words["busy"]}</p><p><a href="">{words["again"]}</a></p></body></html>'
    ).encode()


def _home(shown: Looks) -> str:
    """Return the organisation's site, which is where its imprint or its privacy policy is; empty if it has none."""
    for url in (shown.imprint_url, shown.privacy_url):
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.netloc:
            return f"{parts.scheme}://{parts.netloc}/"
    return ""
