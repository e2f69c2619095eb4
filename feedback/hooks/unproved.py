"""Posts that nothing proved: kept within limits, with their would-be proof, until the right key is entered.

Whoever knows the address of a webhook can have them stored, so they are few and small.
"""

import datetime as dt
from collections.abc import Iterator, Mapping

from django.db.models import QuerySet

from encryption.keys import SecretUnreadable, seal_bytes
from feedback.intake.store import content_of, take
from feedback.models import RawReport
from feedback.webhooks.adapter import Adapter, Post
from feedback.webhooks.frame import pack

MOST = 99  # Of one server; the oldest go.
MOST_BYTES = 256 * 1024


def keep(server_id: int, adapter: Adapter, post: Post, problem: str, now: dt.datetime) -> None:
    """Keep a post, unless it is too large; one that came before keeps its state."""
    names = (*adapter.kept_headers, *adapter.proof_headers)
    content = pack({name: post.headers[name] for name in names if name in post.headers}, post.body)
    if len(content) > MOST_BYTES:
        return
    taken = take(
        RawReport.Source.WEBHOOK,
        content,
        now=now,
        server_id=server_id,
        provider=adapter.key,
        problem=problem,
        identity=_proved_content(adapter, post.headers, post.body),
    )
    if taken.is_new:
        unproved = _of(server_id)
        unproved.filter(pk__in=list(unproved.order_by("-pk").values_list("pk", flat=True)[MOST : 2 * MOST])).delete()


def kept(server_id: int, adapter: Adapter) -> Iterator[tuple[RawReport, bytes]]:
    """Yield the posts of a server that wait unproved, the oldest first, and their content."""
    for raw in _of(server_id).filter(provider=adapter.key).order_by("pk"):
        try:
            yield raw, content_of(raw)
        except SecretUnreadable:
            continue


def release(raw: RawReport, adapter: Adapter, headers: Mapping[str, str], body: bytes) -> bool:
    """Have a post read, now that it is proved; False if it is not there any more."""
    content = _proved_content(adapter, headers, body)
    sealed = {"sealed": seal_bytes(content), "size_bytes": len(content)}
    waiting = {"state": RawReport.State.WAITING, "problem": "", **sealed}
    return bool(_of(raw.server_id).filter(pk=raw.pk).update(**waiting))


def forget(raw: RawReport) -> None:
    """Delete a post that was a handshake and is answered."""
    _of(raw.server_id).filter(pk=raw.pk).delete()


def _proved_content(adapter: Adapter, headers: Mapping[str, str], body: bytes) -> bytes:
    return pack({name: headers[name] for name in adapter.kept_headers if name in headers}, body)


def _of(server_id: int | None) -> QuerySet[RawReport]:
    return RawReport.objects.filter(server=server_id, state=RawReport.State.UNPROVED, source=RawReport.Source.WEBHOOK)
