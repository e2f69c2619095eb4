"""Merge fields: content written in Liquid, and its rendering with the values of one recipient.

A template can read the given values and nothing else: no objects, no files, no clock. The format of messages is not
known here.
"""

import datetime as dt
import difflib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast
from urllib.parse import quote

from liquid import BoundTemplate, Environment, RenderContext, Undefined
from liquid.ast import Node
from liquid.builtin.content import ContentNode
from liquid.builtin.expressions import FilteredExpression, Path, StringLiteral
from liquid.builtin.expressions.filtered import Filter
from liquid.builtin.expressions.logical import (
    BooleanExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import FalseLiteral, FloatLiteral, IntegerLiteral, TrueLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.comment_tag import CommentNode
from liquid.exceptions import (
    BlockNestingError,
    ContextDepthError,
    LiquidError,
    LiquidInterrupt,
    ResourceLimitError,
    StopRender,
)
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from markupsafe import Markup
from markupsafe import escape as escape_html

from mail import markup
from mail.budget import Budget, FillingTookTooLong, OverBudget, PaidOutput, PayingContext
from words.texts import text as _

Escape = Literal["html", "text", "header"]

MOST_SOURCE = 2_000_000  # Characters of one content; Gmail shows 102 KB of a message.
MOST_TAG = 2_000  # Characters between {{ and }}: the lexer's time grows with their square.
MOST_TAGS = 5_000  # In one content …
MOST_IN_TAGS = 200_000  # … and their total characters; they are parsed several times per message.
MOST_OUTPUT = 5_000_000  # Bytes of output of one rendering.
MOST_ITERATIONS = 5_000  # Iterations of loops, nested ones multiplied.
MOST_ASSIGNED = 500_000  # Bytes in assign and capture.

FILTERS = frozenset(
    {
        *("abs", "at_least", "at_most", "ceil", "divided_by", "floor", "minus", "modulo", "plus", "round", "times"),
        *("append", "capitalize", "downcase", "lstrip", "prepend", "rstrip", "slice", "squish", "strip", "upcase"),
        *("remove", "remove_first", "remove_last", "replace", "replace_first", "replace_last"),
        *("strip_newlines", "truncate", "truncatewords"),
        *("escape", "escape_once", "newline_to_br", "strip_html", "url_decode", "url_encode"),
        *("compact", "first", "join", "last", "reverse", "size", "split"),
        *("date", "default"),
    }
)
IN_LINK = "in_link"  # The filter that is added to tags inside a link's address.
FORBIDDEN_TAGS = ("include", "render", "liquid")  # The first two load files; the third bypasses MOST_TAG.
Filters = Mapping[str, Callable[..., Any]]
_PLAIN = {str}  # No subclass of str with a meaning of its own.
_NO_FILTERS: Filters = MappingProxyType({})


class MergeError(ValueError):
    """A merge field that cannot be parsed or rendered; ``str(error)`` says where, and what to do."""


class TooMuchWork(MergeError):
    """Merge fields that take too much work or time, possibly for one recipient only."""


class Unknown(str):
    """A placeholder for an unknown name ("Friend"): a default written in the tag wins over it."""

    __slots__ = ()


class Flag(str):
    """Yes or no: it renders as that word; in conditions it is true or false, and equals both forms."""

    __slots__ = ("is_set",)

    is_set: bool

    def __new__(cls, is_set: bool) -> "Flag":
        flag = super().__new__(cls, "yes" if is_set else "no")
        flag.is_set = is_set
        return flag

    def __eq__(self, other: object) -> bool:
        return other is self.is_set or str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Missing(str):
    """The value of an undefined name: it renders empty, and equals the empty text, ``blank`` and ``nil``."""

    __slots__ = ()

    def __new__(cls, *_about: object, **_where: object) -> "Missing":
        return super().__new__(cls)

    def __eq__(self, other: object) -> bool:
        return other is None or str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


class Template:
    """Content with merge fields, parsed once.

    ``constants`` are the texts around the places that differ by recipient: one more than there are places. ``fill``
    returns the texts of these places, so that the constants need encoding only once for a million recipients.
    """

    __slots__ = ("_bound", "_longest_tag", "_nodes", "_pieces", "constants", "fields", "names", "source")

    source: str
    constants: tuple[str, ...]
    fields: "tuple[MergeField, ...] | None"  # The places, if each is a plain field that needs no Liquid.
    names: frozenset[str]  # The names of the values it reads; of ``order.total`` only the first part.

    def __init__(self, source: str, filters: Filters) -> None:
        self.source = source
        as_text = _LiquidEnvironment(autoescape=False, filters=filters) if filters else _TEXT
        as_html = _LiquidEnvironment(autoescape=True, filters=filters) if filters else _HTML
        parsed, self.names = _parse(source, as_text)
        self._longest_tag = max((match.end() - match.start() for match in _TAG.finditer(source)), default=0)
        self._bound = {True: BoundTemplate(as_html, parsed.nodes), False: parsed}
        constants, self._nodes = _split(parsed.nodes)
        self.constants = tuple(constants)
        self._pieces = [""] * (2 * len(constants) - 1)
        self._pieces[::2] = constants
        fields = [_as_field(node) for node in self._nodes]
        self.fields = cast(tuple[MergeField, ...], tuple(fields)) if all(fields) else None

    def render(self, values: Mapping[str, Any], escape: Escape = "text", budget: Budget | None = None) -> str:
        """Return the content for one recipient.

        :param values: text by name; lists and mappings (of JSON types) for loops.
        :param escape: ``html`` escapes the values; ``text`` leaves them; ``header`` makes one line of everything.
        :param budget: the budget of the message, if the content is one part of it; None: a budget of its own.
        :raises TooMuchWork: if the budget is used up.
        :raises MergeError: if another limit is exceeded or a value does not fit its tag.
        """
        pieces = self._pieces.copy()
        pieces[1::2] = self.fill(values, escape, budget)
        rendered = "".join(pieces)
        return one_line(rendered) if escape == "header" else rendered

    def fill(self, values: Mapping[str, Any], escape: Escape = "text", budget: Budget | None = None) -> list[str]:
        """Return the texts for the places between the constants, in order."""
        is_html = escape == "html"
        if self.fields is None:
            return self._render_nodes(values, is_html, budget or Budget())
        filled = [field.fill(values, is_html) for field in self.fields]
        if sum(map(len, filled)) > MOST_OUTPUT:
            raise MergeError(TOO_LARGE)
        return filled

    def _render_nodes(self, values: Mapping[str, Any], is_html: bool, budget: Budget) -> list[str]:
        context = PayingContext(self._bound[is_html], _Values(values), budget, self._longest_tag)
        output = PaidOutput(budget)
        ends = []
        try:
            with context.extend({}):
                for node in self._nodes:
                    node.render(context, output)
                    ends.append(output.tell())
        except LiquidError as error:
            raise _explain(error, self.source) from error
        except (LiquidInterrupt, StopRender) as error:
            raise MergeError(
                _("A break or continue stands outside a loop; move it between {% for %} and {% endfor %}.")
            ) from error
        except (ArithmeticError, RecursionError, TypeError, ValueError) as error:
            # The library lets a few of these through, for example for a number that is too large.
            raise MergeError(_("A merge tag cannot use one of its values; correct the tag, or the value.")) from error
        rendered = output.getvalue()
        return [rendered[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def pay(budget: Budget, work: int) -> None:
    """Charge the budget for other work on a message.

    :raises TooMuchWork: if the budget is used up.
    """
    try:
        budget.spend(work)
    except (OverBudget, FillingTookTooLong) as error:
        raise _explain(error, "") from error


def parse(source: str, filters: Filters = _NO_FILTERS) -> Template:
    """Return ``source`` as a template.

    :param filters: additional filters for its tags; in HTML they may receive ``Markup``.
    :raises MergeError: if a tag cannot be parsed; the sentence names the line.
    """
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    if len(source) <= MOST_SOURCE and "{" in source:
        # Only the tags: to search a million ampersands takes a tenth of a second, and a preview parses 20 times.
        source = "".join(_mended(piece) if is_tag else piece for is_tag, piece in markup.pieces(source))
    return Template(source, filters)


def _mended(tag: str) -> str:
    """Return a tag with editors' replacements for spaces and quotation marks undone, except inside straight quotes."""
    if not _TYPED_BY_EDITORS.search(tag):
        return tag
    return _IN_TAG.sub(lambda found: found[0] if found["text"] else _TYPED[found[0].lower()], tag)


def one_line(text: str) -> str:
    """Return ``text`` with each run of line breaks and control characters as one space, and none at the ends."""
    return (text if text.isprintable() else _CONTROLS.sub(" ", text)).strip()


def inert(text: str) -> str:
    """Return text for a place inside a template, with a space between braces, so that it is no merge tag."""
    return re.sub(r"(?<=\{)(?=[{%])", " ", text)


def unknown_names(
    template: Template, known: Iterable[str], *, among: Collection[str] | None = None
) -> list[tuple[str, str]]:
    """Return each name in the template that is not ``known``, with the most similar known name or an empty text.

    :param among: only these names are looked at; None: all.
    """
    spellings = {_bare(name): name for name in known}
    asked = template.names if among is None else template.names.intersection(among)
    unknown = sorted(asked - set(spellings.values()))
    return [(name, _nearest(name, spellings)) for name in unknown]


def names_without_default(template: Template) -> frozenset[str]:
    """Return the names that leave a gap where a person has no value.

    Such a name is shown without a default, and no condition around it asks for it.
    """
    bound = template._bound[False]
    return template.names & set(_shown_bare(bound.nodes, RenderContext(bound), frozenset()))


def _shown_bare(nodes: Iterable[Node], context: RenderContext, asked: frozenset[str]) -> Iterator[str]:
    for node in nodes:
        expressions = list(node.expressions())
        if isinstance(node, OutputNode):
            yield from {name for each in expressions if (name := _bare_name(each)) not in asked}
        inside = asked.union(*map(_names_in, expressions))
        yield from _shown_bare(node.children(context, include_partials=False), context, inside)


def _bare_name(expression: Expression) -> str:
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return ""
    path = expression.left.path
    has_default = any(each.name == "default" for each in expression.filters or [])
    return path[0] if len(path) == 1 and isinstance(path[0], str) and not has_default else ""


def _names_in(expression: Expression) -> frozenset[str]:
    own = {str(expression.path[0])} if isinstance(expression, Path) else set()
    return frozenset(own.union(*map(_names_in, expression.children())))


def name_values(first: str, last: str, unknown_first: str = "", unknown_last: str = "") -> dict[str, str]:
    """Return ``first_name``, ``last_name`` and ``full_name``, with placeholders for blank names.

    The full name uses only real parts as soon as there is one: Lee alone is "Lee", not "Friend Lee".
    """
    first, last = first.strip(), last.strip()
    if first and last:
        return {"first_name": first, "last_name": last, "full_name": f"{first} {last}"}
    stand_in_first, stand_in_last = unknown_first.strip(), unknown_last.strip()
    return {
        "first_name": first or Unknown(stand_in_first),
        "last_name": last or Unknown(stand_in_last),
        "full_name": first or last or Unknown(" ".join(filter(None, [stand_in_first, stand_in_last]))),
    }


def name_columns(
    firsts: Iterable[str], lasts: Iterable[str], unknown_first: str = "", unknown_last: str = ""
) -> dict[str, list[str]]:
    """Return :func:`name_values` of many people, with a column for each field."""
    firsts, lasts = [first.strip() for first in firsts], [last.strip() for last in lasts]
    full = [f"{first} {last}" for first, last in zip(firsts, lasts, strict=True)]
    columns = {"first_name": firsts, "last_name": lasts, "full_name": full}
    if not (all(firsts) and all(lasts)):
        for place, (first, last) in enumerate(zip(firsts, lasts, strict=True)):
            if not (first and last):
                for name, value in name_values(first, last, unknown_first, unknown_last).items():
                    columns[name][place] = value
    return columns


# -- the parts of a template ------------------------------------------------------------------------------------


class MergeField(NamedTuple):
    """``{{ name }}`` or ``{{ name | default: "text" }}``, in a link or not, which can be filled without Liquid."""

    name: str
    default: str | None
    is_in_link: bool = False

    def fill(self, values: Mapping[str, Any], is_html: bool) -> str:
        if self.is_in_link:
            return _in_link(self._replace(is_in_link=False).fill(values, False))
        value = values.get(self.name)
        if type(value) is str:  # As nearly always.
            if self.default is not None and not value.strip():
                return self.default
        else:
            value = _admit(value)
            if self.default is not None and _default(value, None) is None:
                return self.default  # HTML stays HTML, as in Liquid: the author wrote it, not the recipient.
            value = to_liquid_string(value, autoescape=False)
        if "\r" in value:
            value = value.replace("\r\n", "\n").replace("\r", "\n")
        return str(escape_html(value)) if is_html else value

    def fill_together(self, values: Sequence[Any], *, is_in_html: bool = False) -> Sequence[str] | None:
        """Return the texts of many recipients, from a value of each, before they are escaped for HTML.

        :param values: None for an unknown name.
        :param is_in_html: whether the field occurs in HTML.
        :return: None if the texts in HTML are not these texts escaped.
        """
        if set(map(type, values)) == _PLAIN and (self.default is None or all(map(str.strip, values))):
            return values
        if is_in_html and self.default is not None and str(escape_html(self.default)) != self.default:
            return None
        return [str(self.fill({self.name: value}, False)) for value in values]


class _Condition(Expression):
    """A value alone in a condition: blank text is false, as marketers expect and Liquid does not do."""

    __slots__ = ("inner",)

    def __init__(self, inner: Expression) -> None:
        super().__init__(inner.token)
        self.inner = inner

    def __str__(self) -> str:
        return str(self.inner)

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        if isinstance(value, Flag):
            return value.is_set
        return None if isinstance(value, str) and not value.strip() else value

    def children(self) -> list[Expression]:
        return [self.inner]


class _Number(_Condition):
    """A value compared with a number: it is parsed as one, since values are text; if it is no number, it compares as
    false.
    """

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        value = self.inner.evaluate(context)
        if not isinstance(value, str):
            return value
        return float(value) if _DECIMAL(value.strip()) else None


class _Values(Mapping[str, Any]):
    """The values of one recipient for Liquid: JSON types only, and no objects with HTML of their own."""

    __slots__ = ("_admitted", "_values")

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._admitted: dict[str, Any] = {}  # Lists and mappings, which take time to convert.

    def __getitem__(self, name: str) -> Any:
        value = self._values[name]
        if type(value) is str:
            return value
        if name not in self._admitted:
            self._admitted[name] = _admit(value)
        if (value := self._admitted[name]) is None:
            raise KeyError(name)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        value = self._values.get(name)
        if type(value) is str:  # As nearly always.
            return value
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def _admit(value: object) -> Any:
    """Return a value of JSON types; anything else as text."""
    if value is None or type(value) in (str, Unknown, Flag, int, float, bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): _admit(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_admit(inner) for inner in value]
    return str.__str__(value) if isinstance(value, str) else str(value)


def _split(nodes: list[Node]) -> tuple[list[str], list[Node]]:
    """Return the constant texts around the nodes that differ by recipient, and these nodes."""
    constants, differing = [""], []
    for node in nodes:
        if isinstance(node, ContentNode):
            constants[-1] += node.text
        elif not isinstance(node, CommentNode):
            differing.append(node)
            constants.append("")
    return constants, differing


def _as_field(node: Node) -> MergeField | None:
    if not isinstance(node, OutputNode) or not isinstance(node.expression, FilteredExpression):
        return None
    path, filters = node.expression.left, node.expression.filters or []
    if not isinstance(path, Path) or len(path.path) != 1 or not isinstance(path.path[0], str):
        return None
    name = path.path[0]
    if filters and filters[-1].name == IN_LINK and not filters[-1].args:
        field = _with_filters(name, filters[:-1])
        return field and field._replace(is_in_link=True)
    return _with_filters(name, filters)


def _with_filters(name: str, filters: list[Filter]) -> MergeField | None:
    if not filters:
        return MergeField(name, None)
    if len(filters) == 1 and filters[0].name == "default" and len(filters[0].args) == 1:
        argument = filters[0].args[0]
        literal = argument.value
        if isinstance(literal, StringLiteral) and not getattr(argument, "name", None):
            return MergeField(name, str(literal.value))
    return None


def _parse(source: str, environment: Environment) -> tuple[BoundTemplate, frozenset[str]]:
    """Return the parsed source and the names of the values it reads."""
    _check_size(source)
    try:
        parsed = environment.from_string(source)
        used = parsed.analyze(include_partials=False)
    except LiquidError as error:
        raise _explain(error, source) from error
    except RecursionError as error:
        raise MergeError(_TOO_DEEP) from error
    for name, spans in used.filters.items():
        if name not in environment.filters:
            near = difflib.get_close_matches(name, FILTERS, n=1)
            advice = _("did you mean “%(name)s”?", name=near[0]) if near else _("remove it.")
            said = _("there is no filter named “%(name)s”; %(advice)s", name=name, advice=advice)
            raise _at_line(source, spans[0].index, said)
    _adapt_conditions(parsed.nodes, RenderContext(parsed))
    return parsed, frozenset(used.globals)


def _check_size(source: str) -> None:
    """Refuse sources that slow the lexer down: its patterns are fast only if every tag is closed and short."""
    if len(source) > MOST_SOURCE:
        raise MergeError(
            _(
                "The content has %(n)s characters, and at most %(most)s are taken; put large pictures on a web server"
                " instead of into the content.",
                n=f"{len(source):,}",
                most=f"{MOST_SOURCE:,}",
            )
        )
    for opening, closing, end_tag in (
        ("{{", "}}", "}}"),
        ("{%", "%}", "%}"),
        (_RAW, _END_RAW, "{% endraw %}"),
        (_DOC, _END_DOC, "{% enddoc %}"),
    ):
        start, end = _last(opening, source), _last(closing, source)
        if start > end:
            what = source[start : start + 20].partition("\n")[0]
            said = _("“%(what)s” is never closed; close it with %(end)s, or remove it.", what=what, end=end_tag)
            raise _at_line(source, start, said)
    letters = 0
    for number, match in enumerate(_TAG.finditer(source), start=1):
        letters += match.end() - match.start()
        if match.end() - match.start() > MOST_TAG:
            raise _at_line(source, match.start(), _("a merge tag is too long; shorten it."))
        if _GAP.search(match.group()):
            raise _at_line(source, match.start(), _("a merge tag is empty or full of spaces; remove them."))
        if number > MOST_TAGS or letters > MOST_IN_TAGS:
            said = _(
                "up to here the content has more merge tags than the %(tags)s that are taken, or more than %(letters)s"
                " characters in them; use a loop, or fewer tags.",
                tags=f"{MOST_TAGS:,}",
                letters=f"{MOST_IN_TAGS:,}",
            )
            raise _at_line(source, match.start(), said)


def _last(wanted: str | re.Pattern[str], source: str) -> int:
    if isinstance(wanted, str):
        return source.rfind(wanted)
    return max((match.start() for match in wanted.finditer(source)), default=-1)


def _adapt_conditions(nodes: Iterable[Node], context: RenderContext) -> None:
    """Change the conditions below ``nodes`` to what marketers expect."""
    for node in nodes:
        for expression in node.expressions():
            if isinstance(expression, BooleanExpression):
                _adapt_operands(expression)
        _adapt_conditions(node.children(context, include_partials=False), context)


def _adapt_operands(expression: Expression) -> None:
    """Wrap values that stand alone, and values compared with a number."""
    if isinstance(expression, BooleanExpression | LogicalAndExpression | LogicalOrExpression):
        for side in ("expression", "left", "right"):
            operand = getattr(expression, side, None)
            if isinstance(operand, Path):
                setattr(expression, side, _Condition(operand))
            elif isinstance(operand, Expression):
                _adapt_operands(operand)
    elif isinstance(expression, _COMPARISONS):
        if isinstance(expression.left, Path) and isinstance(expression.right, _NUMBERS):
            expression.left = _Number(expression.left)
        elif isinstance(expression.right, Path) and isinstance(expression.left, _NUMBERS):
            expression.right = _Number(expression.right)
        elif isinstance(expression.left, Path) and isinstance(expression.right, _TRUTHS):
            expression.left = _Condition(expression.left)


def _explain(error: LiquidError, source: str) -> MergeError:
    if isinstance(error, BlockNestingError | ContextDepthError):
        return MergeError(_TOO_DEEP)
    if isinstance(error, OverBudget | FillingTookTooLong):
        return TooMuchWork(_TOO_LATE if isinstance(error, FillingTookTooLong) else _TOO_MUCH_WORK)
    if isinstance(error, ResourceLimitError):
        return MergeError(TOO_LARGE)
    reason = str(error.message or type(error).__name__).rstrip(".")
    where = error.token.start_index if error.token is not None else -1
    if where < 0 and (opened := _never_ended(source)) is not None:
        name = opened.group("name")
        said = _("%(tag)s is never ended; add %(end)s.", tag=f"{{% {name} %}}", end=f"{{% end{name} %}}")
        return _at_line(source, opened.start(), said)
    tag = _tag_at(source, where) if where >= 0 else _broken_tag(source)
    if tag is None:
        said = _("The merge tags cannot be understood: %(reason)s. Correct them, or remove them.", reason=reason)
        return MergeError(said)
    shown = tag.group() if len(tag.group()) <= 60 else tag.group()[:59] + "…"
    said = _("“%(tag)s” does not work: %(reason)s. Correct it, or remove it.", tag=one_line(shown), reason=reason)
    return _at_line(source, tag.start(), said)


def _tag_at(source: str, position: int) -> re.Match[str] | None:
    return next((tag for tag in _TAG.finditer(source) if tag.start() <= position < tag.end()), None)


def _broken_tag(source: str) -> re.Match[str] | None:
    """Return the first tag that cannot be parsed on its own, for errors without a position."""
    for tag in _TAG.finditer(source):
        block = _BLOCK.match(tag.group())
        try:
            _TEXT.from_string(tag.group() + (f"{{% end{block['name']} %}}" if block and not block["end"] else ""))
        except LiquidError as error:
            if error.token is None or error.token.start_index < 0:
                return tag
    return None


def _never_ended(source: str) -> re.Match[str] | None:
    """Return the innermost block tag without its end."""
    opened: list[re.Match[str]] = []
    for match in _BLOCK.finditer(source):
        if not match.group("end"):
            opened.append(match)
        elif opened and opened[-1].group("name") == match.group("name"):
            opened.pop()
    return opened[-1] if opened else None


def _at_line(source: str, position: int, said: str) -> MergeError:
    line = source.count("\n", 0, max(position, 0)) + 1
    return MergeError(_("Line %(line)s: %(said)s", line=line, said=said))


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def _nearest(name: str, spellings: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(_bare(name), spellings, n=1, cutoff=0.7)
    return spellings[near[0]] if near else ""


# -- our filters ------------------------------------------------------------------------------------------------


def _default(value: object, default: object = "", *, allow_false: object = False) -> object:
    """Return ``default`` if there is no real value: nothing, white space, or a placeholder for a name."""
    if isinstance(value, Unknown) or value is None or (value is False and allow_false is not True):
        return default
    if isinstance(value, str) and not value.strip():
        return default
    if isinstance(value, list | dict) and not value:
        return default
    return value


def _date(value: object, pattern: object = "%Y-%m-%d") -> str:
    """Format an ISO date or instant; other text stays as it is. There is no "now": a template has no clock."""
    text = str(value).strip()
    try:
        return dt.datetime.fromisoformat(text).strftime(str(pattern)[:100])
    except ValueError:
        return text


def _in_link(value: object) -> str:
    """Return a value encoded for the part of a URL after the host, so that it cannot add or end a component."""
    text = to_liquid_string(value, autoescape=False)
    if isinstance(value, Markup):  # Text written in an HTML tag is part of an attribute.
        text = markup.decoded(text)
    return quote(text, safe="/", errors="replace")


def _strip_html(value: object) -> str:
    """Return the text outside of tags; the library's own filter takes minutes if a tag is never closed."""
    text = "" if value is None else str(value)
    stripped = markup.without_tags(text)
    return Markup(stripped) if isinstance(value, Markup) else stripped  # noqa: S704  # It was HTML before.


def _bounded(original: Callable[..., Any]) -> Callable[..., Any]:
    """Limit filters whose result can multiply the size of their input, before the memory is taken."""

    def bounded(value: Any, *arguments: Any, **options: Any) -> Any:
        length = len(value) if isinstance(value, list | tuple | str) else len(str(value))
        if length * max((len(str(argument)) for argument in arguments), default=0) > MOST_OUTPUT:
            raise ResourceLimitError("a filter's result is too large", token=None)
        return original(value, *arguments, **options)

    return bounded


class _LiquidEnvironment(Environment):
    loop_iteration_limit = MOST_ITERATIONS
    output_stream_limit = MOST_OUTPUT
    local_namespace_limit = MOST_ASSIGNED

    def __init__(self, *, autoescape: bool, filters: Filters = _NO_FILTERS) -> None:
        # A subclass of str instead of the library's Undefined, which does not equal ``blank``.
        super().__init__(autoescape=autoescape, undefined=cast(type[Undefined], Missing))
        for tag in FORBIDDEN_TAGS:
            del self.tags[tag]
        self.filters = {name: self._ready(name) for name in FILTERS}
        self.filters |= {"default": _default, "date": _date, "strip_html": _strip_html, IN_LINK: _in_link, **filters}

    def _ready(self, name: str) -> Callable[..., Any]:
        """Return one of the library's filters in its callable form: with value and arguments."""
        function = self.filters[name]
        if getattr(function, "with_environment", False):
            function = partial(function, environment=self)
        return _bounded(function) if name in ("replace", "join") else function


_TYPED = {
    **dict.fromkeys(("&nbsp;", "&#160;", "&#xa0;", "\u00a0", "\u202f", "\u2007"), " "),
    **dict.fromkeys(("\u200b", "\ufeff", "\u00ad", "&shy;", "&zwnj;"), ""),
    **dict.fromkeys(("&quot;", "&#34;", "&ldquo;", "&rdquo;", "“", "”", "„", "‟", "«", "»"), '"'),
    **dict.fromkeys(("&#39;", "&apos;", "&lsquo;", "&rsquo;", "‘", "’", "‚", "‛"), "'"),
    **{"&lt;": "<", "&gt;": ">", "&amp;": "&"},
}
_TYPED_BY_EDITORS = re.compile("|".join(map(re.escape, _TYPED)), re.IGNORECASE)
_IN_TAG = re.compile(f"(?P<text>\"[^\"]*\"|'[^']*')|{_TYPED_BY_EDITORS.pattern}", re.IGNORECASE)
TOO_LARGE = _("The content grows too large when its merge tags are filled; use fewer loops or shorter values.")
_TOO_MUCH_WORK = _(
    "Filling the merge tags takes too much work; use fewer loops inside each other, shorter texts, or fewer filters."
)
_TOO_LATE = _(
    "Filling the merge tags takes too long; use fewer loops inside each other, shorter texts, or fewer filters."
)
_TOO_DEEP = _("The merge tags are nested too deeply; use fewer conditions and loops inside each other.")
_DECIMAL = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII).fullmatch
_NUMBERS = (IntegerLiteral, FloatLiteral)
_TRUTHS = (TrueLiteral, FalseLiteral)
_COMPARISONS = (EqExpression, NeExpression, LtExpression, LeExpression, GtExpression, GeExpression)
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_GAP = re.compile(r"\A\{\{-?\s*-?\}\}|\s{100}")
_BLOCK = re.compile(r"\{%-?\s{0,9}(?P<end>end)?(?P<name>if|unless|for|case|capture|tablerow|comment|ifchanged)\b")
_RAW, _END_RAW = re.compile(r"\{%-?\s{0,9}raw\s{0,9}-?%\}"), re.compile(r"\{%-?\s{0,9}endraw\s{0,9}-?%\}")
_DOC, _END_DOC = re.compile(r"\{%-?\s{0,9}doc\s{0,9}-?%\}"), re.compile(r"\{%-?\s{0,9}enddoc\s{0,9}-?%\}")
_TEXT = _LiquidEnvironment(autoescape=False)
_HTML = _LiquidEnvironment(autoescape=True)
