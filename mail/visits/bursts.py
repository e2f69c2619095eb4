"""What happened around a click: many links of one message, or many messages of one network, within a short time.

Scanners use the names of ordinary browsers and the networks of ordinary providers. Their haste gives them away.
"""

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from mail.visits.names import Family

BURST_SECONDS, BURST_LINKS = 5, 3
MINUTE_SECONDS, MINUTE_LINKS, MINUTE_SHARE = 60, 3, 0.6
SLOW_SECONDS, SLOW_LINKS, SLOW_SHARE = 300, 5, 0.5
GATEWAY_SECONDS, GATEWAY_MESSAGES = 60, 5


class Click(NamedTuple):
    """One request for a link, whoever made it; HEAD and programs count too."""

    at: float  # Seconds since the epoch.
    network: str  # The keyed hash of the source network, empty if it is unknown.
    mailing: int
    message: int | None  # None at the anonymous level.
    link: Hashable  # Which link of the mailing, such as its id or its target's code.
    links: int  # How many different links that are counted the message has.
    family: Family
    is_opened: bool = False  # The message was opened before by another program: somebody may have read it.
    is_opened_here: bool = False  # It was opened before from this network.


class Recent(NamedTuple):
    """What the clicks around one click say of it."""

    is_every_link: bool = False
    is_gateway: bool = False


NOTHING_RECENT = Recent()  # For an open.


def recents(clicks: Sequence[Click]) -> list[Recent]:
    """Return what the clicks say of each of them, in their order.

    The sequence holds all clicks of the messages and networks within five minutes before and after, as far as they are
    known. It takes time n log n.

    - Scanners work from several networks, so a message's clicks are counted whatever their network. The reader who
      opened and clicks while a scanner is at work is spared: there only the clicks of that network count.
    - Slow scanners click half of a mail that nobody opened.
    - Of the messages that one network fetches links of, only those count that nobody opened: an office or a carrier
      may have one address for many readers.
    - At the anonymous level one network and program within one mailing stand for a message. The same link fetched
      several times then stands for several messages.
    """
    messages: dict[Hashable, list[_Entry]] = defaultdict(list)
    sources: dict[Hashable, list[_Entry]] = defaultdict(list)
    unread: dict[Hashable, list[_Entry]] = defaultdict(list)
    networks: dict[Hashable, list[_Entry]] = defaultdict(list)
    for number, click in enumerate(clicks):
        link = (click.at, number, click.link)
        if click.message is None:
            if click.network:
                program = (click.mailing, click.network, click.family)
                sources[program].append(link)
                networks[(*program, click.link)].append((click.at, number, number))
            continue
        sources[click.message, click.network].append(link)
        if not click.is_opened_here:
            messages[click.message].append(link)
        if not click.is_opened:
            unread[click.message].append(link)
            if click.network:
                networks[click.network].append((click.at, number, click.message))
    together = [*messages.values(), *sources.values()]
    in_burst = _most_different(together, BURST_SECONDS)
    in_minute = _most_different(together, MINUTE_SECONDS)
    slowly = _most_different(unread.values(), SLOW_SECONDS)
    of_network = _most_different(networks.values(), GATEWAY_SECONDS)
    return [
        Recent(
            is_every_link=in_burst.get(number, 0) >= BURST_LINKS
            or in_minute.get(number, 0) >= max(MINUTE_LINKS, MINUTE_SHARE * click.links)
            or slowly.get(number, 0) >= max(SLOW_LINKS, SLOW_SHARE * click.links),
            is_gateway=of_network.get(number, 0) >= GATEWAY_MESSAGES,
        )
        for number, click in enumerate(clicks)
    ]


_Entry = tuple[float, int, Hashable]  # When, the number of the click, and the value that is counted.


def _most_different(groups: Iterable[list[_Entry]], seconds: float) -> dict[int, int]:
    """Return for each number the most different values of one group within a span of time that contains it."""
    most: dict[int, int] = {}
    for group in groups:
        group.sort(key=lambda entry: entry[:2])
        counted: Counter[Hashable] = Counter()
        ends = iter(group)
        end = next(ends, None)
        different = []  # In the span that begins at each entry.
        for at, _number, value in group:
            while end is not None and end[0] - at <= seconds:
                counted[end[2]] += 1
                end = next(ends, None)
            different.append(len(counted))
            counted[value] -= 1
            if not counted[value]:
                del counted[value]
        here: dict[int, int] = {}
        best: deque[int] = deque()  # Beginnings whose span may be the best of a later entry; the best comes first.
        for place, (at, number, _value) in enumerate(group):
            while best and different[best[-1]] <= different[place]:
                best.pop()
            best.append(place)
            while at - group[best[0]][0] > seconds:
                best.popleft()
            here[number] = different[best[0]]
        # Entries of one instant belong to the same spans.
        for _at, same in itertools.groupby(group, key=lambda entry: entry[0]):
            numbers = [number for _, number, _ in same]
            top = max(here[number] for number in numbers)
            most.update({number: max(top, most.get(number, 0)) for number in numbers})
    return most
