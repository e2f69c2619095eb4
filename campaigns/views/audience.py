"""The audience of a campaign: its size while somebody chooses it in the form, and the people who are left out."""

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from adminpages import deadlines
from adminpages.access import needs
from adminpages.fresh_sign_in import asks_first
from campaigns.audience.audience import LISTS, SEGMENTS, of_choices
from campaigns.audience.headcounts import NotCounted, headcount
from campaigns.forms.audience import NewListForm
from campaigns.preflight import people as preflight_people
from campaigns.tasks import have_counted
from campaigns.views.pages import COUNTING_SECONDS, campaign_or_404, page
from campaigns.views.pending import waits_for_numbers
from contacts.models import ContactList, Segment
from contacts.segments import query
from contacts.segments.audience import Reach
from contacts.segments.conditions import ConditionsInvalid
from contacts.transfer.export_contacts import csv_response, record_export, table
from words.texts import translated

PEOPLE_PER_PAGE = 50
MOST_CHOSEN = 200


@require_POST
@needs("campaigns.view_campaign")
def audience(request: HttpRequest) -> HttpResponse:
    """Count the audience chosen in a form: all people, and the people of each chosen segment."""
    lists = _numbers(request.POST, "lists")
    kept = {name: _numbers(request.POST, name) for name in (*LISTS, *SEGMENTS)}
    now = timezone.now()
    chosen = of_choices(lists, kept)
    try:
        found, brought = headcount(chosen, now), _of_segments(kept)
    except NotCounted:
        have_counted(chosen, now)
        return _uncached({"sentence": _("Counting recipients…"), "is_counting": True, "segments": {}})
    left_out = [
        f"{number:,} {preflight_people.TITLES[verdict]}"
        for verdict, number in found.numbers.items()
        if number and verdict != Reach.REACHED
    ]
    reached = found.reached
    sentences = [ngettext("%(n)s recipient.", "%(n)s recipients.", reached) % {"n": f"{reached:,}"}]
    if found.repeated:
        several = ngettext(
            "%(n)s is on several lists or segments and gets one message.",
            "%(n)s are on several lists or segments and get one message each.",
            found.repeated,
        )
        sentences.append(several % {"n": f"{found.repeated:,}"})
    if left_out:
        sentences.append(_("Excluded: %(people)s.") % {"people": ", ".join(left_out)})
    sentence = " ".join(sentences)
    if not lists and not kept["segments"]:
        sentence = _("Choose a list or a segment.")
    elif kept["segments"] and not kept["consent_lists"]:
        sentence = _("Choose at least one consent list for the segments.")
    return _uncached({"sentence": sentence, "is_counting": False, "reached": reached, "segments": brought})


@require_POST
@needs("contacts.add_contactlist")
def create_list(request: HttpRequest) -> HttpResponse:
    """Create an empty list for the campaign that somebody is writing."""
    form = NewListForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"error": " ".join(map(str, form.errors["name"]))})
    made = form.save()
    admin.site.get_model_admin(ContactList).log_addition(request, made, [{"added": {}}])
    sentence = _("“%(list)s” created. It has no subscribers yet.") % {"list": made}
    return JsonResponse({"id": made.pk, "name": made.name, "sentence": sentence})


def _uncached(answer: dict[str, object]) -> JsonResponse:
    return JsonResponse(answer, headers={"Cache-Control": "no-store"})


def _numbers(data: QueryDict, name: str) -> list[int]:
    return [int(text) for text in data.getlist(name)[:MOST_CHOSEN] if text.isdecimal() and len(text) < 19]


def _of_segments(kept: dict[str, list[int]]) -> dict[int, str]:
    """Return the number of people in each included or excluded segment, in words, by its id."""
    now = timezone.now()
    consenting = tuple(kept["consent_lists"])
    found = {}
    for segment in Segment.objects.filter(pk__in={*kept["segments"], *kept["excluded_segments"]}):
        try:
            query.check(segment.conditions)
        except ConditionsInvalid as error:
            found[segment.pk] = _("needs fixing: %(problem)s") % {"problem": translated(error)}
            continue
        number, with_consent = preflight_people.brought(segment.conditions, consenting, now)
        words = ngettext("%(n)s person", "%(n)s people", number) % {"n": f"{number:,}"}
        if segment.pk in kept["segments"] and consenting:
            words += _(" (%(n)s with consent)") % {"n": f"{with_consent:,}"}
        found[segment.pk] = words
    return found


@require_GET
@needs("campaigns.view_campaign")
@needs("contacts.view_contact")
@waits_for_numbers
def people(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the number of people for each reason, and the people with one reason in pages."""
    campaign = campaign_or_404(campaign_id)
    now = timezone.now()
    deadlines.extend(COUNTING_SECONDS)
    report = preflight_people.people(campaign, now)
    reason = request.GET.get("reason", "")
    number = report.numbers.get(reason, 0)
    context: dict[str, object] = {
        "campaign": campaign,
        "report": report,
        "may_export": request.user.has_perm("contacts.export_contact"),
    }
    if number:
        paginator = Paginator(range(number), PEOPLE_PER_PAGE)
        numbers = paginator.get_page(request.GET.get("page"))
        rows = preflight_people.some(campaign, reason, now, start=numbers.start_index() - 1, number=PEOPLE_PER_PAGE)
        context |= {
            "reason": reason,
            "title_of_reason": preflight_people.TITLES[reason],
            "numbers": numbers,
            "rows": rows,
        }
    return page(
        request,
        "campaigns/people.html",
        _("Recipients and exclusions of %(campaign)s") % {"campaign": campaign},
        context,
    )


@require_POST
@needs("campaigns.view_campaign")
@needs("contacts.export_contact")
@asks_first
@waits_for_numbers
def export(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """Answer with all people with one reason, as CSV."""
    campaign = campaign_or_404(campaign_id)
    reason = request.POST.get("reason", "")
    if reason not in preflight_people.TITLES:
        return redirect("campaigns:people", campaign_id)
    now = timezone.now()
    number = preflight_people.people(campaign, now).numbers[reason]
    whom = f"of the campaign “{campaign}”, {preflight_people.TITLES[reason]}"
    record_export(request.user, number, whom)  # type: ignore[arg-type]  # ``needs`` lets nobody else in.
    found = preflight_people.everybody(campaign, reason, now)
    lines = table(["email", "reason"], ([person.email, person.why] for person in found))
    return csv_response(lines, f"people-{reason}-{slugify(campaign.name)[:60] or campaign_id}.csv")
