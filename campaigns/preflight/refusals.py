"""Refusals: the reasons why a campaign cannot be sent, in sentences that say what to do.

Reads the database and changes nothing. A full quota is no reason: such a campaign waits.
"""

import contextlib
import datetime as dt
import itertools
from collections.abc import Collection, Iterator

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.ab_test.variants import have_same_content
from campaigns.audience.audience import audience_of, gone
from campaigns.audience.headcounts import NotCounted
from campaigns.content.build import PARTS, body_of, written_fields
from campaigns.content.written import Written
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign
from contacts.attributes.rules import merge_values
from contacts.models import Attribute, Contact
from contacts.segments.audience import Audience, reached
from delivery.content.copies import copy_addresses
from delivery.content.test_inbox import leads_to_test_inbox
from mail.addresses import AddressInvalid, Mailbox, domain_of, parse_mailbox, parse_mailboxes
from mail.links.merge_tags import OWN_LINKS
from mail.merge_fields import MergeError, name_values, parse, unknown_names
from mail.message.composition import compile_content
from mail.message.style import Recipient, Style
from smtpservers.models import SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.fleet import Fleet
from words.texts import translated

STANDARD_FIELDS = ("first_name", "last_name", "full_name", "email", *OWN_LINKS)
COPIES_WITHOUT_ASKING = 100
MOST_NAMED = 3  # Servers in a sentence.
MOST_UNKNOWN = 20  # Unknown names in one content, each looked for among all people. The others are only counted.
SAMPLE_CONTACTS = 1_000  # Read for the names of custom attributes. Any other name is looked up separately.


def audience(campaign: Campaign, now: dt.datetime) -> QuerySet[Contact]:
    """Return the people who would get the campaign now. :mod:`campaigns.preflight.people` lists the others."""
    return reached(audience_of(campaign), now)


def refusals(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return the reasons why the campaign cannot be queued, the most important first; empty if it can.

    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    return refusals_of(Written(campaign), Fleet(now))


def refusals_of(written: Written, fleet: Fleet) -> list[str]:
    """Return the same for a campaign and a fleet that the caller has read.

    :raises NotCounted: as :func:`refusals` does.
    """
    return list(_refusals(written, fleet))


def refusals_known(written: Written, fleet: Fleet) -> list[str]:
    """Return the refusals up to the first one that needs a headcount which is not in the cache."""
    return list(_until_counting(_refusals(written, fleet)))


def _until_counting(sentences: Iterator[str]) -> Iterator[str]:
    with contextlib.suppress(NotCounted):
        yield from sentences


def _refusals(written: Written, fleet: Fleet) -> Iterator[str]:
    campaign = written.campaign
    yield from _content(campaign)
    yield from _servers(campaign, fleet)
    if mixed := mixed_servers(written, fleet):
        yield mixed
    yield from _sender(campaign, fleet)
    yield from _people(written, fleet.now)
    yield from _message(written, campaign, fleet.now)
    yield from _copies(written, fleet)
    yield from _variants(written, fleet)


def _variants(written: Written, fleet: Fleet) -> Iterator[str]:
    """Check each variant of an A/B test like the campaign itself."""
    experiment, variants = written.experiment, written.variants
    if experiment is None:
        return
    if len(variants) < 2:
        yield _("The A/B test has fewer than two variants. Add one, or remove the test.")
    for one, other in itertools.combinations(variants, 2):
        if have_same_content(written.campaign, one, other):
            yield _("Variants %(one)s and %(other)s are identical. Change or remove one.") % {
                "one": one,
                "other": other,
            }
    people = written.headcounts.people(fleet.now).reached
    if variants and people * experiment.sample_percent < 100 * len(variants):
        yield _("The A/B test's sample is too small: some variants would reach nobody. Make it larger.")
    for letter, varied in written.contents if variants else ():
        found = [*_content(varied), *_sender(varied, fleet), *_message(written, varied, fleet.now)]
        yield from (_("Variant %(letter)s: %(problem)s") % {"letter": letter, "problem": reason} for reason in found)


def doubts(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return sentences about broken merge fields and unknown names, with a suggestion for a likely name."""
    return list(_until_counting(_merge_fields(Written(campaign), campaign, now)))


def server_refusals(campaign: Campaign, now: dt.datetime) -> list[str]:
    """Return the reasons why the campaign's chosen servers could not send it; empty if they can."""
    fleet = Fleet(now)
    mixed = mixed_servers(Written(campaign), fleet)
    return [*_servers(campaign, fleet), *([mixed] if mixed else []), *_sender(campaign, fleet)]


def mixed_servers(written: Written, fleet: Fleet) -> str:
    """Return a sentence if the campaign would go through the test inbox and through real servers; empty if not.

    A part of the people would get nothing, or a trial would reach people. Only active and tested servers count, because
    no other takes the mail of campaigns. One that becomes active or tested later finds the kind of the mailing fixed.
    """
    usable = {server for server in fleet.servers if server.is_active and server.tested_at is not None}
    inbox = {server for server in usable if leads_to_test_inbox(server)}
    if not inbox or inbox == usable:
        return ""
    contents = [written.campaign, *(content for _letter, content in written.contents)]
    used = {server for each in contents for server in fleet.carriers(each.mail_from, each.server_ids)}
    inbox &= used
    if not inbox or inbox == used:
        return ""
    return _(
        "Some of this mail would stay in the test inbox (%(inbox)s), and some would reach real people (%(real)s)."
        " Choose servers of one kind under Servers, or deactivate the others."
    ) % {"inbox": _named(inbox), "real": _named(used - inbox)}


def _named(servers: Collection[SmtpServer]) -> str:
    """Return the names of a few servers, in display order, and how many more there are."""
    ordered = sorted(servers, key=lambda server: (server.display_order, server.pk))
    names = ", ".join(server.name for server in ordered[:MOST_NAMED])
    more = len(ordered) - MOST_NAMED
    if more <= 0:
        return names
    return ngettext("%(names)s and %(n)s more", "%(names)s and %(n)s more", more) % {"names": names, "n": f"{more:,}"}


def _content(campaign: Campaign) -> Iterator[str]:
    if not campaign.subject.strip():
        yield _("Enter a subject.")
    if not body_of(campaign).strip() and not campaign.text.strip():
        yield _("Write some content: HTML, text or both.")


def _servers(campaign: Campaign, fleet: Fleet) -> Iterator[str]:
    """Yield the reasons why the chosen servers can never send the campaign. A pause or a full quota only delays it."""
    named = frozenset(campaign.server_ids)
    if not named:
        return
    if not fleet.is_any_active(named):
        yield _("None of the chosen servers is active. Choose others, or none to use all servers.")
        return
    for rule in rules.applying(fleet.rules, campaign.mail_from):
        if rule.server_ids and not rule.server_ids & named:
            sentence = _(
                "The routing rule “%(rule)s” allows none of the chosen servers for some recipients. Choose a server it"
                " allows, or none to use all servers."
            )
            yield sentence % {"rule": rule.name}


def _sender(campaign: Campaign, fleet: Fleet) -> Iterator[str]:
    try:
        if campaign.mail_from:
            domain = domain_of(parse_mailbox(campaign.mail_from).address)
            if not fleet.is_sender_served(campaign.mail_from, campaign.server_ids):
                sentence = _("No server sends for %(domain)s.")
                if campaign.server_ids:
                    sentence = _("None of the chosen servers sends for %(domain)s.")
                advice = _(
                    "Leave the From address empty to use each server's own, or ask an administrator for a server."
                )
                yield f"{sentence % {'domain': domain}} {advice}"
    except AddressInvalid as error:
        yield _("The From address can't be used: %(problem)s") % {"problem": translated(error)}
    try:
        if campaign.reply_to:
            parse_mailboxes(campaign.reply_to)
    except AddressInvalid as error:
        yield _("The Reply-To address can't be used: %(problem)s") % {"problem": translated(error)}


def _people(written: Written, now: dt.datetime) -> Iterator[str]:
    chosen = written.audience
    if missing := gone(written.campaign):
        yield from missing
    elif chosen.segments and not chosen.consent_lists:
        yield _("The segments reach nobody without a consent list. Choose one, or remove the segments.")
    elif not chosen.lists and not chosen.segments:
        yield _("Choose at least one list.")
    elif written.first_person(now) is None:
        yield _nobody(chosen)


def _nobody(chosen: Audience) -> str:
    if chosen.segments or chosen.excluded_lists or chosen.excluded_segments:
        return _("The chosen audience is empty. Check the exclusions, or choose other lists or segments.")
    return _("Nobody is subscribed to the chosen lists. Add people to them, or choose other lists.")


def _copies(written: Written, fleet: Fleet) -> Iterator[str]:
    """Yield a question if copies would be many, because each copy is a message and a unit of quota."""
    campaign = written.campaign
    if not campaign.sends_copies or campaign.confirms_copies:
        return
    with_copies = [server for server in fleet.servers if server.is_active and (server.mail_cc or server.mail_bcc)]
    if with_copies:
        carriers = fleet.carriers(campaign.mail_from, campaign.server_ids)
        with_copies = [server for server in with_copies if server in carriers]
    most = max((len(copy_addresses(server)) for server in with_copies), default=0)
    people = written.headcounts.people(fleet.now).reached if most else 0
    if people * most > COPIES_WITHOUT_ASKING:
        names = ", ".join(server.name for server in with_copies[:3])
        sentence = _(
            "The CC and BCC addresses of %(servers)s add up to %(n)s copies, which count towards the quota. Turn off"
            " Send copies, or confirm them under Copies."
        )
        yield sentence % {"servers": names, "n": f"{people * most:,}"}


def _message(written: Written, content: Campaign, now: dt.datetime) -> list[str]:
    return list(_merge_fields(written, content, now)) or _composing(written, content, now)


def _merge_fields(written: Written, content: Campaign, now: dt.datetime) -> Iterator[str]:
    used: dict[str, list[str]] = {}
    templates = []
    sources = [(translated(PARTS[field]), getattr(content, field)) for field in written_fields(content)]
    if content.layout is not None:
        sources.append((_("The layout"), f"{content.layout.header}\n{content.layout.footer}"))
    for part, source in sources:
        try:
            template = parse(source)
        except MergeError as error:
            yield _("%(part)s has an invalid merge field. %(problem)s") % {"part": part, "problem": translated(error)}
            continue
        templates.append((part, template))
        for name in template.names:
            used.setdefault(name, []).append(part)

    if set(used) <= set(STANDARD_FIELDS):
        return
    known = {*STANDARD_FIELDS, *Attribute.objects.values_list("name", flat=True)}
    custom = set(used) - known
    if not custom:
        return
    people = Contact.objects.filter(subscriptions__list__in=written.audience.all_lists)
    for attributes in people.order_by("-pk").values_list("attributes", flat=True)[:SAMPLE_CONTACTS]:
        known.update(attributes)
    unknown: set[str] = set()
    unlooked = sorted(custom - known)
    while unlooked and len(unknown) < MOST_UNKNOWN:
        name = unlooked.pop(0)
        is_known = written.headcounts.once("attribute", now, people.filter(attributes__has_key=name).exists, also=name)
        (known if is_known else unknown).add(name)
    for part, template in templates:
        for name, suggestion in unknown_names(template, known, among=unknown):
            yield _unknown(part, name, suggestion)
    if unlooked:
        sentence = ngettext(
            "%(n)s more field wasn't looked for, because the content uses so many that nobody has.",
            "%(n)s more fields weren't looked for, because the content uses so many that nobody has.",
            len(unlooked),
        )
        yield f"{sentence % {'n': f'{len(unlooked):,}'}} {_('Correct the others first.')}"


def _unknown(part: str, name: str, suggestion: str) -> str:
    sentence = _("%(part)s uses %(field)s, which nobody on the chosen lists has.")
    advice = _("Correct the name or remove it.")
    if suggestion:
        advice = _("Did you mean %(field)s?") % {"field": f"{{{{ {suggestion} }}}}"}
    return f"{sentence % {'part': part, 'field': f'{{{{ {name} }}}}'}} {advice}"


def _composing(written: Written, content: Campaign, now: dt.datetime) -> list[str]:
    """Compose the mail of one person, because a content that fails for the first one mostly fails for all."""
    person = written.first_person(now) or Contact(email="ann@example.com")
    values = {
        **merge_values(person.attributes),
        "email": person.email,
        **name_values(person.first_name, person.last_name),
    }
    sender = Style(mail_from=Mailbox("", "news@example.com"), has_unsubscribe=True)
    recipient = Recipient(person.email, "<check@example.com>", values, "https://example.com/u/check")
    try:
        built = written.built(content)
        compile_content(built.subject, built.html, built.text, sender).render(recipient)
    except ContentInvalid as error:
        return [str(error)]
    except MergeError as error:
        return [_("Couldn't create a message from this content. %(problem)s") % {"problem": translated(error)}]
    return []
