"""The judge of a run: it reads the peers' journals and the database, and nothing the product says of itself."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from delivery.models import Attempt, Batch, Message
from delivery.outbox import status_counts
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.peers.peer import Peer

TERMINAL = {"accepted", "bounced", "failed", "expired", "suppressed", "cancelled", "unconfirmed"}
# The same moment, seen by the two ends of a connection.
BLINK = 0.1

Event = dict[str, Any]


@dataclass
class Account:
    """What is wrong with the account of a run; nothing is, where all of it is empty."""

    statuses: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)  # Without a place in the account, or accepted and not called so.
    false: list[str] = field(default_factory=list)  # Called accepted, and no server accepted them.
    doubled: list[str] = field(default_factory=list)  # Handed over in full more than once.
    misdirected: list[str] = field(default_factory=list)  # Answered for one recipient, accounted for another.
    overrun: list[str] = field(default_factory=list)  # Servers that accepted more than their quota.
    miscounted: list[str] = field(default_factory=list)  # Servers whose used units are not accepted + unconfirmed.
    open: int = 0  # Attempts that nobody closed.

    @property
    def problems(self) -> dict[str, Any]:
        found = {name: value for name, value in vars(self).items() if name != "statuses" and value}
        return {name: value[:5] if isinstance(value, list) else value for name, value in found.items()}


def judge_account(
    mailing_ids: Collection[int], people: int, journals: Iterable[tuple[SmtpServer, Iterable[Event]]]
) -> Account:
    """Compare the account of campaigns with what their servers really got.

    :param people: how many the campaigns wrote to, in all.
    :param journals: of each server, the events of its journal; each is gone through once.
    """
    account = Account()
    rows = Message.objects.filter(mailing__in=mailing_ids).values_list("email", "message_id", "status")
    by_id: dict[str, tuple[str, str]] = {}
    for address, message_id, status in rows.iterator():
        account.statuses[status] += 1
        if message_id:
            by_id[message_id] = (address, status)
    if (missing := people - account.statuses.total()) != 0:
        account.lost.append(f"{missing} people have no place in the account")
    pending = {status: number for status, number in account.statuses.items() if status not in TERMINAL}
    account.lost += [f"{number} are still {status}" for status, number in pending.items()]

    answered: Counter[str] = Counter()
    dots: Counter[str] = Counter()
    for server, events in journals:
        accepted_here = 0
        for event in events:
            if event["event"] == "dot":
                dots[event["message_id"]] += 1
            elif event["event"] == "answer":
                message_id, code = event["message_id"], event["code"]
                answered[message_id] += code == 250
                accepted_here += code == 250
                # An answer that says no (RFC 5321 section 4.2.1) is no acceptance, and it may be offered again.
                dots[message_id] -= code >= 400
                address, _ = by_id.get(message_id, ("nobody", ""))
                if code == 250 and address != event["rcpt_to"]:
                    account.misdirected.append(f"{event['rcpt_to']} got the message of {address}")
        _judge_quota(server, accepted_here, account)
    _judge_messages(by_id, answered, dots, account)
    account.open = Batch.objects.filter(Batch.OPEN, mailing__in=mailing_ids).count()
    account.miscounted += [why for mailing_id in mailing_ids if (why := _miscounted(mailing_id))]
    return account


def _judge_messages(
    by_id: Mapping[str, tuple[str, str]], answered: Counter[str], dots: Counter[str], account: Account
) -> None:
    for message_id, (address, status) in by_id.items():
        if status == "accepted" and answered[message_id] != 1:
            account.false.append(address)
        if answered[message_id] and status not in ("accepted", "unconfirmed"):
            account.lost.append(f"{address} was accepted and is called {status}")
        if dots[message_id] > 1:
            account.doubled.append(address)


def _miscounted(mailing_id: int) -> str:
    """Return in what the counts that pages show differ from the messages; empty: in nothing."""
    rows = Counter(Message.objects.filter(mailing=mailing_id, copy_of=None).values_list("status", flat=True))
    counted = +Counter(status_counts.by_status(mailing_id))
    return "" if counted == rows else f"{counted} are counted of {rows}"


def _judge_quota(server: SmtpServer, accepted: int, account: Account) -> None:
    periods = QuotaPeriod.objects.filter(server=server)
    used = sum(period.used for period in periods)
    held = Attempt.objects.filter(batch__server=server, outcome__in=["accepted", "unconfirmed"]).count()
    reserved = sum(period.reserved for period in periods)
    if used != held or reserved:
        account.miscounted.append(f"{server}: {used} units used, {reserved} reserved, {held} accepted or unconfirmed")
    # One period in every run that counts on it; a unit belongs to the period it was reserved in.
    if server.max_per_month and len(periods) == 1 and max(accepted, used) > server.max_per_month:
        account.overrun.append(f"{server} accepted {accepted} and used {used} of {server.max_per_month}")


def verify(mailing_id: int, people: int, peers: Iterable[tuple[SmtpServer, Peer]]) -> Counter[str]:
    """Check the account of a campaign against what its servers really got, and return the statuses."""
    peers = list(peers)
    account = judge_account([mailing_id], people, [(server, peer.journal.events()) for server, peer in peers])
    assert not account.problems, account.problems
    return account.statuses


# --- limits, from the peer's clock


def most_open(events: Iterable[Event]) -> int:
    """Return how many connections were open at once; one that said QUIT is on its way out."""
    most, open_now = 0, set()
    for event in events:
        if event["event"] == "conn":
            open_now.add(event["session"])
            most = max(most, len(open_now))
        elif event["event"] in ("quit", "close"):
            open_now.discard(event["session"])
    return most


def most_on_one_connection(events: Iterable[Event]) -> int:
    """Return how many transactions were begun on the connection that saw the most."""
    begun = Counter(event["session"] for event in events if event["event"] == "mail")
    return max(begun.values(), default=0)


def most_within(events: Iterable[Event], seconds: float, name: str = "mail") -> int:
    """Return the largest number of such events within any window of ``seconds``."""
    moments = sorted(event["at"] for event in events if event["event"] == name)
    most = first = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def begun_after(events: Iterable[Event], moment: float, recipients: Collection[str] | None = None) -> list[Event]:
    """Return the messages whose DATA began more than five seconds after ``moment``: what a stop must prevent."""
    late = (event for event in events if event["event"] == "data" and event["at"] > moment + 5 + BLINK)
    return [event for event in late if recipients is None or event["rcpt_to"] in recipients]


def longest_silence(events: Iterable[Event], moments: Iterable[float]) -> list[float]:
    """Return for each of these moments how many seconds passed until the next message was accepted after it."""
    answers = sorted(event["at"] for event in events if event["event"] == "answer" and event["code"] == 250)
    waits = []
    for moment in moments:
        following = next((at for at in answers if at > moment), None)
        if following is not None:
            waits.append(following - moment)
    return waits


def wrong_bytes(content: bytes) -> list[str]:
    """Return what is wrong with a message as bytes: line ends, line lengths, headers that must be there once."""
    problems = []
    if b"\n" in content.replace(b"\r\n", b"") or b"\r" in content.replace(b"\r\n", b""):
        problems.append("a bare CR or LF")
    lines = content.split(b"\r\n")
    if any(len(line) > 998 for line in lines):
        problems.append("a line of more than 998 bytes")
    head = content.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = Counter(line.partition(b":")[0].lower() for line in head if line[:1] not in (b" ", b"\t"))
    once = ("from", "to", "date", "message-id", "subject", "mime-version", "list-unsubscribe", "list-unsubscribe-post")
    problems += [f"{names[name.encode()]} of {name}" for name in once if names[name.encode()] != 1]
    return problems


def per_server(events: Iterable[Event], key: str = "port") -> dict[Any, list[Event]]:
    """Return the events of a journal of many servers by server."""
    found: dict[Any, list[Event]] = defaultdict(list)
    for event in events:
        found[event[key]].append(event)
    return found
