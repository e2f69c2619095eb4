"""Delivery of late mail to our own listener for reports, some seconds after the mail that it answers.

What waits is kept in memory and ends with the process. No other machine is ever asked.
"""

import asyncio
import logging
import smtplib
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sandbox.late_mail import LateMail

log = logging.getLogger(__name__)

# The Test inbox listens on loopback only: it accepts all mail, and one listener asks for a password in clear text.
HOST = "127.0.0.1"
RETRY_SECONDS = (5.0, 20.0, 60.0)  # While the listener is away.
MOST_WAITING = 1_000
TIMEOUT_SECONDS = 5.0


class LateDelivery:
    """The late mail of one process. Mail beyond ``most`` is dropped."""

    def __init__(
        self,
        port: int,
        *,
        host: str = HOST,
        is_lmtp: bool = False,
        retries: Sequence[float] = RETRY_SECONDS,
        most: int = MOST_WAITING,
    ) -> None:
        self._host, self._port = host, port
        self._is_lmtp = is_lmtp
        self._retries = retries
        self._most = most
        self._waiting: set[asyncio.Task[None]] = set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sandbox-late")

    def schedule(self, mail: LateMail, seconds: float) -> None:
        """Deliver ``mail`` after this time."""
        if len(self._waiting) >= self._most:
            log.warning("A late mail was dropped, because %d others wait.", self._most)
            return
        task = asyncio.create_task(self._deliver(mail, (seconds, *self._retries)))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def close(self) -> None:
        """Forget what waits."""
        for task in self._waiting:
            task.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _deliver(self, mail: LateMail, waits: Sequence[float]) -> None:
        problem = ""
        for wait in waits:
            await asyncio.sleep(wait)
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._send, mail)
            except (OSError, smtplib.SMTPException) as error:
                problem = f"{type(error).__name__}: {error}"
                if _is_final(error):
                    break
            else:
                return
        log.warning("A late mail was dropped. The listener on port %d didn't take it: %s", self._port, problem)

    def _send(self, mail: LateMail) -> None:
        protocol = smtplib.LMTP if self._is_lmtp else smtplib.SMTP
        with protocol(self._host, self._port, local_hostname="localhost", timeout=TIMEOUT_SECONDS) as client:
            options = ["BODY=8BITMIME"]
            if not (mail.sender + mail.recipient).isascii():
                options.append("SMTPUTF8")
            client.sendmail(mail.sender, [mail.recipient], mail.content, options)


def near(host: str) -> str:
    """Return where a listener on ``host``, an address of this machine or all of them, takes connections."""
    return {"": HOST, "0.0.0.0": HOST, "::": "::1"}.get(host, host)  # noqa: S104  # Asked about, not listened on.


def is_listening(port: int, host: str = HOST) -> bool:
    """Tell whether a listener takes connections on this machine."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _is_final(error: Exception) -> bool:
    """Whether the listener refused for good (RFC 5321 section 4.2.1)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 500
