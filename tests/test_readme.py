"""What README and docs say of settings, statuses, rooms and pictures is so, and the index leads to every page."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from delivery.models import Message

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
SETTINGS = (DOCS / "settings.md").read_text()
# What the expressions of defaults are made of, as a newcomer has it.
NEWCOMER = {"BASE_DIR": Path(), "DATA_DIR": Path("var"), "PORT": 8000, "IS_LOOPBACK": True, "str": str}
# For the containers beside ours.
COMPOSE_ONLY = {"POSTGRES_PASSWORD", "MIGRATION_PASSWORD", "DATABASE_PASSWORD", "REDIS_PASSWORD"}


def read_settings() -> dict[str, str]:
    """Return each variable that the settings read, and its default in the words of the docs."""
    found = {}
    for call in ast.walk(ast.parse((ROOT / "brilliance" / "settings.py").read_text())):
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="env")), args=[ast.Constant(value=name)]):
                default = next(keyword.value for keyword in call.keywords if keyword.arg == "default")
                value = eval(compile(ast.Expression(default), "settings", "eval"), dict(NEWCOMER))  # noqa: S307
                found[str(name)] = in_words(value)
    return found


def in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "`on`" if value else "`off`"
    return f"`{value}`" if value or value == 0 else "empty"


def table(page: str) -> list[list[str]]:
    """Return the cells of the first table of a page, without its head."""
    lines = re.search(r"(?:^\|.*\n)+", page, re.MULTILINE)[0].splitlines()[2:]  # type: ignore[index]  # It has one.
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_of_settings_names_every_variable_with_its_default() -> None:
    told = {name.strip("`"): default for name, default, _, _ in table(SETTINGS)}

    assert told == read_settings()
    assert all(unit and meaning.endswith((".", ")")) for _, _, unit, meaning in table(SETTINGS))


def test_no_variable_is_read_outside_the_settings() -> None:
    reads = re.compile(r"environ\[|environ\.get|getenv|env\.\w+\(\s*\"")
    readers = [
        path.relative_to(ROOT)
        for room in import_contract()
        for path in (ROOT / room).rglob("*.py")
        if path != ROOT / "brilliance" / "settings.py" and reads.search(path.read_text())
    ]

    assert readers == []


@pytest.mark.parametrize("name", [".env.example", "Dockerfile", "docker-compose.yml"])
def test_files_for_containers_set_only_what_the_table_names(name: str) -> None:
    patterns = {
        ".env.example": r"^(\w+)=",
        "Dockerfile": r"\b([A-Z_]+)=",
        "docker-compose.yml": r"\$\{(\w+)",
    }
    of_python = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}

    named = set(re.findall(patterns[name], (ROOT / name).read_text(), re.MULTILINE))

    assert named - COMPOSE_ONLY - of_python <= set(read_settings())
    assert named


def test_every_status_is_explained_and_no_other() -> None:
    assert [row[0] for row in table((DOCS / "outcomes.md").read_text())] == list(Message.Status.values)


def test_the_drawing_names_the_rooms_in_the_order_of_the_contract() -> None:
    drawing = (ROOT / "CONTRIBUTING.md").read_text().partition("\n## The rooms\n")[2].partition("\n## ")[0]
    layers = [[room.strip() for room in layer.split("|")] for layer in import_contract(as_layers=True)]

    lines = [line for line in drawing.splitlines() if line.startswith("    ") and "│" not in line]

    assert len(lines) == len(layers)
    for line, rooms in zip(lines, layers, strict=True):
        assert line.split()[: len(rooms)] == rooms


def test_every_picture_is_there_and_small_and_used() -> None:
    picture = re.compile(r"!\[[^\]]+\]\(([^)]+)\)")
    shown = set(picture.findall(README))
    for page in DOCS.glob("*.md"):
        shown |= {f"docs/{name}" for name in picture.findall(page.read_text())}
    kept = {str(path.relative_to(ROOT)) for path in (DOCS / "pictures").iterdir()}

    assert shown == kept
    assert all((ROOT / name).stat().st_size <= 300_000 for name in kept)


def test_the_index_leads_to_every_page_and_the_readme_to_the_index() -> None:
    leads_to = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text()))

    assert leads_to == {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert "(docs/README.md)" in README


def test_every_link_between_the_pages_leads_to_a_heading_of_a_file() -> None:
    link = re.compile(r"(?<!!)\[[^\]]+\]\(([^):#]*)(?:#([^)]+))?\)")
    pages = [*ROOT.glob("*.md"), *DOCS.glob("*.md")]
    broken = []
    for page in pages:
        for name, heading in link.findall(page.read_text()):
            target = page.parent / name if name else page
            if not target.exists() or (heading and heading not in anchors(target.read_text())):
                broken.append(f"{page.relative_to(ROOT)}: {name}#{heading}")

    assert broken == []
    assert "SECURITY.md" in [page.name for page in pages]


def anchors(page: str) -> set[str]:
    """Return what the headings of a Markdown page are called in links."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def import_contract(as_layers: bool = False) -> list[str]:
    """Return the rooms, or the layers of the house, as import-linter keeps them."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return list(contract["contracts"][0]["layers"] if as_layers else contract["root_packages"])
