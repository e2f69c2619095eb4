"""The event loop of a sending process: uvloop if it is installed (requirements-fast.txt), else that of Python."""

import asyncio
import importlib
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def fast_loop() -> LoopFactory | None:
    """Return what makes a loop of uvloop; None if it is not installed."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    make: LoopFactory = importlib.import_module("uvloop").new_event_loop
    return make


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, as :func:`asyncio.run` does."""
    with asyncio.Runner(loop_factory=fast_loop()) as runner:
        return runner.run(main)
