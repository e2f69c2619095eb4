"""The recipients of a campaign: list, CSV, the page of one recipient, and resending to that one."""

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from adminpages.access import needs
from adminpages.fresh_sign_in import asks_first
from campaigns.ab_test.comparison import compare
from campaigns.lifecycle import states
from campaigns.reports import recipients as reports_recipients
from campaigns.reports.recipients import Filter
from campaigns.reports.report import explain
from campaigns.schedule import mailings
from campaigns.views.pages import campaign_or_404, log, page
from delivery import clock
from delivery.models import Message
from delivery.records import figures
from smtpservers.models import SmtpServer

RECIPIENTS_PER_PAGE = 50


def _filter(query: QueryDict, servers: list[tuple[int, str]]) -> Filter:
    names = ("status", "server", "provider", "answer", "reply", "q", "visited")
    status, server, provider, answer, reply, sought, visited = (query.get(name, "").strip()[:320] for name in names)
    if server.isdecimal() and server not in {str(pk) for pk, _ in servers}:
        server = "none"  # Matches nobody. A large number might not fit into the column.
    elif not server.isdecimal():
        server = ""
    return Filter(
        status=status if status in Message.Status.values else "",
        server=server,
        provider=provider,
        answer=answer,
        reply=reply,
        sought=sought,
        visited=visited if visited in reports_recipients.VISITED else "",
    )


class _Pages(Paginator):  # type: ignore[type-arg]  # Not generic at run time.
    """Pages over many rows. Pages of the later half are read from the end, so that the database skips fewer rows."""

    def page(self, number: int | str) -> "Page[Message]":
        number = self.validate_number(number)
        first, last = (number - 1) * self.per_page, min(number * self.per_page, self.count)
        rows = self.object_list
        if isinstance(rows, QuerySet) and first > self.count // 2:
            return Page(list(rows.reverse()[self.count - last : self.count - first])[::-1], number, self)
        return Page(rows[first:last], number, self)


def _pages(mailing_ids: list[int], given: Filter) -> "Paginator[Message]":
    rows = reports_recipients.fitting(mailing_ids, given)
    if not given.is_status_alone:
        # Few matches are read at once, without a separate count.
        few = list(rows[: RECIPIENTS_PER_PAGE + 1])
        if len(few) <= RECIPIENTS_PER_PAGE:
            return Paginator(few, RECIPIENTS_PER_PAGE)
    pages = _Pages(rows, RECIPIENTS_PER_PAGE)
    pages.count = reports_recipients.count(mailing_ids, given)
    return pages


@require_GET
@needs("delivery.view_message")
def recipients(request: HttpRequest, campaign_id: int) -> HttpResponse:
    campaign = campaign_or_404(campaign_id)
    mailing_ids = mailings.mailing_ids(campaign)
    servers = list(SmtpServer.objects.order_by("display_order").values_list("pk", "name"))
    given = _filter(request.GET, servers)
    query = request.GET.copy()
    query.pop("page", None)
    paginator = _pages(mailing_ids, given)
    rows = paginator.get_page(request.GET.get("page"))
    figures.show_claimed(rows.object_list)
    test = compare(campaign, clock.now(), lambda mailing_ids: [])
    waiting = test.waiting if test is not None else 0
    context = {
        "campaign": campaign,
        "rows": rows,
        "waiting": waiting,
        "recipients": paginator.count + waiting,
        "is_cut": paginator.count == reports_recipients.MOST_COUNTED and not given.is_status_alone,
        "statuses": Message.Status.choices,
        "servers": servers,
        "providers": reports_recipients.providers_among(mailing_ids),
        "answers": reports_recipients.answers_among(mailing_ids),
        "given": given,
        "knows_people": reports_recipients.are_people_known(mailing_ids),
        "query": query.urlencode(),
        "may_export": request.user.has_perm("contacts.export_contact"),
    }
    return page(request, "campaigns/recipients.html", _("Recipients of %(campaign)s") % {"campaign": campaign}, context)


@require_POST
@needs("delivery.view_message")
@needs("contacts.export_contact")
@asks_first
def export(request: HttpRequest, campaign_id: int) -> HttpResponseBase:
    """Answer with all recipients that match the filter in the query string, as CSV."""
    campaign = campaign_or_404(campaign_id)
    given = _filter(request.GET, list(SmtpServer.objects.values_list("pk", "name")))
    log(request, campaign_id, f"Exported its recipients as CSV: {given.in_the_log}.")
    lines = reports_recipients.write_csv(mailings.mailing_ids(campaign), given)
    name = f"recipients-{slugify(campaign.name)[:60] or campaign_id}.csv"
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


@require_GET
@needs("delivery.view_message")
def recipient(request: HttpRequest, message_id: int) -> HttpResponse:
    message = get_object_or_404(Message.objects.select_related("mailing", "contact", "server"), pk=message_id)
    figures.show_claimed([message])
    again = (Message.Status.UNCONFIRMED, Message.Status.FAILED, Message.Status.EXPIRED)
    campaign = mailings.campaign_of(message.mailing_id)
    context = {
        "message": message,
        "campaign": campaign,
        "attempts": figures.attempts(message),
        "copies": message.copies.order_by("pk"),
        "explanation": explain(message),
        "can_resend": message.status in again
        and message.mailing.state != "cancelled"
        and request.user.has_perm("delivery.resend_message"),
    }
    return page(request, "campaigns/recipient.html", _("Recipient"), context)


@require_POST
@needs("delivery.resend_message")
def resend(request: HttpRequest, message_id: int) -> HttpResponse:
    message = get_object_or_404(Message, pk=message_id)
    if states.resend(message_id, message.mailing_id, clock.now()):
        messages.success(request, _("Message queued again."))
    else:
        messages.warning(request, _("This message can't be sent again: it didn't fail, or its campaign was cancelled."))
    return redirect("campaigns:recipient", message_id)
