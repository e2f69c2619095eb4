"""Secrets at rest: a model field that stores ciphertext, and a value that never shows what it holds.

Each secret is sealed together with the destination that it was entered for, and opened for that one alone. Whoever
may edit a server, by whatever way, can so not have its password sent to a host of their own.
"""

import json
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from smtpservers.destinations import Destination


class SecretUnreadable(Exception):
    """A stored secret cannot be opened: none of ``FIELD_ENCRYPTION_KEYS`` fits, or :class:`SecretElsewhere`."""


class SecretElsewhere(SecretUnreadable):
    """A stored secret was entered for another destination than the one it is wanted for."""


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
    def seal(cls, plain: str, destination: Destination) -> "Secret":
        """Return ``plain`` and its destination, encrypted under the first key; the empty text stays empty."""
        if not plain:
            return cls("")
        sealed = json.dumps({"secret": plain, "for": asdict(destination)})
        return cls(_fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(sealed.encode()).decode())

    def reveal(self, destination: Destination) -> str:
        """Return the plain text for the destination that it was entered for.

        :raises SecretUnreadable: if none of the keys opens it; the ciphertext is never returned.
        :raises SecretElsewhere: if it was entered for another destination, or nobody knows for which.
        """
        if not self.ciphertext:
            return ""
        plain = self._opened_for(destination)
        if plain is None:
            raise SecretElsewhere(
                "The server changed: enter the password again. The stored password or API key was entered for another"
                " host, port, encryption, trusted certificate or user name, and goes nowhere else."
            )
        return plain

    def _opened_for(self, destination: Destination) -> str | None:
        try:
            sealed = json.loads(_fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(self.ciphertext.encode()))
            return str(sealed["secret"]) if sealed["for"] == asdict(destination) else None
        except InvalidToken:
            raise SecretUnreadable(
                "A stored secret cannot be decrypted with the keys in FIELD_ENCRYPTION_KEYS. Put the key back that"
                " encrypted it, or enter the secret again."
            ) from None
        except (ValueError, TypeError, KeyError):  # Not sealed for any destination.
            return None

    def resealed(self) -> "Secret":
        """Return the same secret for the same destination, encrypted under the first key.

        :raises SecretUnreadable: if none of the keys opens it.
        """
        try:
            keys = _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS))
            return Secret(keys.rotate(self.ciphertext.encode()).decode() if self else "")
        except InvalidToken:
            raise SecretUnreadable("None of FIELD_ENCRYPTION_KEYS opens this secret.") from None

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
    """A column of ciphertext whose value is a :class:`Secret`; plain text assigned to it is sealed when saved.

    It is sealed for the ``destination`` of the row that it is saved with, so that the model must have one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret:
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        """Return a secret as it is, and nothing as an empty one.

        :raises TypeError: for plain text, which only :meth:`pre_save` can seal: it sees the row.
        """
        if isinstance(value, Secret):
            return value
        if value:
            raise TypeError("a secret is sealed for its server: assign it to one and save that, or use Secret.seal")
        return Secret("")

    def get_default(self) -> Secret:
        return self.to_python(super().get_default())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Judge plain text as such: it is sealed when it is saved."""
        return value if value else super().clean(value, model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Secret:
        """Seal plain text on the instance too, so that it is a :class:`Secret` from then on."""
        value = getattr(model_instance, self.attname)
        if isinstance(value, str):
            value = Secret.seal(value, model_instance.destination)  # type: ignore[attr-defined]
            setattr(model_instance, self.attname, value)
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> str:
        return self.to_python(value).ciphertext

    def value_to_string(self, obj: models.Model) -> str:
        """Serialised forms (dumpdata) leave the secret out altogether."""
        return ""
