"""What is stored of a sign-in beside Django's users: identities at the issuer, and one-time links."""

from django.conf import settings
from django.db import models


class Identity(models.Model):
    """A user at an issuer of single sign-on. E-mail addresses change hands there; a subject never does."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)  # The longest one (OpenID Connect Core 1.0 section 2).

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["issuer", "subject"], name="identity_unique")]

    def __str__(self) -> str:
        return f"{self.user} at {self.issuer}"


class SignInLink(models.Model):
    """A link that signs one user in once. The token itself is not stored."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of the token, in hex.
    expires_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"a link for {self.user}"
