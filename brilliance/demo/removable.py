"""Demo data at the press of a button: it makes no sign-ins, and all of it can be taken away again.

What was made is known by its keys. What the demo's servers, people and campaigns caused meanwhile (mail, figures,
consents, suppressions, received mail, histories) goes with them; what users made beside them stays.
"""

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, Q, QuerySet

from brilliance.demo import seed
from campaigns.lifecycle import states
from campaigns.models import Campaign, DomainProvider, Tally
from campaigns.schedule import mailings as campaign_mailings
from contacts.models import Contact, ContactList, Suppression
from delivery.models import Batch, Mailing, Notice, ServerOutcome, Trial, UnreachableDomain
from feedback.models import Feedback
from installation.models import DemoData, SiteSettings
from sandbox.models import SandboxMail
from smtpservers.models import SmtpServer

MADE = (SiteSettings, SmtpServer, Contact, ContactList, Campaign)


class StillSending(Exception):
    """Workers have mail of the demo in their hands. A moment later they have not."""


def may_make() -> bool:
    """Whether the installation is empty, and has the test inbox that the demo sends to."""
    if not settings.SANDBOX_ENABLED or DemoData.objects.exists():
        return False
    return not any(model.objects.exists() for model in (SmtpServer, Contact, ContactList, Campaign))


def make(author: User, now: dt.datetime) -> bool:
    """Create the demo; return whether the installation was empty."""
    with transaction.atomic():
        # Whoever comes second waits here, and finds the first one's row.
        list(User.objects.select_for_update().filter(pk=author.pk))
        if not may_make():
            return False
        before = {model: set(model._default_manager.values_list("pk", flat=True)) for model in MADE}
        seed.fill(author, now)
        rows = {
            model._meta.label_lower: sorted(set(model._default_manager.values_list("pk", flat=True)) - known)
            for model, known in before.items()
        }
        DemoData.objects.create(made_at=now, rows=rows)
    return True


def remove(now: dt.datetime) -> bool:
    """Take away the demo and all that came of it; return whether there was one.

    :raises StillSending: if workers have mail of it in their hands. Its campaigns are cancelled then.
    """
    found = DemoData.objects.first()
    if found is None:
        return False
    for campaign in _made(found, Campaign):
        states.cancel(campaign.pk, now)
    with transaction.atomic():
        demo = DemoData.objects.select_for_update().filter(pk=found.pk).first()
        if demo is None:
            return False
        servers, people, campaigns = (_made(demo, model) for model in (SmtpServer, Contact, Campaign))
        mailings = _mailings(campaigns, servers)
        if Batch.objects.filter(Q(mailing__in=mailings) | Q(server__in=servers)).exists():
            raise StillSending
        keys, names = list(people.values_list("email_key", flat=True)), list(servers.values_list("name", flat=True))
        Feedback.objects.filter(message__mailing__in=mailings).delete()
        ServerOutcome.objects.filter(server_name__in=names).delete()
        SandboxMail.objects.filter(rcpt_to__in=list(people.values_list("email", flat=True))).delete()
        Suppression.objects.filter(email_key__in=keys).delete()
        mailing_ids = list(mailings.values_list("pk", flat=True))
        Tally.objects.filter(Q(mailing_id__in=mailing_ids) | Q(mailing_id=0, server_name__in=names)).delete()
        for known in (DomainProvider, UnreachableDomain):  # What was learned of them is learned again.
            known._default_manager.filter(domain__in=seed.DOMAINS).delete()
        campaigns.delete()
        Mailing.objects.filter(pk__in=mailing_ids).delete()
        servers.delete()
        _made(demo, ContactList).delete()
        people.delete()
        own = {"organisation": seed.ORGANISATION, "postal_address": seed.POSTAL_ADDRESS}
        _made(demo, SiteSettings).filter(**own).delete()  # Unless an administrator has entered another one since.
        _forget_histories(MADE, demo)  # At last: a deletion is written there, too.
        demo.delete()
    return True


def _made(demo: DemoData, model: type[Model]) -> "QuerySet[Model]":
    return model._default_manager.filter(pk__in=demo.rows.get(model._meta.label_lower, []))


def _mailings(campaigns: "QuerySet[Model]", servers: "QuerySet[Model]") -> QuerySet[Mailing]:
    """Return the mail of the campaigns, tests through the servers, and notices about them."""
    of_campaigns = [pk for campaign in campaigns for pk in campaign_mailings.mailing_ids(campaign)]  # type: ignore[arg-type]
    tests_of = Q(stream=Mailing.Stream.TEST, reference__in=[f"c{campaign.pk}" for campaign in campaigns])
    notices = Notice.objects.filter(Q(server__in=servers) | Q(about__in=of_campaigns)).values("mailing")
    trials = Trial.objects.filter(server__in=servers).values("message__mailing")
    return Mailing.objects.filter(
        Q(pk__in=of_campaigns) | tests_of | Q(server__in=servers) | Q(pk__in=notices) | Q(pk__in=trials)
    )


def _forget_histories(models: Iterable[type[Model]], demo: DemoData) -> None:
    for model in models:
        keys = demo.rows.get(model._meta.label_lower, [])
        kind = ContentType.objects.get_for_model(model)
        LogEntry.objects.filter(content_type=kind, object_id__in=[str(key) for key in keys]).delete()
        if (history := getattr(model, "history", None)) is not None:
            history.filter(id__in=keys).delete()
