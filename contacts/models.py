"""The tables about people: contacts, lists, consent and its history, suppressions, attributes, segments, imports."""

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now, StrIndex, Substr
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mail.addresses import fold, normalise
from mail.links import levels

SOURCE_CHARACTERS = 200  # Of the source of a consent.


class Contact(models.Model):
    """A person we may send mail to."""

    class TrackingConsent(models.TextChoices):
        """What the person said to being counted by name: opens and clicks are two consents."""

        UNSET = levels.UNSET, _("Not asked")  # Counted without their name, at most.
        NONE = levels.NONE, _("Not agreed")  # Refused or withdrawn: new mail isn't counted; imports never undo it.
        YES = levels.YES, _("Agreed")  # May be counted by name where the list does so.

        @property
        def in_files(self) -> str:
            """The word in exported files, the same in every language."""
            consent = Contact.TrackingConsent
            return {consent.UNSET: "not asked", consent.NONE: "not agreed", consent.YES: "agreed"}[self]

    email = models.CharField(_("email"), max_length=320, help_text=_("One address, e.g. ann@example.com."))
    email_key = models.CharField(max_length=320, unique=True, editable=False)  # Folded; see mail.addresses.fold.
    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    language = models.CharField(
        _("language"),
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text=_("Used for footers and unsubscribe pages. Leave empty to use the server's language."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        help_text=_("E.g. Europe/Berlin. Leave empty to use the campaign's time zone."),
    )
    attributes = models.JSONField(
        _("attributes"), default=dict, blank=True, help_text=_("Custom attributes by name. Each one is a merge field.")
    )
    # Only contacts.consent.tracking changes these two; each change is a ConsentEvent.
    open_tracking = models.CharField(
        _("count opens"),
        max_length=5,
        choices=TrackingConsent,
        default=TrackingConsent.UNSET,
        db_default=TrackingConsent.UNSET,
    )
    click_tracking = models.CharField(
        _("count clicks"),
        max_length=5,
        choices=TrackingConsent,
        default=TrackingConsent.UNSET,
        db_default=TrackingConsent.UNSET,
    )
    # The end of a break that the person asked for on the preference page; until then campaigns leave them out.
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    domain = models.GeneratedField(
        expression=Substr("email_key", StrIndex("email_key", models.Value("@")) + 1),
        output_field=models.CharField(max_length=320),
        db_persist=True,
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        ordering = ["email_key"]
        indexes = [
            models.Index(fields=["domain"], name="contact_domain"),
            # For the check right before each mail: finds the few people on a break without reading the contacts' rows.
            models.Index(
                fields=["id", "paused_until"], condition=models.Q(paused_until__isnull=False), name="contact_paused"
            ),
        ]
        permissions = [("import_contact", "Can import contacts"), ("export_contact", "Can export contacts")]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normalise(self.email)
        self.email_key = fold(self.email)
        with transaction.atomic():  # Together with the receiver follow_new_address.
            super().save(*args, **kwargs)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactList(models.Model):
    """A named set of people; subscriptions tie them to it."""

    class OptIn(models.TextChoices):
        SINGLE = "single", _("Single opt-in")  # Submitting the form is the consent.
        DOUBLE = "double", _("Double opt-in")  # Consent is the click in the confirmation mail, the only mail before it.

    class Tracking(models.TextChoices):
        """How opens and clicks of mail to the list are counted; see mail.links.levels."""

        OFF = levels.OFF, _("Off")
        ANONYMOUS = levels.ANONYMOUS, _("Anonymous")
        PERSONAL = levels.PERSONAL, _("Personal")

    name = models.CharField(_("name"), max_length=150, unique=True)
    title = models.CharField(
        _("public title"),
        max_length=150,
        blank=True,
        db_default="",
        help_text=_("Subscribers see this instead of the name. Leave empty to show the name."),
    )
    description = models.TextField(_("description"), blank=True, max_length=2000)
    opt_in = models.CharField(_("opt-in"), max_length=8, choices=OptIn, default=OptIn.DOUBLE, db_default=OptIn.SINGLE)
    is_public = models.BooleanField(
        _("public"),
        default=False,
        db_default=False,
        help_text=_("People can subscribe with its form and see it on their preference page."),
    )
    consent_text = models.TextField(
        _("consent text"),
        blank=True,
        max_length=2000,
        db_default="",
        help_text=_(
            "What people agree to on the form, stored with each consent. Leave empty to use a standard sentence."
        ),
    )
    tracking = models.CharField(
        _("opens and clicks"),
        max_length=9,
        choices=Tracking,
        default=Tracking.ANONYMOUS,
        db_default=Tracking.ANONYMOUS,
        help_text=_(
            "Off: nothing is counted. Anonymous: totals without names. Personal: people who agreed are counted by name."
        ),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    contacts: "models.ManyToManyField[Contact, Subscription]" = models.ManyToManyField(
        Contact, through="Subscription", related_name="lists"
    )

    class Meta:
        ordering = ["name"]
        verbose_name = _("list")
        verbose_name_plural = _("lists")

    def __str__(self) -> str:
        return self.name

    @property
    def public_title(self) -> str:
        """The name that people on the list see, on pages and in mail."""
        return self.title or self.name


class Subscription(models.Model):
    """A contact's consent to one list."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")  # Requested by a form; the confirmation link was not followed yet.
        SUBSCRIBED = "subscribed", _("Subscribed")  # Gets mail.
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")  # Withdrawn; imports and bulk edits never undo it.

        @property
        def in_files(self) -> str:
            """The word in exported files, the same in every language."""
            return "not confirmed" if self == Subscription.Status.PENDING else str(self.value)

    # Served by the constraint and the index below; separate indexes would only slow imports down.
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    list = models.ForeignKey(
        ContactList, verbose_name=_("list"), on_delete=models.CASCADE, related_name="subscriptions", db_index=False
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.SUBSCRIBED)
    source = models.CharField(
        _("source"), max_length=SOURCE_CHARACTERS, blank=True, help_text=_("How the consent was given or withdrawn.")
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    changed_at = models.DateTimeField(_("changed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="one_subscription_each")]
        indexes = [
            models.Index(fields=["list", "status"], name="subscription_audience"),  # The snapshot of an audience.
        ]

    def __str__(self) -> str:
        return f"{self.contact} – {self.list}: {self.status}"


class ConsentEvent(models.Model):
    """One step in the history of a consent: given, confirmed, withdrawn. Append-only.

    Together these rows answer who agreed to what, when and how (GDPR article 7(1)).
    """

    class Method(models.TextChoices):
        FORM = "form", _("Form")  # The person, on the public page or an embedded form.
        CONFIRMATION = "confirmation", _("Confirmation link")  # The person, by the link of a double opt-in.
        PREFERENCES = "preferences", _("Preference page")
        UNSUBSCRIBE = "unsubscribe", _("Unsubscribe link")
        ONE_CLICK = "one_click", _("One-click in the mail program")  # RFC 8058
        MAIL = "mail", _("Unsubscribe by mail")  # A mail to the address of List-Unsubscribe (RFC 2369).
        COMPLAINT = "complaint", _("Complaint")  # The person marked a mail as spam.
        IMPORT = "import", _("Import")
        API = "api", _("API")
        ADMIN = "admin", _("Admin")  # A user of this system, on the person's behalf.
        OTHER = "other", _("Other")  # Older than the history.

        @property
        def in_files(self) -> str:
            """The words in exported files and in stored sources, the same in every language."""
            method = ConsentEvent.Method
            words = {
                method.CONFIRMATION: "confirmation link",
                method.PREFERENCES: "preference page",
                method.UNSUBSCRIBE: "unsubscribe link",
                method.ONE_CLICK: "one-click in the mail program",
                method.MAIL: "unsubscribe by mail",
                method.API: "API",
            }
            return words.get(self, str(self.value))

    class Topic(models.TextChoices):
        """What the consent is about."""

        LIST = "list", _("Mail of the list")
        OPENS = "opens", _("Opens counted")
        CLICKS = "clicks", _("Clicks counted")

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="consent_events")
    topic = models.CharField(_("about"), max_length=6, choices=Topic, default=Topic.LIST, db_default=Topic.LIST)
    # Served by the index below.
    list = models.ForeignKey(
        ContactList, verbose_name=_("list"), null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    # The list's name at that time; empty if the consent is not about a list.
    list_name = models.CharField(_("list"), max_length=150, blank=True)
    # The status after this step: of the subscription, or of the consent to count opens or clicks.
    status = models.CharField(
        _("status"), max_length=16, choices=[*Subscription.Status.choices, *Contact.TrackingConsent.choices]
    )
    method = models.CharField(_("method"), max_length=16, choices=Method)
    source = models.CharField(_("source"), max_length=SOURCE_CHARACTERS, blank=True)  # A user, a file, a campaign.
    wording = models.TextField(_("wording"), blank=True)  # What the person agreed to, word for word.
    network = models.CharField(_("network"), max_length=45, blank=True)  # The network of the request: /24 or /48.
    at = models.DateTimeField(
        _("time"),
    )

    class Meta:
        verbose_name = _("consent event")
        verbose_name_plural = _("consent events")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["list", "at"], name="consent_event_list")]

    def __str__(self) -> str:
        return gettext("%(about)s: %(status)s (%(method)s)") % {
            "about": self.about,
            "status": self.get_status_display(),
            "method": self.get_method_display(),
        }

    @property
    def about(self) -> str:
        """What the consent is about: the name of a list, opens, or clicks."""
        return self.list_name if self.topic == ConsentEvent.Topic.LIST else self.get_topic_display()

    @property
    def how(self) -> str:
        """The method and the source; many sources begin with the method themselves."""
        method = self.get_method_display()
        words = ConsentEvent.Method(self.method).in_files
        source = self.source.removeprefix(words).removeprefix(":").strip()
        return ": ".join(filter(None, (method, source)))


class Suppression(models.Model):
    """An address that must not get mail, or a whole domain, written as ``@example.com``."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", _("Hard bounce")  # A server said that the mailbox does not exist.
        COMPLAINT = "complaint", _("Complaint")  # The person reported our mail as spam.
        PROVIDER = "provider", _("Suppressed by the provider")  # A server's provider does not send to this address.
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed from everything")
        MANUAL = "manual", _("Added by hand")

        @property
        def in_files(self) -> str:
            """The words in exported files and with stored messages, the same in every language."""
            reason = Suppression.Reason
            words = {
                reason.HARD_BOUNCE: "hard bounce",
                reason.UNSUBSCRIBED: "unsubscribed from everything",
                reason.PROVIDER: "suppressed by the provider",
                reason.MANUAL: "added by hand",
            }
            return words.get(self, str(self.value))

    email = models.CharField(_("email"), max_length=320)
    email_key = models.CharField(max_length=320, unique=True, editable=False)
    reason = models.CharField(_("reason"), max_length=16, choices=Reason, default=Reason.MANUAL)
    source = models.CharField(
        _("source"), max_length=500, blank=True, help_text=_("Why sending stopped: a reply, a page or a person.")
    )
    expires_at = models.DateTimeField(
        _("until"),
        null=True,
        blank=True,
        help_text=_("Sending resumes after this. Leave empty to suppress permanently."),
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    # When the person unsubscribed from everything, where another reason stands: their wish outlives that reason.
    unsubscribed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        ordering = ["-created_at"]
        permissions = [("export_suppression", "Can export suppressions")]

    def __str__(self) -> str:
        return gettext("%(email)s (%(reason)s)") % {"email": self.email, "reason": self.get_reason_display()}

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normalise(self.email)
        self.email_key = fold(self.email)
        super().save(*args, **kwargs)


class SuppressionLift(models.Model):
    """A suppression that was lifted, by whom and why. Append-only."""

    email = models.CharField(_("email"), max_length=320)
    reason = models.CharField(_("reason"), max_length=16, choices=Suppression.Reason)  # The reason of the suppression.
    suppressed_at = models.DateTimeField(
        _("suppressed at"),
    )
    why = models.CharField(_("reason for lifting"), max_length=500)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    lifted_by_name = models.CharField(max_length=150)
    lifted_at = models.DateTimeField(_("lifted at"), db_default=Now(), editable=False)

    class Meta:
        ordering = ["-lifted_at"]
        verbose_name = _("lifted suppression")
        verbose_name_plural = _("lifted suppressions")

    def __str__(self) -> str:
        return f"{self.email}: {self.why}"


class ErasedAddress(models.Model):
    """A person who had everything about them erased; only a keyed hash of the address remains, to keep it out."""

    digest = models.CharField(max_length=64, unique=True)  # Keyed hash of the folded address, in hex.
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("erased address")
        verbose_name_plural = _("erased addresses")

    def __str__(self) -> str:
        return self.digest[:12]


class Attribute(models.Model):
    """A custom attribute that administrators defined: a merge field, a filter and, optionally, a column.

    Its values are in ``Contact.attributes`` under its name: text and choice as a string, number as a JSON number, date
    as ``2026-11-23``, yes/no as a JSON boolean. ``Contact.attributes`` may also hold names without a definition; those
    are text.
    """

    class Kind(models.TextChoices):
        TEXT = "text", _("Text")
        NUMBER = "number", _("Number")
        DATE = "date", _("Date")
        BOOLEAN = "boolean", _("Yes/no")
        CHOICE = "choice", _("Choice")

    name = models.CharField(_("name"), max_length=64, unique=True, help_text=_("Used as a merge field: {{ name }}."))
    label = models.CharField(_("label"), max_length=100, help_text=_("Shown on pages, e.g. “Shoe size”."))
    kind = models.CharField(_("kind"), max_length=8, choices=Kind, default=Kind.TEXT)
    choices = models.JSONField(
        _("choices"), default=list, blank=True, help_text=_("The values to choose from, in order.")
    )
    is_column = models.BooleanField(_("show as column"), default=False)
    position = models.PositiveIntegerField(_("position"), default=0, help_text=_("Lower numbers come first."))
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("attribute")
        verbose_name_plural = _("attributes")
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.label or self.name


class Segment(models.Model):
    """Saved conditions; one query finds the people who meet them now."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    description = models.TextField(_("description"), blank=True, max_length=2000)
    conditions = models.JSONField(_("conditions"), default=dict)  # Nested groups; see contacts.segments.conditions.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("segment")
        verbose_name_plural = _("segments")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ContactImport(models.Model):
    """The import of one CSV file of people: its settings and its progress."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")  # Uploaded; its columns are not mapped yet.
        WAITING = "waiting", _("Waiting")
        RUNNING = "running", _("Running")
        FINISHED = "finished", _("Finished")
        FAILED = "failed", _("Failed")  # The file could not be read; ``error`` says why.
        CANCELLED = "cancelled", _("Cancelled")  # By a user; people added before stay.

    file_name = models.CharField(
        _("file name"), max_length=255
    )  # The name of the uploaded file; shown, never used as a path.
    stored_name = models.CharField(max_length=64, unique=True)  # Random name in the import folder.
    size_bytes = models.BigIntegerField(default=0)

    class Policy(models.TextChoices):
        """What the file may change about known people; a withdrawal is never undone."""

        SKIP = "skip", _("Leave unchanged")
        FILL = "fill", _("Only fill in empty fields")
        OVERWRITE = "overwrite", _("Overwrite with values from the file")

    class DateOrder(models.TextChoices):
        """The reading of dates such as 03/04/2026."""

        DAY_FIRST = "day", _("Day first")
        MONTH_FIRST = "month", _("Month first")

    # Key and name of each target list: a deleted list stops the import, and the error still names it.
    lists = models.JSONField(default=list)
    # How the people agreed, in the importer's words; becomes the wording of each ConsentEvent.
    consent = models.CharField(max_length=300, blank=True, db_default="")
    headings = models.JSONField(default=list)  # The first row of the file.
    # The target of each column: email, first_name, …, ``attributes.<name>``, or nothing.
    mapping = models.JSONField(default=list)
    policy = models.CharField(max_length=16, choices=Policy, default=Policy.FILL, db_default=Policy.FILL)
    delimiter = models.CharField(max_length=4, blank=True, db_default="")  # Empty: detected.
    encoding = models.CharField(max_length=16, blank=True, db_default="")  # Empty: detected.
    date_order = models.CharField(max_length=5, choices=DateOrder, blank=True, db_default="")  # Empty: refused.
    # What unknown time zones and languages of the file mean: {"time_zone": {"mez": "Europe/Berlin"}}.
    meanings = models.JSONField(default=dict)
    # The position of the column whose rows are subscribed where it says yes; empty: all are.
    subscribes_by = models.PositiveIntegerField(null=True)
    choices = models.JSONField(default=dict)  # Of a draft: what the page of columns had typed in, for its next visit.
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.WAITING)
    error = models.CharField(max_length=500, blank=True)
    read_bytes = models.BigIntegerField(default=0)  # Progress within the file.
    rows_read = models.PositiveIntegerField(default=0)
    rows_added = models.PositiveIntegerField(default=0)  # New people.
    rows_known = models.PositiveIntegerField(default=0)  # People known before.
    rows_updated = models.PositiveIntegerField(default=0, db_default=0)  # People among them whom the file changed.
    rows_refused = models.PositiveIntegerField(default=0)
    cells_left_out = models.PositiveIntegerField(default=0, db_default=0)  # Cells of accepted people.
    subscribed = models.PositiveIntegerField(default=0, db_default=0)  # New subscriptions, over all lists.
    not_subscribed = models.PositiveIntegerField(default=0, db_default=0)  # Rows whose column does not say yes.
    reasons = models.JSONField(default=list)  # Counts of why rows and cells were left out; see transfer.reasons.
    # Where the next row starts: the reader's position, and the number of lines before it.
    position = models.CharField(max_length=100, blank=True, db_default="")
    lines_read = models.PositiveIntegerField(default=0, db_default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("created by"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    # Number of workers that claimed the import so far; only the latest may write.
    run = models.PositiveIntegerField(default=0)
    # The running worker's heartbeat; empty while no worker has the import.
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = _("import")
        verbose_name_plural = _("imports")

    def __str__(self) -> str:
        return self.file_name


class RefusedRow(models.Model):
    """A row of an import that was refused, or accepted without some of its cells, and why."""

    contact_import = models.ForeignKey(ContactImport, on_delete=models.CASCADE, related_name="refused_rows")
    line_number = models.PositiveIntegerField()
    cells = models.JSONField(default=list)  # Very long cells are cut.
    content = models.TextField(blank=True)  # Instead of cells, if the row could not be split into cells.
    reason = models.TextField()  # All reasons.
    words = models.JSONField(null=True)  # The same, by words.texts.kept; that of another reason is ignored.

    class Meta:
        ordering = ["line_number"]

    def __str__(self) -> str:
        return f"line {self.line_number}: {self.reason}"
