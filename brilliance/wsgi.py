"""The WSGI application for gunicorn: opens and clicks are answered in front of Django, and everything else by it."""

import atexit
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
django = get_wsgi_application()

# After Django is set up. Gunicorn ends for good at this code, instead of retrying forever.
from brilliance.schema import refuse  # noqa: E402
from feedback.visits.edge import Edge  # noqa: E402
from publicpages.views.links import busy_page  # noqa: E402

refuse(code=3)
application = Edge(django, busy_page)
application.start()
atexit.register(application.end)  # So that no thread is cut off within a query.
