"""The stored targets of a mailing's counted links through one server, which exist before a message leads to them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings

from delivery.models import Mailing, TrackedLink, TrackedMailing, TrackedTarget
from mail.links import levels, tracking
from mail.links.link_targets import Link, leads_unseen

# Tests, notices and what else only we read are never counted; a single message is if its sender asked for it.
COUNTED_STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.SINGLE)
TRIES = 5  # A new code that is taken already is drawn again; with a million targets one in a million is.

Codes = Mapping[tuple[str, int, str], str]  # Of targets, by part, position and address of a link.


@dataclass(frozen=True, slots=True)
class Targets:
    """What the composer needs to count a mailing through a server."""

    token: str  # The anonymous one, the same for everybody.
    codes: Codes


def is_counted(mailing: Mailing) -> bool:
    """Whether anything of the mailing may be counted."""
    return mailing.stream in COUNTED_STREAMS and levels.lowest([mailing.tracking]) != levels.OFF


def store(mailing_id: int, server_name: str, links: Iterable[Link]) -> Targets:
    """Return the targets of the links that are counted, new ones stored. Several workers may do so at a time.

    Outside of a transaction all rows are committed on return.
    """
    links = list(links)
    counted = [link for link in links if not link.why_not]
    group, _ = TrackedMailing.objects.get_or_create(mailing_id=mailing_id, server_name=server_name)
    ids = _stored_links(mailing_id, counted)
    # So that nobody is said to have clicked nothing who may have followed one of these.
    _stored_links(mailing_id, [link for link in links if leads_unseen(link)], is_counted=False)
    wanted = {(ids[link.part, link.position], _hash(link.url)): link for link in counted}
    codes = _stored_codes(mailing_id)
    for _ in range(TRIES):
        missing = [(key, link) for key, link in wanted.items() if key not in codes]
        if not missing:
            break
        # Whoever comes second meets the first one's rows, and reads their codes.
        TrackedTarget.objects.bulk_create(
            [
                TrackedTarget(link_id=link_id, url=link.url, url_hash=url_hash, code=tracking.new_code())
                for (link_id, url_hash), link in missing
            ],
            ignore_conflicts=True,
        )
        codes = _stored_codes(mailing_id)
    return Targets(
        tracking.token_of_group(group.pk, settings.TOKEN_KEYS),
        {(link.part, link.position, link.url): codes[key] for key, link in wanted.items() if key in codes},
    )


def _stored_links(mailing_id: int, links: Iterable[Link], *, is_counted: bool = True) -> dict[tuple[str, int], int]:
    known = _link_ids(mailing_id, is_counted)
    new = [link for link in links if (link.part, link.position) not in known]
    if not new:
        return known
    TrackedLink.objects.bulk_create(
        [
            TrackedLink(
                mailing_id=mailing_id, part=link.part, position=link.position, label=link.label, is_counted=is_counted
            )
            for link in new
        ],
        ignore_conflicts=True,
    )
    return _link_ids(mailing_id, is_counted)


def _link_ids(mailing_id: int, is_counted: bool) -> dict[tuple[str, int], int]:
    rows = TrackedLink.objects.filter(mailing=mailing_id, is_counted=is_counted)
    return {(part, position): pk for part, position, pk in rows.values_list("part", "position", "pk")}


def _stored_codes(mailing_id: int) -> dict[tuple[int, str], str]:
    rows = TrackedTarget.objects.filter(link__mailing=mailing_id).values_list("link", "url_hash", "code")
    return {(link, url_hash): code for link, url_hash, code in rows}


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
