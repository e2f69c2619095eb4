"""What takes long to find out is remembered for as long as it deserves, so that pages may ask every two seconds."""

import hashlib
import time
from collections.abc import Callable
from typing import TypeVar

from django.core.cache import cache

T = TypeVar("T")

QUICK_SECONDS = 0.05  # What takes no longer is asked anew each time.
SHARE = 20  # Finding out takes this part of one process's time at most.
LONGEST_SECONDS = 120.0


def remembered(key: str, find: Callable[[], T], *, quick_seconds: float = QUICK_SECONDS) -> T:
    """Return what ``find`` returns, or returned a while ago: twenty times as long as it took.

    :param key: what is asked, in full: two questions never share an answer.
    :param quick_seconds: what takes no longer is asked anew each time.
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
