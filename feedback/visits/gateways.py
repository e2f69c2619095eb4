"""The networks of mail gateways that hold now: the shipped ones, and those of *Organisation* or the environment.

Whoever asks never waits: what was saved is looked at by a thread of the edge, and until then the last known ones hold.
"""

from collections.abc import Iterable

from django.db import DatabaseError, connection

from installation.site import from_environment, site
from mail.visits.gateways import Networks, shipped_networks


class Gateways:
    """A set of networks that follows what administrators save."""

    def __init__(self) -> None:
        self._own = from_environment().gateway_networks
        self._networks = _with_shipped(self._own)

    def __contains__(self, address: str) -> bool:
        """Tell whether an address is in one of the networks."""
        return address in self._networks

    def look(self) -> None:
        """Take what is saved. While the database doesn't answer, the last known networks stay.

        It closes the connection of the calling thread, which nobody else would.
        """
        try:
            own = site().gateway_networks
        except DatabaseError:
            return
        finally:
            connection.close()
        if own != self._own:
            self._networks = _with_shipped(own)
            self._own = own


def _with_shipped(own: Iterable[str]) -> Networks:
    return Networks([*shipped_networks(), *own])
