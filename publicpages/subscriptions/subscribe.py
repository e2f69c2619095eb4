"""Sign-ups: the entry on a public form, the mail that asks for confirmation, and its link.

The page only stores the entry, in the same way for every address. A worker then finds out whom it is about: people we
suppressed and erased people are left alone, and people who must confirm get a mail. The entered names appear in no mail
and change no contact before the confirmation, because the address may belong to somebody else.
"""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts.consent import changes
from contacts.consent.ip_networks import network_of
from contacts.models import Contact, ContactList, Subscription, Suppression
from contacts.privacy.erasure import is_erased
from delivery.models import Mailing
from delivery.outbox import mailings
from mail import tokens
from mail.addresses import AddressInvalid, check_address, domain_of, fold
from publicpages.models import SignUp
from publicpages.subscriptions import rate_limit, tracking
from publicpages.subscriptions.confirmation_mail import confirmation_mail
from publicpages.words.subscribe import SIGN_UP

CONFIRM = "confirm"  # The purpose of the token.
NAME_CHARACTERS = 150
MOST_LISTS = 50  # On one form.
AT_ONCE = 200  # Entries per run of the task.
DOUBLE_PRESS = dt.timedelta(seconds=30)  # A repetition within this time is a button pressed twice.
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
SOURCES = {
    SignUp.Channel.PAGE: "public form",
    SignUp.Channel.EMBEDDED: "embedded form",
    SignUp.Channel.JSON: "public form (JSON)",
}


@dataclass(frozen=True, slots=True)
class FormEntry:
    """One entry of a public form."""

    email: str
    first_name: str
    last_name: str
    language: str  # The language of our mail; one of settings.LANGUAGES.
    shown_in: str  # The language of the form, and so of the wording that they agreed to.
    list_ids: Collection[int]
    channel: SignUp.Channel
    counted: Mapping[str, str] = field(default_factory=dict)  # What was ticked about opens and clicks, with its words.


# --- the form


def public_lists() -> QuerySet[ContactList]:
    """Return the lists that anybody may subscribe to."""
    return ContactList.objects.filter(is_public=True).order_by("name")


def wording(contact_list: ContactList, language: str) -> str:
    """Return the consent text of the form, word for word."""
    own = contact_list.consent_text.strip()
    return own or SIGN_UP[language].agreement.format(list=contact_list.public_title)


def problems(entry: FormEntry) -> dict[str, str]:
    """Return the problems of an entry: by field, the name of the form's sentence."""
    found: dict[str, str] = {}
    try:
        check_address(entry.email)
    except AddressInvalid:
        found["email"] = "email_invalid" if entry.email.strip() else "email_missing"
    for name in ("first_name", "last_name"):
        if len(getattr(entry, name)) > NAME_CHARACTERS:
            found[name] = "too_long"
    if not chosen_lists(entry):
        found["lists"] = "no_list"
    return found


def chosen_lists(entry: FormEntry) -> list[ContactList]:
    """Return the public ones among the chosen lists."""
    return list(public_lists().filter(pk__in=list(entry.list_ids)[:MOST_LISTS]))


def receive(entry: FormEntry, origin: str, now: dt.datetime) -> bool:
    """Store a valid entry; False if its network has sent too many.

    Too many entries about one address are dropped silently: the sender may not be its owner.

    :param origin: the IP address of the request; only its network is kept.
    """
    network = network_of(origin)
    if not rate_limit.take("network", network, settings.SUBSCRIBE_PER_NETWORK, HOUR, now):
        return False
    if rate_limit.take("address", fold(entry.email), settings.SUBSCRIBE_PER_ADDRESS, DAY, now):
        lists = chosen_lists(entry)
        SignUp.objects.create(
            email=entry.email,
            first_name=entry.first_name,
            last_name=entry.last_name,
            language=entry.language,
            choices=[{"list": each.pk, "wording": wording(each, entry.shown_in)} for each in lists],
            tracking=dict(entry.counted) if tracking.asks(lists) else {},
            channel=entry.channel,
            network=network,
            received_at=now,
        )
    return True


# --- the worker


def process_waiting(organisation: str, now: dt.datetime) -> int:
    """Process waiting entries: subscribe the person or ask for confirmation; return the number of entries.

    An entry that fails keeps waiting and does not block the others.

    :raises Exception: the first failure, after all other entries were processed.
    """
    waiting = SignUp.objects.filter(taken_at=None).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]
    taken, problems = 0, []
    for sign_up_id in list(waiting):
        try:
            taken += _process(sign_up_id, organisation, now)
        except Exception as problem:
            problems.append(problem)
    if problems:
        raise problems[0]
    return taken


def _process(sign_up_id: int, organisation: str, now: dt.datetime) -> bool:
    with transaction.atomic():
        if not SignUp.objects.filter(pk=sign_up_id, taken_at=None).update(taken_at=now):
            return False  # Taken by another worker.
        sign_up = SignUp.objects.get(pk=sign_up_id)
        if is_stopped(sign_up.email, now) or is_erased([sign_up.email]):
            return True
        contact, is_new = Contact.objects.get_or_create(
            email_key=fold(sign_up.email),
            defaults={
                "email": sign_up.email,
                "first_name": sign_up.first_name,
                "last_name": sign_up.last_name,
                "language": sign_up.language,
            },
        )
        SignUp.objects.filter(pk=sign_up_id).update(contact=contact, made_contact=is_new)
        unconfirmed = [
            contact_list
            for contact_list, agreed_to in _choices(sign_up, only_public=True)
            if changes.request_subscription(
                contact,
                contact_list,
                source=SOURCES[SignUp.Channel(sign_up.channel)],
                now=now,
                wording=agreed_to,
                network=sign_up.network,
            )
            == Subscription.Status.PENDING
        ]
        wishes = tracking.missing(contact, sign_up.tracking)
        # Anybody can type an address: what is counted of a person, they confirm themselves, even where the entry alone
        # subscribes them.
        if (unconfirmed or wishes) and not _was_just_asked(sign_up, contact):
            _ask_to_confirm(sign_up, contact, organisation, now, lists=unconfirmed, wishes=wishes)
    return True


def _was_just_asked(sign_up: SignUp, contact: Contact) -> bool:
    """Whether the same entry came a moment before, as by a button pressed twice: then one mail is enough."""
    before = SignUp.objects.filter(
        contact=contact,
        pk__lt=sign_up.pk,
        taken_at__isnull=False,
        confirmed_at=None,
        received_at__gt=sign_up.received_at - DOUBLE_PRESS,
    )
    return any(_asked(sign_up) == _asked(entry) for entry in before)


def _asked(sign_up: SignUp) -> tuple[set[int], set[str]]:
    return {choice["list"] for choice in sign_up.choices}, set(sign_up.tracking)


def is_stopped(email: str, now: dt.datetime) -> bool:
    """Whether nothing may be sent to the address, whatever its owner enters or chooses.

    True if the address bounced, complained, or one of our users suppressed it or its domain. People who merely
    unsubscribed may come back.
    """
    keys = (fold(email), f"@{domain_of(email)}")
    lasting = Q(expires_at=None) | Q(expires_at__gt=now)
    suppressed = Suppression.objects.filter(lasting, email_key__in=keys)
    return suppressed.exclude(reason=Suppression.Reason.UNSUBSCRIBED).exists()


def _choices(sign_up: SignUp, *, only_public: bool) -> list[tuple[ContactList, str]]:
    agreed_to = {choice["list"]: choice["wording"] for choice in sign_up.choices}
    lists = ContactList.objects.filter(pk__in=agreed_to).order_by("pk")
    return [(each, agreed_to[each.pk]) for each in lists if each.is_public or not only_public]


def _ask_to_confirm(
    sign_up: SignUp,
    contact: Contact,
    organisation: str,
    now: dt.datetime,
    *,
    lists: Sequence[ContactList],
    wishes: Sequence[tracking.Topic],
) -> None:
    """Queue the confirmation mail as a notice: without copies, tags, or redirection after a failure."""
    names = [each.public_title for each in lists] or names_of_lists(sign_up)
    mail = confirmation_mail(
        sign_up.language,
        organisation=organisation,
        days=settings.CONFIRM_DAYS,
        lists=names,
        wishes=[sign_up.tracking[topic] for topic in wishes],
        url=confirm_url(sign_up.pk),
        is_subscribed=not lists,
    )
    mailing = mailings.open_mailing(
        stream=Mailing.Stream.NOTICE,
        name="Confirmation of a subscription",
        subject=mail.subject,
        html=mail.html,
        text=mail.text,
        is_tagged=False,
        language=sign_up.language,
    )
    # To the stored address, in the spelling of the entry; the link is a merge value, so the frozen content does not
    # contain it.
    mailings.address(
        mailing, email=contact.email, email_key=contact.email_key, now=now, contact=contact, merge=mail.values
    )


# --- the link


def confirm_url(sign_up_id: int) -> str:
    """Return the link of a confirmation."""
    return f"{settings.BASE_URL}/confirm/{tokens.make(CONFIRM, sign_up_id, settings.TOKEN_KEYS)}"


def is_genuine(token: str) -> bool:
    """Whether a token was made for a confirmation, expired or not."""
    return tokens.read(CONFIRM, token, settings.TOKEN_KEYS) is not None


def find(token: str, now: dt.datetime) -> SignUp | None:
    """Return the entry that a link confirms; None if it is forged or expired, or its person is gone or has a new
    address.
    """
    number = tokens.read(CONFIRM, token, settings.TOKEN_KEYS)
    if number is None:
        return None
    since = now - dt.timedelta(days=settings.CONFIRM_DAYS)
    sign_up = SignUp.objects.select_related("contact").filter(pk=number, received_at__gt=since).first()
    if sign_up is None or sign_up.contact is None or sign_up.contact.email_key != fold(sign_up.email):
        return None
    return sign_up


def names_of_lists(sign_up: SignUp) -> list[str]:
    """Return the titles of the lists of the entry."""
    return [contact_list.public_title for contact_list, _ in _choices(sign_up, only_public=False)]


def confirm(sign_up: SignUp, counted: Collection[str], origin: str, now: dt.datetime) -> list[str] | None:
    """Subscribe the person to the lists of the entry, once; return the titles of the lists they are now on.

    None: the link was used before. Empty: the person has withdrawn since the entry, whoever entered them again. Nothing
    changes then.

    :param counted: what of the entry they left ticked about opens and clicks.
    """
    contact = sign_up.contact
    assert contact is not None
    wishes = {name: agreed_to for name, agreed_to in sign_up.tracking.items() if name in counted}
    with transaction.atomic():
        if not SignUp.objects.filter(pk=sign_up.pk, confirmed_at=None).update(confirmed_at=now):
            return None
        confirmed = [
            contact_list.public_title
            for contact_list, agreed_to in _choices(sign_up, only_public=False)
            if changes.confirm(
                contact,
                contact_list,
                source="",
                now=now,
                asked_at=sign_up.received_at,
                wording=agreed_to,
                network=origin,
            )
            == Subscription.Status.SUBSCRIBED
        ]
        if not confirmed:
            SignUp.objects.filter(pk=sign_up.pk).update(confirmed_at=None)
            return []
        for name in ("first_name", "last_name", "language"):  # Known values stay.
            if value := getattr(sign_up, name):
                Contact.objects.filter(pk=contact.pk, **{name: ""}).update(**{name: value})
        tracking.confirm(contact, wishes, sign_up.received_at, origin, now)
    return confirmed


# --- afterwards


def delete_expired(now: dt.datetime) -> None:
    """Delete entries whose link has expired, and contacts known only from such entries."""
    over = SignUp.objects.filter(received_at__lt=now - dt.timedelta(days=settings.CONFIRM_DAYS + 1)).order_by("pk")
    old = list(over.values_list("pk", "contact", "made_contact", "confirmed_at")[:AT_ONCE])
    strangers = [contact for _, contact, was_made, confirmed_at in old if contact and was_made and not confirmed_at]
    with transaction.atomic():
        SignUp.objects.filter(pk__in=[pk for pk, *_ in old]).delete()
        known_otherwise = Subscription.objects.filter(contact=OuterRef("pk")).exclude(
            status=Subscription.Status.PENDING
        )
        asked_again = SignUp.objects.filter(contact=OuterRef("pk"))
        Contact.objects.filter(pk__in=strangers).exclude(Exists(known_otherwise)).exclude(Exists(asked_again)).delete()
