"""The labelled traces of ``traces/``, read and judged."""

import ipaddress
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mail.visits.gateways import Networks, is_gateway_provider, shipped_networks
from mail.visits.judgement import VisitFacts, judge
from mail.visits.names import Kind, Visitor
from mail.visits.request import facts
from mail.visits.rules import MessageFacts

FOLDER = Path(__file__).with_name("traces")
NETWORKS = Networks(shipped_networks())


class Trace(NamedTuple):
    """Some mails, the requests for them, and who made each request."""

    kind: str
    title: str
    is_held_out: bool
    messages: dict[int, MessageFacts]
    visits: list[VisitFacts]
    labels: list[Visitor]


class Figures(NamedTuple):
    """How verdicts and labels agree."""

    traces: int
    requests: int
    people: int  # Requests by people …
    found: int  # … and those of them that are judged human.
    judged_human: int

    @property
    def precision(self) -> float:
        """Return which part of what is judged human was a person; 1 if nothing is."""
        return self.found / self.judged_human if self.judged_human else 1.0

    @property
    def recall(self) -> float:
        """Return which part of what people did is judged human; 1 if they did nothing."""
        return self.found / self.people if self.people else 1.0


def traces() -> list[Trace]:
    """Return all traces, file by file."""
    agents = _agents()
    return [trace for path in sorted(FOLDER.glob("*.txt")) if path.stem != "agents" for trace in _read(path, agents)]


def figures(chosen: list[Trace], *, is_anonymous: bool = False) -> Figures:
    """Judge traces, each by itself, and compare."""
    counts: Counter[str] = Counter()
    for trace in chosen:
        visits = [visit._replace(message=None) for visit in trace.visits] if is_anonymous else trace.visits
        for verdict, label in zip(judge(visits, trace.messages), trace.labels, strict=True):
            counts["requests"] += 1
            counts["people"] += label is Visitor.HUMAN
            counts["judged_human"] += verdict.visitor is Visitor.HUMAN
            counts["found"] += label is verdict.visitor is Visitor.HUMAN
    return Figures(len(chosen), counts["requests"], counts["people"], counts["found"], counts["judged_human"])


def _agents() -> dict[str, str]:
    lines = [line for line in (FOLDER / "agents.txt").read_text().split("\n") if not line.strip().startswith("#")]
    return {name: agent.strip() for name, agent in itertools.pairwise(lines) if name and name[0] != " "}


def _read(path: Path, agents: dict[str, str]) -> Iterator[Trace]:
    head, *blocks = path.read_text().split("\n# ")
    kind = head.split("\n")[0].removeprefix("kind: ")
    for place, block in enumerate(blocks):
        title, *lines = block.strip().split("\n")
        messages: dict[int, MessageFacts] = {}
        links: dict[int, int] = {}
        visits, labels = [], []
        for line in lines:
            if line.startswith("mail "):
                number, rest = line.removeprefix("mail ").split(": ")
                count, provider, domain, *accepted = rest.split(", ")
                at = float(accepted[0].removeprefix("accepted ")) if accepted else 0.0
                messages[int(number)] = MessageFacts(at, is_gateway_provider(provider, domain))
                links[int(number)] = int(count.removesuffix(" links"))
            else:
                visit, label = _visit(line.split(), agents, links)
                visits.append(visit)
                labels.append(label)
        yield Trace(kind, title, place % 2 == 1, messages, visits, labels)


def _visit(words: list[str], agents: dict[str, str], links: dict[int, int]) -> tuple[VisitFacts, Visitor]:
    at, message, kind, *words = words
    link = int(words.pop(0)) if kind == Kind.CLICK else None
    agent, address, label, *more = words
    added = dict(word.split("=", 1) for word in more if "=" in word)
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in added.items()}
    environ = {
        "REQUEST_METHOD": "HEAD" if "HEAD" in more else "GET",
        "HTTP_USER_AGENT": agents[agent],
        "QUERY_STRING": added.get("query", ""),
        **headers,
    }
    request = facts(Kind(kind), environ, added.get("suffix", ""), address in NETWORKS)
    network = str(ipaddress.ip_network(f"{address}/24", strict=False))
    number = int(message)
    return VisitFacts(float(at), network, 1, number, link, links[number], request), Visitor(label)
