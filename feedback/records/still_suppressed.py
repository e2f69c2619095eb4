"""The addresses that a mail provider still suppresses itself, as far as its own events said so."""

from collections.abc import Iterable

from django.db.models import Q

from feedback.models import Feedback, RawReport, Report
from feedback.webhooks.adapters import ADAPTERS

# A provider that reported one of these sends nothing more to the address, whatever we lift here.
KINDS = (Feedback.Kind.SUPPRESSED, Feedback.Kind.HARD_BOUNCE, Feedback.Kind.COMPLAINT)


def at_providers(email_keys: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of the providers by folded address."""
    said = Report.objects.filter(
        Q(source=RawReport.Source.WEBHOOK) & ~Q(provider="signed"), kind__in=KINDS, message__email_key__in=email_keys
    )
    found: dict[str, list[str]] = {}
    for email_key, provider in said.order_by().values_list("message__email_key", "provider").distinct():
        known = ADAPTERS.get(provider)
        found.setdefault(email_key, []).append(known.name if known is not None else provider)
    return {email_key: sorted(names) for email_key, names in found.items()}
