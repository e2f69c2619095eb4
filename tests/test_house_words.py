"""The words that people read keep the rules of CONTRIBUTING.md, in all rooms that are rewritten."""

import ast
import re

from tests.lint_words import (
    NOT_YET,
    ROOMS,
    ROOT,
    Finding,
    broken,
    faults_of_help,
    faults_of_label,
    findings,
    findings_of_module,
    findings_of_page,
    findings_of_template,
)


def test_no_room_has_more_findings_than_it_may() -> None:
    found = list(findings())
    too_many = broken(found, NOT_YET)

    assert [f"{each.place}: {each.what}" for each in found if each.room in too_many] == []


def test_a_help_text_is_plain() -> None:
    assert list(faults_of_help("Leave empty to use the site default.")) == []
    assert len(list(faults_of_help("Empty: the site's."))) == 1
    assert len(list(faults_of_help("Sent once; never again."))) == 1
    assert len(list(faults_of_help("Shown above. Of the whole site."))) == 1
    assert len(list(faults_of_help("It rests, and mends itself lately."))) == 3
    assert list(faults_of_help("Recommended for the restored copy.")) == []


def test_a_label_has_four_words_at_most() -> None:
    assert list(faults_of_label("Use email unsubscribe link")) == []
    assert len(list(faults_of_label("Leave out who unsubscribed lately"))) == 2


def test_labels_and_help_texts_are_found_wherever_they_stand() -> None:
    source = """
class Thing(models.Model):
    a = models.CharField("one two three four five", help_text=f"Empty: {x}.")
    b = models.ForeignKey(Other, verbose_name="one two three four five")
    c = forms.ChoiceField(choices=[("", "one two three four five")], label="short")
"""

    assert [line for line, _ in findings_of_module(source, is_form=False)] == [3, 3, 4]


def test_every_text_of_a_form_is_read_but_its_docstrings() -> None:
    source = '"""It rests."""\nerror = "It rests."\n\ndef f():\n    """It rests."""\n    return f"{x} rests."\n'

    assert [line for line, _ in findings_of_module(source, is_form=True)] == [2, 6]
    assert list(findings_of_module(source, is_form=False)) == []


def test_users_log_in_and_their_word_is_email() -> None:
    assert len(list(findings_of_template("<p>You've been signed out.</p>\n<p>E-mail</p>"))) == 2
    assert list(findings_of_template("<p>Signed in as ann</p>", is_about_servers=True)) == []
    assert list(findings_of_template("<p>Log in with your email address, or single sign-on.</p>")) == []


def test_a_template_is_read_without_its_tags() -> None:
    source = "{# rests #}\n<p>{% if rests %}Mail{% endif %}\n{{ rests }} rests</p>"

    assert [line for line, _ in findings_of_template(source)] == [3]


def test_a_page_of_the_docs_is_read_without_its_code() -> None:
    page = "It rests.\n\n    mended = lately\n\n`rests`\n```\nrests\n```\nEmpty: none."

    assert [line for line, _ in findings_of_page(page)] == [1, 9]


def test_a_text_to_translate_is_read_like_any_other() -> None:
    source = """
a = models.CharField(_("one two three four five"), help_text=gettext("Empty: %(x)s.") % {"x": 1})
b = _("It rests.")
"""
    template = "{% translate 'Mail rests' %}\n{% blocktranslate trimmed count n=n %}\nIt rests\n{% endblocktranslate %}"

    assert [line for line, _ in findings_of_module(source, is_form=True)] == [2, 2, 3]
    assert [line for line, _ in findings_of_template(template)] == [1, 3]


def test_a_room_may_have_so_many_and_no_more() -> None:
    found = [Finding("contacts", "a.py:1", "x"), Finding("contacts", "a.py:2", "x")]

    assert broken(found, {"contacts": 2}) == {}
    assert broken(found, {"contacts": 1}) == {"contacts": 2}
    assert broken(found, {}) == {"contacts": 2}


def test_no_style_or_script_finds_an_element_by_words_that_are_translated() -> None:
    by_words = re.compile(r"\[(data-label|aria-label|title|placeholder|alt)[~^$*|]?=")
    files = [path for kind in ("css", "js") for path in (ROOT / "static").rglob(f"*.{kind}")]

    found = [
        f"{path.name}:{n}"
        for path in files
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if by_words.search(line)
    ]

    assert len(files) > 10
    assert found == []


def test_no_function_that_translates_calls_something_else_by_the_same_name() -> None:
    """``host, _, port = …`` makes ``_`` a local name, and ``_("…")`` in the same function an error."""
    found = []
    for path in (path for room in (*ROOMS, "mail", "words") for path in (ROOT / room).rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            nodes = [node for statement in function.body for node in ast.walk(statement)]
            calls = any(isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_" for node in nodes)
            tuples = [node.targets[0] for node in nodes if isinstance(node, ast.Assign)]
            tuples += [node.target for node in nodes if isinstance(node, ast.For)]
            bound = any(
                getattr(each, "id", "") == "_"
                for names in tuples
                if isinstance(names, ast.Tuple)
                for each in names.elts
            )
            if calls and bound:
                found.append(f"{path.relative_to(ROOT)}:{function.lineno}")

    assert found == []
