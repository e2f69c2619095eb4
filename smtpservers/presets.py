"""Presets of mail providers: host, port, sign-in, limits, and their sources.

Data with a date and sources; providers change their limits without notice. A preset proposes values for the form and
enforces nothing. ``hints`` were verified in the sources, ``unverified`` were not.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from oauth.client.providers import takes_tokens
from words.instants import day
from words.texts import gettext_noop, joined, ngettext
from words.texts import text as _

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
    "dkim": "provider",
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
    password_ends_on: dt.date | None = None  # From then on it signs in with OAuth alone, unless somebody sees to it.
    takes_app_passwords: bool = False  # It refuses the account's own password, which ``warning`` says.
    needs_sign_in: bool = True  # Off: it connects without signing in, or may.
    other_hosts: tuple[tuple[str, str], ...] = ()  # (host, purpose), in addition to ``host``.
    fills: Mapping[str, Any] = field(default_factory=dict)  # Further fields of the form, by name.
    rewrites: tuple[str, ...] = ()  # Headers that it replaces: signatures of ours would break.
    warning: str = ""
    hints: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    checked_on: dt.date = CHECKED_ON

    @property
    def values(self) -> dict[str, Any]:
        """The values that the preset puts into the form, by field."""
        own = {"host": self.host, "port": self.port, "use_tls": self.use_tls, "username": self.constant_username}
        return {**DEFAULTS, **own, **self.fills}

    @property
    def takes_oauth(self) -> bool:
        """Whether an OAuth account can sign in there, in place of a user name and a password."""
        return takes_tokens(self.host)

    def warnings(self, host: str) -> tuple[str, ...]:
        """Return warnings for somebody who is about to send a campaign through it, as sentences.

        :param host: the host in use; a host other than the first may be for bulk mail.
        """
        bulk = "" if self.bulk is Bulk.STREAM and host != self.host else _BULK_WARNINGS[self.bulk]
        return tuple(filter(None, (bulk and _(bulk, name=self.name), self.warning)))

    def password_warning(self, today: dt.date) -> str:
        """Return how long the provider still takes passwords; empty if it goes on taking them."""
        if self.password_ends_on is None:
            return ""
        left = (self.password_ends_on - today).days
        if left <= 0:
            return _("%(name)s has switched off sign-in with a password. Choose an OAuth account.", name=self.name)
        return ngettext(
            "%(name)s switches off sign-in with a password in %(n)s day, on %(day)s. Choose an OAuth account.",
            "%(name)s switches off sign-in with a password in %(n)s days, on %(day)s. Choose an OAuth account.",
            left,
            name=self.name,
            day=day(self.password_ends_on, dt.date.min),
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """The known facts about the provider, as sentences; unverified ones are marked."""
        ports = (
            _("%(ports)s with %(how)s", ports=", ".join(map(str, numbers)), how=how)
            for numbers, how in (
                (self.starttls_ports, "STARTTLS"),
                (self.implicit_ports, _("implicit TLS")),
            )
            if numbers
        )
        known = (
            _("Username: %(username)s.", username=self.signs_in_as),
            _("Password: %(password)s.", password=self.signs_in_with),
            _("Ports: %(ports)s.", ports=joined(ports, _ALSO)) if self.use_tls else "",
            *self.hints,
            _("It replaces %(headers)s, so only it can sign.", headers=self.rewritten) if self.rewrites else "",
            _("Not verified: %(facts)s.", facts=joined(self.unverified, _ALSO)) if self.unverified else "",
        )
        return tuple(filter(None, known))

    @property
    def rewritten(self) -> str:
        """The headers that it replaces, as people read them."""
        return joined(self.rewrites, _AND)

    @property
    def source(self) -> str:
        """The date and sources of these facts."""
        checked_on = day(self.checked_on, dt.date.min)  # With its year.
        return _("As of %(day)s, from: %(sources)s.", day=checked_on, sources="; ".join(self.sources))


_BULK_WARNINGS = {
    Bulk.YES: "",
    Bulk.LIMITED: gettext_noop("%(name)s is meant for everyday mail, so campaigns are limited. Keep them small."),
    Bulk.STREAM: gettext_noop("%(name)s sends campaigns only through its broadcast stream. Choose that host."),
    Bulk.NO: gettext_noop(
        "%(name)s doesn't allow bulk mail. Use this server for tests and single messages, not for campaigns."
    ),
}
_ALSO = gettext_noop("%(one)s; %(other)s")
_AND = gettext_noop("%(one)s and %(other)s")

_SES_REGIONS = (
    ("us-east-1", _("US East, N. Virginia")),
    ("us-east-2", _("US East, Ohio")),
    ("us-west-1", _("US West, N. California")),
    ("us-west-2", _("US West, Oregon")),
    ("af-south-1", _("Africa, Cape Town")),
    ("ap-northeast-1", _("Asia Pacific, Tokyo")),
    ("ap-northeast-2", _("Asia Pacific, Seoul")),
    ("ap-northeast-3", _("Asia Pacific, Osaka")),
    ("ap-south-1", _("Asia Pacific, Mumbai")),
    ("ap-southeast-1", _("Asia Pacific, Singapore")),
    ("ap-southeast-2", _("Asia Pacific, Sydney")),
    ("ap-southeast-3", _("Asia Pacific, Jakarta")),
    ("ca-central-1", _("Canada, Central")),
    ("eu-central-1", _("Europe, Frankfurt")),
    ("eu-north-1", _("Europe, Stockholm")),
    ("eu-south-1", _("Europe, Milan")),
    ("eu-west-1", _("Europe, Ireland")),
    ("eu-west-2", _("Europe, London")),
    ("eu-west-3", _("Europe, Paris")),
    ("il-central-1", _("Israel, Tel Aviv")),
    ("me-south-1", _("Middle East, Bahrain")),
    ("sa-east-1", _("South America, São Paulo")),
)
_FULL_ADDRESS = _("the full email address of the account")
_FOR_APPS = _("an app password, not the one you sign in to the mailbox with")
_NODEMAILER = "nodemailer, well-known services list"

_ALL = (
    Preset(
        key="ses",
        name="Amazon SES",
        host="",
        other_hosts=tuple((f"email-smtp.{region}.amazonaws.com", place) for region, place in _SES_REGIONS),
        starttls_ports=(587, 25, 2587),
        implicit_ports=(465, 2465),
        signs_in_as=_("the SMTP username made in SES (it starts with AKIA)"),
        signs_in_with=_("the SMTP password made in SES, not the secret key of IAM"),
        bulk=Bulk.YES,
        rewrites=("Message-ID", "Date"),
        fills={"use_precedence": False},
        hints=(
            _("Choose the region your SES account sends from. Usernames and quotas belong to a region."),
            _("SES may reject the Precedence header, so it's turned off here."),
            _("New accounts start in a sandbox: 200 messages a day, 1 per second, to verified addresses only."),
            _("Every recipient counts. Limits per message: 50 recipients and 40 MB. Reply 454 means too fast."),
            _("Bounces go to SES unless you set up your own MAIL FROM domain there."),
        ),
        sources=(
            "docs.aws.amazon.com/ses/latest/dg/quotas.html",
            "docs.aws.amazon.com/ses/latest/dg/smtp-connect.html",
            "docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html",
        ),
    ),
    Preset(
        key="azure",
        name="Azure Communication Services",
        host="smtp.azurecomm.net",
        signs_in_as=_("the SMTP username made in the resource"),
        signs_in_with=_("a client secret of the Entra application"),
        bulk=Bulk.YES,
        hints=(_("Mail from must be an address of a domain that is verified and connected to the resource."),),
        unverified=(_("every limit, which belongs to the subscription"),),
        sources=(
            "learn.microsoft.com/azure/communication-services/quickstarts/email/send-email-smtp/smtp-authentication",
        ),
    ),
    Preset(
        key="brevo",
        name="Brevo",
        host="smtp-relay.brevo.com",
        starttls_ports=(587, 2525),
        implicit_ports=(465,),
        signs_in_as=_("the SMTP login shown in the account"),
        signs_in_with=_("an SMTP key, not an API key"),
        bulk=Bulk.YES,
        hints=(
            _("Brevo rewrites senders on unverified domains to an address at brevosend.com."),
            _("The free plan allows 300 messages a day."),
        ),
        unverified=(_("the largest message"), _("that bounces go to an address of its own")),
        sources=("developers.brevo.com/docs/smtp-integration", "captaindns.com, 16 January 2026"),
    ),
    Preset(
        key="elastic",
        name="Elastic Email",
        host="smtp.elasticemail.com",
        port=2525,
        starttls_ports=(2525, 587, 25),
        implicit_ports=(465,),
        signs_in_as=_("the account's email address, or an SMTP credential"),
        signs_in_with=_("the password of the SMTP credential"),
        bulk=Bulk.YES,
        unverified=(_("every port but 465"), _("20 MB a message")),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="emailit",
        name="Emailit",
        host="smtp.emailit.com",
        starttls_ports=(587, 2525, 2587, 25),
        implicit_ports=(465,),
        signs_in_as=_("emailit"),
        constant_username="emailit",
        signs_in_with=_("the API key (it starts with secret_)"),
        bulk=Bulk.YES,
        rewrites=("Message-ID", "Date"),
        fills={"rate_limit": 2, "rate_unit": "second", "max_per_day": 5_000},
        hints=(
            _("New accounts can send 2 messages per second and 5,000 a day. The day starts at midnight UTC."),
            _("Reply 452 4.5.3 means the daily limit is reached, 452 4.4.5 means too fast."),
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
        hints=(_("Mail from must be an address of the account."), _("Fastmail prefers port 465.")),
        unverified=(_("how many messages a day"),),
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
        takes_app_passwords=True,
        warning=_("Google has refused the account's password since May 2025. Use an OAuth account or an app password."),
        fills={"max_per_day": 500},
        hints=(
            _("Recommended: an OAuth account, signed in by a person."),
            _("500 recipients a day. Reply 550 5.4.5 means the limit is reached."),
        ),
        unverified=(
            _("that another Mail from is rewritten to the account's"),
            _("100 recipients a message"),
            _("25 MB"),
            _("that bounces go to an address of its own"),
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
        takes_app_passwords=True,
        warning=_("Google has refused the account's password since May 2025. Use an OAuth account or an app password."),
        fills={"max_per_day": 2000},
        hints=(
            _("Recommended: an OAuth account, of a service account."),
            _("2,000 messages a day. Reply 550 5.4.5 means the limit is reached."),
        ),
        unverified=(_("500 a day for trial accounts"), _("25 MB")),
        sources=("developer.nylas.com, Gmail SMTP settings",),
    ),
    Preset(
        key="workspace-relay",
        name="Google Workspace SMTP relay",
        host="smtp-relay.gmail.com",
        starttls_ports=(587, 25),
        implicit_ports=(465,),
        signs_in_as=_("the address of a user, or nothing if the relay knows your IP address"),
        needs_sign_in=False,
        signs_in_with=_FOR_APPS,
        bulk=Bulk.LIMITED,
        fills={"max_per_day": 10_000},
        hints=(
            _("Recommended: an OAuth account, of a service account."),
            _("Domain name must be one of your Workspace domains: the relay checks it."),
            _("10,000 recipients a day per user, 319,444 per ten minutes for the organisation."),
            _("Reply 450 4.2.1 means too fast, 550 5.7.1 the daily limit, 550 5.4.5 the user's limit."),
        ),
        sources=("support.google.com/a/answer/2956491",),
    ),
    Preset(
        key="icloud",
        name="iCloud Mail",
        host="smtp.mail.me.com",
        signs_in_as=_("the iCloud address"),
        signs_in_with=_("an app-specific password"),
        bulk=Bulk.NO,
        fills={"max_per_day": 1000},
        hints=(
            _("1,000 messages and 1,000 recipients a day. Limits per message: 500 recipients and 20 MB."),
            _("Apple prohibits unsolicited bulk mail through iCloud."),
        ),
        unverified=(_("that an app-specific password is needed"),),
        sources=("support.apple.com/102198",),
    ),
    Preset(
        key="mandrill",
        name="Mailchimp Transactional (Mandrill)",
        host="smtp.mandrillapp.com",
        implicit_ports=(465,),
        signs_in_as=_("any word"),
        signs_in_with=_("an API key"),
        bulk=Bulk.YES,
        unverified=(_("that any username works"), _("port 465"), _("every limit")),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="mailersend",
        name="MailerSend",
        host="smtp.mailersend.net",
        signs_in_as=_("the SMTP user shown on the domain's page"),
        signs_in_with=_("its SMTP password"),
        bulk=Bulk.YES,
        unverified=(_("every limit"),),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="mailgun",
        name="Mailgun",
        host="smtp.mailgun.org",
        other_hosts=(("smtp.eu.mailgun.org", _("EU region, not verified")),),
        starttls_ports=(587, 25, 2525),
        implicit_ports=(465,),
        signs_in_as=_("the credential of your domain, such as postmaster@your-domain"),
        signs_in_with=_("the SMTP password of that credential"),
        bulk=Bulk.YES,
        unverified=(_("the host of the EU region"), _("1,000 recipients and 25 MB a message")),
        sources=("documentation.mailgun.com, sending by SMTP",),
    ),
    Preset(
        key="mailjet",
        name="Mailjet",
        host="in-v3.mailjet.com",
        starttls_ports=(587, 25, 2525, 588),
        implicit_ports=(465,),
        signs_in_as=_("the API key"),
        signs_in_with=_("the secret key"),
        bulk=Bulk.YES,
        hints=(
            _("Enter Mailjet's API key as Username and its secret key as Password. Leave API key empty."),
            _("The free plan allows 6,000 messages a month."),
        ),
        unverified=(_("200 a day on the free plan"), _("50 recipients and 15 MB a message"), _("port 588")),
        sources=("cloud.google.com, sending mail with Mailjet",),
    ),
    Preset(
        key="mailpit",
        name="Mailpit or MailHog (local test)",
        host="localhost",
        port=1025,
        use_tls=False,
        starttls_ports=(),
        signs_in_as=_("nothing"),
        needs_sign_in=False,
        signs_in_with=_("nothing"),
        bulk=Bulk.NO,
        hints=(_("Catches mail on this machine for testing. Nothing is delivered."),),
        sources=("the programs' own defaults",),
    ),
    Preset(
        key="mailtrap",
        name="Mailtrap",
        host="live.smtp.mailtrap.io",
        other_hosts=(
            ("bulk.smtp.mailtrap.io", _("bulk stream, for campaigns (not verified)")),
            ("sandbox.smtp.mailtrap.io", _("sandbox, delivers nothing, port 2525 (not verified)")),
        ),
        starttls_ports=(587, 2525, 25),
        signs_in_as=_("api"),
        constant_username="api",
        signs_in_with=_("an API token"),
        bulk=Bulk.STREAM,
        unverified=(_("the username api"), _("the hosts of the bulk stream and the sandbox"), _("every limit")),
        sources=("docs.mailtrap.io, SMTP integration", _NODEMAILER),
    ),
    Preset(
        key="m365",
        name="Microsoft 365 (client submission)",
        host="smtp.office365.com",
        signs_in_as=_("the address of the mailbox"),
        signs_in_with=_("its password, while your tenant still allows it"),
        bulk=Bulk.NO,
        password_ends_on=dt.date(2026, 12, 31),
        fills={"max_connections": 3, "rate_limit": 30, "rate_unit": "minute", "max_per_day": 10_000},
        hints=(
            _("Recommended: an OAuth account, app-only. New tenants have no sign-in with a password."),
            _("An administrator may switch passwords on again until Microsoft removes them in late 2027."),
            _("30 messages a minute, 10,000 recipients a day, 3 connections, 500 recipients per message."),
            _("A whole tenant can send to 500 × licences^0.7 + 9,500 external recipients a day, a trial to 5,000."),
        ),
        unverified=(_("25 to 150 MB a message, as set for the mailbox"),),
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
        signs_in_with=_("none: choose an OAuth account"),
        bulk=Bulk.NO,
        warning=_("Outlook.com seems to accept OAuth only. Choose an OAuth account, signed in by a person."),
        unverified=(_("that OAuth is the only way"), _("every limit")),
        sources=(_NODEMAILER,),
    ),
    Preset(
        key="postal",
        name="Postal (self-hosted)",
        host="",
        port=25,
        starttls_ports=(25, 587),
        signs_in_as=_("any word, or the organisation and server for CRAM-MD5, e.g. acme/main"),
        signs_in_with=_("an SMTP credential of the server"),
        bulk=Bulk.YES,
        hints=(
            _("Enter the host name of your Postal server."),
            _("Mail from must be on a domain of that server or organisation, or it replies 530."),
        ),
        unverified=(_("the ports, which its configuration sets"),),
        sources=("docs.postalserver.io/features/smtp-authentication",),
    ),
    Preset(
        key="postmark",
        name="Postmark",
        host="smtp.postmarkapp.com",
        other_hosts=(("smtp-broadcasts.postmarkapp.com", _("broadcast stream, for campaigns (not verified)")),),
        starttls_ports=(587, 25, 2525),
        signs_in_as=_("the server API token"),
        is_key_username=True,
        signs_in_with=_("the same token"),
        bulk=Bulk.STREAM,
        fills={"max_connections": 10},
        hints=(
            _("Or enter the token once, as API key under Miscellaneous. Leave Username and Password empty then."),
            _("At most 10 connections, 50 recipients and 10 MB per message. 100 messages a month are free."),
        ),
        unverified=(_("the host of the broadcast stream"), _("that bounces go to an address of its own")),
        sources=("postmarkapp.com, rate limits for SMTP", "api-evangelist on Postmark, 13 August 2026"),
    ),
    Preset(
        key="resend",
        name="Resend",
        host="smtp.resend.com",
        port=465,
        starttls_ports=(587, 25, 2587),
        implicit_ports=(465, 2465),
        signs_in_as=_("resend"),
        constant_username="resend",
        signs_in_with=_("an API key"),
        bulk=Bulk.YES,
        hints=(
            _("Every address in To, Cc and Bcc counts, and so does received mail."),
            _("The free plan allows 100 messages a day and 3,000 a month."),
        ),
        unverified=(_("that 5 a second holds for SMTP as for the API"), _("50 recipients and 40 MB a message")),
        sources=(
            "resend.com/docs/send-with-smtp.md",
            "resend.com/docs/knowledge-base/account-quotas-and-limits.md",
            "resend.com/docs/api-reference/rate-limit.md",
        ),
    ),
    Preset(
        key="scaleway",
        name="Scaleway Transactional Email",
        host="smtp.tem.scaleway.com",
        starttls_ports=(587, 25, 2587),
        implicit_ports=(465, 2465),
        signs_in_as=_("the ID of the project"),
        signs_in_with=_("the secret key of an API key"),
        bulk=Bulk.YES,
        unverified=(_("ports 2587 and 2465"), _("every limit")),
        sources=("scaleway.com/en/docs/transactional-email/reference-content/smtp-configuration",),
    ),
    Preset(
        key="smtp2go",
        name="SMTP2GO",
        host="mail.smtp2go.com",
        other_hosts=(
            ("mail-us.smtp2go.com", _("United States")),
            ("mail-eu.smtp2go.com", _("Europe")),
            ("mail-eu2.smtp2go.com", _("Europe, second")),
            ("mail-au.smtp2go.com", _("Australia")),
        ),
        port=2525,
        starttls_ports=(2525, 587, 8025, 25, 80),
        implicit_ports=(465, 8465, 443),
        signs_in_as=_("an SMTP user of the account"),
        signs_in_with=_("that user's password"),
        bulk=Bulk.YES,
        hints=(_("The free plan allows 1,000 messages a month."),),
        unverified=(_("50 MB a message"),),
        sources=("developers.smtp2go.com/docs/smtp-relay", "smtp2go.com/llms.txt"),
    ),
    Preset(
        key="sparkpost",
        name="SparkPost (Bird)",
        host="smtp.sparkpostmail.com",
        other_hosts=(("smtp.eu.sparkpostmail.com", _("EU")),),
        starttls_ports=(587, 2525),
        signs_in_as=_("SMTP_Injection"),
        constant_username="SMTP_Injection",
        signs_in_with=_("an API key with the right to send via SMTP"),
        bulk=Bulk.YES,
        fills={"timeout_seconds": 60, "messages_per_connection": 100},
        hints=(
            _("SparkPost needs a timeout of at least 60 seconds, so Timeout is set to 60."),
            _("At most 100 messages over one connection."),
        ),
        unverified=(_("20 MB a message"),),
        sources=("developers.sparkpost.com/api/smtp",),
    ),
    Preset(
        key="sendgrid",
        name="Twilio SendGrid",
        host="smtp.sendgrid.net",
        starttls_ports=(587, 25, 2525),
        implicit_ports=(465,),
        signs_in_as=_("apikey"),
        constant_username="apikey",
        signs_in_with=_("an API key with the right to send mail"),
        bulk=Bulk.YES,
        fills={"messages_per_connection": 5000},
        hints=(
            _("At most 5,000 messages over one connection."),
            _("Turn SendGrid's own click tracking and Google Analytics off if links get their UTM codes here."),
        ),
        unverified=(
            _("1,000 recipients and 30 MB a message, which are documented for the API only"),
            _("that bounces go to an address of its own"),
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
        hints=(_("Every recipient counts towards the limit."),),
        unverified=(_("500 messages a day and 100 recipients a message, which are documented for business mail only"),),
        sources=("help.yahoo.com SLN17518", _NODEMAILER),
    ),
    Preset(
        key="zoho",
        name="Zoho Mail",
        host="smtp.zoho.com",
        other_hosts=(("smtppro.zoho.com", _("organisation accounts (not verified)")),),
        port=465,
        implicit_ports=(465,),
        signs_in_as=_FULL_ADDRESS,
        signs_in_with=_("its password, or an app password"),
        bulk=Bulk.NO,
        hints=(
            _("50 to 500 messages an hour, depending on reputation. 150 recipients per message, 100 on the free plan."),
            _("Mail from must be the account's address, or Zoho replies 553 Relaying disallowed."),
        ),
        unverified=(_("the host for organisations"),),
        sources=("zoho.com, rates and limits, through api-evangelist",),
    ),
    Preset(
        key="zeptomail",
        name="Zoho ZeptoMail",
        host="smtp.zeptomail.com",
        implicit_ports=(465,),
        signs_in_as=_("emailapikey"),
        constant_username="emailapikey",
        signs_in_with=_("a Send Mail token"),
        bulk=Bulk.NO,
        hints=(_("Only for single messages such as receipts. Zoho doesn't allow bulk or promotional mail here."),),
        unverified=(_("host, ports and username"), _("15 MB a message")),
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


def password_warning(preset: str, has_account: bool, today: dt.date) -> str:
    """Return how long the provider still takes the server's password; empty if it goes on taking it.

    :param has_account: whether the server signs in with an OAuth account, which needs no password.
    """
    chosen = PRESETS.get(preset)
    return "" if chosen is None or has_account else chosen.password_warning(today)
