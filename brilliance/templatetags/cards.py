"""A row of an admin list as a card on a phone: its name, its state and one figure, or the figures that a page names."""

from collections.abc import Iterator
from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
PARTS = ("card-name", "card-state", "card-figure")


@register.simple_tag
def cells(change_list: ChangeList, row: Any) -> Iterator[SafeString]:
    """Yield the cells of the row, each with the class of its part of the card; others are hidden on small screens."""
    columns = list(change_list.list_display)
    named = getattr(change_list.model_admin, "card", ()) or [each for each in columns if each != "action_checkbox"][:3]
    shown = [each for each in named if each in columns]
    parts = {each: PARTS[min(place, 2)] for place, each in enumerate(shown)}
    parts["action_checkbox"] = "card-pick"
    for column, cell in zip(columns, row, strict=False):
        part = parts.get(column, "")
        yield mark_safe(cell.replace('class="', f'class="{part} ', 1)) if part else cell  # noqa: S308 - unfold's cell.
    yield from row[len(columns) :]
