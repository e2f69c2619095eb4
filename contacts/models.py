"""What is stored about people: contacts, lists, consent, and addresses never to be written to again."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

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
    attributes = models.JSONField(
        default=dict, blank=True, help_text="Custom attributes by name; each is a merge field of that name."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["email_key"]
        permissions = [("import_contact", "Can import contacts"), ("export_contact", "Can export contacts")]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normalise(self.email)
        self.email_key = fold(self.email)
        super().save(*args, **kwargs)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class ContactList(models.Model):
    """A named set of people, tied to it by their subscriptions."""

    name = models.CharField(max_length=150, unique=True)
    description = models.TextField(blank=True, max_length=2000)
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
        SUBSCRIBED = "subscribed", "subscribed"  # May be written to.
        UNSUBSCRIBED = "unsubscribed", "unsubscribed"  # Withdrew; an import or an edit in bulk never undoes it.

    contact = models.ForeignKey(Contact, on_delete=models.CASCADE, related_name="subscriptions")
    list = models.ForeignKey(ContactList, on_delete=models.CASCADE, related_name="subscriptions")
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


class Suppression(models.Model):
    """An address never to be written to again."""

    class Reason(models.TextChoices):
        HARD_BOUNCE = "hard_bounce", "hard bounce"  # A server said that the mailbox does not exist.
        COMPLAINT = "complaint", "complaint"  # The person reported our mail as spam.
        UNSUBSCRIBED = "unsubscribed", "unsubscribed from everything"
        MANUAL = "manual", "added by hand"

    email = models.CharField("e-mail", max_length=320)
    email_key = models.CharField(max_length=320, unique=True, editable=False)
    reason = models.CharField(max_length=16, choices=Reason, default=Reason.MANUAL)
    source = models.CharField(max_length=500, blank=True, help_text="What made us stop: a reply, a page, a person.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.email} ({self.get_reason_display()})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = normalise(self.email)
        self.email_key = fold(self.email)
        super().save(*args, **kwargs)


class ContactImport(models.Model):
    """One CSV file on its way into the contacts; the worker reads it, this row tells how far it is."""

    class Status(models.TextChoices):
        WAITING = "waiting", "waiting for the worker"
        RUNNING = "running", "running"
        FINISHED = "finished", "finished"
        FAILED = "failed", "failed"  # The file itself could not be read; ``error`` says why.

    file_name = models.CharField(max_length=255)  # As the person called it; shown, never used as a path.
    stored_name = models.CharField(max_length=64, unique=True)  # Random; below DATA_DIR/imports.
    size_bytes = models.BigIntegerField(default=0)
    list = models.ForeignKey(ContactList, null=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=16, choices=Status, default=Status.WAITING)
    error = models.CharField(max_length=500, blank=True)
    read_bytes = models.BigIntegerField(default=0)  # Progress: how much of the file has been read.
    rows_read = models.PositiveIntegerField(default=0)
    rows_added = models.PositiveIntegerField(default=0)  # People who were new.
    rows_known = models.PositiveIntegerField(default=0)  # People who were there before.
    rows_refused = models.PositiveIntegerField(default=0)
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
    """A row of an import that was not taken, and why."""

    contact_import = models.ForeignKey(ContactImport, on_delete=models.CASCADE, related_name="refused_rows")
    line_number = models.PositiveIntegerField()
    content = models.CharField(max_length=500)  # The row as it was read, cut to this length.
    reason = models.CharField(max_length=300)

    class Meta:
        ordering = ["line_number"]

    def __str__(self) -> str:
        return f"line {self.line_number}: {self.reason}"
