"""The SMTP server: its credentials, defaults and limits, and the state that the system keeps of it."""

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from encryption.secret_field import SecretField
from oauth.models import OAuthAccount
from smtpservers import presets
from smtpservers.destinations import Destination, security_of
from smtpservers.mechanisms import PREFERRED

SECRETS = ("password", "api_key")
# Written by the system while mail is sent; such a change is no edit and is left out of the history.
STATE = (
    *("paused_until", "paused_reason", "pause_awaits_account", "outage_at", "failures", "failed_at"),
    *("last_success_at", "certificate_expires_at", "version"),
    *("unsubscribe_probed_at", "unsubscribe_problem"),
    *("full_until", "full_reason", "slow_factor", "slowed_at", "learned_rate", "learned_messages_per_connection"),
    *("max_message_bytes", "learned_mechanism", "tested_at", "test_failed_at", "test_failed_step"),
)


class SmtpServer(models.Model):
    """An SMTP server for submission, with its credentials, defaults and limits."""

    class RateUnit(models.TextChoices):
        SECOND = "second", _("per second")
        MINUTE = "minute", _("per minute")

    class Pipelining(models.TextChoices):
        """How far commands run ahead of their replies, if EHLO offers PIPELINING (RFC 2920)."""

        LOOK_AHEAD = "look-ahead", _("Look-ahead")  # The next MAIL, RCPT and DATA follow this message's body.
        PIPELINED = "pipelined", _("Pipelined")  # MAIL, RCPT and DATA together, after the last message was answered.
        STEPS = "steps", _("One step at a time")  # Each command waits for the reply to the one before.

    class Signer(models.TextChoices):
        """Who adds the DKIM signature."""

        PROVIDER = "provider", _("Provider signs")
        BRILLIANCE = "brilliance", _("Brilliance signs")  # With the keys of the domain of From.

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("Another server already has this name. Choose a different one.")},
        help_text=_("Shown in lists and reports, e.g. “SES Frankfurt”."),
    )

    preset = models.CharField(
        _("provider"),
        max_length=32,
        blank=True,
        choices=presets.CHOICES,
        help_text=_(
            "Fills in host, port and limits. You can change everything. Not listed? Keep “Other / custom server”."
        ),
    )

    # --- tab SMTP
    host = models.CharField(
        _("server"),
        max_length=253,
        help_text=_("Host name or IP address, e.g. smtp.example.com. You can paste host:port."),
    )
    port = models.PositiveIntegerField(
        _("port"),
        default=587,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_("Usually 587 (STARTTLS) or 465 (implicit TLS)."),
    )
    timeout_seconds = models.PositiveIntegerField(
        _("timeout"),
        default=30,
        validators=[MinValueValidator(5), MaxValueValidator(600)],
        help_text=_(
            "Seconds to wait for a connection or reply (5–600). Slow providers may need 60 or more. The reply"
            " to a whole message always gets at least 600."
        ),
    )
    username = models.CharField(
        _("username"),
        max_length=255,
        blank=True,
        help_text=_(
            "From your provider, sometimes a fixed value such as “apikey”. Leave empty to connect without signing in."
        ),
    )
    oauth_account = models.ForeignKey(
        OAuthAccount,
        models.PROTECT,
        null=True,
        blank=True,
        verbose_name=_("OAuth account"),
        related_name="+",
        help_text=_(
            "Signs in with tokens instead of a password. Add one under Servers › OAuth. Leave empty to use a password."
        ),
    )
    password = SecretField(_("password"), blank=True, help_text=_("Stored encrypted and never shown again."))
    mail_from = models.CharField(
        _("mail from"),
        max_length=400,
        help_text=_("Default From address, e.g. News <news@example.com>. Campaigns can override it."),
    )
    mail_to = models.CharField(
        _("mail to"),
        max_length=400,
        blank=True,
        help_text=_(
            "Gets alerts about this server (quota, pauses, certificate) and is suggested by Send test. Leave"
            " empty to use the organisation's alert address."
        ),
    )
    mail_to_unknown = models.CharField(
        _("mail to unknown"),
        max_length=400,
        blank=True,
        help_text=_(
            "Gets single messages whose recipient is missing or unusable, bounces that match no message, and a"
            " list of the people each campaign couldn't reach. Leave empty to keep them in Messages only."
        ),
    )
    mail_cc = models.TextField(
        _("mail CC"),
        max_length=4000,
        blank=True,
        help_text=_(
            "Up to 10 addresses that get a copy of every message. Every recipient sees them, and each copy uses quota."
        ),
    )
    mail_bcc = models.TextField(
        _("mail BCC"),
        max_length=4000,
        blank=True,
        help_text=_("Up to 10 addresses that get a hidden copy of every message. Each copy uses quota."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("When off, only Send test uses this server.")
    )
    use_tls = models.BooleanField(
        _("use SSL/TLS connection"),
        default=True,
        help_text=_("On: require TLS and a valid certificate. Off: use TLS only if the server offers it."),
    )
    never_tls = models.BooleanField(
        _("never encrypt"),
        default=False,
        db_default=False,
        help_text=_("Advanced. Only for a relay in your own network that offers TLS but can't use it."),
    )
    handles_email_validation = models.BooleanField(
        _("handles email validation"),
        default=False,
        help_text=_(
            "On: leave address checks to the provider. Off: check addresses first, so invalid ones don't use up quota."
        ),
    )
    is_own_relay = models.BooleanField(
        _("own relay"),
        default=False,
        db_default=False,
        help_text=_(
            "On: this server delivers from an IP address of your own, so Domains also checks its PTR record, its HELO"
            " name and SPF. Off: a provider delivers."
        ),
    )
    dkim = models.CharField(
        _("DKIM"),
        max_length=10,
        choices=Signer,
        default=Signer.PROVIDER,
        db_default=Signer.PROVIDER,
        help_text=_(
            "Provider signs: for providers with DKIM set up. Brilliance signs: for relays that don't sign, with the"
            " keys of the From domain under Domains."
        ),
    )
    requires_dkim = models.BooleanField(
        _("DKIM required"),
        default=True,
        db_default=True,
        help_text=_(
            "Only used when Brilliance signs. On: mail waits until its domain has a key that signs. Off: it's sent"
            " unsigned."
        ),
    )
    trusted_certificate = models.TextField(
        _("trusted certificate"),
        max_length=20_000,
        blank=True,
        help_text=_(
            "Advanced. For private or self-signed certificates: paste the certificate or its CA (PEM). Leave"
            " empty to use public CAs."
        ),
    )

    mechanism = models.CharField(
        _("sign-in method"),
        max_length=16,
        blank=True,
        default="",
        db_default="",
        choices=[(name, name) for name in PREFERRED],
        help_text=_(
            "Advanced. Automatic picks the safest method that the server offers. If it's rejected, PLAIN or"
            " LOGIN is tried once over TLS."
        ),
    )

    # --- tab Notes
    notes = models.TextField(
        _("notes"),
        max_length=20_000,
        blank=True,
        help_text=_(
            "Setup details, contacts and changes. Searchable, kept in the history and never sent. Don't store"
            " passwords here: notes aren't encrypted."
        ),
    )

    # --- tab Miscellaneous
    domain_name = models.CharField(
        _("domain name"),
        max_length=253,
        blank=True,
        help_text=_("Your domain, used in EHLO, Message-ID and List-Id. Leave empty to use the domain of Mail from."),
    )
    api_key = SecretField(
        _("API key"),
        blank=True,
        help_text=_(
            "Stored encrypted and never shown again. Used to sign in when Password is empty. If Username is"
            " empty too, the provider's fixed username is used."
        ),
    )
    language = models.CharField(
        _("language"),
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text=_(
            "Used for footers, unsubscribe pages and tests when a contact has no language. Leave empty for the"
            " site default."
        ),
    )
    max_per_month = models.PositiveIntegerField(
        _("max (per month)"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text=_(
            "Maximum recipients per period, copies and tests included. Then another server takes over."
            " Campaigns leave 1% (10 at most) for alerts and other mail. Leave empty for no limit."
        ),
    )
    month_start_day = models.PositiveSmallIntegerField(
        _("month start day"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(31)],
        help_text=_("Day on which the provider resets its counter (1–31). Shorter months use their last day."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        help_text=_("Time zone the provider uses to reset its counter. Usually UTC."),
    )
    max_per_hour = models.PositiveIntegerField(
        _("max (per hour)"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text=_("Maximum recipients in any rolling 60 minutes. Leave empty for no limit."),
    )
    max_per_day = models.PositiveIntegerField(
        _("max (per day)"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(2_000_000_000)],
        help_text=_("Maximum recipients in any rolling 24 hours. Leave empty for no limit."),
    )
    rate_limit = models.PositiveIntegerField(
        _("rate"),
        null=True,
        blank=True,
        validators=[MaxValueValidator(1_000_000)],
        help_text=_(
            "Maximum messages per second or minute, spread evenly over all connections. Leave empty for no limit."
        ),
    )
    rate_unit = models.CharField(
        _("rate unit"),
        max_length=6,
        choices=RateUnit,
        default=RateUnit.SECOND,
        db_default=RateUnit.SECOND,
    )
    pipelining = models.CharField(
        _("pipelining"),
        max_length=10,
        choices=Pipelining,
        default=Pipelining.LOOK_AHEAD,
        db_default=Pipelining.LOOK_AHEAD,
        help_text=_(
            "How many commands are sent before the server replies. Look-ahead is fastest. Choose another if the"
            " server gets out of step."
        ),
    )
    weight = models.PositiveSmallIntegerField(
        _("weight"),
        default=1,
        db_default=1,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text=_("Share of traffic with weighted routing: weight 3 gets three times as much as weight 1."),
    )
    max_connections = models.PositiveSmallIntegerField(
        _("connections"),
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_("Parallel connections (1–100). Check your provider's limit."),
    )
    messages_per_connection = models.PositiveIntegerField(
        _("messages per connection"),
        default=100,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
        help_text=_("Reconnect after this many messages."),
    )
    unsubscribe_url = models.CharField(
        _("email unsubscribe URL"),
        max_length=500,
        blank=True,
        help_text=_(
            "Your own page, e.g. https://example.com/leave?t={token}. You can also use {email}, {campaign} and"
            " {list}. Leave empty to use the built-in page."
        ),
    )
    use_unsubscribe_link = models.BooleanField(
        _("use email unsubscribe link"),
        default=True,
        help_text=_("Adds an unsubscribe link and the one-click unsubscribe headers to campaigns."),
    )
    relays_unsubscribes = models.BooleanField(
        _("relay unsubscribes"),
        default=False,
        db_default=False,
        help_text=_(
            "On: people unsubscribe on the built-in page, and your own page is notified. Off: the link opens"
            " your own page."
        ),
    )
    precedence = models.CharField(
        _("email precedence"),
        max_length=40,
        default="bulk",
        blank=True,
        help_text=_("Usually “bulk”. Tells out-of-office responders not to reply."),
    )
    use_precedence = models.BooleanField(
        _("use email precedence"), default=True, help_text=_("Adds the Precedence header to campaigns and tests.")
    )
    return_path = models.CharField(
        _("email return path"),
        max_length=320,
        blank=True,
        help_text=_("Bounces are sent here. Use an address on the same domain as Mail from."),
    )
    use_return_path = models.BooleanField(
        _("use email return path"), default=False, help_text=_("When off, bounces go to the Mail from address.")
    )
    use_verp = models.BooleanField(
        _("tag each return path"),
        default=True,
        help_text=_(
            "Adds a unique tag (bounces+tag@…) so each bounce can be matched to its message. Turn off if the"
            " mailbox rejects plus-addresses."
        ),
    )
    provider_configuration = models.CharField(
        _("provider's configuration"),
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "Amazon SES: name of the configuration set. Postmark: ID of the message stream. Leave empty for the"
            " provider's default."
        ),
    )
    # The domain for which mail to unsubscribe is known to reach us: a probe came in. Empty: no mailto half.
    mailto_domain = models.CharField(max_length=253, blank=True, default="", db_default="", editable=False)
    spam_address = models.CharField(
        _("email spam"),
        max_length=320,
        blank=True,
        help_text=_("Address for automated spam complaints (feedback loops)."),
    )
    use_spam_address = models.BooleanField(
        _("use email spam"), default=False, help_text=_("Adds the CFBL-Address and X-Complaints-To headers.")
    )
    abuse_address = models.CharField(
        _("email abuse"),
        max_length=320,
        blank=True,
        help_text=_("Where people can report misuse, e.g. abuse@example.com."),
    )
    use_abuse_address = models.BooleanField(
        _("use email abuse"), default=False, help_text=_("Adds the X-Report-Abuse and X-Abuse-Reports-To headers.")
    )
    display_order = models.PositiveIntegerField(
        _("display order"),
        blank=True,
        validators=[MaxValueValidator(9999)],
        help_text=_("Lower numbers are used first (0–9999). Leave empty to add it at the end."),
    )

    # --- tab UTM
    unknown_first_name = models.CharField(
        _("unknown first name"),
        max_length=60,
        blank=True,
        help_text=_("Used when a contact has no first name: “Friend” gives “Dear Friend”."),
    )
    unknown_last_name = models.CharField(
        _("unknown last name"), max_length=60, blank=True, help_text=_("Used when a contact has no last name.")
    )
    utm_source = models.CharField(
        _("UTM source"),
        max_length=150,
        blank=True,
        help_text=_("Traffic source, e.g. newsletter. Case-sensitive."),
    )
    utm_medium = models.CharField(
        _("UTM medium"),
        max_length=150,
        blank=True,
        help_text=_("Channel. Keep “email” so analytics groups it correctly."),
    )
    utm_campaign = models.CharField(
        _("UTM campaign"),
        max_length=150,
        blank=True,
        help_text=_("Campaign name. {{campaign.slug}} inserts the name of the campaign. Campaigns can override it."),
    )
    utm_term = models.CharField(
        _("UTM term"),
        max_length=150,
        blank=True,
        help_text=_(
            "Keyword. Added to links when “Always use UTM term” is on. Otherwise it's only suggested to campaigns."
        ),
    )
    utm_content = models.CharField(
        _("UTM content"),
        max_length=150,
        blank=True,
        help_text=_(
            "Tells links or versions apart. Added to links when “Always use UTM content” is on. Otherwise it's"
            " only suggested to campaigns."
        ),
    )
    always_utm_term = models.BooleanField(
        _("always use UTM term"), default=False, help_text=_("Adds the term to every link that has none of its own.")
    )
    always_utm_content = models.BooleanField(
        _("always use UTM content"),
        default=False,
        help_text=_("Adds the content to every link that has none of its own."),
    )

    replaces_utm = models.BooleanField(
        _("replace UTM codes"),
        default=False,
        db_default=False,
        help_text=_("On: replace the UTM codes that a link already has. Off: keep them."),
    )
    tags_text_links = models.BooleanField(
        _("tag text links"),
        default=True,
        db_default=True,
        help_text=_("Also adds UTM codes to links in the plain-text part, where the full address is visible."),
    )

    # --- the system's state; the operator's switch is ``is_active``
    paused_reason = models.CharField(max_length=500, blank=True, editable=False)  # Empty: not paused.
    paused_until = models.DateTimeField(null=True, editable=False)  # None while paused: until edited or resumed.
    # Whether the pause is over once the OAuth account works.
    pause_awaits_account = models.BooleanField(default=False, db_default=False, editable=False)
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
    # The latest failed test while none was accepted, and the step that failed, see ``smtp.diagnostics.FAILURES``.
    test_failed_at = models.DateTimeField(null=True, editable=False)
    test_failed_step = models.CharField(max_length=16, blank=True, default="", db_default="", editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)  # Grows with every edit.
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    history = HistoricalRecords(excluded_fields=[*SECRETS, *STATE])

    class Meta:
        ordering = ["display_order", "id"]
        verbose_name = _("server")
        verbose_name_plural = _("servers")
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
