"""Presets of mail providers: host, port, sign-in, limits, and their sources.

Data with a date and sources; providers change their limits without notice. A preset proposes values for the form and
enforces nothing. ``hints`` were verified in the sources, ``unverified`` were not.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

CHECKED_ON = dt.date(2026, 11, 23)  # The date of the last look at the sources.

# Choosing a provider resets the fields that its preset leaves open to these values. Most providers count in UTC.
DEFAULTS: Mapping[str, Any] = {
    "host": "",
    "port": 587,
    "use_tls": True,
    "never_tls": False,
    "mechanism": "",
    "username": "",
    "timeout_seconds": 30,
    "time_zone": "UTC",
    "max_connections": 5,
    "messages_per_connection": 100,
    "max_per_day": "",
    "rate_limit": "",
    "rate_unit": "second",
    "use_precedence": True,
}


class Bulk(StrEnum):
    """Whether the provider carries campaigns."""

    YES = "yes"
    LIMITED = "limited"  # Within limits made for ordinary mail.
    STREAM = "stream"  # Only by another host or stream of the same provider.
    NO = "no"


@dataclass(frozen=True, slots=True)
class Preset:
    """One provider."""

    key: str  # Stored with servers, so it never changes.
    name: str
    host: str
    signs_in_as: str  # The content of Username.
    signs_in_with: str  # The content of Password or API key.
    bulk: Bulk
    sources: tuple[str, ...]
    port: int = 587
    use_tls: bool = True
    starttls_ports: tuple[int, ...] = (587,)
    implicit_ports: tuple[int, ...] = ()
    constant_username: str = ""  # The same for every customer.
    is_key_username: bool = False  # The API key is both user name and password.
    other_hosts: tuple[tuple[str, str], ...] = ()  # (host, purpose), in addition to ``host``.
    fills: Mapping[str, Any] = field(default_factory=dict)  # Further fields of the form, by name.
    warning: str = ""
    hints: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    checked_on: dt.date = CHECKED_ON

    @property
    def values(self) -> dict[str, Any]:
        """The values that the preset puts into the form, by field."""
        own = {"host": self.host, "port": self.port, "use_tls": self.use_tls, "username": self.constant_username}
        return {**DEFAULTS, **own, **self.fills}

    def warnings(self, host: str) -> tuple[str, ...]:
        """Return warnings for somebody who is about to send a campaign through it, as sentences.

        :param host: the host in use; a host other than the first may be for bulk mail.
        """
        bulk = "" if self.bulk is Bulk.STREAM and host != self.host else _BULK_WARNINGS[self.bulk]
        return tuple(filter(None, (bulk.format(name=self.name), self.warning)))

    @property
    def facts(self) -> tuple[str, ...]:
        """The known facts about the provider, as sentences; unverified ones are marked."""
        ports = (
            f"{', '.join(map(str, numbers))} with {how}"
            for numbers, how in (
                (self.starttls_ports, "STARTTLS"),
                (self.implicit_ports, "implicit TLS"),
            )
            if numbers
        )
        known = (
            f"Username: {self.signs_in_as}.",
            f"Password: {self.signs_in_with}.",
            f"Ports: {'; '.join(ports)}." if self.use_tls else "",
            *self.hints,
            f"Not verified: {'; '.join(self.unverified)}." if self.unverified else "",
        )
        return tuple(filter(None, known))

    @property
    def source(self) -> str:
        """The date and sources of these facts."""
        return f"As of {self.checked_on.day} {self.checked_on:%B %Y}, from: {'; '.join(self.sources)}."


_BULK_WARNINGS = {
    Bulk.YES: "",
    Bulk.LIMITED: "{name} is meant for everyday mail, so campaigns are limited. Keep them small.",
    Bulk.STREAM: "{name} sends campaigns only through its broadcast stream. Choose that host.",
    Bulk.NO: "{name} doesn't allow bulk mail. Use this server for tests and single messages, not for campaigns.",
}

_SES_REGIONS = (
    ("us-east-1", "US East, N. Virginia"),
    ("us-east-2", "US East, Ohio"),
    ("us-west-1", "US West, N. California"),
    ("us-west-2", "US West, Oregon"),
    ("af-south-1", "Africa, Cape Town"),
    ("ap-northeast-1", "Asia Pacific, Tokyo"),
    ("ap-northeast-2", "Asia Pacific, Seoul"),
    ("ap-northeast-3", "Asia Pacific, Osaka"),
    ("ap-south-1", "Asia Pacific, Mumbai"),
    ("ap-southeast-1", "Asia Pacific, Singapore"),
    ("ap-southeast-2", "Asia Pacific, Sydney"),
    ("ap-southeast-3", "Asia Pacific, Jakarta"),
    ("ca-central-1", "Canada, Central"),
    ("eu-central-1", "Europe, Frankfurt"),
    ("eu-north-1", "Europe, Stockholm"),
    ("eu-south-1", "Europe, Milan"),
    ("eu-west-1", "Europe, Ireland"),
    ("eu-west-2", "Europe, London"),
    ("eu-west-3", "Europe, Paris"),
    ("il-central-1", "Israel, Tel Aviv"),
    ("me-south-1", "Middle East, Bahrain"),
    ("sa-east-1", "South America, São Paulo"),
)
_FULL_ADDRESS = "the full email address of the account"
_FOR_APPS = "an app password, not the one you sign in to the mailbox with"
_NODEMAILER = "nodemailer, well-known services list"

_ALL = (
    Preset(
        key="ses",
        name="Amazon SES",
        host="",
        other_hosts=tuple((f"email-smtp.{region}.amazonaws.com", place) for region, place in _SES_REGIONS),
        starttls_ports=(587, 25, 2587),
        implicit_ports=(465, 2465),
        signs_in_as="the SMTP username made in SES (it starts with AKIA)",
        signs_in_with="the SMTP password made in SES, not the secret key of IAM",
        bulk=Bulk.YES,
        fills={"use_precedence": False},
        hints=(
            "Choose the region your SES account sends from. Usernames and quotas belong to a region.",
            "SES may reject the Precedence header, so it's turned off here.",
            "New accounts start in a sandbox: 200 messages a day, 1 per second, to verified addresses only.",
            "Every recipient counts. Limits per message: 50 recipients and 40 MB. Reply 454 means too fast.",
            "Bounces go to SES unless you set up your own MAIL FROM domain there.",
        ),
        sources=(
            "docs.aws.amazon.com/ses/latest/dg/quotas.html",
            "docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
            "docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html",
        ),
    ),
    Preset(
        key="brevo",
        name="Brevo",
        host="smtp-relay.brevo.com",
        starttls_ports=(587, 2525),
        implicit_ports=(465,),
        signs_in_as="the SMTP login shown in the account",
        signs_in_with="an SMTP key, not an API key",
        bulk=Bulk.YES,
        hints=(
            "Brevo rewrites senders on unverified domains to an address at brevosend.com.",
            "The free plan allows 300 messages a day.",
        ),
        unverified=("the largest message", "that bounces go to an address of its own"),
        sources=("developers.brevo.com/docs/smtp-integration", "captaindns.com, 16 January 2026"),
    ),
    Preset(
        key="elastic",
        name="Elastic Email",
        host="smtp.elasticemail.com",
        port=2525,
        starttls_ports=(2525, 587, 25),
        implicit_ports=(465,),
        signs_in_as="the account's email address, or an SMTP credential",
        signs_in_with="the password of the SMTP credential",
        bulk=Bulk.YES,
        unverified=("every port but 465", "20 MB a message"),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="emailit",
        name="Emailit",
        host="smtp.emailit.com",
        starttls_ports=(587, 2525, 2587, 25),
        implicit_ports=(465,),
        signs_in_as="emailit",
        constant_username="emailit",
        signs_in_with="the API key (it starts with secret_)",
        bulk=Bulk.YES,
        fills={"rate_limit": 2, "rate_unit": "second", "max_per_day": 5_000},
        hints=(
            "New accounts can send 2 messages per second and 5,000 a day. The day starts at midnight UTC.",
            "Reply 452 4.5.3 means the daily limit is reached, 452 4.4.5 means too fast.",
        ),
        sources=("emailit.com/docs/limits.md", "emailit.com/docs/smtp"),
    ),
    Preset(
        key="fastmail",
        name="Fastmail",
        host="smtp.fastmail.com",
        port=465,
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with=_FOR_APPS,
        bulk=Bulk.NO,
        hints=("Mail from must be an address of the account.", "Fastmail prefers port 465."),
        unverified=("how many messages a day",),
        sources=("xenocept.com on Fastmail", _NODEMAILER),
    ),
    Preset(
        key="gmail",
        name="Gmail (personal)",
        host="smtp.gmail.com",
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with=_FOR_APPS,
        bulk=Bulk.NO,
        warning="Google has refused the password of the account since May 2025; make an app password for this.",
        fills={"max_per_day": 500},
        hints=("500 recipients a day. Reply 550 5.4.5 means the limit is reached.",),
        unverified=(
            "that another Mail from is rewritten to the account's",
            "100 recipients a message",
            "25 MB",
            "that bounces go to an address of its own",
        ),
        sources=("developer.nylas.com, Gmail SMTP settings", "Google's words for 550 5.4.5"),
    ),
    Preset(
        key="workspace",
        name="Google Workspace mailbox",
        host="smtp.gmail.com",
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with=_FOR_APPS,
        bulk=Bulk.NO,
        warning="Google has refused the password of the account since May 2025; make an app password for this.",
        fills={"max_per_day": 2000},
        hints=("2,000 messages a day. Reply 550 5.4.5 means the limit is reached.",),
        unverified=("500 a day for trial accounts", "25 MB"),
        sources=("developer.nylas.com, Gmail SMTP settings",),
    ),
    Preset(
        key="workspace-relay",
        name="Google Workspace SMTP relay",
        host="smtp-relay.gmail.com",
        starttls_ports=(587, 25),
        implicit_ports=(465,),
        signs_in_as="the address of a user, or nothing if the relay knows your IP address",
        signs_in_with=_FOR_APPS,
        bulk=Bulk.LIMITED,
        fills={"max_per_day": 10_000},
        hints=(
            "Domain name must be one of your Workspace domains: the relay checks it.",
            "10,000 recipients a day per user, 319,444 per ten minutes for the organisation.",
            "Reply 450 4.2.1 means too fast, 550 5.7.1 the daily limit, 550 5.4.5 the user's limit.",
        ),
        sources=("support.google.com/a/answer/2956491",),
    ),
    Preset(
        key="icloud",
        name="iCloud Mail",
        host="smtp.mail.me.com",
        signs_in_as="the iCloud address",
        signs_in_with="an app-specific password",
        bulk=Bulk.NO,
        fills={"max_per_day": 1000},
        hints=(
            "1,000 messages and 1,000 recipients a day. Limits per message: 500 recipients and 20 MB.",
            "Apple prohibits unsolicited bulk mail through iCloud.",
        ),
        unverified=("that an app-specific password is needed",),
        sources=("support.apple.com/102198",),
    ),
    Preset(
        key="mandrill",
        name="Mailchimp Transactional (Mandrill)",
        host="smtp.mandrillapp.com",
        implicit_ports=(465,),
        signs_in_as="any word",
        signs_in_with="an API key",
        bulk=Bulk.YES,
        unverified=("that any username works", "port 465", "every limit"),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="mailersend",
        name="MailerSend",
        host="smtp.mailersend.net",
        signs_in_as="the SMTP user shown on the domain's page",
        signs_in_with="its SMTP password",
        bulk=Bulk.YES,
        unverified=("every limit",),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="mailgun",
        name="Mailgun",
        host="smtp.mailgun.org",
        other_hosts=(("smtp.eu.mailgun.org", "EU region, not verified"),),
        starttls_ports=(587, 25, 2525),
        implicit_ports=(465,),
        signs_in_as="the credential of your domain, such as postmaster@your-domain",
        signs_in_with="the SMTP password of that credential",
        bulk=Bulk.YES,
        unverified=("the host of the EU region", "1,000 recipients and 25 MB a message"),
        sources=("documentation.mailgun.com, sending by SMTP",),
    ),
    Preset(
        key="mailjet",
        name="Mailjet",
        host="in-v3.mailjet.com",
        starttls_ports=(587, 25, 2525, 588),
        implicit_ports=(465,),
        signs_in_as="the API key",
        signs_in_with="the secret key",
        bulk=Bulk.YES,
        hints=(
            "Enter Mailjet's API key as Username and its secret key as Password. Leave API key empty.",
            "The free plan allows 6,000 messages a month.",
        ),
        unverified=("200 a day on the free plan", "50 recipients and 15 MB a message", "port 588"),
        sources=("cloud.google.com, sending mail with Mailjet",),
    ),
    Preset(
        key="mailpit",
        name="Mailpit or MailHog (local test)",
        host="localhost",
        port=1025,
        use_tls=False,
        starttls_ports=(),
        signs_in_as="nothing",
        signs_in_with="nothing",
        bulk=Bulk.NO,
        hints=("Catches mail on this machine for testing. Nothing is delivered.",),
        sources=("the programs' own defaults",),
    ),
    Preset(
        key="mailtrap",
        name="Mailtrap",
        host="live.smtp.mailtrap.io",
        other_hosts=(
            ("bulk.smtp.mailtrap.io", "bulk stream, for campaigns (not verified)"),
            ("sandbox.smtp.mailtrap.io", "sandbox, delivers nothing, port 2525 (not verified)"),
        ),
        starttls_ports=(587, 2525, 25),
        signs_in_as="api",
        constant_username="api",
        signs_in_with="an API token",
        bulk=Bulk.STREAM,
        unverified=("the username api", "the hosts of the bulk stream and the sandbox", "every limit"),
        sources=("docs.mailtrap.io, SMTP integration", _NODEMAILER),
    ),
    Preset(
        key="m365",
        name="Microsoft 365 (client submission)",
        host="smtp.office365.com",
        signs_in_as="the address of the mailbox",
        signs_in_with="its password, while your tenant still allows it",
        bulk=Bulk.NO,
        warning=(
            "Microsoft is ending sign-in with a password: off by default from the end of December 2026, not available"
            " to new tenants, removed in the second half of 2027. Brilliance can't sign in with OAuth yet. Plan to"
            " use another provider."
        ),
        fills={"max_connections": 3, "rate_limit": 30, "rate_unit": "minute", "max_per_day": 10_000},
        hints=(
            "30 messages a minute, 10,000 recipients a day, 3 connections, 500 recipients per message.",
            "A whole tenant can send to 500 × licences^0.7 + 9,500 external recipients a day, a trial to 5,000.",
        ),
        unverified=("25 to 150 MB a message, as set for the mailbox",),
        sources=(
            "learn.microsoft.com, SMTP submission improvements",
            "Message Center MC786329, 27 January 2026",
            "Exchange team blog, 24 February 2025",
            "learn.microsoft.com, outbound spam sending limits",
        ),
    ),
    Preset(
        key="outlook",
        name="Outlook.com (personal)",
        host="smtp-mail.outlook.com",
        signs_in_as=_FULL_ADDRESS,
        signs_in_with="none: it signs in with OAuth",
        bulk=Bulk.NO,
        warning="Sign-in will probably fail: Outlook.com seems to accept only OAuth, which isn't supported yet.",
        unverified=("that OAuth is the only way", "every limit"),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="postal",
        name="Postal (self-hosted)",
        host="",
        port=25,
        starttls_ports=(25, 587),
        signs_in_as="any word, or the organisation and server for CRAM-MD5, e.g. acme/main",
        signs_in_with="an SMTP credential of the server",
        bulk=Bulk.YES,
        hints=(
            "Enter the host name of your Postal server.",
            "Mail from must be on a domain of that server or organisation, or it replies 530.",
        ),
        unverified=("the ports, which its configuration sets",),
        sources=("docs.postalserver.io/features/smtp-authentication",),
    ),
    Preset(
        key="postmark",
        name="Postmark",
        host="smtp.postmarkapp.com",
        other_hosts=(("smtp-broadcasts.postmarkapp.com", "broadcast stream, for campaigns (not verified)"),),
        starttls_ports=(587, 25, 2525),
        signs_in_as="the server API token",
        is_key_username=True,
        signs_in_with="the same token",
        bulk=Bulk.STREAM,
        fills={"max_connections": 10},
        hints=(
            "Enter the token as API key. Leave Username and Password empty: the token is used for both.",
            "At most 10 connections, 50 recipients and 10 MB per message. 100 messages a month are free.",
        ),
        unverified=("the host of the broadcast stream", "that bounces go to an address of its own"),
        sources=("postmarkapp.com, rate limits for SMTP", "api-evangelist on Postmark, 13 August 2026"),
    ),
    Preset(
        key="resend",
        name="Resend",
        host="smtp.resend.com",
        port=465,
        starttls_ports=(587, 25, 2587),
        implicit_ports=(465, 2465),
        signs_in_as="resend",
        constant_username="resend",
        signs_in_with="an API key",
        bulk=Bulk.YES,
        hints=(
            "Every address in To, Cc and Bcc counts, and so does received mail.",
            "The free plan allows 100 messages a day and 3,000 a month.",
        ),
        unverified=("that 5 a second holds for SMTP as for the API", "50 recipients and 40 MB a message"),
        sources=(
            "resend.com/docs/send-with-smtp.md",
            "resend.com/docs/knowledge-base/account-quotas-and-limits.md",
            "resend.com/docs/api-reference/rate-limit.md",
        ),
    ),
    Preset(
        key="smtp2go",
        name="SMTP2GO",
        host="mail.smtp2go.com",
        other_hosts=(
            ("mail-us.smtp2go.com", "United States"),
            ("mail-eu.smtp2go.com", "Europe"),
            ("mail-eu2.smtp2go.com", "Europe, second"),
            ("mail-au.smtp2go.com", "Australia"),
        ),
        port=2525,
        starttls_ports=(2525, 587, 8025, 25, 80),
        implicit_ports=(465, 8465, 443),
        signs_in_as="an SMTP user of the account",
        signs_in_with="that user's password",
        bulk=Bulk.YES,
        hints=("The free plan allows 1,000 messages a month.",),
        unverified=("50 MB a message",),
        sources=("developers.smtp2go.com/docs/smtp-relay", "smtp2go.com/llms.txt"),
    ),
    Preset(
        key="sparkpost",
        name="SparkPost (Bird)",
        host="smtp.sparkpostmail.com",
        other_hosts=(("smtp.eu.sparkpostmail.com", "EU"),),
        starttls_ports=(587, 2525),
        signs_in_as="SMTP_Injection",
        constant_username="SMTP_Injection",
        signs_in_with="an API key with the right to send via SMTP",
        bulk=Bulk.YES,
        fills={"timeout_seconds": 60, "messages_per_connection": 100},
        hints=(
            "SparkPost needs a timeout of at least 60 seconds, so Timeout is set to 60.",
            "At most 100 messages over one connection.",
        ),
        unverified=("20 MB a message",),
        sources=("developers.sparkpost.com/api/smtp",),
    ),
    Preset(
        key="sendgrid",
        name="Twilio SendGrid",
        host="smtp.sendgrid.net",
        starttls_ports=(587, 25, 2525),
        implicit_ports=(465,),
        signs_in_as="apikey",
        constant_username="apikey",
        signs_in_with="an API key with the right to send mail",
        bulk=Bulk.YES,
        fills={"messages_per_connection": 5000},
        hints=(
            "At most 5,000 messages over one connection.",
            "Turn SendGrid's own click tracking and Google Analytics off if links get their UTM codes here.",
        ),
        unverified=(
            "1,000 recipients and 30 MB a message, which are documented for the API only",
            "that bounces go to an address of its own",
        ),
        sources=(
            "docs.sendgrid.com, integrating with the SMTP API",
            "docs.sendgrid.com, mail send limitations",
        ),
    ),
    Preset(
        key="yahoo",
        name="Yahoo Mail",
        host="smtp.mail.yahoo.com",
        port=465,
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with=_FOR_APPS,
        bulk=Bulk.NO,
        hints=("Every recipient counts towards the limit.",),
        unverified=("500 messages a day and 100 recipients a message, which are documented for business mail only",),
        sources=("help.yahoo.com SLN17518", _NODEMAILER),
    ),
    Preset(
        key="zoho",
        name="Zoho Mail",
        host="smtp.zoho.com",
        other_hosts=(("smtppro.zoho.com", "organisation accounts (not verified)"),),
        port=465,
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with="its password, or an app password",
        bulk=Bulk.NO,
        hints=(
            "50 to 500 messages an hour, depending on reputation. 150 recipients per message, 100 on the free plan.",
            "Mail from must be the account's address, or Zoho replies 553 Relaying disallowed.",
        ),
        unverified=("the host for organisations",),
        sources=("zoho.com, rates and limits, through api-evangelist",),
    ),
    Preset(
        key="zeptomail",
        name="Zoho ZeptoMail",
        host="smtp.zeptomail.com",
        implicit_ports=(465,),
        signs_in_as="emailapikey",
        constant_username="emailapikey",
        signs_in_with="a Send Mail token",
        bulk=Bulk.NO,
        hints=("Only for single messages such as receipts. Zoho doesn't allow bulk or promotional mail here.",),
        unverified=("host, ports and username", "15 MB a message"),
        sources=("zoho.com/zeptomail/help/api/smtp-error-codes.html",),
    ),
)
PRESETS: Mapping[str, Preset] = {preset.key: preset for preset in _ALL}
CHOICES = [(preset.key, preset.name) for preset in _ALL]


def sign_in(preset: str, username: str, password: str, api_key: str) -> tuple[str, str]:
    """Return the user name and password to sign in with; two empty texts: no sign-in.

    The password takes precedence; without one, the API key is used, and then the provider's constant replaces a missing
    user name.

    :param preset: the key of the provider; an unknown or empty one has no constant.
    """
    if not username and api_key and not password and (chosen := PRESETS.get(preset)):
        username = api_key if chosen.is_key_username else chosen.constant_username
    return (username, password or api_key) if username else ("", "")


def sent_username(preset: str, username: str) -> str:
    """Return the user name sent with a secret, unless it is the secret itself: as typed, or the provider's constant."""
    chosen = PRESETS.get(preset)
    return username or (chosen.constant_username if chosen else "")
