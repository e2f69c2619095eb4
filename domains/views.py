"""The page of a domain's reports: the figures, and a form for reports that came some other way."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget

from adminpages.text_fields import RefusesControls
from domains.models import DomainReport, SendingDomain
from domains.postmaster import figures as postmaster
from domains.reports import figures, store, uploads
from domains.reports.addresses import address_for
from domains.senders import senders_of
from mail.aggregates.container import MOST_PACKED_BYTES, ReportInvalid
from words.reasons import SENTENCES
from words.texts import translated

REPORTS_SHOWN = 10


class Bar(NamedTuple):
    """A day in the drawing: where what passed begins and how high it is, and the same of what failed below it."""

    x: int
    passed_y: float
    passed: float
    failed_y: float
    failed: float


class UploadForm(RefusesControls, forms.Form):
    """One report, as a file."""

    file = forms.FileField(
        label=gettext_lazy("Report file"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".xml,.json,.gz,.zip"}),
        error_messages={
            "required": gettext_lazy("Choose a report file."),
            "empty": gettext_lazy("This file is empty."),
        },
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        """Read the report, whose values are then in ``report``."""
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > MOST_PACKED_BYTES:
            raise forms.ValidationError(
                _("The file is too large. A report has at most %(most)s MiB.") % {"most": MOST_PACKED_BYTES >> 20}
            )
        try:
            self.report = uploads.read(file.read())
        except ReportInvalid as error:
            raise forms.ValidationError(translated(SENTENCES.known(str(error)))) from None
        return file


def reports(request: HttpRequest, domain_id: int, *, may_view: bool, may_upload: bool) -> HttpResponse:
    """Show what receivers report of a domain, and take an uploaded report."""
    if not may_view or (request.method == "POST" and not may_upload):
        raise PermissionDenied
    domain = get_object_or_404(SendingDomain, pk=domain_id)
    form = UploadForm(request.POST or None, request.FILES or None) if may_upload else None
    if request.method == "POST" and form is not None and form.is_valid():
        saved = store.save(form.report, timezone.now())
        if not saved.problem:
            messages.add_message(request, *_answer(saved))
            return redirect("admin:domains_sendingdomain_reports", domain.pk)
        form.add_error("file", translated(saved.problem))
    context = {**admin.site.each_context(request), **_shown(request, domain), "form": form}
    return TemplateResponse(request, "domains/reports.html", context, status=400 if form and form.errors else 200)


def _answer(saved: store.Saved) -> tuple[int, str]:
    """Return the level and the sentence that answer an upload."""
    if saved.counted:
        return messages.SUCCESS, _("Report counted.")
    if saved.repeated:
        return messages.INFO, _("This report was counted before. It isn't counted again.")
    return messages.INFO, _("The report is empty, so nothing was counted.")


def _shown(request: HttpRequest, domain: SendingDomain) -> dict[str, Any]:
    given = request.GET.get("days", "")
    days = int(given) if given in map(str, figures.PERIODS) else 30
    today = timezone.now().astimezone(dt.UTC).date()
    ours = senders_of(domain.name)
    dmarc = figures.dmarc_of(domain, ours, _selectors(domain), today, days)
    return {
        "title": _("Reports of %(domain)s") % {"domain": domain},
        "opts": SendingDomain._meta,
        "object": domain,
        "original": domain,
        "address": address_for(domain.report_tag, domain.name, ours),
        "days": days,
        "periods": figures.PERIODS,
        "dmarc": dmarc,
        "ours_label": _("Your sources"),
        "unknown_label": _("Unknown sources"),
        "gmail": postmaster.of_domain(domain, today, days),
        "may_connect": request.user.has_perm("oauth.add_oauthaccount"),
        "bars": _drawn(dmarc.days, today, days),
        "tls": figures.tls_of(domain, today, days),
        "newest": domain.reports.all()[:REPORTS_SHOWN],
        "kinds": DomainReport.Kind,
    }


def _selectors(domain: SendingDomain) -> list[str]:
    """Return the selectors of our own keys, revoked ones too: reports are about the past."""
    return list(domain.dkim_keys.values_list("selector", flat=True))


def _drawn(days: Sequence[tuple[dt.date, int, int]], last: dt.date, number: int) -> list[Bar]:
    """Return a bar for each day; the highest is 100 units high."""
    known = {day: (passed, failed) for day, passed, failed in days}
    highest = max((passed + failed for _day, passed, failed in days), default=1) or 1
    bars = []
    for index in range(number):
        passed, failed = known.get(last - dt.timedelta(days=number - 1 - index), (0, 0))
        height = 100 * (passed + failed) / highest
        bad = 100 * failed / highest
        bars.append(Bar(index, round(100 - height, 2), round(height - bad, 2), round(100 - bad, 2), round(bad, 2)))
    return bars
