"""Mails with a link: whether one can be sent, queueing it, and the link itself, made as the mail is composed."""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.urls import reverse

from accounts.by_mail import servers, tokens
from accounts.by_mail.mail_words import words_for
from accounts.models import AccountMail, Invitation, ResetRequest
from delivery.content.secret_links import REFERENCE
from delivery.models import Mailing, Message
from delivery.outbox import mailings
from installation.site import site
from mail.addresses import AddressInvalid, fold, parse_mailbox
from mail.merge_fields import inert
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet

LINK = "account_url"  # The merge field.
RESETS_PER_HOUR = 3  # For one user, so that nobody's mailbox is filled by strangers.
REQUESTS_AT_ONCE = 100
NOT_ARRIVED = (Message.Status.BOUNCED, Message.Status.FAILED, Message.Status.EXPIRED)
PAGES = {tokens.RESET: "reset_password", tokens.INVITE: "accept_invitation"}


def can_be_sent(now: dt.datetime) -> bool:
    """Whether a server can send such a mail at present. The test inbox cannot: a page shows what it gets."""
    fleet = Fleet(now)
    real = {server.pk for server in _real(fleet)}
    return any(each.server_id in real and not each.obstacle(now) for each in fleet.candidates)


def _real(fleet: Fleet) -> list[SmtpServer]:
    return servers.allowed(fleet.carriers("", ()))


# --- a forgotten password


def send_resets(now: dt.datetime) -> int:
    """Queue a mail for each user with a requested address, and forget the requests; return the number of mails."""
    count = 0
    for request in ResetRequest.objects.order_by("pk")[:REQUESTS_AT_ONCE]:
        with transaction.atomic():
            if not ResetRequest.objects.filter(pk=request.pk).delete()[0]:
                continue  # Another worker has it.
            if not settings.OIDC_ONLY and request.asked_at > now - tokens.RESET_FOR and can_be_sent(now):
                count += sum(_send_reset(user, now) for user in users_with(request.email))
    return count


def users_with(email: str) -> list[User]:
    """Return the active users with this address who sign in by a password.

    The database finds more: it takes letters of other scripts for one another. The mail goes to the stored address.
    """
    key = fold(email)
    found = User.objects.filter(email__iexact=email, is_active=True).order_by("pk")
    return [user for user in found if fold(user.email) == key and tokens.may_have_password(user)]


def _send_reset(user: User, now: dt.datetime) -> int:
    lately = AccountMail.objects.filter(user=user, asked_at__gt=now - tokens.RESET_FOR).count()
    if lately >= RESETS_PER_HOUR:
        return 0
    words = words_for(site().language)
    facts = {"site": site().organisation, "username": user.get_username(), "address": settings.BASE_URL}
    lines = [words.reset, words.reset_link, words.reset_ignored]
    return _send(words.reset_subject, lines, facts, user.email, now, tokens.RESET_FOR, user=user)


# --- an invitation


def send_invitation(invitation: Invitation, now: dt.datetime) -> int:
    words = words_for(site().language)
    inviter = invitation.invited_by
    facts = {
        "site": site().organisation,
        "inviter": inviter.get_full_name() or inviter.get_username(),
        "address": settings.BASE_URL,
        "days": str(tokens.INVITED_FOR.days),
    }
    lines = [words.invitation, words.invitation_link, words.invitation_ignored]
    life = dt.timedelta(hours=settings.RETRY_SINGLE_HOURS)
    return _send(words.invitation_subject, lines, facts, invitation.email, now, life, invitation=invitation)


def with_delivery(invitations: QuerySet[Invitation]) -> QuerySet[Any]:
    """Return the invitations with ``mail_status`` and ``mail_reason`` of the last mail of each."""
    last = AccountMail.objects.filter(invitation=OuterRef("pk")).order_by("-pk").values("mailing")[:1]
    message = Message.objects.filter(mailing=OuterRef("mail"))
    return invitations.annotate(mail=Subquery(last)).annotate(
        mail_status=Subquery(message.values("status")[:1]), mail_reason=Subquery(message.values("reason")[:1])
    )


def failed_invitations() -> QuerySet[Any]:
    """Return the invitations whose last mail did not arrive, the latest first."""
    return with_delivery(Invitation.objects.all()).filter(mail_status__in=NOT_ARRIVED).order_by("-invited_at", "-pk")


# --- any of them


def _send(
    subject: str,
    lines: Iterable[str],
    facts: dict[str, str],
    to: str,
    now: dt.datetime,
    life: dt.timedelta,
    **of: User | Invitation,
) -> int:
    try:
        email = parse_mailbox(to).address
    except AddressInvalid:
        return 0
    filled = {name: inert(value) for name, value in facts.items()} | {"link": "{{ " + LINK + " }}"}
    with transaction.atomic():
        mailing = mailings.open_mailing(
            stream=Mailing.Stream.NOTICE,
            name=_one_line(subject.format(**filled))[:200],
            subject=_one_line(subject.format(**filled))[:500],
            html="",
            text="\n\n".join(line.format(**filled) for line in lines),
            is_tagged=False,
            sends_copies=False,
            language=site().language,
            reference=REFERENCE,
            server_ids=[server.pk for server in _real(Fleet(now))],
        )
        mailings.address(mailing, email=email, email_key=fold(email), now=now, life=life)
        AccountMail.objects.create(mailing=mailing, asked_at=now, **of)
    return 1


def link_of(mailing: Mailing, server: SmtpServer) -> Callable[[dt.datetime], str]:
    """Return what makes the link of a mail; it is called as the mail is composed.

    :raises ValueError: if this server may not carry it, its user or invitation is gone, or its time is over.
    """
    if not servers.allowed([server]):
        raise ValueError(servers.NOT_CHOSEN)
    mail = AccountMail.objects.filter(mailing=mailing).select_related("user", "invitation").first()
    if mail is None:
        raise ValueError("What its link was for is over.")
    subject: User | Invitation | None = mail.user or mail.invitation
    assert subject is not None  # A constraint.
    is_reset = isinstance(subject, User)
    ends_at = mail.asked_at + (tokens.RESET_FOR if is_reset else tokens.INVITED_FOR)
    if isinstance(subject, User) and not tokens.may_have_password(subject):
        raise ValueError("Its user signs in by no password any more.")
    page = settings.BASE_URL + reverse(PAGES[tokens.RESET if is_reset else tokens.INVITE])

    def make(now: dt.datetime) -> str:
        if now >= ends_at:
            raise ValueError("The time of its link was over before it could be sent.")
        # Behind the #, so that no server on the way and no log gets it: browsers keep it to themselves.
        return f"{page}#{tokens.make(subject, now)}"

    return make


def _one_line(text: str) -> str:
    return " ".join(text.split())
