"""What a browser would send: the forms of a page as they were opened."""

from typing import Any

import lxml.html


def opened(page: bytes | str, form_id: str) -> dict[str, Any]:
    """Return the values of a form on the page, as a test client posts them; hidden ones included."""
    content = page.decode() if isinstance(page, bytes) else page
    (form,) = lxml.html.document_fromstring(content).xpath("//form[@id=$id]", id=form_id)
    found: dict[str, Any] = {}
    for name, value in form.form_values():
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}
