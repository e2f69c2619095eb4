"""Refusals: the reasons why a campaign cannot be sent, in sentences that say what to do.

Reads the database and changes nothing. A full quota is no reason: such a campaign waits.
"""

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator

from django.db.models import QuerySet

from campaigns.ab_test.variants import as_campaign, experiment_of, have_same_content
from campaigns.audience.audience import audience_of, gone
from campaigns.audience.headcounts import NotCounted, counted_once, headcount
from campaigns.content.build import PARTS, body_of, build, written_fields
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign
from contacts.attributes.rules import merge_values
from contacts.models import Attribute, Contact
from contacts.segments.audience import Audience, reached
from delivery.content.copies import copy_addresses
from mail.addresses import AddressInvalid, Mailbox, domain_of, parse_mailbox, parse_mailboxes
from mail.links.merge_tags import OWN_LINKS
from mail.merge_fields import MergeError, name_values, parse, unknown_names
from mail.message.composition import compile_content
from mail.message.style import Recipient, Style
from smtpservers.models import SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.candidates import carriers, is_sender_served

STANDARD_FIELDS = ("first_name", "last_name", "full_name", "email", *OWN_LINKS)
COPIES_WITHOUT_ASKING = 100
SAMPLE_CONTACTS = 1_000  # Read for the names of custom attributes. Any other name is looked up separately.


def audience(campaign: Campaign, now: dt.datetime) -> QuerySet[Contact]:
    """Return the people who would get the campaign now. :mod:`campaigns.preflight.people` lists the others."""
    return reached(audience_of(campaign), now)


def refusals(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return the reasons why the campaign cannot be queued, the most important first; empty if it can.

    :raises NotCounted: as :func:`campaigns.audience.headcounts.counted_once` does.
    """
    return list(_refusals(campaign, now))


def refusals_known(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return the refusals up to the first one that needs a headcount which is not in the cache."""
    return list(_until_counting(_refusals(campaign, now)))


def _until_counting(sentences: Iterator[str]) -> Iterator[str]:
    with contextlib.suppress(NotCounted):
        yield from sentences


def _refusals(campaign: Campaign, now: dt.datetime) -> Iterator[str]:
    chosen = audience_of(campaign)
    yield from _content(campaign)
    yield from _servers(campaign)
    yield from _sender(campaign)
    yield from _people(campaign, chosen, now)
    yield from list(_merge_fields(campaign, chosen)) or _composing(campaign, chosen, now)
    yield from _copies(campaign, chosen, now)
    yield from _variants(campaign, chosen, now)


def _variants(campaign: Campaign, chosen: Audience, now: dt.datetime) -> Iterator[str]:
    """Check each variant of an A/B test like the campaign itself."""
    experiment = experiment_of(campaign)
    if experiment is None:
        return
    variants = list(experiment.variants.all())
    if len(variants) < 2:
        yield "The A/B test has fewer than two variants. Write another one, or remove the test."
    for one, other in itertools.combinations(variants, 2):
        if have_same_content(campaign, one, other):
            yield f"The variants {one} and {other} say the same. Change one of them, or take it out."
    people = headcount(chosen, now).reached
    if variants and people * experiment.sample_percent < 100 * len(variants):
        yield "The sample of the A/B test is too small: some variants would reach nobody. Make it larger."
    for variant in variants:
        varied = as_campaign(campaign, variant)
        found = [*_content(varied), *_sender(varied)]
        found += list(_merge_fields(varied, chosen)) or _composing(varied, chosen, now)
        yield from (f"Variant {variant}: {reason}" for reason in found)


def doubts(campaign: Campaign) -> list[str]:
    """Return sentences about broken merge fields and unknown names, with a suggestion for a likely name."""
    return list(_until_counting(_merge_fields(campaign, audience_of(campaign))))


def server_refusals(campaign: Campaign) -> list[str]:
    """Return the reasons why the campaign's chosen servers could not send it; empty if they can."""
    return [*_servers(campaign), *_sender(campaign)]


def _content(campaign: Campaign) -> Iterator[str]:
    if not campaign.subject.strip():
        yield "The campaign has no subject. Write one."
    if not body_of(campaign).strip() and not campaign.text.strip():
        yield "The campaign has no content. Write the HTML, the text, or both."


def _servers(campaign: Campaign) -> Iterator[str]:
    """Yield the reasons why the chosen servers can never send the campaign. A pause or a full quota only delays it."""
    named = frozenset(campaign.server_ids)
    if not named:
        return
    if not SmtpServer.objects.filter(pk__in=named, is_active=True).exists():
        yield "None of the chosen servers is active. Choose others, or none, so that the routing rules decide alone."
        return
    for rule in rules.applying(rules.rules(), campaign.mail_from):
        if rule.server_ids and not rule.server_ids & named:
            yield (
                f"The routing rule “{rule.name}” allows none of the chosen servers for some of the mail. Choose one it"
                " allows, or none, so that the rules decide alone."
            )


def _sender(campaign: Campaign) -> Iterator[str]:
    try:
        if campaign.mail_from:
            domain = domain_of(parse_mailbox(campaign.mail_from).address)
            if not is_sender_served(campaign.mail_from, campaign.server_ids):
                which = "None of the chosen servers" if campaign.server_ids else "No server"
                yield (
                    f"{which} sends for {domain}. Leave the From address empty, so that each server uses its own,"
                    f" or ask an administrator for a server that sends for {domain}."
                )
    except AddressInvalid as error:
        yield f"The From address cannot be used: {error}"
    try:
        if campaign.reply_to:
            parse_mailboxes(campaign.reply_to)
    except AddressInvalid as error:
        yield f"The Reply-To address cannot be used: {error}"


def _people(campaign: Campaign, chosen: Audience, now: dt.datetime) -> Iterator[str]:
    if missing := gone(campaign):
        yield from missing
    elif chosen.segments and not chosen.consent_lists:
        yield (
            "The segments reach nobody without a consent. Choose the lists whose consent counts for them, or take the"
            " segments out."
        )
    elif not chosen.lists and not chosen.segments:
        yield "The campaign has no list. Choose at least one."
    elif not reached(chosen, now).exists():
        yield _nobody(chosen)


def _nobody(chosen: Audience) -> str:
    if chosen.segments or chosen.excluded_lists or chosen.excluded_segments:
        return (
            "Nobody is left of the chosen audience: see who is left out and why, then choose other lists or segments."
        )
    return "Nobody is subscribed to the chosen lists. Add people to them, or choose other lists."


def _copies(campaign: Campaign, chosen: Audience, now: dt.datetime) -> Iterator[str]:
    """Yield a question if copies would be many, because each copy is a message and a unit of quota."""
    if not campaign.sends_copies or campaign.confirms_copies:
        return
    with_copies = list(SmtpServer.objects.filter(is_active=True).exclude(mail_cc="", mail_bcc=""))
    if with_copies:
        carrying = carriers(campaign.mail_from, campaign.server_ids, now)
        with_copies = [server for server in with_copies if server.pk in carrying]
    most = max((len(copy_addresses(server)) for server in with_copies), default=0)
    people = headcount(chosen, now).reached if most else 0
    if people * most > COPIES_WITHOUT_ASKING:
        names = ", ".join(server.name for server in with_copies[:3])
        yield (
            f"Copies to the CC and BCC addresses of {names} would be up to {people * most:,} more messages, each a unit"
            " of quota. Switch Send copies off, or tick that copies are meant."
        )


def _merge_fields(campaign: Campaign, chosen: Audience) -> Iterator[str]:
    used: dict[str, list[str]] = {}
    templates = []
    sources = [(PARTS[field], getattr(campaign, field)) for field in written_fields(campaign)]
    if campaign.layout is not None:
        sources.append(("The layout", f"{campaign.layout.header}\n{campaign.layout.footer}"))
    for part, source in sources:
        try:
            template = parse(source)
        except MergeError as error:
            yield f"{part} has a mistake in its merge fields. {error}"
            continue
        templates.append((part, template))
        for name in template.names:
            used.setdefault(name, []).append(part)

    known = {*STANDARD_FIELDS, *Attribute.objects.values_list("name", flat=True)}
    custom = set(used) - known
    if not custom:
        return
    people = Contact.objects.filter(subscriptions__list__in=chosen.all_lists)
    for attributes in people.order_by("-pk").values_list("attributes", flat=True)[:SAMPLE_CONTACTS]:
        known.update(attributes)
    for name in custom - known:
        if counted_once("attribute", chosen, people.filter(attributes__has_key=name).exists, also=name):
            known.add(name)
    for part, template in templates:
        for name, suggestion in unknown_names(template, known):
            advice = f"Did you mean {{{{ {suggestion} }}}}?" if suggestion else "Correct the name or take it out."
            yield f"{part} uses {{{{ {name} }}}}, which nobody on the chosen lists has. {advice}"


def _composing(campaign: Campaign, chosen: Audience, now: dt.datetime) -> list[str]:
    """Compose the mail of one person, because a content that fails for the first one mostly fails for all."""
    person = reached(chosen, now).order_by("pk").first() or Contact(email="ann@example.com")
    values = {
        **merge_values(person.attributes),
        "email": person.email,
        **name_values(person.first_name, person.last_name),
    }
    sender = Style(mail_from=Mailbox("", "news@example.com"), has_unsubscribe=True)
    recipient = Recipient(person.email, "<check@example.com>", values, "https://example.com/u/check")
    try:
        built = build(campaign)
        compile_content(built.subject, built.html, built.text, sender).render(recipient)
    except ContentInvalid as error:
        return [str(error)]
    except MergeError as error:
        return [f"The content cannot be made into a mail. {error}"]
    return []
