"""Checks the words that people read: labels, help texts, the sentences of forms, templates and docs.

``python -m tests.lint_words`` prints each finding of the rooms that have more of them than they may. It reads the
source and starts nothing. CONTRIBUTING.md has the rules.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    *("accounts", "adminpages", "brilliance", "campaigns", "contacts", "delivery", "domains", "feedback"),
    *("encryption", "installation", "net", "oauth", "publicpages", "sandbox", "smtpservers"),
)
# Rooms that are not rewritten yet, and how many findings each may have at most. All others may have none.
NOT_YET: dict[str, int] = {}

NEVER = re.compile(
    r"\b(foresee\w*|mend(s|ed|ing)?|had enough|lately|rests|stands|who is|the rest|anew|vouch\w*|besides|becomes)\b",
    re.IGNORECASE,
)
OTHER_WORDS = re.compile(r"\bE-mail\b|(?<=\s)e-mail\b|\be-mail(?=\s)")  # The word is “email”; alone it is a value.
# Users log in and out. Mail servers are signed in to, so the templates of their rooms keep the word.
SIGNED = re.compile(r"\bsign(?:ed|s|ing)? (?:in|out)\b", re.IGNORECASE)
ABOUT_SERVERS = {"smtpservers", "delivery", "oauth", "sandbox"}
TELEGRAM = re.compile(r"\bEmpty: |\bNone ticked: ")
ODD_START = re.compile(r"(?:^|[.?!] )(Of|Whose) ")
LABEL_WORDS = 4
TRANSLATED_TAG = re.compile(r"""\{%\s*(?:translate|trans)\s+(["'])(?P<text>.*?)\1[^%]*%\}""", re.DOTALL)
TRANSLATORS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}


@dataclass(frozen=True, slots=True)
class Finding:
    room: str
    place: str  # The path and the line.
    what: str


def faults_of_text(text: str) -> Iterator[str]:
    """Yield what is wrong with any text."""
    for word in (*NEVER.finditer(text), *OTHER_WORDS.finditer(text)):
        yield f"says “{word[0]}”"


def faults_of_help(text: str) -> Iterator[str]:
    """Yield what is wrong with a help text."""
    yield from faults_of_text(text)
    if TELEGRAM.search(text):
        yield "has a telegram: write “Leave empty to …”"
    if ";" in text:
        yield "has a semicolon: write two sentences"
    if start := ODD_START.search(text):
        yield f"has a sentence that begins with “{start[1]}”"


def faults_of_label(text: str) -> Iterator[str]:
    """Yield what is wrong with a label."""
    yield from faults_of_text(text)
    if len(text.split()) > LABEL_WORDS:
        yield f"has more than {LABEL_WORDS} words: “{text}”"


def findings_of_module(source: str, is_form: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of each text in a module: labels and help texts, in forms all other texts too."""
    tree = ast.parse(source)
    seen: set[ast.expr] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for value, faults in _texts_of_call(node):
            seen.add(value)
            yield from ((value.lineno, fault) for fault in faults(_text(value)))
    if is_form:
        inside = {child for value in seen for child in ast.walk(value)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node not in inside | _docstrings(tree):
                yield from ((node.lineno, fault) for fault in faults_of_text(_text(node)))


def findings_of_template(source: str, is_about_servers: bool = False) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of each text in a template, whose comments and tags are left alone."""
    hidden = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|<!--.*?-->|<(script|style)\b.*?</\1>", re.DOTALL)
    text = TRANSLATED_TAG.sub(lambda tag: tag["text"], source)
    text = hidden.sub(lambda found: "\n" * found[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, fault) for fault in faults_of_text(line))
        if (found := SIGNED.search(line)) and not is_about_servers:
            yield number, f"says “{found[0]}”: users log in and out"


def findings_of_page(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the fault of each text in a page of the documentation, whose code is left alone."""
    hidden = re.compile(r"^    [^\n]*$|^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
    text = hidden.sub(lambda found: "\n" * found[0].count("\n"), source)
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, fault) for fault in faults_of_text(line))
        if TELEGRAM.search(line):
            yield number, "has a telegram: write “Leave empty to …”"


def findings() -> Iterator[Finding]:
    """Yield every finding of the product."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "migrations" not in path.parts:
                is_form = "forms" in path.relative_to(ROOT).with_suffix("").parts
                yield from _located(room, path, findings_of_module(path.read_text(), is_form))
    for path in sorted((ROOT / "templates").rglob("*.html")):
        room = _room_of_template(path)
        found = findings_of_template(path.read_text(), is_about_servers=room in ABOUT_SERVERS)
        yield from _located(room, path, found)
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        yield from _located("docs", path, findings_of_page(path.read_text()))


def broken(found: list[Finding], allowed: dict[str, int]) -> dict[str, int]:
    """Return the number of findings of each room that has more than it may."""
    numbers = Counter(finding.room for finding in found)
    return {room: number for room, number in numbers.items() if number > allowed.get(room, 0)}


def _texts_of_call(call: ast.Call) -> Iterator[tuple[ast.expr, type]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name.endswith("Field") and call.args and not name.startswith(("Foreign", "ManyToMany", "OneToOne")):
        yield call.args[0], faults_of_label
    for keyword in call.keywords:
        if keyword.arg in ("label", "verbose_name"):
            yield keyword.value, faults_of_label
        elif keyword.arg == "help_text":
            yield keyword.value, faults_of_help


def _text(value: ast.expr) -> str:
    """Return the text of a literal, also one to translate, with a word for each value that is filled in; else ""."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mod):  # _("… %(name)s …") % {"name": …}
        value = value.left
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") in TRANSLATORS:
        return re.sub(r"%\(\w+\)s", "x", "\n".join(_text(argument) for argument in value.args))
    if isinstance(value, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "x" for part in value.values)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def _docstrings(tree: ast.AST) -> set[ast.expr]:
    return {
        body[0].value
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list) and body and isinstance(body[0], ast.Expr)
    }


def _located(room: str, path: Path, found: Iterator[tuple[int, str]]) -> Iterator[Finding]:
    for line, fault in found:
        yield Finding(room, f"{path.relative_to(ROOT)}:{line}", fault)


def _room_of_template(path: Path) -> str:
    """Return the room of a template: the first folder that is one, else that of the pages around all others."""
    return next((part for part in path.relative_to(ROOT).parts if part in ROOMS), "brilliance")


def main() -> int:
    """Print the findings of the rooms that have too many, and return 1 if there is one."""
    found = list(findings())
    too_many = broken(found, NOT_YET)
    for finding in found:
        if finding.room in too_many:
            print(f"{finding.place}: {finding.what}")
    for room, number in too_many.items():
        print(f"{room}: {number} findings, and {NOT_YET.get(room, 0)} are allowed.")
    return 1 if too_many else 0


if __name__ == "__main__":
    sys.exit(main())
