"""A cache for slow results, so that pages may ask for them every two seconds."""

import hashlib
import time
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

T = TypeVar("T")

QUICK_SECONDS = 0.05  # A result that takes no longer is not cached.
SHARE = 20  # A result is kept for this many times its duration, so computing it takes a 20th of the time at most.
LONGEST_SECONDS = 120.0  # The longest time that a result is kept.


def remembered(key: str, find: Callable[[], T], *, quick_seconds: float = QUICK_SECONDS) -> T:
    """Return the result of ``find``, or a cached one that is no older than twenty times its duration.

    :param key: identifies the result, with everything that it depends on.
    :param quick_seconds: a result that takes no longer is not cached.
    """
    name = f"remembered-{hashlib.sha256(key.encode()).hexdigest()}"
    known: tuple[T] | None = cache.get(name)
    if known is not None:
        return known[0]
    began = time.monotonic()
    found = find()
    took = time.monotonic() - began
    if took > quick_seconds:
        cache.set(name, (found,), min(took * SHARE, LONGEST_SECONDS))
    return found
