"""The page of a server's scorecard."""

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages.access import needs
from delivery import clock
from delivery.outcomes.scorecard import ACCEPTED, DELIVERED
from feedback.models import Feedback
from feedback.records import scorecard as records_scorecard
from smtpservers.models import SmtpServer

Kind = Feedback.Kind
KINDS = (ACCEPTED, DELIVERED, Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE, Kind.CONTENT, Kind.SERVER, Kind.COMPLAINT)


@staff_member_required
@needs("smtpservers.view_smtpserver")
@require_GET
def scorecard(request: HttpRequest, server_id: int) -> HttpResponse:
    """Show what became of a server's messages by mailbox provider, and how fast it answers."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    given = request.GET.get("days", "")
    days = int(given) if given in map(str, records_scorecard.PERIODS) else 30
    card = records_scorecard.of(server, days, clock.now())
    context = {
        **admin.site.each_context(request),
        "title": _("Scorecard of %(server)s") % {"server": server},
        "opts": SmtpServer._meta,
        "object": server,
        "server": server,
        "days": days,
        "periods": records_scorecard.PERIODS,
        "card": card,
        "headings": [
            _("Accepted"),
            _("Delivered"),
            *(Kind(kind).label for kind in KINDS[2:]),
            _("Complaint rate"),
        ],
        "rows": [(line, [line.counts.get(kind, 0) for kind in KINDS]) for line in card.lines],
        "sums": [card.total.counts.get(kind, 0) for kind in KINDS],
    }
    return TemplateResponse(request, "feedback/scorecard.html", context)
