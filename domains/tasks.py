"""The Celery tasks of domains: rounds of DNS and Postmaster Tools, keys, and the end of old reports.

Rows say what is due: no task can be lost.
"""

from celery import shared_task
from django.utils import timezone

from domains import rounds
from domains.keys import lifecycle
from domains.keys.dns_check import DnsCheck
from domains.postmaster import rounds as postmaster
from domains.reports import store

SECONDS = 120  # A task ends after the look during which this time is over.


@shared_task
def check_domains() -> None:
    """Find new domains, and look at those that are due."""
    began = timezone.now()
    rounds.discover(began)
    rounds.ask_about_upcoming(began)
    rounds.check_due(timezone.now, lambda: (timezone.now() - began).total_seconds() > SECONDS)


@shared_task
def ask_postmaster() -> None:
    """Read Gmail's figures with the accounts that are due."""
    began = timezone.now()
    postmaster.ask_due(timezone.now, lambda: (timezone.now() - began).total_seconds() > SECONDS)


@shared_task
def forget_reports() -> None:
    """Delete what reports and Postmaster Tools said more than thirteen months ago."""
    store.forget_old(timezone.now())


@shared_task
def keep_keys() -> None:
    """Check the DKIM keys that are due, and start, replace and delete those whose time has come."""
    began = timezone.now()
    lifecycle.keep(DnsCheck(), timezone.now, lambda: (timezone.now() - began).total_seconds() > SECONDS)
