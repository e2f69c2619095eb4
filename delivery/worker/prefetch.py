"""What a lane sends next: claims in groups by the plan, a look at each recipient, and piles to take from.

Urgent messages lie on one pile, the others on another; connections take from them by themselves, and nothing here
waits for a single message.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence

from delivery.content.recipient_domains import NO_PROBLEM, AddressProblem, syntax_problem
from delivery.models import Mailing
from delivery.outbox import claims as outbox_claims
from delivery.outbox.claims import Claim
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from delivery.outcomes.verdicts import Judgement
from delivery.worker.composer_cache import Contents
from delivery.worker.lane import HeldLane, wait
from delivery.worker.result_buffer import NOT_BEGUN, Account
from mail.addresses import parse_mailbox
from smtpservers.routing.selection import HELD_SECONDS

URGENT_MESSAGES = 50  # That a lane claims ahead: they leave at once.
SLOW_MESSAGES = 4  # That are claimed of contents that take long to compose.
ASIDE_MESSAGES = 20  # That wait in the lane for a provider that is written to slowly.
RESERVED_SHARE = 10  # One connection in so many is kept for what somebody waits for.


class Feed:
    """The piles of a lane, and what fills them."""

    def __init__(self, lane: HeldLane, account: Account, contents: Contents) -> None:
        self.urgent: deque[Claim] = deque()
        self.bulk: deque[Claim] = deque()
        self.wanted = 0  # Messages claimed at once; who leaves fewer on the pile makes it hungry.
        self.is_hungry = asyncio.Event()  # Claiming is worth a try.
        self.has_food = asyncio.Event()  # Connections that wait may look at the piles again.
        self.aside: list[Claim] = []  # Their provider takes no more at once just now.
        self._planned: Sequence[LaneShare] = ()
        self._taken: dict[tuple[int, int, bool], int] = {}  # Messages claimed of each share under this plan.
        self._exhausted: set[tuple[int, int, bool]] = set()  # Shares that had nothing more under this plan.
        self._pace = _Pace()
        self._lane = lane
        self._account = account
        self._contents = contents
        lane.when_halted.append(self._halted)

    async def run(self) -> None:
        """Claim while there is work; end after a while without, or when the lane is halted."""
        loop = asyncio.get_running_loop()
        lane, in_hand = self._lane, self._account.in_hand
        idle_since = loop.time()
        while not lane.is_halted:
            if lane.around.is_over:
                if lane.around.is_stopping or len(in_hand) <= len(self.aside):
                    break
                # What is claimed is still sent. If one answer takes long, the drain goes on, and so does this.
                await asyncio.sleep(0.05)
                continue
            self.is_hungry.clear()
            if await self._claim_some(loop.time()) or in_hand:
                idle_since = loop.time()
            elif loop.time() - idle_since > lane.around.idle_seconds:
                break
            await wait(self.is_hungry, 0.25 if in_hand else 0.1)
        lane.halt()

    # --- the piles

    def has_work_for(self, number: int) -> bool:
        """Whether there may be a connection of that number, and there is work for it."""
        lane = self._lane
        if number >= lane.connections or (lane.is_probing and lane.is_probe_out):
            return False
        return bool(self.urgent or (self.bulk and not self._is_reserved(number)))

    def _is_reserved(self, number: int) -> bool:
        """Whether the connection of that number is kept for what somebody waits for."""
        connections = self._lane.connections
        return connections > 1 and number < max(1, connections // RESERVED_SHARE)

    def put_back(self, claim: Claim) -> None:
        """Have a message go next that was taken and not begun."""
        is_urgent = self._contents.mailings[claim.message.mailing_id].stream != Mailing.Stream.CAMPAIGN
        (self.urgent if is_urgent else self.bulk).appendleft(claim)
        self.has_food.set()

    def put_aside(self, claim: Claim) -> bool:
        """Keep a message at hand whose provider is written to slowly; False: there are enough of them."""
        if len(self.aside) >= ASIDE_MESSAGES:
            return False
        self.aside.append(claim)
        return True

    def bring_back(self) -> None:
        """Have what was put aside go next, and connections that wait look at the piles again."""
        for claim in reversed(self.aside):
            self.put_back(claim)
        self.aside.clear()
        self.has_food.set()

    def give_back_surplus(self) -> None:
        """Give back what would wait for long, because the server was slowed after it was claimed."""
        per_second = self._lane.per_second
        most = len(self.bulk) if per_second is None else math.ceil(HELD_SECONDS * per_second)
        self._account.give_back([self.bulk.pop() for _ in range(len(self.bulk) - most)])

    def _halted(self) -> None:
        self.is_hungry.set()
        for pile in (self.urgent, self.bulk, self.aside):
            self._account.give_back(pile)
            pile.clear()

    # --- claims

    async def _claim_some(self, now: float) -> bool:
        """Claim what may be claimed of the plan; return whether anything came."""
        lane = self._lane
        planned = lane.around.shares(lane.server_id)
        if planned is not self._planned:
            self._planned, self._taken = planned, {}
            self._exhausted.clear()
        wanted = 1
        if not lane.is_probing:
            wanted = self.wanted = self._pace.wanted(now, self._account.noted, lane.connections, lane.per_second)
        has_come = False
        for share in planned:
            is_urgent = share.stream != Mailing.Stream.CAMPAIGN
            pile, most = (self.urgent, min(wanted, URGENT_MESSAGES)) if is_urgent else (self.bulk, wanted)
            number = most
            if share.at_most is not None:
                number = min(number, share.at_most - self._taken.get(share.key, 0))
            if self._contents.has_slow(share.mailing_id):  # They must not fill the pile, nor be claimed for nothing.
                number = min(number, SLOW_MESSAGES - len(self._contents.waiting))
            if number <= 0 or len(pile) >= most or share.key in self._exhausted or lane.is_halted:
                continue
            claims = await lane.database(self._claim, share, number)
            if not claims:
                self._exhausted.add(share.key)
                continue
            has_come = True
            self._taken[share.key] = self._taken.get(share.key, 0) + len(claims)
            self._admit(claims, pile)
        if len(self.bulk) < wanted and has_come:
            self.is_hungry.set()
        return has_come

    def _claim(self, share: LaneShare, wanted: int) -> list[Claim]:
        lane = self._lane
        claims = outbox_claims.claim(lane.lease.token, lane.server, share, wanted, lane.around.clock())
        if claims is None:
            lane.is_lost = lane.is_halted = True
            return []
        if claims:
            for claim in claims:
                self._account.stops.pop(claim.message.pk, None)  # Of an earlier claim.
            self._account.look(claim.message.pk for claim in claims if claim.is_doubtful)
            self._contents.compile(share.mailing_id)
        return claims

    # --- the recipients

    def _admit(self, claims: list[Claim], pile: deque[Claim]) -> None:
        """Put claims on their pile, those whose domain must be asked for once the answer is there."""
        lane = self._lane
        self._account.in_hand.update([claim.message.pk for claim in claims])
        if lane.is_halted:
            self._account.give_back(claims)
            return
        validator = lane.around.validator
        if lane.holds:  # A provider is known by its MX.
            validator.look_ahead([claim.message.email for claim in claims])
        mailing = self._contents.mailings[claims[0].message.mailing_id]
        is_single = mailing.stream == Mailing.Stream.SINGLE
        for claim in claims:
            known: AddressProblem | None = NO_PROBLEM
            if is_single and claim.message.copy_of is None:
                known = None
            elif not lane.server.handles_email_validation:
                known = validator.known(claim.message.email)
            if known is None:
                lane.group.create_task(self._ask(claim, mailing, pile))
            elif known:
                self._account.note(claim, _unreachable(known))
            else:
                pile.append(claim)
        self.has_food.set()

    async def _ask(self, claim: Claim, mailing: Mailing, pile: deque[Claim]) -> None:
        """Find out whether the recipient can get mail, and where to a single message goes instead."""
        judgement = await self._look_at_recipient(claim, mailing)
        if judgement is None and self._lane.is_halted:
            judgement = NOT_BEGUN
        if judgement is not None:
            self._account.note(claim, judgement)
            return
        pile.append(claim)
        self.has_food.set()

    async def _look_at_recipient(self, claim: Claim, mailing: Mailing) -> Judgement | None:
        lane, message = self._lane, claim.message
        is_redirectable = mailing.stream == Mailing.Stream.SINGLE and message.copy_of is None
        problem = NO_PROBLEM
        if not lane.server.handles_email_validation:
            problem = await lane.around.validator.problem(message.email)
        elif is_redirectable:  # Nobody else looked at its address.
            problem = syntax_problem(message.email)
        if not is_redirectable or not (problem or message.redirected_to):
            return _unreachable(problem) if problem else None
        to = parse_mailbox(lane.server.mail_to_unknown).address if problem and lane.server.mail_to_unknown else ""
        reason = f"Redirected to {to}, the recipient is unknown: {problem.sentence}" if to else ""
        if not await lane.database(outbox_claims.redirect, claim, lane.server, mailing, to, reason):
            return NOT_BEGUN
        return _unreachable(problem) if problem and not to else None


def _unreachable(problem: AddressProblem) -> Judgement:
    return results.ended("failed", problem.sentence, problem.kind)


class _Pace:
    """How many messages to claim at once: about three seconds of what this lane sends."""

    def __init__(self) -> None:
        self._noted = 0
        self._since = 0.0
        self._rate = 0.0

    def wanted(self, now: float, noted: int, connections: int, per_second: float | None) -> int:
        if not self._since:
            self._since = now
        elif now - self._since >= (0.5 if self._rate else 0.05):  # Soon at first: small claims cost as much as large.
            self._rate = (noted - self._noted) / (now - self._since)
            self._noted, self._since = noted, now
        most = min(outbox_claims.CLAIM_MESSAGES, max(4 * connections, int(3 * self._rate)))
        return most if per_second is None else min(most, math.ceil(3 * per_second))
