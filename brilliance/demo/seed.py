"""The demo data: four users, three servers on the sandbox, readers, a first campaign and a draft.

Everything is created in one transaction, and only if nobody can sign in yet.
"""

import datetime as dt
import os
import random
import secrets
import unicodedata
import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model

from brilliance.roles import ROLES
from campaigns.lifecycle.states import queue_campaign
from campaigns.models import Campaign
from contacts.consent import changes, tracking
from contacts.models import Contact, ContactList
from feedback.models import Probe
from installation.models import SiteSettings
from mail.addresses import fold
from mail.links import levels
from sandbox import certificates, credentials
from smtpservers.models import SmtpServer

READERS = 500
FIRST_READERS = 40
ORGANISATION = "Nordlicht Books"
POSTAL_ADDRESS = "Nordlicht Books\n12 Harbour Street\n20457 Hamburg, Germany"
TRACKING = levels.PERSONAL  # The demo's people are nobody's, so that every report can be looked at.
AGREED = {
    tracking.OPENS: "I agree that Nordlicht Books notes which of its newsletters I open.",
    tracking.CLICKS: "I agree that Nordlicht Books notes which links in its newsletters I click.",
}
CONTENT = Path(__file__).with_name("seed_content")

FIRST_NAMES = (
    "Ada Aisha Alejandro Amara Anders Aoife Benoît Björn Carla Chiara Dmitri Elif Emeka Femke Giulia Hana Hugo"
    " Ingrid Ioana Jakub Jia Joaquín João Kenji Kofi Lars Leïla Lucía Maja Malik Margot Mateo Mei Mia Nadia Noor"
    " Olga Pablo Priya Quentin Rafael Ravi Rosa Saoirse Sören Tariq Thandiwe Uma Viktor Wanjiru Yuki Zoë"
).split()
LAST_NAMES = (
    "Abe Almeida Andersen Banda Bauer Bianchi Castillo Chen Costa Diallo Dubois Eriksen Fischer García Haddad"
    " Hansen Ivanova Janssen Jensen Kaya Keller Khan Kowalski Lefèvre Lindqvist López Mäkinen Marino Mbeki Moreau"
    " Müller Nakamura Novák Nwosu O’Brien Okafor Osei Patel Petrov Rossi Sato Schmidt Silva Singh Tanaka Tran"
    " Vargas Weber Wójcik Yılmaz Zhang"
).split()
CITIES = ("Bergen", "Dakar", "Galway", "Graz", "Kyoto", "Leiden", "Lima", "Porto", "Pune", "Turku")
DOMAINS = ("example.com", "example.net", "example.org")
# The sandbox decides by the beginning of these names.
TROUBLED_READERS = ("bounce.1", "bounce.2", "bounce.3", "bounce.4", "bounce.5", "slow.1", "drop.1")
# Readers who answer by mail some seconds later.
ANSWERING_READERS = ("late-bounce.1", "complain.1", "out-of-office.1", "unsubscribe.1")
# Readers whose opens and clicks the Test inbox makes: people, proxies and a scanner.
VISITING_READERS = (
    *("reads.ada", "reads.björn", "reads.chiara", "reads.emeka", "reads.hana", "reads.joaquín", "reads.mei"),
    *("reads.noor", "reads.priya", "reads.zoë", "apple-privacy.hugo", "apple-privacy.lucía", "apple-privacy.omar"),
    *("gmail-proxy.quentin", "gmail-proxy.wanjiru", "link-scanner.rosa", "link-scanner.viktor"),
)
NEVER_ASKED = ("reads.noor", "reads.priya", "reads.zoë")  # They are counted without their name.
PATIENT_READERS = ("full.1", "full.2", "greylist.1", "greylist.2", "greylist.3")


def seed(sign_ins: Path, now: dt.datetime) -> None:
    """Create the demo, and write its passwords to ``sign_ins``, readable by this user only.

    :raises OSError: if ``sign_ins`` cannot be written; nothing is created then.
    """
    with transaction.atomic():
        people = make_people()
        if settings.SANDBOX_ENABLED:
            fill(people["marketer"][0], now)
        # Before the commit: a crash in between leaves passwords without users, never users without passwords.
        write_sign_ins(sign_ins, {name: password for name, (_, password) in people.items()})


def fill(author: User, now: dt.datetime) -> list[Model]:
    """Create everything of the demo but the people who sign in, and return the rows.

    What an administrator has saved stays as it is.
    """
    named = [] if SiteSettings.objects.exists() else [name_organisation()]
    servers = make_servers(now)
    contacts, (readers, first, slow) = make_readers(now)
    campaigns = [queue_first_campaign(first, author, now), make_draft(readers)]
    return [*named, *servers, *contacts, readers, first, slow, *campaigns]


def make_people() -> dict[str, tuple[User, str]]:
    """Create one user per role, named after it; return the users with their passwords."""
    people = {}
    for role in ROLES:
        password = secrets.token_urlsafe(12)
        user = User.objects.create_user(role, f"{role}@example.com", password, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        people[role] = (user, password)
    return people


def write_sign_ins(path: Path, passwords: dict[str, str]) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.unlink(missing_ok=True)
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{name:<10}{password}\n" for name, password in passwords.items())
    aside.rename(path)


def name_organisation() -> SiteSettings:
    return SiteSettings.objects.create(organisation=ORGANISATION, postal_address=POSTAL_ADDRESS, tracking=TRACKING)


def make_servers(now: dt.datetime) -> list[SmtpServer]:
    """Create three servers on the sandbox: with a small quota that is used up, with a larger one, and without one."""
    starter = SmtpServer.objects.create(
        tested_at=now,
        name="Starter plan",
        host="127.0.0.1",
        port=settings.SANDBOX_PLAIN_PORT,
        use_tls=False,
        mail_from="Nordlicht Books <news@nordlicht.example.com>",
        mail_to="postmaster@nordlicht.example.com",
        handles_email_validation=True,
        notes="120 messages a month, so that a campaign runs it dry and you see the next server take over.\n"
        "Plain SMTP to the sandbox: listen on a loopback address only.",
        domain_name="nordlicht.example.com",
        **ways_back("nordlicht.example.com"),
        max_per_month=120,
        display_order=10,
        unknown_first_name="friend",
        utm_source="newsletter",
        utm_medium="email",
    )
    business = SmtpServer.objects.create(
        tested_at=now,
        name="Business plan",
        host="127.0.0.1",
        port=settings.SANDBOX_STARTTLS_PORT,
        use_tls=True,
        trusted_certificate=certificates.ca_pem(),
        mail_from="Nordlicht Books <news@mail.nordlicht.example.com>",
        mail_to="postmaster@nordlicht.example.com",
        handles_email_validation=True,
        notes="STARTTLS with a certificate of the sandbox's own authority, which is pasted as trusted certificate.",
        domain_name="mail.nordlicht.example.com",
        language="en",
        max_per_month=5000,
        month_start_day=15,
        time_zone="Europe/Berlin",
        **ways_back("mail.nordlicht.example.com"),
        abuse_address="abuse@nordlicht.example.com",
        use_abuse_address=True,
        display_order=20,
        unknown_first_name="reader",
        utm_source="newsletter",
        utm_medium="email",
        utm_content="business-plan",
        always_utm_content=True,
    )
    relay = SmtpServer.objects.create(
        tested_at=now,
        name="Company relay",
        host="127.0.0.1",
        port=settings.SANDBOX_AUTH_PORT,
        use_tls=False,
        username=credentials.USERNAME,
        password=credentials.password(),
        mail_from="Nordlicht Books <news@relay.nordlicht.example.com>",
        mail_to="postmaster@nordlicht.example.com",
        handles_email_validation=True,
        notes="Signs in with a user name and a password. No monthly limit: the last one in the row.",
        domain_name="relay.nordlicht.example.com",
        language="en",
        **ways_back("relay.nordlicht.example.com"),
        display_order=30,
        unknown_first_name="book lover",
        utm_source="relay",
        utm_medium="email",
    )
    servers = [starter, business, relay]
    for server in servers:
        note_probe(server, now)
    return servers


def note_probe(server: SmtpServer, now: dt.datetime) -> None:
    """Record that a probe came in by the mail listener, which ``mailto_domain`` of :func:`ways_back` stands for."""
    Probe.objects.create(
        server=server,
        return_path=server.return_path,
        key=uuid.uuid4().hex,
        sent_at=now,
        bounce_at=now,
        unsubscribe_at=now,
    )


def ways_back(domain: str) -> dict[str, Any]:
    """Return a server's fields that lead what the Test inbox answers to the mail listener of this machine."""
    return {
        "return_path": f"bounces@{domain}",
        "use_return_path": True,
        "use_verp": True,
        "mailto_domain": domain,
        "spam_address": f"complaints@{domain}",
        "use_spam_address": True,
    }


def make_readers(now: dt.datetime) -> tuple[list[Contact], tuple[ContactList, ContactList, ContactList]]:
    """Create the contacts and their lists: all readers, the first readers, and those whose mail is delayed."""
    chance = random.Random(2026)  # The same people in every demo.
    people = [_reader(number, chance) for number in range(READERS - len(TROUBLED_READERS))]
    people += [_special(name) for name in TROUBLED_READERS]
    answering = [_special(name) for name in ANSWERING_READERS]
    visiting = [_visiting(name) for name in VISITING_READERS]
    patient = [_special(name) for name in PATIENT_READERS]
    contacts = Contact.objects.bulk_create(people + answering + visiting + patient)

    every = ContactList.objects.create(
        name="Newsletter readers", description="Everyone who reads the newsletter.", is_public=True
    )
    first = ContactList.objects.create(
        name="First readers", description="The readers of the first hour.", tracking=TRACKING
    )
    slow = ContactList.objects.create(
        name="Mailboxes that take their time",
        description="Full mailboxes and greylisting: their mail is deferred and tried again later.",
    )
    first_members = [*people[: FIRST_READERS - len(answering) - len(visiting)], *answering, *visiting]
    for contact_list, members in ((every, people), (first, first_members), (slow, patient)):
        changes.subscribe_in_bulk(
            [person.pk for person in members],
            contact_list.pk,
            method="form",
            source="demo",
            now=now,
            wording=changes.wording_of(contact_list),
        )
    for name, person in zip(VISITING_READERS, visiting, strict=True):
        if name not in NEVER_ASKED:
            wishes = {tracking.OPENS: True, tracking.CLICKS: True}
            tracking.decide(person.pk, wishes, method="form", source="demo", now=now, wordings=AGREED)
    return contacts, (every, first, slow)


def _reader(number: int, chance: random.Random) -> Contact:
    domain = DOMAINS[number % 3]
    if number % 12 == 11:
        return _contact(f"reader{number}@{domain}")  # Without a name: the server's placeholder replaces it.
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    # Letters without accents, in an address that every server accepts.
    letters = unicodedata.normalize("NFKD", f"{first}.{last}".lower().replace("ı", "i"))
    plain = "".join(letter for letter in letters if letter.isascii() and (letter.isalpha() or letter == "."))
    return _contact(f"{plain}{number}@{domain}", first, last, {"city": chance.choice(CITIES)})


def _special(name: str) -> Contact:
    return _contact(f"{name}@example.org", name.partition(".")[0].capitalize(), "Demo")


def _visiting(name: str) -> Contact:
    first = name.partition(".")[2]
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if letter.isascii())
    return _contact(f"{plain}@example.net", first.capitalize(), "Demo")


def _contact(email: str, first: str = "", last: str = "", attributes: dict[str, str] | None = None) -> Contact:
    return Contact(email=email, email_key=fold(email), first_name=first, last_name=last, attributes=attributes or {})


def queue_first_campaign(readers: ContactList, author: User, now: dt.datetime) -> Campaign:
    """Queue a campaign that is sent within the first seconds, so that a finished one can be looked at."""
    campaign = Campaign.objects.create(
        name="Welcome to the first readers",
        subject='Welcome, {{ first_name | default: "friend" }}',
        html=(CONTENT / "welcome.html").read_text(),
        utm_campaign="welcome",
    )
    campaign.lists.add(readers)
    refusals = queue_campaign(campaign.pk, author, now)
    if refusals:
        raise RuntimeError(f"the demo's first campaign was refused: {refusals}")
    return campaign


def make_draft(readers: ContactList) -> Campaign:
    draft = Campaign.objects.create(
        name="November newsletter",
        subject="{{ first_name }}, ten books for long evenings",
        html=(CONTENT / "newsletter.html").read_text(),
        utm_campaign="november",
    )
    draft.lists.add(readers)
    return draft
