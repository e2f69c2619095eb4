"""A row of an admin list as a card on a phone: its name, its state and one figure, or the figures that a page names."""

import re
from collections.abc import Iterator
from typing import Any

from django import template
from django.contrib.admin.views.main import ChangeList
from django.utils.safestring import SafeString, mark_safe

register = template.Library()
PARTS = ("card-name", "card-state", "card-figure")
_LABEL = re.compile(r'(?<= data-label=")[^"]')


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
        if not part:
            yield cell
            continue
        shown_cell = _LABEL.sub(lambda first: first[0].upper(), cell.replace('class="', f'class="{part} ', 1), 1)
        yield mark_safe(shown_cell)  # noqa: S308 - unfold's cell.
    yield from row[len(columns) :]
