"""Pages as the test client gets them, without two costs that each would pay again.

Every client loads the middleware anew, and WhiteNoise then looks at every static file. And every template a page
includes would keep a copy of its variables, a thousand on a large page, of which tests read the page's own.
"""

import threading

from django.template import Context, Template
from django.test.signals import template_rendered
from whitenoise.middleware import WhiteNoiseMiddleware

_files: dict[str, dict[str, object]] = {}
_find_files = WhiteNoiseMiddleware.add_files_from_finders


class _Depth(threading.local):
    value = 0


_depth = _Depth()


def add_files_found_once(middleware: WhiteNoiseMiddleware) -> None:
    """Give the middleware the static files that the first one of this process found."""
    prefix = middleware.static_prefix
    if prefix not in _files:
        _find_files(middleware)
        _files[prefix] = dict(middleware.files)
    middleware.files.update(_files[prefix])


def render_telling_of_outermost(template: Template, context: Context) -> str:
    """Render, and tell ``response.templates`` and ``response.context`` only of what no other template includes."""
    if _depth.value == 0:
        template_rendered.send(sender=template, template=template, context=context)
    _depth.value += 1
    try:
        return template.nodelist.render(context)
    finally:
        _depth.value -= 1
