"""What is stored about people: contacts, lists, consent and its history, and addresses never to be written to again."""

from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now, StrIndex, Substr

from mail.addresses import fold, normalise


class Contact(models.Model):
    """A person we may write to."""

    email = models.CharField("e-mail", max_length=320, help_text="One address, for example ann@example.com.")
    email_key = models.CharField(max_length=320, unique=True, editable=False)  # Folded; see mail.addresses.fold.
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    language = models.CharField(
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text="Language of the pages and footers this person sees. Empty: the server's language decides.",
    )
    time_zone = models.CharField(
        max_length=64, blank=True, help_text="For example Europe/Berlin. Empty: unknown; campaigns use their own."
    )
    attributes = models.JSONField(
        default=dict, blank=True, help_text="Custom attributes by name; each is a merge field of that name."
    )
    # The person asked for a break on the preference page; campaigns leave them out until then.
    paused_until = models.DateTimeField(null=True, blank=True)
    domain = models.GeneratedField(
        expression=Substr("email_key", StrIndex("email_key", models.Value("@")) + 1),
        output_field=models.CharField(max_length=320),
        db_persist=True,
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["email_key"]
        indexes = [
            models.Index(fields=["domain"], name="contact_domain"),
            # The last look before each mail: the few who asked for a break, without reading anybody's row.
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
        with transaction.atomic():  # With the suppression that follows to a new address: consent.follow.
            super().save(*args, **kwargs)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactList(models.Model):
    """A named set of people, tied to it by their subscriptions."""

    class OptIn(models.TextChoices):
        SINGLE = "single", "single opt-in"  # The form alone is the consent.
        DOUBLE = "double", "double opt-in"  # The person confirms by a link in a mail; until then nothing else is sent.

    name = models.CharField(max_length=150, unique=True)
    description = models.TextField(blank=True, max_length=2000)
    opt_in = models.CharField("opt-in", max_length=8, choices=OptIn, default=OptIn.DOUBLE, db_default=OptIn.SINGLE)
    is_public = models.BooleanField(
        "public", default=False, db_default=False, help_text="People may subscribe by its form and see it as a choice."
    )
    consent_text = models.TextField(
        "wording of the consent",
        blank=True,
        max_length=2000,
        db_default="",
        help_text="What people agree to on the form; kept with each consent. Empty: a standard sentence.",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    contacts: "models.ManyToManyField[Contact, Subscription]" = models.ManyToManyField(
        Contact, through="Subscription", related_name="lists"
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "list"
        verbose_name_plural = "lists"

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """The consent that ties a contact to a list."""

    class Status(models.TextChoices):
        PENDING = "pending", "not confirmed"  # Asked for by a form; the link that confirms it was not followed yet.
        SUBSCRIBED = "subscribed", "subscribed"  # May be written to.
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"  # Withdrew; an import or an edit in bulk never undoes it.

    # Found by the constraint and the index below; an index of its own for each would only slow imports down.
    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="subscriptions", db_index=False)
    status = models.CharField(max_length=16, choices=Status, default=Status.SUBSCRIBED)
    source = models.CharField(max_length=200, blank=True, help_text="How the consent was given or withdrawn.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    changed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="one_subscription_each")]
        indexes = [
            models.Index(fields=["list", "status"], name="subscription_audience"),  # The snapshot of an audience.
        ]

    def __str__(self) -> str:
        return f"{self.contact} – {self.list}: {self.status}"


class ConsentEvent(models.Model):
    """One step in the history of a consent: given, confirmed, withdrawn. Rows are only ever added.

    Together they answer who agreed to what, when and how (GDPR article 7(1)).
    """

    class Method(models.TextChoices):
        FORM = "form", "form"  # The person, on the public page or an embedded form.
        CONFIRMATION = "confirmation", "confirmation link"  # The person, by the link of a double opt-in.
        PREFERENCES = "preferences", "preference page"
        UNSUBSCRIBE = "unsubscribe", "unsubscribe link"
        ONE_CLICK = "one_click", "one-click in the mail program"  # RFC 8058
        IMPORT = "import", "import"
        API = "api", "API"
        ADMIN = "admin", "admin"  # A user of this system, on the person's behalf.
        OTHER = "other", "other"  # From before the history was kept.

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="consent_events")
    # Found by the index below.
    list = models.ForeignKey(ContactList, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    list_name = models.CharField(max_length=150)  # As it was called then.
    status = models.CharField(max_length=16, choices=Subscription.Status)  # After this step.
    method = models.CharField(max_length=16, choices=Method)
    source = models.CharField(max_length=200, blank=True)  # Who or what: a user, a file, a campaign.
    wording = models.TextField(blank=True)  # What the person agreed to, word for word.
    network = models.CharField(max_length=45, blank=True)  # Address of origin, cut to its /24 or /48.
    at = models.DateTimeField()

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["list", "at"], name="consent_event_list")]

    def __str__(self) -> str:
        return f"{self.list_name}: {self.status} by {self.get_method_display()}"


class Suppression(models.Model):
    """An address never to be written to again, or a domain: then it is written as ``@example.com``."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "hard bounce"  # A server said that the mailbox does not exist.
        COMPLAINT = "complaint", "complaint"  # The person reported our mail as spam.
        UNSUBSCRIBED = "unsubscribed", "unsubscribed from everything"
        MANUAL = "manual", "added by hand"

    email = models.CharField("e-mail", max_length=320)
    email_key = models.CharField(max_length=320, unique=True, editable=False)
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.MANUAL)
    source = models.CharField(max_length=500, blank=True, help_text="What made us stop: a reply, a page, a person.")
    expires_at = models.DateTimeField(
        "until", null=True, blank=True, help_text="Afterwards mail is sent again. Empty: for good."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at"]
        permissions = [("export_suppression", "Can export suppressions")]

    def __str__(self) -> str:
        return f"{self.email} ({self.get_reason_display()})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normalise(self.email)
        self.email_key = fold(self.email)
        super().save(*args, **kwargs)


class SuppressionLift(models.Model):
    """A suppression that was taken away, by whom and why. Rows are only ever added."""

    email = models.CharField("e-mail", max_length=320)
    reason = models.CharField(max_length=16, choices=Suppression.Reason)  # Of the suppression.
    suppressed_at = models.DateTimeField()
    why = models.CharField("reason for lifting", max_length=500)
    lifted_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    lifted_by_name = models.CharField(max_length=150)
    lifted_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-lifted_at"]
        verbose_name = "lifted suppression"

    def __str__(self) -> str:
        return f"{self.email}: {self.why}"


class ErasedAddress(models.Model):
    """Somebody who had everything about them erased; only a salted hash of the address is left, to keep them away."""

    digest = models.CharField(max_length=64, unique=True)  # A keyed hash of the folded address, in hex.
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "erased addresses"

    def __str__(self) -> str:
        return self.digest[:12]


class Attribute(models.Model):
    """A custom attribute that administrators defined: a merge field, a filter and, if they like, a column.

    The values are in ``Contact.attributes`` under its name: text and choice as a string, number as a JSON number, date
    as ``2026-11-23``, yes/no as a JSON boolean. Names that nobody defined may stand there too; they are text.
    """

    class Kind(models.TextChoices):
        TEXT = "text", "text"
        NUMBER = "number", "number"
        DATE = "date", "date"
        BOOLEAN = "boolean", "yes/no"
        CHOICE = "choice", "choice"

    name = models.CharField(max_length=64, unique=True, help_text="As a merge field: {{ name }}.")
    label = models.CharField(max_length=100, help_text="For people.")
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.TEXT)
    choices = models.JSONField(default=list, blank=True, help_text="Of a choice: the values, in their order.")
    is_column = models.BooleanField("show as a column", default=False)
    position = models.PositiveIntegerField(default=0, help_text="Lower comes first.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.label or self.name


class Segment(models.Model):
    """Saved conditions; the people who meet them now are found by one query."""

    name = models.CharField(max_length=150, unique=True)
    description = models.TextField(blank=True, max_length=2000)
    conditions = models.JSONField(default=dict)  # Nested any/all; see contacts.segments.conditions.
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ContactImport(models.Model):
    """One CSV file on its way into the contacts; the worker reads it, this row tells how far it is."""

    class Status(models.TextChoices):
        DRAFT = "draft", "not started"  # Uploaded; nobody said yet what its columns mean.
        WAITING = "waiting", "waiting for the worker"
        RUNNING = "running", "running"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"  # The file itself could not be read; ``error`` says why.
        CANCELLED = "cancelled", "cancelled"  # By a user; who was added until then stays.

    file_name = models.CharField(max_length=255)  # As the person called it; shown, never used as a path.
    stored_name = models.CharField(max_length=64, unique=True)  # Random; in the folder of imports.
    size_bytes = models.BigIntegerField(default=0)

    class Policy(models.TextChoices):
        """What the file may change about people who are known already; a withdrawal is never undone."""

        SKIP = "skip", "leave them as they are"
        FILL = "fill", "fill what is empty"
        OVERWRITE = "overwrite", "overwrite"

    class DateOrder(models.TextChoices):
        """How a date such as 03/04/2026 is read."""

        DAY_FIRST = "day", "the day first"
        MONTH_FIRST = "month", "the month first"

    # Key and name of each list the people go to: a list that is gone stops the import, and is still named.
    lists = models.JSONField(default=list)
    # How the people agreed, in the importer's words; the wording of each ConsentEvent.
    consent = models.CharField(max_length=300, blank=True, db_default="")
    headings = models.JSONField(default=list)  # The first row, as the file has it.
    # What becomes of each column: email, first_name, …, ``attributes.<name>``, or nothing.
    mapping = models.JSONField(default=list)
    policy = models.CharField(max_length=16, choices=Policy, default=Policy.FILL, db_default=Policy.FILL)
    delimiter = models.CharField(max_length=4, blank=True, db_default="")  # Empty: found in the file.
    encoding = models.CharField(max_length=16, blank=True, db_default="")  # Empty: found in the file.
    date_order = models.CharField(max_length=5, choices=DateOrder, blank=True, db_default="")  # Empty: refused.
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    error = models.CharField(max_length=500, blank=True)
    read_bytes = models.BigIntegerField(default=0)  # Progress: how much of the file has been read.
    rows_read = models.PositiveIntegerField(default=0)
    rows_added = models.PositiveIntegerField(default=0)  # People who were new.
    rows_known = models.PositiveIntegerField(default=0)  # People who were there before.
    rows_refused = models.PositiveIntegerField(default=0)
    cells_left_out = models.PositiveIntegerField(default=0, db_default=0)  # Of people who were taken.
    subscribed = models.PositiveIntegerField(default=0, db_default=0)  # Subscriptions made, on all of the lists.
    # Where the next row starts: what the reader calls its position, and how many lines lie before it.
    position = models.CharField(max_length=100, blank=True, db_default="")
    lines_read = models.PositiveIntegerField(default=0, db_default=0)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    # Counts the workers that took the import up; only the last of them may write.
    run = models.PositiveIntegerField(default=0)
    # The running worker's last sign of life; empty while nobody has the import in hand.
    seen_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "import"

    def __str__(self) -> str:
        return self.file_name


class RefusedRow(models.Model):
    """A row of an import that was not taken, or not whole, and why."""

    contact_import = models.ForeignKey(ContactImport, on_delete=models.CASCADE, related_name="refused_rows")
    line_number = models.PositiveIntegerField()
    cells = models.JSONField(default=list)  # The row's own; very long ones are cut.
    content = models.TextField(blank=True)  # Instead of cells, where the row could not be divided into them.
    reason = models.TextField()  # All of them.

    class Meta:
        ordering = ["line_number"]

    def __str__(self) -> str:
        return f"line {self.line_number}: {self.reason}"
