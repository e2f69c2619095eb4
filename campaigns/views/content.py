"""Requests of a draft's page while somebody writes: begin, autosave, heartbeat, plain text, pictures."""

from collections.abc import Collection
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, JsonResponse, RawPostDataException
from django.shortcuts import redirect, render
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_GET, require_POST

from adminpages import deadlines
from adminpages.access import needs
from adminpages.texts import read_json
from campaigns.audience.headcounts import NotCounted
from campaigns.content import media_library
from campaigns.content.build import build, is_sample
from campaigns.content.written import Written
from campaigns.forms import autosave
from campaigns.forms.autosave import Change
from campaigns.forms.campaign import DraftForm
from campaigns.markup.convert import ContentInvalid, converted
from campaigns.markup.file_types import FileRefused
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign, MediaFile
from campaigns.preflight.refusals import refusals_known
from campaigns.tasks import have_counted
from campaigns.views.pages import COUNTING_SECONDS, campaign_or_404, log, log_written
from delivery import clock
from mail.plaintext import TextError, from_html
from smtpservers.routing.fleet import Fleet
from words.texts import translated

MOST_CHANGES = 100
SHOWN_PICTURES = 60


@require_POST
@needs("campaigns.add_campaign")
def begin(request: HttpRequest) -> HttpResponse:
    """Create a draft from a starter template and open it."""
    starter = next((one for one in starters() if one.key == request.POST.get("starter", "")), None)
    if starter is None:
        messages.error(request, _("This template doesn't exist. Choose another one."))
        return redirect("admin:campaigns_campaign_add")
    draft = autosave.begin(starter, timezone.localtime())
    log(request, draft.pk, f"Begun with the template {starter.name}.")
    return redirect("admin:campaigns_campaign_change", draft.pk)


@require_POST
@needs("campaigns.change_campaign")
def draft(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Save the changes of a window, record its heartbeat, and answer with saved fields, conflicts and other editors."""
    try:
        asked = read_json(request.body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        window, version = str(asked["window"])[:36], int(asked["version"])
        changes = {
            str(name): Change(_texts(change["was"]), _texts(change["now"]))
            for name, change in list(asked.get("changes", {}).items())[:MOST_CHANGES]
        }
    except (ValueError, TypeError, KeyError, AttributeError, RawPostDataException):  # The last one for a form's data.
        return JsonResponse({"error": _("Couldn't read the changes. Reload the page.")}, status=400)
    now = timezone.now()
    saved = autosave.save(campaign_id, changes, version, DraftForm)
    others: list[str] = []
    if campaign := Campaign.objects.filter(pk=campaign_id).first():
        if saved.saved:
            log_written(request, campaign, _labels(saved.saved), now)
        is_leaving = bool(asked.get("leaving"))
        others = autosave.record_heartbeat(campaign_id, request.user, window, now, is_leaving=is_leaving)
    return JsonResponse(
        {
            "version": saved.version,
            "obstacle": saved.obstacle,
            "saved": saved.saved,
            "saved_at": formats.time_format(timezone.localtime(now), "H:i"),
            "errors": saved.errors,
            "conflicts": saved.conflicts,
            "fresh": saved.fresh,
            "others": others,
        }
    )


def _labels(names: Collection[str]) -> list[str]:
    """Return the labels of a draft's fields as the history keeps them: in English, in the order of the form."""
    with override(None):
        return [str(field.label or name) for name, field in DraftForm.base_fields.items() if name in names]


def readiness_of(campaign: Campaign) -> dict[str, Any]:
    """Return whether a draft can be sent, for the template ``campaigns/readiness.html``."""
    now = clock.now()
    deadlines.extend(COUNTING_SECONDS)
    written = Written(campaign)
    found: dict[str, Any] = {"obstacles": refusals_known(written, Fleet(now)), "is_sample": is_sample(campaign)}
    try:
        found["audience_count"] = written.headcounts.people(now).reached
    except NotCounted:
        found["is_counting"] = True
        have_counted(campaign.pk, now)
    return found


@require_GET
@needs("campaigns.view_campaign")
def readiness(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Render whether a draft can be sent, as it is saved now."""
    return render(request, "campaigns/readiness.html", readiness_of(campaign_or_404(campaign_id)))


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("a field's value is a list of texts")
    return values


@require_GET
@needs("campaigns.view_campaign")
def text(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Answer with the text part that is made from the HTML, to be edited by hand."""
    campaign = campaign_or_404(campaign_id)
    campaign.text = ""
    try:
        return JsonResponse({"text": from_html(build(campaign).html)})
    except (ContentInvalid, TextError) as error:
        return JsonResponse({"error": translated(error)})


@require_POST
@needs("campaigns.change_campaign")
def in_format(request: HttpRequest) -> HttpResponse:
    """Answer with a text in another format. Nothing is saved."""
    try:
        asked = read_json(request.body, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        source, markup, to = _texts([asked[name] for name in ("source", "from", "to")])
    except (ValueError, TypeError, KeyError, RawPostDataException):  # The last one for a form's data.
        return JsonResponse({"error": _("Couldn't read the text. Reload the page.")}, status=400)
    try:
        return JsonResponse({"text": converted(source, markup, to)})
    except ContentInvalid as error:
        return JsonResponse({"error": translated(error)})


@require_GET
@needs("campaigns.view_mediafile")
def pictures(request: HttpRequest) -> HttpResponse:
    """Answer with the newest pictures of the library, to be inserted into a mail."""
    return JsonResponse({"pictures": [_picture(file) for file in _images()[:SHOWN_PICTURES]]})


@require_POST
@needs("campaigns.add_mediafile")
def upload(request: HttpRequest) -> HttpResponse:
    """Store one picture in the library."""
    given = request.FILES.get("file")
    if given is None:
        return JsonResponse({"error": _("Choose a file.")}, status=400)
    if given.size is None or given.size > settings.MEDIA_MAX_BYTES:
        most = settings.MEDIA_MAX_BYTES / 1e6
        return JsonResponse(
            {"error": _("The file is larger than %(most)s MB. Make it smaller.") % {"most": f"{most:,.0f}"}}, status=400
        )
    try:
        file = media_library.store(given.read(), given.name or "", request.POST.get("alt", "")[:300], request.user)
    except FileRefused as refusal:
        return JsonResponse({"error": translated(refusal)}, status=400)
    log_added(request, file)
    if file.kind != MediaFile.Kind.IMAGE:
        kept = _("“%(name)s” isn't an image. It was added to the library. Reload this page to attach it.") % {
            "name": file.name
        }
        return JsonResponse({"error": kept}, status=400)
    return JsonResponse({"picture": _picture(file)})


def log_added(request: HttpRequest, file: MediaFile) -> None:
    site_admin = admin.site.get_model_admin(MediaFile)
    site_admin.log_addition(request, file, "Uploaded.")


def _images() -> Any:
    return MediaFile.objects.filter(kind=MediaFile.Kind.IMAGE)


def _picture(file: MediaFile) -> dict[str, Any]:
    return {"name": file.name, "alt": file.alt, "url": media_library.url_of(file), "width": file.width}
