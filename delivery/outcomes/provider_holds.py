"""Provider holds: pauses and throttles of one server's mail to one mailbox provider.

A provider that says "too much from you" (Google, Microsoft, Yahoo …) gets no mail from that server for a while; mail to
other providers goes on. A hold is a row (:class:`delivery.models.ProviderHold`), so that it outlives the worker.
:class:`Holds` is a lane's copy of its server's rows, and only loading touches the database.

A lane uses it like this::

    holds = Holds(server.pk, connections=server.max_connections)
    holds.load(now)                                    # In the database thread, at the start; later ``load_all``.
    ...
    if holds and (judgement := holds.look(message, now)) is not None:
        note(claim, judgement)                         # The provider is held or the From refused: released at once.
    provider = provider_of(message) if holds else ""
    if provider and not holds.may_begin(provider, now):
        put the claim aside and take another one       # The most messages are on the line; ask again later.
    holds.begun(provider, now)                         # Before MAIL ...
    holds.ended(provider, is_ok=judgement.is_accepted, now=now)  # ... and after every judgement.
    holds.note(judgement, message, now)                # After every judgement: a new hold takes effect at once.

``holds`` is false while there are no holds, so that it costs one truth test per message. ``begun`` and ``ended`` do
nothing for an empty provider and for one without a hold. While ``holds`` is true, the lane should let the validator
look ahead even if the server validates recipients: a provider is known by its MX.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from delivery.content import recipient_domains
from delivery.content.message import Outgoing, without_recipient
from delivery.models import ProviderHold
from delivery.outcomes.verdicts import Hold, Judgement
from mail.addresses import domain_of

LONGEST_HOLD = dt.timedelta(hours=24)
FORGOTTEN_AFTER = dt.timedelta(hours=24)  # After this time the next hold counts as the first one.
SHOWN_AFTERWARDS = dt.timedelta(hours=1)  # How long a page shows a hold that is over.
NOTED_FOR = dt.timedelta(seconds=5)  # How long a lane keeps a new hold that is not in the database yet.
# A held message waits longer than the hold: the jitter of a deferral is a fifth either way.
WAIT_FACTOR = 1.25


def provider_of(message: Outgoing) -> str:
    """Return the provider of the message's recipient, as far as DNS was asked already."""
    return recipient_domains.provider_of(domain_of(message.redirected_to or message.email))


def place(server_id: int, provider: str, why: str, hold: Hold, now: dt.datetime) -> ProviderHold:
    """Hold a server's mail to a provider. A hold that follows another lasts twice as long, up to a day.

    Messages that were on the line when the hold began get the same answer; that is no second strike.
    """
    placed, is_new = ProviderHold.objects.get_or_create(
        server_id=server_id,
        provider=provider,
        defaults={
            "reason": why[:500],
            "placed_at": now,
            "until": now + hold.wait,
            "slow_until": now + hold.slow_for if hold.slow_for else None,
            "per_minute": hold.per_minute,
        },
    )
    if is_new:
        return placed
    is_in_force = max(placed.until, placed.slow_until or placed.until) > now
    if not is_in_force:
        placed.strikes = min(placed.strikes + 1, 100)
        placed.placed_at, placed.reason = now, why[:500]
    longer = 1 << min(placed.strikes - 1, 10)
    placed.until = max(placed.until, now + min(hold.wait * longer, max(hold.wait, LONGEST_HOLD)))
    if hold.slow_for:
        slow_for = min(hold.slow_for * longer, max(hold.slow_for, LONGEST_HOLD))
        placed.slow_until = max(placed.slow_until or now, now + slow_for)
    placed.per_minute = hold.per_minute or (placed.per_minute if is_in_force else None)
    placed.save()
    return placed


def lift(server_id: int, hold_id: int) -> str:
    """Lift a hold for a person, and return its provider; empty if the hold is gone. Lanes see it within a second."""
    hold = ProviderHold.objects.filter(pk=hold_id, server=server_id).first()
    if hold is None:
        return ""
    hold.delete()
    return hold.provider


@dataclass(frozen=True, slots=True)
class HoldView:
    """A hold as a page shows it."""

    pk: int
    provider: str
    reason: str
    until: dt.datetime
    slow_until: dt.datetime | None
    per_minute: int | None
    is_held: bool  # No message is sent now.
    is_slow: bool  # One message at a time is sent now.


def of_server(server_id: int, now: dt.datetime) -> list[HoldView]:
    """Return the holds of a server that are in force, or ended within ``SHOWN_AFTERWARDS``, for its page."""
    return of_servers([server_id], now).get(server_id, [])


def of_servers(server_ids: Collection[int], now: dt.datetime) -> dict[int, list[HoldView]]:
    """Return the same of several servers, by server; one without holds is no key."""
    found: dict[int, list[HoldView]] = {}
    for row in ProviderHold.objects.filter(server__in=server_ids):
        if max(row.until, row.slow_until or row.until) <= now - SHOWN_AFTERWARDS:
            continue
        hold = HoldView(
            row.pk,
            row.provider,
            row.reason,
            row.until,
            row.slow_until,
            row.per_minute,
            is_held=row.until > now,
            is_slow=row.until <= now and row.slow_until is not None and row.slow_until > now,
        )
        found.setdefault(row.server_id, []).append(hold)
    return found


@dataclass(slots=True)
class _State:
    """A lane's copy of one provider's hold."""

    until: dt.datetime
    slow_until: dt.datetime
    per_minute: int | None
    reason: str
    rows: set[int] = field(default_factory=set)
    may_be_on_line: int = 1  # After a hold one message at a time, and one more with each success.
    on_line: int = 0
    last_begun: dt.datetime | None = None
    noted_at: dt.datetime | None = None  # Set while the hold is known from an answer, and not yet from the database.
    has_recovered: bool = False


class Holds:
    """A lane's copy of the holds of its server; the module's docstring shows its use."""

    def __init__(self, server_id: int, connections: int = 1) -> None:
        self._server_id = server_id
        self._connections = connections
        self._providers: dict[str, _State] = {}
        self._refused: dict[int, dt.datetime | None] = {}  # By mailing: until when the server refuses its From.
        self._refusals: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._providers or self._refused)

    def load(self, now: dt.datetime) -> None:
        """Read the rows of the server, and delete holds from which mail has recovered."""
        load_all([self], now)

    def _recovered_rows(self) -> set[int]:
        return {row for state in self._providers.values() if state.has_recovered for row in state.rows}

    def _load_rows(self, rows: Sequence[ProviderHold], now: dt.datetime) -> None:
        found: dict[str, _State] = {}
        for row in rows:
            slow_until = row.slow_until or row.until
            if max(row.until, slow_until) < now - FORGOTTEN_AFTER:
                row.delete()
                continue
            self._merge_row(found, row, slow_until)
        for provider, state in self._providers.items():
            if state.noted_at is not None and provider not in found and now - state.noted_at < NOTED_FOR:
                found[provider] = state
        self._providers = found

    def _merge_row(self, found: dict[str, _State], row: ProviderHold, slow_until: dt.datetime) -> None:
        # A row may name a domain whose MX was not known when it was written.
        provider = recipient_domains.provider_of(row.provider)
        fresh = _State(row.until, slow_until, row.per_minute, row.reason)
        state = found.get(provider) or self._providers.get(provider, fresh)
        if provider not in found:
            state.rows = set()
        if state.until < row.until or state.slow_until < slow_until:
            state.may_be_on_line, state.has_recovered = 1, False
        state.until = row.until if provider not in found else max(state.until, row.until)
        state.slow_until = slow_until if provider not in found else max(state.slow_until, slow_until)
        state.per_minute, state.reason, state.noted_at = row.per_minute, row.reason, None
        state.rows.add(row.pk)
        found[provider] = state

    # --- before a message is begun

    def look(self, message: Outgoing, now: dt.datetime) -> Judgement | None:
        """Return the judgement of a claimed message that must not be sent now; None if it may be sent."""
        if message.mailing_id in self._refused:
            until = self._refused[message.mailing_id]
            if until is None or until > now:
                reason = "The server refused this sender a moment ago; another one is chosen."
                return Judgement("not_sent", "deferred", reason, "held-sender", wait=dt.timedelta(0))
            del self._refused[message.mailing_id]
            self._refusals.pop(message.mailing_id, None)
        provider = provider_of(message)
        held_until = self.held_until(provider, now)
        if held_until is None:
            return None
        state = self._providers[provider]
        reason = f"Mail to {provider} is on hold until {held_until:%d %B %Y %H:%M} UTC: {state.reason}"
        wait = (held_until - now) * WAIT_FACTOR + dt.timedelta(seconds=1)
        return Judgement("not_sent", "deferred", reason[:600], "held-provider", wait=wait)

    def held_until(self, provider: str, now: dt.datetime) -> dt.datetime | None:
        """Return when mail to the provider may go on; None if it may be sent now."""
        state = self._providers.get(provider)
        return state.until if state is not None and state.until > now else None

    def may_begin(self, provider: str, now: dt.datetime) -> bool:
        """Whether one more message to the provider may be on the line now."""
        state = self._providers.get(provider)
        if state is None:
            return True
        if state.until > now or state.on_line >= state.may_be_on_line:
            return False
        if state.per_minute is None or state.slow_until <= now or state.last_begun is None:
            return True
        return now - state.last_begun >= dt.timedelta(minutes=1) / state.per_minute

    def patience(self, provider: str, now: dt.datetime) -> dt.timedelta:
        """Return how long a message may be put aside for want of room: as long as its provider is slow."""
        state = self._providers.get(provider)
        return max(dt.timedelta(minutes=1), state.slow_until - now) if state else dt.timedelta(minutes=1)

    def begun(self, provider: str, now: dt.datetime) -> None:
        """Count a message as on the line."""
        if (state := self._providers.get(provider)) is not None:
            state.on_line += 1
            state.last_begun = now

    def ended(self, provider: str, *, is_ok: bool, now: dt.datetime) -> None:
        """Count a message as answered. After a hold each success raises the number on the line by one."""
        state = self._providers.get(provider)
        if state is None:
            return
        state.on_line = max(0, state.on_line - 1)
        if not is_ok or state.slow_until > now or state.until > now:
            return
        state.may_be_on_line += 1
        state.has_recovered = state.may_be_on_line > self._connections

    # --- after an answer

    def note(self, judgement: Judgement, message: Outgoing, now: dt.datetime) -> None:
        """Apply a new hold or refusal at once. Recording the result stores it, and ``load`` confirms it."""
        if judgement.hold is not None:
            hold, provider = judgement.hold, provider_of(message)
            slow_until = now + (hold.slow_for or dt.timedelta(0))
            state = self._providers.get(provider)
            if state is None:
                state = self._providers[provider] = _State(now, now, None, "")
            state.until = max(state.until, now + hold.wait)
            state.slow_until = max(state.slow_until, slow_until)
            state.per_minute = hold.per_minute or state.per_minute
            state.reason, state.noted_at = without_recipient(judgement.reason, message), now
            state.may_be_on_line, state.has_recovered = 1, False
        if judgement.refusal is not None:
            times = self._refusals[message.mailing_id] = self._refusals.get(message.mailing_id, 0) + 1
            if times >= judgement.refusal.times:
                lasts = judgement.refusal.lasts
                self._refused[message.mailing_id] = None if lasts is None else now + lasts


def load_all(every: Sequence[Holds], now: dt.datetime) -> None:
    """Read the rows of several servers at once, and delete holds from which mail has recovered."""
    if recovered := {row for holds in every for row in holds._recovered_rows()}:
        ProviderHold.objects.filter(pk__in=recovered, until__lte=now).delete()
    rows: dict[int, list[ProviderHold]] = defaultdict(list)
    for row in ProviderHold.objects.filter(server__in=[holds._server_id for holds in every]):
        rows[row.server_id].append(row)
    for holds in every:
        holds._load_rows(rows[holds._server_id], now)
