"""Secrets at rest: a model field that stores ciphertext, and a value that never shows what it holds."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class SecretUnreadable(Exception):
    """The key that encrypted a stored secret is not among ``FIELD_ENCRYPTION_KEYS``."""


@lru_cache(maxsize=8)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys of 32 bytes, separated by commas. Make one with:"
            ' python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        ) from error


class Secret:
    """A sealed text: true when there is one, masked wherever it is shown, opened only by :meth:`reveal`."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def seal(cls, plain: str) -> "Secret":
        """Return ``plain`` encrypted under the first key; the empty text stays empty."""
        if not plain:
            return cls("")
        return cls(_fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(plain.encode()).decode())

    def reveal(self) -> str:
        """Return the plain text.

        :raises SecretUnreadable: if none of the keys opens it; the ciphertext is never returned.
        """
        if not self.ciphertext:
            return ""
        try:
            return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(self.ciphertext.encode()).decode()
        except InvalidToken:
            raise SecretUnreadable(
                "A stored secret cannot be decrypted with the keys in FIELD_ENCRYPTION_KEYS. Put the key back that"
                " encrypted it, or enter the secret again."
            ) from None

    def resealed(self) -> "Secret":
        """Return the same secret encrypted under the first key.

        :raises SecretUnreadable: if none of the keys opens it.
        """
        return Secret.seal(self.reveal())

    def __bool__(self) -> bool:
        return bool(self.ciphertext)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.ciphertext == self.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)

    def __repr__(self) -> str:
        return "<Secret set>" if self else "<Secret empty>"

    __str__ = __repr__


if TYPE_CHECKING:
    _TextField = models.TextField["Secret | str", "Secret"]
else:
    _TextField = models.TextField


class SecretField(_TextField):
    """A column of ciphertext whose value is a :class:`Secret`; plain text assigned to it is sealed when saved."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret:
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        return value if isinstance(value, Secret) else Secret.seal(value or "")

    def get_default(self) -> Secret:
        return self.to_python(super().get_default())

    def pre_save(self, model_instance: models.Model, add: bool) -> Secret:
        """Seal plain text on the instance too, so that it is a :class:`Secret` from then on."""
        secret = self.to_python(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, secret)
        return secret

    def get_prep_value(self, value: Any) -> str:
        return self.to_python(value).ciphertext

    def value_to_string(self, obj: models.Model) -> str:
        """Serialised forms (dumpdata) leave the secret out altogether."""
        return ""
