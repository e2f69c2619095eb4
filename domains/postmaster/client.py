"""The Postmaster Tools API, asked with an OAuth account: its one host, limited pages, bytes and time."""

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from domains.postmaster import answers
from domains.postmaster.answers import ERRORS, RATES, Listed, Metric, Problem, Share
from net.addresses import NotConnected
from oauth.api import call
from oauth.client.providers import POSTMASTER_HOST
from oauth.models import OAuthAccount
from oauth.tokens import NoToken

log = logging.getLogger(__name__)

BASE = f"https://{POSTMASTER_HOST}/v2"
MOST_BYTES = 512 * 1024  # Of one answer; 200 rows have less than 100 KB.
MOST_PAGES = 50  # Of one question: Google may put as few as it likes of 120 figures on one.

Clock = Callable[[], dt.datetime]


class NotRead(Exception):
    """There is no answer.

    :param replied: Google's own words, or ours if nobody answered; without secrets.
    """

    def __init__(self, problem: Problem, replied: str) -> None:
        super().__init__(f"{problem}: {replied}")
        self.problem = problem
        self.replied = replied


def list_domains(account: OAuthAccount, read_clock: Clock) -> list[Listed]:
    """Return the domains that the account's Google user sees.

    :raises NotRead:
    """
    found: list[Listed] = []
    for answer in _pages(
        account, lambda token: (f"{BASE}/domains?{urlencode(_page_of_list(token))}", None), read_clock
    ):
        found += answers.listed(answer)
    return found


def _page_of_list(token: str) -> dict[str, str | int]:
    return {"pageSize": answers.PAGE_ROWS, **({"pageToken": token} if token else {})}


def figures_of(account: OAuthAccount, domain: str, first: dt.date, last: dt.date, read_clock: Clock) -> list[Share]:
    """Return the figures of each day from the first to the last. Days that Google doesn't know are absent.

    The errors are a question of their own: if Google doesn't take it, the rates are there all the same.

    :param domain: an A-label.
    :raises NotRead:
    """
    found = _shares(account, domain, RATES, first, last, read_clock)
    try:
        found += _shares(account, domain, ERRORS, first, last, read_clock)
    except NotRead as error:
        if error.problem is not Problem.NOT_UNDERSTOOD:
            raise
        log.warning("Postmaster Tools took no question about delivery errors: %s", error.replied)
    return found


def _shares(
    account: OAuthAccount,
    domain: str,
    metrics: tuple[Metric, ...],
    first: dt.date,
    last: dt.date,
    read_clock: Clock,
) -> list[Share]:
    url = f"{BASE}/domains/{quote(domain, safe='')}/domainStats:query"
    found: list[Share] = []
    for answer in _pages(account, lambda token: (url, answers.query(metrics, first, last, token)), read_clock):
        found += answers.shares(answer, metrics, first, last)
    return found


def compliance_of(account: OAuthAccount, domain: str, read_clock: Clock) -> dict[str, bool]:
    """Return Google's requirements that it judged for a domain, and whether they are met.

    :raises NotRead:
    """
    url = f"{BASE}/domains/{quote(domain, safe='')}/complianceStatus"
    return answers.compliance(_ask(account, url, None, read_clock))


def _pages(
    account: OAuthAccount, question: Callable[[str], tuple[str, bytes | None]], read_clock: Clock
) -> Iterator[Mapping[str, Any]]:
    token = ""
    for _number in range(MOST_PAGES):
        answer = _ask(account, *question(token), read_clock)
        yield answer
        following = answers.next_page(answer)
        if not following or following == token:
            return
        token = following


def _ask(account: OAuthAccount, url: str, body: bytes | None, read_clock: Clock) -> Mapping[str, Any]:
    try:
        response = call(account, url, read_clock(), body=body, most=MOST_BYTES)
    except NoToken as error:
        problem = Problem.NO_TOKEN if error.needs_person else Problem.BUSY
        raise NotRead(problem, str(error)[: answers.MOST_REPLY]) from None
    except NotConnected as error:
        raise NotRead(Problem.BUSY, str(error)[: answers.MOST_REPLY]) from None
    if response.status != 200:
        raise NotRead(*answers.problem_of(response.status, response.body))
    answer = answers.read(response.body)
    if answer is None:
        raise NotRead(Problem.BUSY, "The answer can't be read.")
    return answer
