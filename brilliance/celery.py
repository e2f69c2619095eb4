"""Celery's hands: queues, beat and the embedded broker. The database holds the work; a task is only a hint."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

app = Celery("brilliance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
