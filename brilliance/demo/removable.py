"""Demo data at the press of a button: it makes no sign-ins, and it can be taken away again.

Each row that was made is known by its key and its fingerprint. A row that was changed since, or put to a use of one's
own, stays with all that hangs on it. What the others caused meanwhile (mail, figures, consents, suppressions, received
mail, histories) goes with them.
"""

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Model, Q, QuerySet

from brilliance.demo import fingerprints, seed
from campaigns.lifecycle import states
from campaigns.models import Campaign, DomainProvider, Tally
from campaigns.schedule import mailings as campaign_mailings
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression
from contacts.segments import query
from contacts.transfer import import_contacts
from db import locks
from delivery.models import Batch, Chunk, Mailing, Message, Notice, ScoreCount, ServerOutcome, UnreachableDomain
from feedback.models import Feedback, RawReport, Report
from installation.models import DemoData, SiteSettings
from sandbox.models import SandboxMail
from smtpservers.models import SmtpServer
from smtpservers.routing import rules

MADE = (SiteSettings, SmtpServer, Contact, ContactList, Campaign)
TURN = "demo data"  # Making and removing take turns, whoever presses.
BY_USERS = (ConsentEvent.Method.ADMIN, ConsentEvent.Method.IMPORT, ConsentEvent.Method.API)


class StillSending(Exception):
    """Workers have mail of the demo in their hands. A moment later they have not."""


class InUse(Exception):
    """Something of the users' own would be stuck or changed without the demo. ``users`` names it, for people."""

    def __init__(self, users: list[str]) -> None:
        super().__init__(f"the demo is used by {', '.join(users)}")
        self.users = users


class Removable(NamedTuple):
    """The keys of the rows that are the demo's alone."""

    people: list[int]
    lists: list[int]
    campaigns: list[int]
    servers: list[int]


def may_make() -> bool:
    """Whether the installation is empty, and has the test inbox that the demo sends to."""
    if not settings.SANDBOX_ENABLED or DemoData.objects.exists():
        return False
    return not any(model.objects.exists() for model in (SmtpServer, Contact, ContactList, Campaign))


def make(author: User, now: dt.datetime) -> bool:
    """Create the demo; return whether the installation was empty."""
    with transaction.atomic():
        locks.take_turns(TURN)
        if not may_make():
            return False
        DemoData.objects.create(made_at=now, rows=fingerprints.take(seed.fill(author, now)))
    return True


def remove(now: dt.datetime) -> int | None:
    """Take away the demo and all that came of it; return how many of its rows stay, None if there was no demo.

    :raises InUse: if something of the users' own needs it. Nothing is changed then.
    :raises StillSending: if workers have mail of it in their hands. Its campaigns are cancelled then.
    """
    # In two transactions: workers see the first one's cancels before the second one looks for mail in their hands.
    with transaction.atomic():
        locks.take_turns(TURN)
        demo = DemoData.objects.first()
        if demo is None:
            return None
        its = _removable(demo)
        if users := _users_of(its):
            raise InUse(users)
        for campaign_id in its.campaigns:
            states.cancel(campaign_id, now)
    with transaction.atomic():
        locks.take_turns(TURN)
        demo = DemoData.objects.first()
        if demo is None:
            return None
        its = _removable(demo)
        if users := _users_of(its):
            raise InUse(users)
        _take_away(its, demo)
        return sum(model._default_manager.filter(pk__in=_keys(demo, model)).count() for model in MADE)


def _keys(demo: DemoData, model: type[Model]) -> list[int]:
    return [int(key) for key in demo.rows.get(model._meta.label_lower, {})]


def _removable(demo: DemoData) -> Removable:
    """Find the rows that are as they were made and that nothing else hangs on, and lock them."""
    lists = _keys(demo, ContactList)
    by_users = ConsentEvent.objects.filter(Q(method__in=BY_USERS) | Q(list__isnull=False) & ~Q(list__in=lists))
    elsewhere = Subscription.objects.exclude(list__in=lists)
    same = fingerprints.unchanged(Contact, demo.rows)
    kept = {*by_users.values_list("contact", flat=True), *elsewhere.values_list("contact", flat=True)}
    people = [key for key in same if key not in kept]

    lists = fingerprints.unchanged(ContactList, demo.rows)
    with_others = Subscription.objects.filter(list__in=lists).exclude(contact__in=people)
    kept = set(with_others.values_list("list", flat=True))
    lists = [key for key in lists if key not in kept]

    same = fingerprints.unchanged(Campaign, demo.rows)
    campaigns = [each.pk for each in Campaign.objects.filter(pk__in=same, experiment=None) if _is_for(each, people)]
    return Removable(people, lists, campaigns, fingerprints.unchanged(SmtpServer, demo.rows))


def _is_for(campaign: Campaign, people: Collection[int]) -> bool:
    """Whether nobody else is among the campaign's recipients so far."""
    sent = Message.objects.filter(mailing__in=campaign_mailings.mailing_ids(campaign), contact__isnull=False)
    return not sent.exclude(contact__in=people).exists()


def _users_of(its: Removable) -> list[str]:
    """Return the names of what keeps the servers and the lists, once the demo's own campaigns are gone."""
    with transaction.atomic():
        Campaign.objects.filter(pk__in=its.campaigns).delete()
        found = [*rules.users_of(its.servers), *query.users_of(lists=its.lists)]
        found += import_contacts.running_into(its.lists)
        transaction.set_rollback(True)
    return list(dict.fromkeys(found))


def _take_away(its: Removable, demo: DemoData) -> None:
    servers, people = SmtpServer.objects.filter(pk__in=its.servers), Contact.objects.filter(pk__in=its.people)
    campaigns = Campaign.objects.filter(pk__in=its.campaigns)
    mailings = list(_mailings(campaigns, its.servers).values_list("pk", flat=True))
    # Waits for claims from these chunks, so that they are seen below.
    list(Chunk.objects.select_for_update().filter(mailing__in=mailings).order_by("pk").values_list("pk"))
    if Batch.objects.filter(Batch.OPEN, Q(mailing__in=mailings) | Q(server__in=servers)).exists():
        raise StillSending
    names = list(servers.values_list("name", flat=True))
    Suppression.objects.filter(pk__in=_suppressions(its.people, mailings)).delete()
    reports = Report.objects.filter(message__mailing__in=mailings)
    RawReport.objects.filter(pk__in=list(reports.values_list("raw", flat=True))).delete()
    reports.delete()
    Feedback.objects.filter(message__mailing__in=mailings).delete()
    ServerOutcome.objects.filter(server_name__in=names).delete()
    ScoreCount.objects.filter(server_id__in=its.servers).delete()
    SandboxMail.objects.filter(rcpt_to__in=list(people.values_list("email", flat=True))).delete()
    Tally.objects.filter(Q(mailing_id__in=mailings) | Q(mailing_id=0, server_name__in=names)).delete()
    for known in (DomainProvider, UnreachableDomain):  # What was learned of them is learned again.
        known._default_manager.filter(domain__in=seed.DOMAINS).delete()
    campaigns.delete()
    Mailing.objects.filter(pk__in=mailings).delete()
    for server in servers:  # One by one: each deletion waits for claims in progress.
        server.delete()
    ContactList.objects.filter(pk__in=its.lists).delete()
    people.delete()
    _clear_settings(demo)
    for model in MADE:  # At last: a deletion is written there, too.
        _forget_history(model, _keys(demo, model))
    demo.delete()


def _mailings(campaigns: "QuerySet[Campaign]", servers: Collection[int]) -> QuerySet[Mailing]:
    """Return the mail of the campaigns, tests of them and of the servers themselves, and notices about them."""
    of_campaigns = [pk for campaign in campaigns for pk in campaign_mailings.mailing_ids(campaign)]
    tests_of = Q(stream=Mailing.Stream.TEST, reference__in=[f"c{campaign.pk}" for campaign in campaigns])
    tests_through = Q(stream=Mailing.Stream.TEST, reference="", server__in=servers)
    notices = Notice.objects.filter(Q(server__in=servers) | Q(about__in=of_campaigns)).values("mailing")
    return Mailing.objects.filter(Q(pk__in=of_campaigns) | tests_of | tests_through | Q(pk__in=notices))


def _suppressions(people: Collection[int], mailings: Collection[int]) -> list[int]:
    """Return the keys of the suppressions that an answer to this mail made. Users and files made the others."""
    messages = Message.objects.filter(mailing__in=mailings, contact__in=people).select_related("mailing")
    answers: dict[tuple[str, str], list[str]] = {}
    for message in messages.filter(status=Message.Status.BOUNCED):
        answers.setdefault((message.email_key, Suppression.Reason.HARD_BOUNCE), []).append(message.reason)
    left = Feedback.objects.filter(Q(is_global=True) | Q(kind=Feedback.Kind.COMPLAINT), message__in=messages)
    for feedback in left.select_related("message__mailing"):
        assert feedback.message is not None
        is_complaint = feedback.kind == Feedback.Kind.COMPLAINT
        reason = Suppression.Reason.COMPLAINT if is_complaint else Suppression.Reason.UNSUBSCRIBED
        key = (feedback.message.email_key, reason)
        answers.setdefault(key, []).append(feedback.message.mailing.name)
    found = Suppression.objects.filter(email_key__in=[key for key, _ in answers]).exclude(source__startswith="admin: ")
    return [
        each.pk
        for each in found
        if any(words[:400] in each.source for words in answers.get((each.email_key, each.reason), ()))
    ]


def _clear_settings(demo: DemoData) -> None:
    """Take the demo's name and address out of the settings, and the row if nothing else was entered."""
    its = SiteSettings.objects.filter(pk__in=_keys(demo, SiteSettings))
    its.filter(organisation=seed.ORGANISATION).update(organisation="")
    its.filter(postal_address=seed.POSTAL_ADDRESS).update(postal_address="")
    its.filter(tracking=seed.TRACKING).update(tracking="")
    empty = {field.name: "" for field in SiteSettings._meta.concrete_fields if not field.primary_key}
    its.filter(**empty).delete()


def _forget_history(model: type[Model], keys: Collection[int]) -> None:
    """Delete the histories of these rows, unless the rows are still there."""
    kept = set(model._default_manager.filter(pk__in=keys).values_list("pk", flat=True))
    gone = [key for key in keys if key not in kept]
    kind = ContentType.objects.get_for_model(model)
    LogEntry.objects.filter(content_type=kind, object_id__in=[str(key) for key in gone]).delete()
    if (history := getattr(model, "history", None)) is not None:
        history.filter(id__in=gone).delete()
