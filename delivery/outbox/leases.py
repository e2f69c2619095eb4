"""Leases of lanes: the right of one worker process to send through a server. They expire by the database's clock."""

import contextlib
import datetime as dt
import os
import random
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from db import dialect
from db.dialect import locking
from delivery import clock
from delivery.models import Lane

BROKEN_TOLD = dt.timedelta(minutes=2)  # How long a broken lane is shown. Each failed try starts this time anew.


def holder_name() -> str:
    """Return this host and process, as shown to people."""
    return f"{socket.gethostname()} process {os.getpid()}"


@dataclass(slots=True)
class Lease:
    """A lane held by this process until ``valid_until`` on the steady clock of :mod:`delivery.clock`.

    ``valid_until`` lies a margin before the end that the database knows.
    """

    lane_id: int
    token: uuid.UUID
    valid_until: float

    @property
    def is_valid(self) -> bool:
        return clock.steady() < self.valid_until


def _expiry(seconds: float) -> Combinable:
    return ExpressionWrapper(Now() + dt.timedelta(seconds=seconds), output_field=DateTimeField())


def _local_end() -> float:
    # Read before the database is asked, and with a margin: the local end must come first.
    return clock.steady() + float(settings.LEASE_SECONDS) * 0.8


def acquire(server_id: int) -> Lease | None:
    """Acquire the server's lane if it is free; None if another worker holds it.

    An expired lease is never taken over here: the recovery settles its attempts first, and then frees the lane.
    """
    lane, _ = Lane.objects.get_or_create(server_id=server_id, number=0)
    token, end = uuid.uuid4(), _local_end()
    taken = Lane.objects.filter(pk=lane.pk, holder="").update(
        token=token, holder=holder_name(), expires_at=_expiry(settings.LEASE_SECONDS)
    )
    return Lease(lane.pk, token, end) if taken else None


def acquire_extra(server_id: int, seconds: float) -> Lease:
    """Acquire an extra lane beside the server's regular one, for a single message that a person waits for."""
    end = clock.steady() + seconds
    expiry = _expiry(seconds * 1.25)
    while True:
        with contextlib.suppress(IntegrityError), transaction.atomic():
            lane = Lane.objects.create(
                server_id=server_id, number=random.randint(1, 32767), holder=holder_name(), expires_at=expiry
            )
            return Lease(lane.pk, lane.token, end)


def renew(leases: Sequence[Lease]) -> list[Lease]:
    """Renew the leases that are ours and have not expired, and return the lost ones."""
    end = _local_end()
    ours = Lane.objects.filter(token__in=[lease.token for lease in leases], expires_at__gt=Now())
    lost: list[Lease] = []
    if ours.update(expires_at=_expiry(settings.LEASE_SECONDS)) < len(leases):
        tokens = set(ours.values_list("token", flat=True))
        lost = [lease for lease in leases if lease.token not in tokens]
    for lease in leases:
        if lease not in lost:
            lease.valid_until = end
    return lost


def release(lease: Lease) -> None:
    """Free the lane for the next worker; an extra lane is deleted."""
    Lane.objects.filter(pk=lease.lane_id, token=lease.token, number__gt=0).delete()
    Lane.objects.filter(pk=lease.lane_id, token=lease.token).update(
        holder="", expires_at=None, token=uuid.uuid4(), problem="", broke_at=None
    )


def broke_off(server_id: int, cause: BaseException, now: dt.datetime) -> None:
    """Store why the work on a server's lane broke off, for people."""
    where = f" ({cause.filename})" if isinstance(cause, OSError) and cause.filename else ""
    why = cause.strerror if isinstance(cause, OSError) and cause.strerror else type(cause).__name__
    problem = f"on {socket.gethostname()}: {why}{where}"
    Lane.objects.filter(server=server_id, number=0).update(problem=problem[:300], broke_at=now)


def broken(now: dt.datetime) -> list[Lane]:
    """Return the lanes whose work broke off recently and has not ended well since."""
    lately = Lane.objects.filter(number=0, broke_at__gt=now - BROKEN_TOLD, broke_at__lte=now + BROKEN_TOLD)
    return list(lately.exclude(problem="").select_related("server").order_by("server__name"))


def holds(token: uuid.UUID) -> bool:
    """Whether ``token`` still holds a lane. Until the transaction ends, nobody takes the lane away.

    Claims and records of one holder don't wait for each other, and its lease is renewed in the meantime.
    The server cannot be deleted until then either, since a deletion locks the server first.
    """
    with connection.cursor() as cursor:
        # Hand-written for speed: every claim and every group of results asks this.
        cursor.execute(
            "SELECT 1 FROM delivery_lane l JOIN smtpservers_smtpserver s ON s.id = l.server_id"  # noqa: S608
            f" WHERE l.token = %s AND l.expires_at > {dialect.clock()} {locking('FOR KEY SHARE OF s, l')}",
            [Lane._meta.get_field("token").get_db_prep_value(token, connection)],
        )
        return cursor.fetchone() is not None


def free_expired() -> int:
    """Free all lanes with an expired lease, and return their number. Their old tokens record nothing any more."""
    freed = 0
    for lane in Lane.objects.filter(~Q(holder=""), expires_at__lte=Now()):
        expired = Lane.objects.filter(pk=lane.pk, token=lane.token, expires_at__lte=Now())
        if lane.number:
            freed += expired.delete()[0]
        else:
            freed += expired.update(holder="", expires_at=None, token=uuid.uuid4())
    return freed


def busy_servers() -> set[int]:
    """Return the servers whose lane is held by a worker."""
    return set(Lane.objects.filter(number=0).exclude(holder="").values_list("server_id", flat=True))
