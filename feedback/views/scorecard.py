"""The page of a server's scorecard."""

from dataclasses import dataclass
from typing import Self

from django.contrib import admin
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages.access import needs
from campaigns.reports.providers import name_of
from delivery import clock
from delivery.outcomes.scorecard import ACCEPTED, DELIVERED
from delivery.records.scorecard import ScoreLine
from feedback.models import Feedback
from feedback.records import scorecard as records_scorecard
from smtpservers.models import SmtpServer
from words.numbers import rate_of

Kind = Feedback.Kind
MOST_PROVIDERS = 20
KINDS = (ACCEPTED, DELIVERED, Kind.HARD_BOUNCE, Kind.SOFT_BOUNCE, Kind.CONTENT, Kind.SERVER, Kind.COMPLAINT)


@dataclass(frozen=True, slots=True)
class _Row:
    """The messages to one mailbox provider, or to all of them."""

    name: str
    numbers: list[int]  # In the order of ``KINDS``.
    complaint_rate: str  # Of accepted messages.

    @classmethod
    def of(cls, name: str, line: ScoreLine) -> Self:
        return cls(name, [line.of(kind) for kind in KINDS], rate_of(line.share(Kind.COMPLAINT)))


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
        "rows": [_Row.of(name_of(line.label), line) for line in card.score.providers[:MOST_PROVIDERS]],
        "total": _Row.of("", card.score.total),
    }
    return TemplateResponse(request, "feedback/scorecard.html", context)
