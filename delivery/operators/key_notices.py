"""Notices about DKIM keys: the records of the next pair, a record that is wrong, and a key that stopped signing."""

import datetime as dt
from collections.abc import Iterable
from itertools import groupby

from django.conf import settings
from django.urls import reverse
from django.utils import formats, translation

from delivery.models import Notice
from delivery.operators.notice_words import NoticeWords, words_for
from delivery.operators.notices import tell, watchers
from domains.keys.publication import of_key
from domains.models import DkimKey, SendingDomain
from installation.site import site

State = DkimKey.State


def notice(now: dt.datetime) -> int:
    """Queue notices of all events of keys that were not told yet, and return their number."""
    to = watchers()
    if not to:
        return 0
    words = words_for(site().language)
    return _next_pairs(words, to, now) + _wrong(words, to, now) + _stopped(words, to, now)


def _next_pairs(words: NoticeWords, to: list[str], now: dt.datetime) -> int:
    """Tell of pairs that replace another one, with their records: when they are made, and again when they are due."""
    waiting = DkimKey.objects.filter(state=State.MADE, good_since=None, starts_at__isnull=False)
    rows = waiting.select_related("domain").order_by("domain", "pair", "-algorithm")
    count = 0
    for (domain, pair), keys in groupby(rows, key=lambda key: (key.domain, key.pair)):
        listed = list(keys)
        starts_at = listed[0].starts_at
        assert starts_at is not None
        lines = [
            words.key_next.format(domain=domain, until=_day(starts_at)),
            *(str(record) for key in listed for record in (of_key(key).record, of_key(key).alias) if record),
        ]
        due = " due" if now >= starts_at else ""
        count += _tell(f"dkim next {domain.pk} {pair} {starts_at:%Y-%m-%d}{due}", domain, lines, words, to, now)
    return count


def _wrong(words: NoticeWords, to: list[str], now: dt.datetime) -> int:
    """Tell of signing keys whose record is wrong: once until it is right again."""
    count = 0
    signing = DkimKey.objects.filter(state=State.SIGNING, wrong_since__isnull=False).select_related("domain")
    for key in signing:
        line = words.key_wrong.format(name=key, reason=" ".join(key.sentence.split()))
        count += _tell(f"dkim wrong {key.pk} {key.wrong_since:%Y-%m-%dT%H:%M:%S}", key.domain, [line], words, to, now)
    return count


def _stopped(words: NoticeWords, to: list[str], now: dt.datetime) -> int:
    """Tell of keys that stopped signing because of their record."""
    count = 0
    for key in DkimKey.objects.filter(state=State.MADE, stopped_at__isnull=False).select_related("domain"):
        line = words.key_stopped.format(name=key)
        count += _tell(f"dkim stopped {key.pk} {key.stopped_at:%Y-%m-%dT%H:%M:%S}", key.domain, [line], words, to, now)
    return count


def _tell(
    key: str, domain: SendingDomain, lines: Iterable[str], words: NoticeWords, to: list[str], now: dt.datetime
) -> int:
    page = settings.BASE_URL + reverse("admin:domains_sendingdomain_change", args=[domain.pk])
    parts = [*lines, words.domain_page.format(url=page)]
    return tell(Notice.Kind.DOMAIN, key, words.domain_subject.format(domain=domain), parts, to, now)


def _day(instant: dt.datetime) -> str:
    with translation.override(site().language):
        return formats.date_format(instant.astimezone(site().time_zone), "DATE_FORMAT")
