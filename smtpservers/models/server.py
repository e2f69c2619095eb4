"""The SMTP server: its credentials, defaults and limits, and the state that the system keeps of it."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.functions import Now
from simple_history.models import HistoricalRecords

from smtpservers import presets
from smtpservers.destinations import Destination, security_of
from smtpservers.mechanisms import PREFERRED
from smtpservers.secret_field import SecretField

SECRETS = ("password", "api_key")
# Written by the system while mail is sent; such a change is no edit and is left out of the history.
STATE = (
    *("paused_until", "paused_reason", "outage_at", "failures", "failed_at"),
    *("last_success_at", "certificate_expires_at", "version"),
    *("unsubscribe_probed_at", "unsubscribe_problem"),
    *("full_until", "full_reason", "slow_factor", "slowed_at", "learned_rate", "learned_messages_per_connection"),
    *("max_message_bytes", "learned_mechanism", "tested_at"),
)


class SmtpServer(models.Model):
    """An SMTP server for submission, with its credentials, defaults and limits."""

    class RateUnit(models.TextChoices):
        SECOND = "second", "per second"
        MINUTE = "minute", "per minute"

    class Pipelining(models.TextChoices):
        """How far commands run ahead of their replies, if EHLO offers PIPELINING (RFC 2920)."""

        LOOK_AHEAD = "look-ahead", "Look-ahead"  # The next MAIL, RCPT and DATA follow this message's body.
        PIPELINED = "pipelined", "Pipelined"  # MAIL, RCPT and DATA together, after the last message was answered.
        STEPS = "steps", "One step at a time"  # Each command waits for the reply to the one before.

    name = models.CharField(
        max_length=100,
        unique=True,
        error_messages={"unique": "Another server has this name; choose a different one."},
        help_text="What this server is called in lists and reports.",
    )

    preset = models.CharField(
        "provider",
        max_length=32,
        blank=True,
        choices=presets.CHOICES,
        help_text="Fills in what is known about the provider; everything can be changed. Not listed: leave it empty.",
    )

    # --- tab SMTP
    host = models.CharField(
        "SMTP server",
        max_length=253,
        help_text="Host name or IP address of the provider, such as smtp.example.com. A pasted host:port is split.",
    )
    port = models.PositiveIntegerField(
        "SMTP port",
        default=587,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text="587 is usual and starts with STARTTLS; 465 speaks TLS from the first byte.",
    )
    timeout_seconds = models.PositiveIntegerField(
        "SMTP timeout",
        default=30,
        validators=[MinValueValidator(5), MaxValueValidator(600)],
        help_text="Seconds to wait for the connection and for each answer, 5 to 600. Slow providers need 60 or more;"
        " the answer to a whole message is always awaited for at least 600.",
    )
    username = models.CharField(
        "SMTP username",
        max_length=255,
        blank=True,
        help_text="As the provider gave it; some use a fixed word such as apikey. Empty: no sign-in.",
    )
    password = SecretField("SMTP password", blank=True, help_text="Stored encrypted and never shown again.")
    mail_from = models.CharField(
        "SMTP mail from",
        max_length=400,
        help_text="The sender people see, such as News <news@example.com>. A campaign may name another.",
    )
    mail_to = models.CharField(
        "SMTP mail to",
        max_length=400,
        blank=True,
        help_text="The recipient proposed by Send test, and of notices about this server: its quota, pauses and"
        " certificate. Empty: the administrators.",
    )
    mail_to_unknown = models.CharField(
        "SMTP mail to unknown",
        max_length=400,
        blank=True,
        help_text="Receives single messages whose own recipient is missing or unusable, and the list of those a"
        " campaign did not reach. Empty: they are only in the outbox.",
    )
    mail_cc = models.TextField(
        "SMTP mail CC",
        max_length=4000,
        blank=True,
        help_text="Up to 10 addresses that get a copy of every message; every recipient sees them, and each copy"
        " counts in the quota.",
    )
    mail_bcc = models.TextField(
        "SMTP mail BCC",
        max_length=4000,
        blank=True,
        help_text="Up to 10 addresses that get a hidden copy of every message; each copy counts in the quota.",
    )
    is_active = models.BooleanField(
        "active", default=True, help_text="Off: only Send test uses this server; queued mail takes another one."
    )
    use_tls = models.BooleanField(
        "use SSL/TLS connection",
        default=True,
        help_text="On: nothing is sent without encryption and a valid certificate. Off: encryption is used if offered.",
    )
    never_tls = models.BooleanField(
        "never encrypt",
        default=False,
        db_default=False,
        help_text="Advanced. Only for a relay in your own network that offers encryption and cannot do it.",
    )
    handles_email_validation = models.BooleanField(
        "handles email validation",
        default=False,
        help_text="On: the provider judges recipients. Off: addresses and their domains are checked here before"
        " sending, and bad ones cost no quota.",
    )
    trusted_certificate = models.TextField(
        "trusted certificate",
        max_length=20_000,
        blank=True,
        help_text="Advanced. The certificate, in PEM form, of a server or authority that the public ones do not"
        " vouch for. Empty: the usual authorities decide.",
    )

    mechanism = models.CharField(
        "sign-in method",
        max_length=16,
        blank=True,
        default="",
        db_default="",
        choices=[(name, name) for name in PREFERRED],
        help_text="Advanced. How the password is proved. Automatic takes the safest that the server offers; where that"
        " one is refused, PLAIN or LOGIN is tried once over TLS.",
    )

    # --- tab Notes
    notes = models.TextField(
        max_length=20_000,
        blank=True,
        help_text="Set-up details, contacts, what was changed and why. Searchable, kept in the history, never in any"
        " mail. Keep passwords out: notes are not encrypted.",
    )

    # --- tab Miscellaneous
    domain_name = models.CharField(
        "domain name",
        max_length=253,
        blank=True,
        help_text="Your domain, used in EHLO, Message-ID and List-Id. Empty: the domain of SMTP mail from.",
    )
    api_key = SecretField(
        "API key",
        blank=True,
        help_text="Stored encrypted and never shown again. Used only for SMTP sign-in: as the password when SMTP"
        " password is empty, and with the provider's own user name when SMTP username is empty too.",
    )
    language = models.CharField(
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text="Of footers, unsubscribe pages and test messages, where the contact has none. Empty: the site's.",
    )
    max_per_month = models.PositiveIntegerField(
        "max (per month)",
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text="Recipients in one period, copies and tests included; then the next server takes over. From 100"
        " on, campaigns leave one in a hundred, 10 at most, to notices and other mail. Empty or 0: no limit.",
    )
    month_start_day = models.PositiveSmallIntegerField(
        "month start day",
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(31)],
        help_text="The day, 1 to 31, on which the provider resets its counter; in shorter months the last day.",
    )
    time_zone = models.CharField(
        "time zone",
        max_length=64,
        default="UTC",
        help_text="Where midnight of that day is. Most providers count in UTC.",
    )
    max_per_hour = models.PositiveIntegerField(
        "max (per hour)",
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text="Recipients in any 60 minutes, counted back from each moment. Empty or 0: no limit.",
    )
    max_per_day = models.PositiveIntegerField(
        "max (per day)",
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text="Recipients in any 24 hours, whichever midnight the provider counts from. Empty or 0: no limit.",
    )
    rate_limit = models.PositiveIntegerField(
        "rate",
        null=True,
        blank=True,
        validators=[MaxValueValidator(1_000_000)],
        help_text="How many messages the provider takes per second or minute, by all connections. They leave evenly"
        " spread. Empty or 0: as fast as it answers.",
    )
    rate_unit = models.CharField(
        "rate unit",
        max_length=6,
        choices=RateUnit,
        default=RateUnit.SECOND,
        db_default=RateUnit.SECOND,
        help_text="What the rate is counted by.",
    )
    pipelining = models.CharField(
        max_length=10,
        choices=Pipelining,
        default=Pipelining.LOOK_AHEAD,
        db_default=Pipelining.LOOK_AHEAD,
        help_text="Where the server offers it, how many commands leave before their answers came. Look-ahead is the"
        " fastest; choose another where a server loses its place.",
    )
    weight = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="Its share where servers are chosen by weight: one of weight 3 gets three times as much as one of"
        " weight 1.",
    )
    max_connections = models.PositiveSmallIntegerField(
        "connections",
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Open at the same time, 1 to 100. Ask the provider how many are welcome.",
    )
    messages_per_connection = models.PositiveIntegerField(
        "messages per connection",
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text="After this many a connection is closed and a new one opened.",
    )
    unsubscribe_url = models.CharField(
        "email unsubscribe URL",
        max_length=500,
        blank=True,
        help_text="Your own page, such as https://example.com/leave?t={token}; {email}, {campaign} and {list} are"
        " filled in too. Empty: the built-in page.",
    )
    use_unsubscribe_link = models.BooleanField(
        "use email unsubscribe link",
        default=True,
        help_text="Adds the link and the headers for unsubscribing with one click to campaigns.",
    )
    relays_unsubscribes = models.BooleanField(
        "relay unsubscribes",
        default=False,
        db_default=False,
        help_text="On: people unsubscribe on the built-in page, where one click always works, and your own page is told"
        " afterwards. Off: the link leads to your own page.",
    )
    precedence = models.CharField(
        "email precedence",
        max_length=40,
        default="bulk",
        blank=True,
        help_text="bulk, list, junk, first-class or another word; holiday replies skip the first three.",
    )
    use_precedence = models.BooleanField(
        "use email precedence", default=True, help_text="Adds the Precedence header to campaigns and tests."
    )
    return_path = models.CharField(
        "email return path",
        max_length=320,
        blank=True,
        help_text="The address that bounces go back to, best one of the domain of SMTP mail from.",
    )
    use_return_path = models.BooleanField(
        "use email return path", default=False, help_text="Off: bounces go to the address of SMTP mail from."
    )
    use_verp = models.BooleanField(
        "tag each return path",
        default=True,
        help_text="Writes bounces+tag@… instead of bounces@…, so that each bounce names its message. Turn it off if the"
        " mailbox refuses such addresses.",
    )
    spam_address = models.CharField(
        "email spam",
        max_length=320,
        blank=True,
        help_text="Where mail providers send complaints about your mail, for programs to read.",
    )
    use_spam_address = models.BooleanField(
        "use email spam", default=False, help_text="Adds the CFBL-Address and X-Complaints-To headers."
    )
    abuse_address = models.CharField(
        "email abuse",
        max_length=320,
        blank=True,
        help_text="Where people report misuse of your service, such as abuse@example.com.",
    )
    use_abuse_address = models.BooleanField(
        "use email abuse", default=False, help_text="Adds the X-Report-Abuse and X-Abuse-Reports-To headers."
    )
    display_order = models.PositiveIntegerField(
        "display order",
        blank=True,
        validators=[MaxValueValidator(9999)],
        help_text="0 to 9999. The lowest comes first in lists and is used first. Empty: after all others.",
    )

    # --- tab UTM
    unknown_first_name = models.CharField(
        "unknown first name",
        max_length=60,
        blank=True,
        help_text="Stands in where a contact has no first name: Dear Friend.",
    )
    unknown_last_name = models.CharField(
        "unknown last name", max_length=60, blank=True, help_text="Stands in where a contact has no last name."
    )
    utm_source = models.CharField(
        "UTM source",
        max_length=150,
        blank=True,
        help_text="Who sends the visitor, such as newsletter. Analytics tells capitals from small letters.",
    )
    utm_medium = models.CharField(
        "UTM medium", max_length=150, blank=True, help_text="By which channel; email is what analytics expects."
    )
    utm_campaign = models.CharField(
        "UTM campaign",
        max_length=150,
        blank=True,
        help_text="Which campaign; {{campaign.slug}} takes its name. A campaign's own value wins.",
    )
    utm_term = models.CharField(
        "UTM term", max_length=150, blank=True, help_text="A keyword. Its switch off: only proposed to campaigns."
    )
    utm_content = models.CharField(
        "UTM content",
        max_length=150,
        blank=True,
        help_text="Tells links or versions apart. Its switch off: only proposed to campaigns.",
    )
    always_utm_term = models.BooleanField(
        "always use UTM term", default=False, help_text="Adds it to every link that has no term of its own."
    )
    always_utm_content = models.BooleanField(
        "always use UTM content", default=False, help_text="Adds it to every link that has no content of its own."
    )

    replaces_utm = models.BooleanField(
        "replace UTM codes",
        default=False,
        db_default=False,
        help_text="On: codes that a link has already are taken away and set anew. Off: they stay.",
    )
    tags_text_links = models.BooleanField(
        "tag text links",
        default=True,
        db_default=True,
        help_text="Off: the links of the text part, where the whole address is seen, get no codes.",
    )

    # --- the system's state; the operator's switch is ``is_active``
    paused_reason = models.CharField(max_length=500, blank=True, editable=False)  # Empty: not paused.
    paused_until = models.DateTimeField(null=True, editable=False)  # None while paused: until edited or resumed.
    # The start of the present outage, kept through its pauses until mail is accepted again. None: no outage.
    outage_at = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)  # Consecutive failures of the server itself.
    failed_at = models.DateTimeField(null=True, editable=False)
    last_success_at = models.DateTimeField(null=True, editable=False)
    # Of the certificate at the last connection; None: not encrypted, or never connected.
    certificate_expires_at = models.DateTimeField(null=True, editable=False)
    # The last one-click probe of the custom unsubscribe page, and why it failed.
    unsubscribe_probed_at = models.DateTimeField(null=True, editable=False)
    unsubscribe_problem = models.CharField(max_length=300, blank=True, editable=False)
    # The provider reported that its own limit is reached: no reservations before then. The reason names no address.
    full_until = models.DateTimeField(null=True, editable=False)
    full_reason = models.CharField(max_length=500, blank=True, default="", db_default="", editable=False)
    # The factor on its connections and rate when it was last throttled, and when; it recovers with time alone.
    slow_factor = models.FloatField(default=1.0, db_default=1.0, editable=False)
    slowed_at = models.DateTimeField(null=True, editable=False)
    # The messages per second that the provider complained about, if no rate is set; None: never, or recovered since.
    learned_rate = models.FloatField(null=True, editable=False)
    # The number of messages after which the server closed the connection and said so; None: never since the last edit.
    learned_messages_per_connection = models.PositiveIntegerField(null=True, editable=False)
    # The mechanism that worked after a safer one was refused; empty: never since the last edit.
    learned_mechanism = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)
    # The largest message it accepts, in bytes (SIZE in EHLO, RFC 1870); None: never announced.
    max_message_bytes = models.PositiveBigIntegerField(null=True, editable=False)
    # When it first accepted a test. None: until then it gets no other mail.
    tested_at = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)  # Grows with every edit.
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    history = HistoricalRecords(excluded_fields=[*SECRETS, *STATE])

    class Meta:
        ordering = ["display_order", "id"]
        verbose_name = "SMTP server"
        permissions = [
            ("view_fleet", "Can see the names and quotas of SMTP servers, no settings"),
            ("pause_smtpserver", "Can resume a paused SMTP server and switch servers on and off"),
            ("send_test", "Can send a test message through an SMTP server"),
        ]
        indexes = [models.Index(fields=["is_active", "display_order"], name="smtpserver_choice")]  # Selection.

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if self.display_order is None:
            last = SmtpServer.objects.aggregate(last=models.Max("display_order"))["last"]
            self.display_order = min((last or 0) + 10, 9999)
        if self.pk and kwargs.get("update_fields") is None:
            self.version += 1
            self.learned_messages_per_connection = None
            self.learned_mechanism = ""
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Delete the server, even while it sends; its messages and attempts stay on record."""
        with transaction.atomic():
            # Claims being written wait for this lock, so none can name a deleted server. It comes first, as for
            # everybody who writes its account (reservations.prevent_deletion): another order could deadlock.
            list(SmtpServer.objects.select_for_update().filter(pk=self.pk).values_list("pk"))
            for model in (apps.get_model("smtpservers", name) for name in ("RecentUse", "QuotaPeriod")):
                of_server = model._default_manager.select_for_update().filter(server=self.pk)
                list(of_server.order_by("pk").values_list("pk"))
            return super().delete(*args, **kwargs)

    @property
    def destination(self) -> Destination:
        """The destination of the secrets of this row, as it is now."""
        return Destination(
            host=self.host,
            port=int(self.port),
            security=security_of(int(self.port), self.use_tls, self.never_tls),
            trusted_certificate=self.trusted_certificate,
            username=presets.sent_username(self.preset, self.username),
        )

    @property
    def linked_unsubscribe_url(self) -> str:
        """The custom address that recipients are led to; empty: the built-in page."""
        return "" if self.relays_unsubscribes else self.unsubscribe_url

    @property
    def has_unsubscribe_page(self) -> bool:
        """Whether there is a custom page, which may or may not support one click."""
        return self.unsubscribe_url.startswith("https://")

    @property
    def takes_one_click(self) -> bool:
        """Whether the custom page supported one click at the last probe."""
        return self.has_unsubscribe_page and self.unsubscribe_probed_at is not None and not self.unsubscribe_problem
