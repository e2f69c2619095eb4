"""What gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
application = get_wsgi_application()

# After Django is set up. Gunicorn ends altogether at this code, instead of trying again for ever.
from brilliance.schema import refuse  # noqa: E402

refuse(code=3)
