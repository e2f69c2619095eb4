"""A request as it is kept: the headers that its events are read with, and the body as it came."""

import json
from collections.abc import Mapping


def pack(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return headers and body in one: a line of JSON, and the body behind it."""
    return json.dumps(dict(sorted(headers.items()))).encode() + b"\n" + body


def unpack(content: bytes) -> tuple[dict[str, str], bytes]:
    """Return the headers, with names in lower case, and the body.

    :raises ValueError: if :func:`pack` did not make ``content``.
    """
    line, found, body = content.partition(b"\n")
    headers = json.loads(line) if found else None
    if not isinstance(headers, dict):
        raise ValueError("The request was not kept in the form of webhooks.")
    return {str(name): str(value) for name, value in headers.items()}, body
