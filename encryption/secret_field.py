"""Secrets at rest: a model field that stores ciphertext, and a value that never shows its content.

Each secret is encrypted together with the destination it was entered for, and revealed for that destination only. So
nobody who may edit a server can have its password sent to a host of their own.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from django.db import models

from encryption.keys import SecretUnreadable, open_bytes, reseal_bytes, seal_bytes


class Destination(Protocol):
    """Everything that decides who can read a secret when it is used: a frozen dataclass of values that JSON has."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    changed: ClassVar[str]  # Said where a secret was entered for another destination: what to do now.


class SecretElsewhere(SecretUnreadable):
    """A stored secret was entered for another destination than the present one."""


class Secret:
    """An encrypted text: true if not empty, masked in every display, decrypted by :meth:`reveal` only."""

    __slots__ = ("ciphertext",)

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    @classmethod
    def seal(cls, plain: str, destination: Destination) -> "Secret":
        """Return ``plain`` and its destination, encrypted with the first key; the empty text stays empty."""
        if not plain:
            return cls("")
        sealed = json.dumps({"secret": plain, "for": asdict(destination)})
        return cls(seal_bytes(sealed.encode()).decode())

    def reveal(self, destination: Destination) -> str:
        """Return the plain text, if ``destination`` is the one it was entered for.

        :raises SecretUnreadable: if no key decrypts it; the ciphertext is never returned.
        :raises SecretElsewhere: if it was entered for another destination, or has none.
        """
        if not self.ciphertext:
            return ""
        plain = self._opened_for(destination)
        if plain is None:
            raise SecretElsewhere(destination.changed)
        return plain

    def _opened_for(self, destination: Destination) -> str | None:
        opened = open_bytes(self.ciphertext.encode())
        try:
            sealed = json.loads(opened)
            return str(sealed["secret"]) if sealed["for"] == asdict(destination) else None
        except (ValueError, TypeError, KeyError):  # Encrypted without a destination.
            return None

    def resealed(self) -> "Secret":
        """Return the same secret for the same destination, encrypted with the first key.

        :raises SecretUnreadable: if no key decrypts it.
        """
        return Secret(reseal_bytes(self.ciphertext.encode()).decode() if self else "")

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
    """A column of ciphertext whose value is a :class:`Secret`; plain text assigned to it is encrypted on save.

    It is encrypted for the ``destination`` of its row, an attribute that the model must have.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> Secret:
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        """Return a secret as it is, and an empty value as an empty secret.

        :raises TypeError: for plain text: only :meth:`pre_save`, which has the row, can encrypt it.
        """
        if isinstance(value, Secret):
            return value
        if value:
            raise TypeError("a secret is sealed for its row: assign it to one and save that, or use Secret.seal")
        return Secret("")

    def get_default(self) -> Secret:
        return self.to_python(super().get_default())

    def clean(self, value: Any, model_instance: models.Model | None) -> Any:
        """Validate plain text as it is; it is encrypted on save."""
        return value if value else super().clean(value, model_instance)

    def pre_save(self, model_instance: models.Model, add: bool) -> Secret:
        """Encrypt plain text on the instance too, so that it is a :class:`Secret` from then on."""
        value = getattr(model_instance, self.attname)
        if isinstance(value, str):
            value = Secret.seal(value, model_instance.destination)  # type: ignore[attr-defined]
            setattr(model_instance, self.attname, value)
        return self.to_python(value)

    def get_prep_value(self, value: Any) -> str:
        return self.to_python(value).ciphertext

    def value_to_string(self, obj: models.Model) -> str:
        """Leave the secret out of serialised data (dumpdata)."""
        return ""
