"""One click on somebody's unsubscribe page (RFC 8058), over a guarded connection."""

import re
import ssl
from dataclasses import dataclass

from net.addresses import ANY_PORT, NotConnected, Resolve
from net.fetch import FORM, Response, request

# Each byte is looked at once: the page may be made to last.
_PASSWORD_FIELD = re.compile(rb"<input\b[^<>]*\btype\s*=\s*[\"']?password\b", re.IGNORECASE)
_HEADERS = {"User-Agent": "Brilliance (one click)", "Content-Type": FORM}


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """The answer of a page to a click."""

    sentence: str  # Names the host, and nothing of the page's own words or of the URL.
    is_taken: bool


async def click(url: str, *, context: ssl.SSLContext, seconds: float, resolve: Resolve | None = None) -> PageAnswer:
    """Click once and return the answer. It is taken if it is a 2xx response that has no password field.

    :param seconds: the most that the whole click may take.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    """
    try:
        response = await request(
            url,
            method="POST",
            body=b"List-Unsubscribe=One-Click",
            headers=_HEADERS,
            seconds=seconds,
            context=context,
            ports=ANY_PORT,
            resolve=resolve,
        )
    except NotConnected as error:
        return PageAnswer(str(error), False)
    return _judge(response)


def _judge(response: Response) -> PageAnswer:
    host, status = response.host, response.status
    if 300 <= status < 400:
        return PageAnswer(f"{host} answered with a redirect ({status}), which one click does not follow.", False)
    if status >= 400:
        return PageAnswer(f"{host} answered {status} to a click; it must answer 2xx without a sign-in.", False)
    if _PASSWORD_FIELD.search(response.body):
        return PageAnswer(f"{host} answered with a page that asks for a password.", False)
    return PageAnswer(f"{host} answered {status}.", True)
