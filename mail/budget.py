"""What filling one message may cost: work counted in characters, and the context in which Liquid renders and pays.

Everything a template does passes through the context: each node, each value it reads, each filter, each text it
writes. So a tag or a filter that nobody thought of pays like all others. Nothing here looks at a clock: whoever has
one says when it is late.
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

MOST_WORK = 3_000_000  # For subject, HTML and text together: half a second where it is dearest.
LOOK_WORK = 50_000  # After so much, whether it is late is asked again.
NODE_WORK = 20  # Of a tag, beside what it reads and writes: it takes as long as reading so many characters.
SHORT_TAG = 60  # Letters; where a template has a longer tag, each node costs that much more.
FILTER_WORK = 30  # Of a call, beside the size of what goes in or comes out.
DEAR_FILTERS = {"strip_html": 2, "escape_once": 4}  # Which take so many times as long for each letter.
PIECE_WORK = 8  # Of one element in a list or a mapping.
DIGIT_BITS = 32  # Numbers are multiplied and written in parts of so many.


class OverBudget(ResourceLimitError):
    """Filling the message takes too much work."""


class FillingTookTooLong(ResourceLimitError):
    """Filling the message takes too much time."""


def _never() -> bool:
    return False


class Budget:
    """What is left of the work that one message may take."""

    __slots__ = ("_is_late", "left", "next_look")

    def __init__(self, is_late: Callable[[], bool] = _never) -> None:
        self.left = MOST_WORK
        self._is_late = is_late
        self.next_look = MOST_WORK - LOOK_WORK  # Whoever spends looks when less than this is left.

    def spend(self, work: int) -> None:
        """Pay for some work before it is done.

        :raises OverBudget: if there is not so much left.
        :raises Late: if the time is over.
        """
        self.left -= work
        if self.left < self.next_look:
            self.look()

    def look(self) -> None:
        """Learn whether work may go on, as :meth:`spend` does."""
        if self.left < 0:
            raise OverBudget("too much work", token=None)
        if self._is_late():
            raise FillingTookTooLong("too late", token=None)
        self.next_look = max(self.left - LOOK_WORK, 0)


def size(value: object) -> int:
    """Return what it costs to read a value once: its letters, its digits squared, and all of that inside it."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, int):  # To multiply or to write a long number takes the square of its length.
        return (value.bit_length() // DIGIT_BITS) ** 2 if value > 1_000_000_000 or value < 0 else 0
    if isinstance(value, list | tuple):
        return sum([PIECE_WORK + size(inner) for inner in value])
    if isinstance(value, Mapping):
        return sum([PIECE_WORK + size(key) + size(inner) for key, inner in value.items()])
    return PIECE_WORK * len(value) if isinstance(value, range) else 0


class PayingContext(RenderContext):
    """A context in which everything is paid for out of one budget.

    What is asked most is written so that, all in all, it costs no more time than the library's own.
    """

    __slots__ = ("_budget", "_held", "_held_work", "_node_work")

    def __init__(self, template: Any, values: Mapping[str, object], budget: Budget, longest_tag: int) -> None:
        """Begin with ``values``.

        :param longest_tag: letters of the template's longest tag; what a node reads without asking the context.
        """
        self._budget = budget
        self._held: dict[str, int] = {}  # Sizes of what is assigned or captured, by name …
        self._held_work = 0  # … and together.
        self._node_work = NODE_WORK + max(longest_tag - SHORT_TAG, 0)
        super().__init__(template, globals=values)
        self.scope = _Scope(self.locals, self.globals, self.counters)

    @property
    def disabled_tags(self) -> list[str]:
        """No tag is disabled. The library asks before it renders any node, and that is where the node is paid for."""
        budget = self._budget
        budget.left -= self._node_work
        if budget.left < budget.next_look:
            budget.look()
        return _NONE_DISABLED

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        assert not tags

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """Return the value of a path, paid for by its size."""
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
        """Return the filter of that name, which is paid for by what goes in, or comes out if that is more."""
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
        """Keep a value under a name; all of them together are limited."""
        work = PIECE_WORK + size(val)
        self._budget.spend(work)
        self._held_work += work - self._held.get(key, 0)
        self._held[key] = work
        self.locals[key] = val
        if self._held_work > (self.env.local_namespace_limit or 0):
            raise LocalNamespaceLimitError("too much is assigned", token=None)

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        """Return what a part is rendered into, such as what is captured."""
        return PaidOutput(self._budget)


class PaidOutput(StringIO):
    """Rendered text, paid for by its length, which therefore is limited."""

    def __init__(self, budget: Budget) -> None:
        super().__init__(newline=None)  # Line ends of values become those of the content.
        self._budget = budget

    def write(self, text: str, /) -> int:
        budget = self._budget
        budget.left -= len(text)
        if budget.left < budget.next_look:
            budget.look()
        return _write(self, text)


class _Scope(ReadOnlyChainMap):
    """Names and their values. There is no "now" among them: a template has no clock."""

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
_PLAIN = (dict, ForLoop, TableRow)  # Of which an element is asked for as it is written.
_write = StringIO.write
