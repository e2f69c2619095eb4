"""The prefetch of a lane: claims messages in groups by the plan, checks their recipients, and keeps them on piles.

Urgent messages are on one pile, bulk mail on another. Connections take messages from them, and nothing here waits for a
single message.
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
from delivery.worker.composer_cache import ComposerCache
from delivery.worker.lane import HeldLane, wait
from delivery.worker.result_buffer import NOT_BEGUN, ResultBuffer
from mail.addresses import parse_mailbox
from smtpservers.routing.candidates import HELD_SECONDS

URGENT_MESSAGES = 50  # The most urgent messages on the pile.
SLOW_MESSAGES = 4  # The most claimed messages of slow content.
ASIDE_MESSAGES = 20  # The most messages put aside for slow providers.
RESERVED_SHARE = 10  # One connection in this many is reserved for urgent messages.


class Prefetch:
    """The piles of a lane, and the claims that fill them."""

    def __init__(self, lane: HeldLane, buffer: ResultBuffer, cache: ComposerCache) -> None:
        self.urgent: deque[Claim] = deque()
        self.bulk: deque[Claim] = deque()
        self.wanted = 0  # The size of a claim, and the number of messages below which a pile is filled up.
        self.should_claim = asyncio.Event()  # Set when a claim is worth a try.
        self.has_work = asyncio.Event()  # Set when waiting connections should look at the piles again.
        self.aside: list[Claim] = []  # Messages whose provider takes no more at present.
        self._planned: Sequence[LaneShare] = ()
        self._taken: dict[tuple[int, int, bool], int] = {}  # Messages claimed under this plan, by share.
        self._exhausted: set[tuple[int, int, bool]] = set()  # Shares with nothing left under this plan.
        self._claim_size = _ClaimSize()
        self._lane = lane
        self._buffer = buffer
        self._cache = cache
        lane.on_halt.append(self._halted)

    async def run(self) -> None:
        """Claim while there is work. End after ``idle_seconds`` without work, or when the lane is halted."""
        loop = asyncio.get_running_loop()
        lane, in_hand = self._lane, self._buffer.in_hand
        idle_since = loop.time()
        while not lane.is_halted:
            if lane.process.is_over:
                if lane.process.is_stopping or len(in_hand) <= len(self.aside):
                    break
                # Claimed messages are still sent. If one answer takes long, the drain is extended, and claims go on.
                await asyncio.sleep(0.05)
                continue
            self.should_claim.clear()
            if self._buffer.is_behind or await self._claim_some(loop.time()) or in_hand:
                idle_since = loop.time()
            elif loop.time() - idle_since > lane.process.idle_seconds:
                break
            await wait(self.should_claim, 0.25 if in_hand else 0.1)
        lane.halt()

    # --- the piles

    def has_work_for(self, number: int) -> bool:
        """Whether a connection with this number is allowed, and there is work for it."""
        lane = self._lane
        if number >= lane.connections or (lane.is_probing and lane.is_probe_out):
            return False
        if self.urgent or not self.bulk:
            return bool(self.urgent)
        # The first connections are reserved for urgent messages.
        return number >= max(1, lane.connections // RESERVED_SHARE) or lane.connections == 1

    def put_back(self, claim: Claim) -> None:
        """Put back a message that was taken and not begun, at the front of its pile."""
        is_urgent = self._cache.mailings[claim.message.mailing_id].stream != Mailing.Stream.CAMPAIGN
        (self.urgent if is_urgent else self.bulk).appendleft(claim)
        self.has_work.set()

    def put_aside(self, claim: Claim) -> bool:
        """Put aside a message whose provider is slow. False if enough messages are aside."""
        if len(self.aside) >= ASIDE_MESSAGES:
            return False
        self.aside.append(claim)
        return True

    def bring_back(self) -> None:
        """Put messages that were aside at the front of their piles, and wake waiting connections."""
        for claim in reversed(self.aside):
            self.put_back(claim)
        self.aside.clear()
        self.has_work.set()

    def release_surplus(self) -> None:
        """Release claims that would wait for long, because the server was throttled after the claim."""
        per_second = self._lane.per_second
        most = len(self.bulk) if per_second is None else math.ceil(HELD_SECONDS * per_second)
        self._buffer.give_back([self.bulk.pop() for _ in range(len(self.bulk) - most)])

    def _halted(self) -> None:
        self.should_claim.set()
        for pile in (self.urgent, self.bulk, self.aside):
            self._buffer.give_back(pile)
            pile.clear()

    # --- claims

    async def _claim_some(self, now: float) -> bool:
        """Claim messages by the plan; return whether any were claimed."""
        lane = self._lane
        planned = lane.process.shares(lane.server_id)
        if planned is not self._planned:
            self._planned, self._taken = planned, {}
            self._exhausted.clear()
        wanted = 1
        if not lane.is_probing:
            wanted = self.wanted = self._claim_size.wanted(now, self._buffer.noted, lane.connections, lane.per_second)
        has_come = False
        for share in planned:
            is_urgent = share.stream != Mailing.Stream.CAMPAIGN
            pile, most = (self.urgent, min(wanted, URGENT_MESSAGES)) if is_urgent else (self.bulk, wanted)
            number = most
            if share.at_most is not None:
                number = min(number, share.at_most - self._taken.get(share.key, 0))
            if self._cache.has_slow(
                share.mailing_id
            ):  # Slow messages must not fill the pile, nor be claimed too early.
                number = min(number, SLOW_MESSAGES - len(self._cache.waiting))
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
            self.should_claim.set()
        return has_come

    def _claim(self, share: LaneShare, wanted: int) -> list[Claim]:
        lane = self._lane
        claims = outbox_claims.claim(lane.lease.token, lane.server, share, wanted, lane.process.clock())
        if claims is None:
            lane.is_lost = lane.is_halted = True
            return []
        if claims:
            for claim in claims:
                self._buffer.stops.pop(claim.message.pk, None)  # Left by an earlier claim.
            self._buffer.find_stops(claim.message.pk for claim in claims if claim.is_doubtful)
            self._cache.compile(share.mailing_id)
        return claims

    # --- the recipients

    def _admit(self, claims: list[Claim], pile: deque[Claim]) -> None:
        """Put claims on their pile. Recipients whose domain needs a DNS query follow when the answer is there."""
        lane = self._lane
        self._buffer.in_hand.update([claim.message.pk for claim in claims])
        if lane.is_halted:
            self._buffer.give_back(claims)
            return
        validator = lane.process.validator
        if lane.holds:  # A provider is known by its MX.
            validator.look_ahead([claim.message.email for claim in claims])
        mailing = self._cache.mailings[claims[0].message.mailing_id]
        is_single = mailing.stream == Mailing.Stream.SINGLE
        if lane.server.handles_email_validation and not is_single:
            pile.extend(claims)
            self.has_work.set()
            return
        for claim in claims:
            known: AddressProblem | None = NO_PROBLEM
            if is_single and claim.message.copy_of is None:
                known = None
            elif not lane.server.handles_email_validation:
                known = validator.known(claim.message.email)
            if known is None:
                lane.group.create_task(self._admit_when_checked(claim, mailing, pile))
            elif known:
                self._buffer.note(claim, _unreachable(known))
            else:
                pile.append(claim)
        self.has_work.set()

    async def _admit_when_checked(self, claim: Claim, mailing: Mailing, pile: deque[Claim]) -> None:
        """Check the recipient, which may wait for DNS, and put the claim on its pile or note its result."""
        judgement = await self._check_recipient(claim, mailing)
        if judgement is None and self._lane.is_halted:
            judgement = NOT_BEGUN
        if judgement is not None:
            self._buffer.note(claim, judgement)
            return
        pile.append(claim)
        self.has_work.set()

    async def _check_recipient(self, claim: Claim, mailing: Mailing) -> Judgement | None:
        lane, message = self._lane, claim.message
        is_redirectable = mailing.stream == Mailing.Stream.SINGLE and message.copy_of is None
        problem = NO_PROBLEM
        if not lane.server.handles_email_validation:
            problem = await lane.process.validator.problem(message.email)
        elif is_redirectable:  # No other code has checked its address.
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


class _ClaimSize:
    """The size of a claim: about three seconds' worth of messages at this lane's rate."""

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
