"""The project: settings, Celery, URLs, navigation and dashboard. Wiring only; no room imports it."""

from brilliance.celery import app as celery_app

__all__ = ["celery_app"]
