"""The public archive: list, campaign pages and feed for everybody; settings and publishing for users."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Max
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.feedgenerator import Rss201rev2Feed
from django.utils.html import strip_tags
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.views.decorators.http import condition, require_http_methods, require_POST, require_safe

from adminpages.access import View, needs
from adminpages.changes import NoticesChanges
from adminpages.text_fields import RefusesControls
from adminpages.texts import without_controls
from campaigns.lifecycle import archive as lifecycle_archive
from campaigns.models import ArchivedCampaign, ArchiveSettings
from campaigns.views.archive_words import ARCHIVE
from campaigns.views.pages import campaign_or_404, log, page
from installation.site import site

PER_PAGE = 50
IN_FEED = 20
KEPT_SECONDS = 300
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src https: http: data:;"
    " style-src 'unsafe-inline'; font-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


# --- for everybody


def _state(request: HttpRequest, **kwargs: Any) -> str | None:
    """Return an ETag that changes with anything that a page of the archive shows."""
    archive = lifecycle_archive.settings_now()
    if not archive.is_on:
        return None
    last = ArchivedCampaign.objects.aggregate(last=Max("published_at"))["last"]
    number, told = ArchivedCampaign.objects.count(), (site().organisation, site().language, str(site().time_zone))
    shown = repr((archive.title, archive.description, told, last, number, request.get_full_path()))
    return f'"{hashlib.sha256(shown.encode()).hexdigest()[:32]}"'


def _public(view: Callable[..., HttpResponse]) -> View:
    """Make a view a page of the archive: 404 while the archive is off, and cached by browsers for some minutes."""

    @require_safe
    @condition(etag_func=_state)
    @functools.wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not lifecycle_archive.settings_now().is_on:
            raise Http404("There is no public archive.")
        response = view(request, *args, **kwargs)
        response.headers["Cache-Control"] = f"public, max-age={KEPT_SECONDS}"
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        return response

    return answer


def _show(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    """Return a page in the language and zone of the site, whoever asks: everybody's browser may keep it."""
    with translation.override(site().language), timezone.override(site().time_zone):
        return render(request, f"campaigns/{template}.html", {**_context(), **context})


def _context() -> dict[str, Any]:
    archive = lifecycle_archive.settings_now()
    return {
        "words": ARCHIVE[site().language],
        "title": lifecycle_archive.title_of(archive),
        "description": archive.description,
        "organisation": site().organisation,
        "language": site().language,
    }


@_public
def index(request: HttpRequest) -> HttpResponse:
    entries = Paginator(ArchivedCampaign.objects.defer("html", "text"), PER_PAGE).get_page(request.GET.get("page"))
    where = ARCHIVE[site().language].page.format(number=entries.number, total=entries.paginator.num_pages)
    return _show(request, "archive_index", {"entries": entries, "where": where})


@_public
def entry(request: HttpRequest, entry_id: int, slug: str) -> HttpResponse:
    found = get_object_or_404(ArchivedCampaign, pk=entry_id)
    if slug != found.slug:
        return redirect("archive:entry", found.pk, found.slug, permanent=True)
    return _show(request, "archive_entry", {"entry": found})


@_public
def mail(request: HttpRequest, entry_id: int) -> HttpResponse:
    """Answer with the mail itself, for the frame in its page. It runs no scripts and has an opaque origin."""
    found = get_object_or_404(ArchivedCampaign, pk=entry_id)
    return HttpResponse(found.html, headers={"Content-Security-Policy": MAIL_POLICY})


@_public
def feed(request: HttpRequest) -> HttpResponse:
    shown = _context()
    home = settings.BASE_URL + reverse("archive:index")
    rss = Rss201rev2Feed(
        title=without_controls(shown["title"]),
        link=home,
        description=without_controls(shown["description"] or shown["title"]),
        language=site().language,
        feed_url=settings.BASE_URL + reverse("archive:feed"),
    )
    for found in ArchivedCampaign.objects.all()[:IN_FEED]:
        link = settings.BASE_URL + reverse("archive:entry", args=[found.pk, found.slug])
        words = without_controls(" ".join((found.text or strip_tags(found.html)).split()))
        rss.add_item(
            title=without_controls(found.subject),
            link=link,
            unique_id=link,
            description=Truncator(words).chars(400),
            pubdate=found.sent_at,
        )
    response = HttpResponse(content_type=rss.content_type)
    rss.write(response, "utf-8")
    return response


# --- for users


class ArchiveForm(NoticesChanges, RefusesControls, ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ArchiveSettings
        fields = ["is_on", "title", "description"]


@require_http_methods(["GET", "POST"])
@needs("campaigns.view_archivesettings")
def archive_settings(request: HttpRequest) -> HttpResponse:
    may_change = request.user.has_perm("campaigns.change_archivesettings")
    form = ArchiveForm(request.POST or None, instance=lifecycle_archive.settings_now())
    if request.method == "POST":
        if not may_change:
            return HttpResponse(_("Only administrators can change the archive."), status=403)
        if form.is_valid():
            form.save()
            messages.success(request, str(form.instance))
            return redirect("campaigns:archive_settings")
    context = {
        "form": form,
        "may_change": may_change,
        "archive": lifecycle_archive.settings_now(),
        "entries": ArchivedCampaign.objects.defer("html", "text").select_related("campaign")[:PER_PAGE],
        "address": settings.BASE_URL + reverse("archive:index"),
        "may_publish": request.user.has_perm("campaigns.queue_campaign"),
    }
    return page(request, "campaigns/archive_settings.html", _("Archive"), context)


def _button(act: Callable[[HttpRequest, int], tuple[str, str]]) -> View:
    @require_POST
    @needs("campaigns.queue_campaign")
    @functools.wraps(act)
    def press(request: HttpRequest, campaign_id: int) -> HttpResponse:
        campaign_or_404(campaign_id)
        problem, done = act(request, campaign_id)
        if problem:
            messages.warning(request, problem)
        else:
            log(request, campaign_id, done)
            messages.success(request, done)
        return redirect("campaigns:progress", campaign_id)

    return press


@_button
def publish(request: HttpRequest, campaign_id: int) -> tuple[str, str]:
    done = _("Published to the archive.")
    if not lifecycle_archive.settings_now().is_on:
        done += " " + _("It appears once an administrator turns the archive on.")
    return lifecycle_archive.publish(campaign_id, request.user, timezone.now()), done


@_button
def withdraw(request: HttpRequest, campaign_id: int) -> tuple[str, str]:
    problem = "" if lifecycle_archive.withdraw(campaign_id) else _("This campaign isn't in the archive.")
    return problem, _("Removed from the archive.")
