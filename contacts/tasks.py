"""Celery tasks about people: imports, retyping of attributes, retention."""

import time

from celery import shared_task
from django.utils import timezone

from contacts.attributes import retype as attributes_retype
from contacts.privacy import retention
from contacts.transfer import import_contacts, uploads

# How long one task runs before it yields the worker's slot to short tasks.
SLICE_SECONDS = 5.0


@shared_task
def import_people(import_id: int) -> None:
    """Import a part of the file; enqueue the task again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    if import_contacts.import_people(import_id, timezone.now(), should_pause=lambda: time.monotonic() > ends):
        ring(import_id)


@shared_task
def sweep_imports() -> None:
    """Enqueue imports that no worker has claimed, and delete abandoned uploads."""
    for import_id in import_contacts.find_unclaimed():
        ring(import_id)
    uploads.remove_abandoned(timezone.now())


@shared_task
def retype(attribute_id: int, after: int = 0) -> None:
    """Convert existing values to the kind of their attribute; enqueue the task again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    following: int | None = after
    while following is not None:
        if time.monotonic() > ends:
            retype.apply_async(args=[attribute_id, following], retry=False)
            return
        following = attributes_retype.retype(attribute_id, following)


@shared_task
def apply_retention() -> None:
    """Apply the retention rules for a while; enqueue the task again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    _, is_done = retention.run(timezone.now(), should_pause=lambda: time.monotonic() > ends)
    if not is_done:
        apply_retention.apply_async(retry=False)  # No countdown: the worker that counts it down may have another clock.


def ring(import_id: int) -> None:
    """Enqueue the import. Only a hint: if it is lost, the sweep enqueues it again."""
    import_people.apply_async(args=[import_id], retry=False)
