"""Notices to operators, one per event: quotas, pauses, incidents, certificates, sending domains and failures.

A notice is ordinary mail with a stream of its own. The failure of a notice is recorded, and causes no further notice.
"""

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import formats, translation

from delivery.models import Incident, Mailing, Message, Notice
from delivery.operators.notice_words import NoticeWords, words_for
from delivery.outbox import mailings
from domains.models import DnsChange, DnsFinding
from installation.site import site
from mail.addresses import AddressInvalid, fold, parse_mailbox, readable_domain
from mail.merge_fields import inert
from oauth.models import OAuthAccount
from smtpservers.limits.circuit_breaker import FAILURES_TO_OPEN
from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.models import QuotaPeriod, SmtpServer

QUOTA_LEVELS = (100, 95, 80)  # Percent. Only the highest level that is reached is told.
# A pause shorter than this is no outage.
SHORT_PAUSE = dt.timedelta(minutes=10)
INCIDENT_LASTS = dt.timedelta(days=1)  # How long an incident waits for an operator with an address.
CERTIFICATE_WARNING = dt.timedelta(days=14)
BETWEEN_DIGESTS = dt.timedelta(hours=1)  # For one mailing and server.
DIGEST_RECIPIENTS = 500
LOOKS_AT_ONCE = 100  # Domains' looks that are told in one round; the others follow in the next.
REPORTED_STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.SINGLE)
ADMINISTRATORS = "admin"  # The role that may do everything.
FAILURES = (Message.Status.BOUNCED, Message.Status.FAILED, Message.Status.EXPIRED)


def notice(now: dt.datetime) -> int:
    """Queue notices of all events that were not told yet, and return their number."""
    count = notice_quotas(now) + notice_outages(now) + notice_full(now) + notice_incidents(now)
    return count + notice_certificates(now) + notice_domains(now) + notice_accounts(now) + report_failures(now)


def notice_quotas(now: dt.datetime) -> int:
    """Tell that 80, 95 or 100 % of a period's quota are used. A changed quota starts over.

    100 % is told as soon as campaigns have used their part: the rest is kept for other mail, such as this notice.
    """
    nearly_full = QuotaPeriod.objects.filter(
        # 80 % and more, without a product that overflows for a large quota.
        used__gte=F("quota") - F("quota") / 5,
        quota__gt=0,
        starts_at__lte=now,
        ends_at__gt=now,
    )
    count = 0
    for period in nearly_full.select_related("server"):
        assert period.quota is not None
        server, percent = period.server, period.used * 100 // period.quota
        kept = kept_from_campaigns(period.quota)
        level = next(level for level in (*QUOTA_LEVELS, 0) if percent >= level)
        if period.used >= period.quota - kept:
            level = 100
        keys = {
            level: f"quota {server.pk} {period.starts_at:%Y-%m-%d} {period.quota} {level}" for level in QUOTA_LEVELS
        }
        at_least = [key for each, key in keys.items() if each >= level]
        if level == 0 or Notice.objects.filter(key__in=at_least).exists():
            continue
        words = _words(server)
        facts = {
            "server": server.name,
            "percent": str(percent if level == 100 else level),
            "used": _number(server, period.used),
            "quota": _number(server, period.quota),
            "ends": _moment(server, period.ends_at),
        }
        lines = [words.quota.format(**facts)]
        if level == 100:
            lines.append(words.quota_kept if period.used < period.quota else words.quota_full)
        count += _tell(
            server, Notice.Kind.QUOTA, keys[level], words.quota_subject.format(**facts), lines, _watchers(server), now
        )
    return count


def notice_outages(now: dt.datetime) -> int:
    """Tell that a server is paused, and why: once for each outage, however often its pause is extended."""
    lasting = Q(failures__gte=FAILURES_TO_OPEN) | Q(paused_until=None) | Q(paused_until__gt=now + SHORT_PAUSE)
    paused = SmtpServer.objects.filter(lasting, is_active=True, outage_at__isnull=False).exclude(paused_reason="")
    count = 0
    for server in paused.filter(Q(paused_until=None) | Q(paused_until__gt=now)):
        words = _words(server)
        lines = [words.paused.format(server=server.name, reason=_one_line(server.paused_reason))]
        if server.paused_until is None:
            lines.append(words.paused_for_good)
        else:
            lines.append(words.paused_until.format(until=_moment(server, server.paused_until)))
        key = f"paused {server.pk} {server.outage_at:%Y-%m-%dT%H:%M:%S.%f}"
        subject = words.paused_subject.format(server=server.name)
        count += _tell(server, Notice.Kind.PAUSED, key, subject, lines, _watchers(server), now)
    return count


def notice_full(now: dt.datetime) -> int:
    """Tell that a server reports its own limit as reached: once until it accepts mail again."""
    count = 0
    full = SmtpServer.objects.filter(full_until__gt=now + SHORT_PAUSE, is_active=True, outage_at__isnull=False)
    for server in full:
        assert server.full_until is not None
        words = _words(server)
        lines = [
            words.full.format(server=server.name, reason=_one_line(server.full_reason)),
            words.paused_until.format(until=_moment(server, server.full_until)),
        ]
        key = f"full {server.pk} {server.outage_at:%Y-%m-%dT%H:%M:%S.%f}"
        subject = words.full_subject.format(server=server.name)
        count += _tell(server, Notice.Kind.PAUSED, key, subject, lines, _watchers(server), now)
    return count


def notice_incidents(now: dt.datetime) -> int:
    """Tell of answers that a person should look at. There is one incident a day per server and kind."""
    count = 0
    for incident in Incident.objects.filter(is_told=False).select_related("server").order_by("pk")[:100]:
        server, words = incident.server, _words(incident.server)
        lines = [words.incident.format(server=server.name, reason=_one_line(incident.reason))]
        key = f"incident {incident.key}"
        subject = words.incident_subject.format(server=server.name)
        told = _tell(server, Notice.Kind.INCIDENT, key, subject, lines, _watchers(server), now)
        if told or incident.seen_at < now - INCIDENT_LASTS:  # Without anybody to tell, only the page shows it.
            Incident.objects.filter(pk=incident.pk).update(is_told=True)
        count += told
    return count


def notice_certificates(now: dt.datetime) -> int:
    """Tell that the certificate of an active server expires within two weeks."""
    ending = SmtpServer.objects.filter(is_active=True, certificate_expires_at__lt=now + CERTIFICATE_WARNING)
    count = 0
    for server in ending:
        assert server.certificate_expires_at is not None
        words = _words(server)
        facts = {
            "server": server.name,
            "host": readable_domain(server.host),
            "ends": _moment(server, server.certificate_expires_at),
        }
        key = f"certificate {server.pk} {server.certificate_expires_at:%Y-%m-%dT%H:%M:%S}"
        subject = words.certificate_subject.format(**facts)
        lines = [words.certificate.format(**facts)]
        count += _tell(server, Notice.Kind.CERTIFICATE, key, subject, lines, _watchers(server), now)
    return count


def notice_domains(now: dt.datetime) -> int:
    """Tell that a line of a domain's DNS broke or is good again: one notice for everything that one look found."""
    count = 0
    untold = DnsChange.objects.filter(is_told=False)
    looks = untold.order_by("changed_at", "domain__name").values_list("domain", "changed_at").distinct()[:LOOKS_AT_ONCE]
    for domain_id, changed_at in list(looks):
        changes = list(untold.filter(domain=domain_id, changed_at=changed_at).select_related("domain").order_by("pk"))
        told = _tell_of_look(changes, now) if changes else 0
        if told or changed_at < now - INCIDENT_LASTS:  # Without anybody to tell, only the page shows it.
            DnsChange.objects.filter(pk__in=[change.pk for change in changes]).update(is_told=True)
        count += told
    return count


def _tell_of_look(changes: list[DnsChange], now: dt.datetime) -> int:
    """Tell of what one look at a domain found."""
    words, domain = words_for(site().language), changes[0].domain
    key = f"dns {domain.pk} {changes[0].changed_at:%Y-%m-%dT%H:%M:%S.%f}"
    lines = [
        f"{change.get_line_display()}: {_one_line(change.sentence)}"
        if change.after == DnsFinding.StateName.BROKEN
        else words.domain_healed.format(line=change.get_line_display())
        for change in changes
    ]
    page = settings.BASE_URL + reverse("admin:domains_sendingdomain_change", args=[domain.pk])
    parts = [words.domain.format(domain=domain), "\n".join(lines), words.domain_page.format(url=page)]
    subject = words.domain_subject.format(domain=domain)
    return tell(Notice.Kind.DOMAIN, key, subject, parts, watchers(), now)


def notice_accounts(now: dt.datetime) -> int:
    """Tell that a provider refuses an OAuth account. Its active servers are paused, and that is told already."""
    of_servers = SmtpServer.objects.filter(is_active=True, oauth_account__isnull=False).values("oauth_account")
    refused = OAuthAccount.objects.filter(state=OAuthAccount.State.REFUSED, state_since__isnull=False)
    count = 0
    for account in refused.exclude(pk__in=of_servers):
        assert account.state_since is not None
        words = words_for(site().language)
        key = f"oauth {account.pk} {account.state_since:%Y-%m-%dT%H:%M:%S.%f}"
        page = settings.BASE_URL + reverse("admin:oauth_oauthaccount_change", args=[account.pk])
        facts = {"account": account.name, "reason": _one_line(account.last_error), "url": page}
        lines = [words.account.format(**facts), words.account_page.format(**facts)]
        subject = words.account_subject.format(**facts)
        count += tell(Notice.Kind.INCIDENT, key, subject, lines, watchers(), now)
    return count


def report_failures(now: dt.datetime) -> int:
    """Tell Mail to unknown of failures in finished mailings: a digest for a campaign, a line for a single message."""
    count = 0
    for mailing in Mailing.objects.filter(finished_at__isnull=False, is_reported=False)[:100]:
        told = _report(mailing, now) if mailing.stream in REPORTED_STREAMS else 0
        if told is None:
            continue
        count += told
        # Not if the mailing was reopened in the meantime.
        Mailing.objects.filter(pk=mailing.pk, finished_at=mailing.finished_at).update(is_reported=True)
    return count


def _report(mailing: Mailing, now: dt.datetime) -> int | None:
    """Return the number of servers with failures to report; None if it is too early for another digest."""
    failed = Message.objects.filter(mailing=mailing, status__in=FAILURES, copy_of=None, redirected_to="")
    server_ids = failed.exclude(server=None).order_by().values_list("server", flat=True).distinct()
    count, is_early = 0, False
    for server in SmtpServer.objects.filter(pk__in=list(server_ids)).exclude(mail_to_unknown=""):
        earlier = Notice.objects.filter(about=mailing, server=server).order_by("-created_at")
        last = earlier.first()
        rows = failed.filter(server=server)
        if last is not None:
            rows = rows.filter(changed_at__gt=last.created_at)
        number = rows.count()
        if not number:
            continue
        if last is not None and now - last.created_at < BETWEEN_DIGESTS:
            is_early = True
            continue
        listed = list(rows.order_by("pk").values_list("email", "reason")[:DIGEST_RECIPIENTS])
        subject, lines = _failure_lines(mailing, server, listed, number)
        key = f"failures {mailing.pk} {server.pk} {earlier.count()}"
        to = [server.mail_to_unknown]
        count += _tell(server, Notice.Kind.FAILURES, key, subject, lines, to, now, about=mailing)
    return None if is_early else count


def _failure_lines(
    mailing: Mailing, server: SmtpServer, listed: list[tuple[str, str]], number: int
) -> tuple[str, list[str]]:
    words = _words(server)
    facts = {"mailing": mailing.name, "server": server.name, "number": _number(server, number)}
    if mailing.stream == Mailing.Stream.SINGLE:
        email, reason = listed[0]
        facts |= {"recipient": email or "–", "reason": _one_line(reason)}
        return words.single_subject.format(**facts), [words.single.format(**facts)]
    recipients = [f"{email or '–'}: {_one_line(reason)}" for email, reason in listed]
    if number > len(listed):
        recipients.append(words.digest_more.format(number=_number(server, number - len(listed))))
    return words.digest_subject.format(**facts), [words.digest.format(**facts), "\n".join(recipients)]


def _tell(
    server: SmtpServer,
    kind: str,
    key: str,
    subject: str,
    lines: Iterable[str],
    to: list[str],
    now: dt.datetime,
    about: Mailing | None = None,
) -> int:
    """Queue a notice about the server, unless its event was told before. Return 0 if there is nobody to tell."""
    if Notice.objects.filter(key=key).exists() or not to:
        return 0
    words = _words(server)
    page = settings.BASE_URL + reverse("admin:smtpservers_smtpserver_change", args=[server.pk])
    closing = [words.page.format(url=page)]
    if server.use_abuse_address and server.abuse_address:
        closing.append(words.abuse.format(address=server.abuse_address))
    text = "\n\n".join([*lines, "\n".join(closing)])
    return _open(key, kind, subject, text, map(_bare, to), _language(server), now, server=server, about=about)


def _open(
    key: str, kind: str, subject: str, text: str, to: Iterable[str], language: str, now: dt.datetime, **about: Any
) -> int:
    """Queue a notice; return 0 if another worker has just told the same event."""
    try:
        with transaction.atomic():
            mailing = mailings.open_mailing(
                stream=Mailing.Stream.NOTICE,
                name=_one_line(subject)[:200],
                subject=inert(_one_line(subject)[:500]),
                html="",
                text=inert(text),
                is_tagged=False,
                language=language,
            )
            for email in {fold(address): address for address in to}.values():
                mailings.address(mailing, email=email, email_key=fold(email), now=now)
            Notice.objects.create(key=key, kind=kind, mailing=mailing, created_at=now, **about)
    except IntegrityError:  # Another worker was first.
        return 0
    return 1


def tell_returned(to: str, campaign: str, reason: str, page: str, now: dt.datetime) -> int:
    """Tell the person who queued a campaign that it is a draft again."""
    words = words_for(site().language)
    subject, line = words.returned_subject, words.returned
    return _tell_of_campaign(to, campaign, subject, line, reason, page, now)


def tell_rest_waits(to: str, campaign: str, reason: str, page: str, now: dt.datetime) -> int:
    """Tell the person who chose the winner of an A/B test that it was not sent to the rest."""
    words = words_for(site().language)
    return _tell_of_campaign(to, campaign, words.rest_subject, words.rest, reason, page, now)


def _tell_of_campaign(to: str, campaign: str, subject: str, line: str, reason: str, page: str, now: dt.datetime) -> int:
    try:
        recipient = _bare(to)
    except AddressInvalid:  # Or empty. Then only the page shows it.
        return 0
    facts = {"mailing": campaign, "reason": reason}
    closing = words_for(site().language).campaign_page.format(url=page)
    key = f"campaign {now:%Y-%m-%dT%H:%M:%S.%f} {recipient} {page}"[:200]
    text = f"{line.format(**facts)}\n\n{closing}"
    return _open(key, Notice.Kind.CAMPAIGN, subject.format(**facts), text, [recipient], site().language, now)


def tell(kind: str, key: str, subject: str, lines: Iterable[str], to: Iterable[str], now: dt.datetime) -> int:
    """Queue a notice of a higher room in the site's language, unless its event was told before.

    :param key: names the event, in up to 200 characters.
    :return: 0 if it was told before, or if there is nobody to tell.
    """
    found = [_bare(address) for address in to]
    if not found or Notice.objects.filter(key=key).exists():
        return 0
    return _open(key, kind, subject, "\n\n".join(lines), found, site().language, now)


def administrators() -> QuerySet[User]:
    """Return the active users who may do everything: superusers, and members of the role."""
    is_one = Q(is_superuser=True) | Q(pk__in=User.objects.filter(groups__name=ADMINISTRATORS).values("pk"))
    return User.objects.filter(is_one, is_active=True)


def hold_administrators() -> None:
    """Have everybody else who may take away an administrator wait until the caller's transaction ends.

    Otherwise two who take away each other would both see the other one remain.
    """
    list(Group.objects.select_for_update().filter(name=ADMINISTRATORS))


def _watchers(server: SmtpServer) -> list[str]:
    """Return the recipients of notices about a server: its Mail to, else those of the site."""
    return [server.mail_to] if server.mail_to else watchers()


def watchers() -> list[str]:
    """Return the recipients of notices about no server: the alert address, else administrators."""
    if address := site().alert_address:
        return [address]
    found = []
    for email in administrators().order_by("pk").values_list("email", flat=True):
        try:
            found.append(_bare(email))
        except AddressInvalid:
            continue
    return found


def _bare(mailbox: str) -> str:
    return parse_mailbox(mailbox).address


def _language(server: SmtpServer) -> str:
    return server.language or site().language


def _words(server: SmtpServer) -> NoticeWords:
    return words_for(_language(server))


def _number(server: SmtpServer, number: int) -> str:
    with translation.override(_language(server)):
        return formats.number_format(number, force_grouping=True)


def _moment(server: SmtpServer, instant: dt.datetime) -> str:
    """Return an instant in the zone of the server's quota periods, and in its language."""
    local = instant.astimezone(ZoneInfo(server.time_zone))
    with translation.override(_language(server)):
        return f"{formats.date_format(local, 'DATE_FORMAT')} {local:%H:%M} ({server.time_zone})"


def _one_line(text: str) -> str:
    return " ".join(text.split())
