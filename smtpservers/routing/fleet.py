"""The fleet at one instant: the servers, their candidates and the routing rules, each read from the database once."""

import datetime as dt
from collections.abc import Collection
from functools import cached_property

from smtpservers.models import SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.candidates import Candidate, fleet, servers_at
from smtpservers.routing.rules import RoutingRule


class Fleet:
    """One reading of the fleet, for several questions of one request. A part is read when it is first needed.

    :ivar now: the instant for quota periods, pauses and caps.
    """

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    @cached_property
    def rules(self) -> list[RoutingRule]:
        """The active routing rules in their order."""
        return rules.rules()

    @cached_property
    def servers(self) -> list[SmtpServer]:
        """Every server in display order, with the additional columns of :func:`servers_at`."""
        by_id: dict[int, SmtpServer] = {}
        for server in servers_at(self.now):
            by_id.setdefault(server.pk, server)
        return list(by_id.values())

    @cached_property
    def candidates(self) -> list[Candidate]:
        """Every server in display order, with its room."""
        return fleet(self.now, self.servers)

    def is_any_active(self, named: Collection[int]) -> bool:
        """Whether one of these servers is active."""
        return any(server.is_active for server in self.servers if server.pk in named)

    def is_sender_served(self, mail_from: str, named: Collection[int]) -> bool:
        """Whether any server, active or not, may send with this From; true if there is no server yet.

        :param named: only these servers count; empty: all.
        """
        considered = [each for each in self.candidates if not named or each.server_id in named]
        return not considered or any(each.may_send_from(mail_from) for each in considered)

    def carriers(self, mail_from: str, named: Collection[int]) -> list[SmtpServer]:
        """Return the active and tested servers that may send at least a part of this mail, in display order.

        :param mail_from: a From that overrides the server's own; empty: none.
        :param named: the servers that a campaign names; empty: all that the routing rules allow.
        """
        deciding = rules.applying(self.rules, mail_from)
        carrying = {
            candidate.server_id
            for candidate in self.candidates
            if candidate.is_active
            and candidate.tested_at is not None
            and (not named or candidate.server_id in named)
            and candidate.may_send_from(mail_from)
            and any(not rule.server_ids or candidate.server_id in rule.server_ids for rule in deciding)
        }
        return [server for server in self.servers if server.pk in carrying]
