#!/usr/bin/env python3
"""Run a management command of Brilliance: ``python manage.py help`` lists them."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # A setting is wrong; its sentence says which, a traceback would bury it.
        sys.exit(str(error))
