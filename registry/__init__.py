"""How a room adds to what a lower room does, without the lower room knowing it."""

from typing import TypeVar

T = TypeVar("T")


class Registry(dict[str, T]):
    """Contributions of higher rooms, by key, in the order in which the rooms start.

    The lower room declares the registry with the type it asks for; a higher room registers in ``AppConfig.ready``.
    """

    def register(self, key: str, contribution: T) -> None:
        """Add a contribution; the same one may be added again.

        :raises ValueError: if the key belongs to another contribution.
        """
        if self.setdefault(key, contribution) is not contribution:
            raise ValueError(f"{key} is registered already.")
