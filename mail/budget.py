"""The work limit for filling one message: work is counted in characters, and paid in the context of Liquid.

Everything a template does passes through the context: each node, each value it reads, each filter, each text it writes.
So every tag and filter pays, including unforeseen ones. Nothing here reads a clock: the caller says when the time is
over.
"""

from collections.abc import Callable, Mapping
from functools import partial
from io import StringIO
from typing import Any, TextIO

from liquid import RenderContext
from liquid.builtin.tags.for_tag import ForLoop
from liquid.builtin.tags.tablerow_tag import TableRow
from liquid.exceptions import LocalNamespaceLimitError, ResourceLimitError, UnknownFilterError
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap

MOST_WORK = 3_000_000  # For subject, HTML and text together: half a second in the worst case.
LOOK_WORK = 50_000  # Amount of work between two checks of the time.
NODE_WORK = 20  # Per tag, in addition to reads and writes: it takes as long as reading so many characters.
SHORT_TAG = 60  # Characters; a longer tag in the template makes each node that much more expensive.
FILTER_WORK = 30  # Per call, in addition to the size of input or output.
DEAR_FILTERS = {"strip_html": 2, "escape_once": 4}  # Factor on the cost per character.
PIECE_WORK = 8  # Per element of a list or a mapping.
DIGIT_BITS = 32  # Numbers are multiplied and written in chunks of this size.


class OverBudget(ResourceLimitError):
    """Filling the message takes too much work."""


class FillingTookTooLong(ResourceLimitError):
    """Filling the message takes too much time."""


def _never() -> bool:
    return False


class Budget:
    """The remaining work for one message."""

    __slots__ = ("_is_late", "left", "next_look")

    def __init__(self, is_late: Callable[[], bool] = _never) -> None:
        self.left = MOST_WORK
        self._is_late = is_late
        self.next_look = MOST_WORK - LOOK_WORK  # When less than this is left, a spender calls look().

    def spend(self, work: int) -> None:
        """Pay for some work before it is done.

        :raises OverBudget: if less than that is left.
        :raises FillingTookTooLong: if the time is over.
        """
        self.left -= work
        if self.left < self.next_look:
            self.look()

    def look(self) -> None:
        """Check whether work may go on; raises as :meth:`spend` does."""
        if self.left < 0:
            raise OverBudget("too much work", token=None)
        if self._is_late():
            raise FillingTookTooLong("too late", token=None)
        self.next_look = max(self.left - LOOK_WORK, 0)


def size(value: object) -> int:
    """Return the cost of reading a value once: its characters, the square of its digits, its elements in sum."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):  # Multiplying or writing a long number takes the square of its length.
        return (value.bit_length() // DIGIT_BITS) ** 2 if value > 1_000_000_000 or value < 0 else 0
    if isinstance(value, list | tuple):
        return sum([PIECE_WORK + size(inner) for inner in value])
    if isinstance(value, Mapping):
        return sum([PIECE_WORK + size(key) + size(inner) for key, inner in value.items()])
    return PIECE_WORK * len(value) if isinstance(value, range) else 0


class PayingContext(RenderContext):
    """A context that charges everything to one budget.

    The frequent operations are optimised: in total it takes no more time than the library's own context.
    """

    __slots__ = ("_budget", "_held", "_held_work", "_node_work")

    def __init__(self, template: Any, values: Mapping[str, object], budget: Budget, longest_tag: int) -> None:
        """Begin with ``values``.

        :param longest_tag: length of the template's longest tag: the text a node reads without asking the context.
        """
        self._budget = budget
        self._held: dict[str, int] = {}  # Sizes of assigned or captured values, by name …
        self._held_work = 0  # … and in total.
        self._node_work = NODE_WORK + max(longest_tag - SHORT_TAG, 0)
        super().__init__(template, globals=values)
        self.scope = _Scope(self.locals, self.globals, self.counters)

    @property
    def disabled_tags(self) -> list[str]:
        """No tag is disabled. The library reads this before it renders any node, so the node is paid here."""
        budget = self._budget
        budget.left -= self._node_work
        if budget.left < budget.next_look:
            budget.look()
        return _NONE_DISABLED

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        assert not tags

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """Return the value of a path, and charge its size."""
        value: Any = self.scope.get(path[0], _NOTHING) if len(path) <= 2 else _NOTHING  # type: ignore[arg-type]
        if len(path) == 2 and value is not _NOTHING:
            value = value.get(path[1], _NOTHING) if type(value) in _PLAIN else _NOTHING
        if value is _NOTHING:
            value = super().get(path, token=token, default=default)
        budget = self._budget
        budget.left -= len(path) + (len(value) if type(value) is str else size(value))
        if budget.left < budget.next_look:
            budget.look()
        return value

    def _resolve(self, name: str, *, token: Token | None, default: object = UNDEFINED) -> Any:
        value = super()._resolve(name, token=token, default=default)
        self._budget.spend(1 + size(value))
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        """Return the filter of that name; a call pays for the larger of its input and output."""
        function = self.env.filters.get(name)
        if function is None:
            raise UnknownFilterError(f"unknown filter '{name}'", token=token)
        return partial(self._filtered, function, DEAR_FILTERS.get(name, 1))

    def _filtered(
        self, function: Callable[..., object], price: int, value: object, *arguments: object, **options: object
    ) -> object:
        cost = FILTER_WORK + price * (len(value) if type(value) is str else size(value))
        if arguments:
            cost += size(arguments)
        if options:
            cost += size(options)
        budget = self._budget
        budget.left -= cost
        if budget.left < budget.next_look:
            budget.look()
        result = function(value, *arguments, **options)
        more = (len(result) if type(result) is str else size(result)) - cost
        if more > 0:
            budget.spend(more)
        return result

    def assign(self, key: str, val: Any) -> None:
        """Store a value under a name; the total size is limited."""
        work = PIECE_WORK + size(val)
        self._budget.spend(work)
        self._held_work += work - self._held.get(key, 0)
        self._held[key] = work
        self.locals[key] = val
        if self._held_work > (self.env.local_namespace_limit or 0):
            raise LocalNamespaceLimitError("too much is assigned", token=None)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Return the buffer into which a part is rendered, such as a capture."""
        return PaidOutput(self._budget)


class PaidOutput(StringIO):
    """Rendered text, paid by its length, which limits it."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(newline=None)  # Line ends in values become those of the content.
        self._budget = budget

    def write(self, text: str, /) -> int:
        budget = self._budget
        budget.left -= len(text)
        if budget.left < budget.next_look:
            budget.look()
        return _write(self, text)


class _Scope(ReadOnlyChainMap):
    """Names and their values, without "now": a template has no clock."""

    def __getitem__(self, key: str) -> object:
        value = self.get(key, _NOTHING)
        if value is _NOTHING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: object = None) -> object:
        for mapping in self._maps:
            if (value := mapping.get(key, _NOTHING)) is not _NOTHING:
                return value
        return default


_NOTHING = object()
_NONE_DISABLED: list[str] = []
_PLAIN = (dict, ForLoop, TableRow)  # Types whose elements are looked up directly.
_write = StringIO.write
