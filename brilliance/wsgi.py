"""The WSGI application for gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
application = get_wsgi_application()

# After Django is set up. Gunicorn ends for good at this code, instead of retrying forever.
from brilliance.schema import refuse  # noqa: E402

refuse(code=3)
