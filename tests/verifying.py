"""The judge of a run: it reads the peers' journals and the database, and nothing the product says of itself."""

from collections import Counter
from collections.abc import Iterable

from delivery.models import Attempt, Message
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.peer import Peer

TERMINAL = {"accepted", "bounced", "failed", "expired", "suppressed", "cancelled", "unconfirmed"}


def verify(mailing_id: int, people: int, peers: Iterable[tuple[SmtpServer, Peer]]) -> Counter[str]:
    """Check the account of a campaign against what its servers really got, and return the statuses."""
    rows = list(Message.objects.filter(mailing=mailing_id).values_list("email", "message_id", "status"))
    statuses = Counter(status for _, _, status in rows)
    by_id = {message_id: (address, status) for address, message_id, status in rows if message_id}

    assert len(rows) == people, "everyone is in the account once"
    assert set(statuses) <= TERMINAL, f"something is still pending: {statuses}"

    answered: Counter[str] = Counter()
    dots: Counter[str] = Counter()
    for server, peer in peers:
        accepted_here = [event for event in peer.journal.events("answer") if event["code"] == 250]
        answered.update(event["message_id"] for event in accepted_here)
        dots.update(event["message_id"] for event in peer.journal.events("dot"))
        for event in accepted_here:
            assert by_id[event["message_id"]][0] == event["rcpt_to"]
        _verify_quota(server, len(accepted_here))

    for message_id, (address, status) in by_id.items():
        if status == "accepted":
            assert answered[message_id] == 1, f"{address} is called accepted, and no server accepted it"
    for message_id in answered:
        assert by_id[message_id][1] in ("accepted", "unconfirmed"), f"an acceptance was lost: {by_id[message_id]}"
    twice = [message_id for message_id, number in dots.items() if number > 1]
    assert not twice, f"{len(twice)} messages went out twice: {[by_id[message_id] for message_id in twice[:3]]}"
    assert not Attempt.objects.filter(message__mailing=mailing_id, finished_at=None).exists()
    return statuses


def _verify_quota(server: SmtpServer, accepted: int) -> None:
    periods = QuotaPeriod.objects.filter(server=server)
    used = sum(period.used for period in periods)
    held = Attempt.objects.filter(server=server, outcome__in=["accepted", "unconfirmed"]).count()
    assert used == held, f"{server}: {used} units used, {held} accepted or unconfirmed"
    assert sum(period.reserved for period in periods) == 0
    if server.max_per_month:
        assert accepted <= server.max_per_month, f"{server} accepted {accepted} of {server.max_per_month}"
        assert used <= server.max_per_month
