"""What one request for a pixel or a link says about its visitor. No address, no user agent and no time is kept."""

from collections.abc import Mapping
from typing import NamedTuple

from mail.visits.agents import Manner, agent_of
from mail.visits.names import Family, Kind

_PREFETCH_HEADERS = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
_ADVANCE = ("prefetch", "preview", "prerender")
_PUNCTUATION = ".,;:!?)]}>*_"  # Programs that find links in plain text take the end of the sentence with them.


class RequestFacts(NamedTuple):
    """All that is kept of a request. ``json.dumps`` writes it as a list of 60 letters; ``facts_of_list`` reads it."""

    kind: Kind
    manner: Manner
    family: Family
    is_prefetch: bool  # HEAD, or a browser that says it loads in advance.
    is_probe: bool  # Something was added to a genuine link.
    is_gateway: bool  # The source address is in the list of gateway networks.


def facts(kind: Kind, wsgi: Mapping[str, object], suffix: str, is_gateway: bool) -> RequestFacts:
    """Read a request where it is answered.

    :param wsgi: of WSGI (PEP 3333): method, query and headers.
    :param suffix: what the path has behind the token and the link's code, or behind ``.gif``; mostly empty.
    :param is_gateway: whether the source address is in a list of :class:`mail.visits.gateways.Networks`.
    """
    manner, family = agent_of(str(wsgi.get("HTTP_USER_AGENT", "")))
    return RequestFacts(
        kind,
        manner,
        family,
        wsgi.get("REQUEST_METHOD") == "HEAD" or any(_is_in_advance(wsgi, name) for name in _PREFETCH_HEADERS),
        _is_probe(suffix, str(wsgi.get("QUERY_STRING", ""))),
        is_gateway,
    )


def facts_of_list(values: list[object]) -> RequestFacts:
    """Return the facts that ``json.dumps`` wrote.

    :raises ValueError: if a value is none of ours.
    """
    kind, manner, family = map(str, values[:3])
    is_prefetch, is_probe, is_gateway = (mark is True for mark in values[3:])
    return RequestFacts(Kind(kind), Manner(manner), Family(family), is_prefetch, is_probe, is_gateway)


def _is_in_advance(wsgi: Mapping[str, object], header: str) -> bool:
    value = str(wsgi.get(header, ""))[:100].lower()
    return any(word in value for word in _ADVANCE)


def _is_probe(suffix: str, query: str) -> bool:
    """Tell whether a link is tried with a quote or a longer path, as Safe Links was seen to do (gophish #973)."""
    added = query[:2_000].lower()
    return bool(suffix.strip(_PUNCTUATION)) or any(quote in added for quote in ("'", '"', "%27", "%22"))
