"""The SMTP side of the sandbox: three listeners on loopback that accept mail for anybody and deliver none.

Some recipients answer by mail to our own listener for reports, which also gets the mail that our tags say is for it.
"""

import asyncio
import errno
import hmac
import logging
import ssl
import weakref
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException
from django.conf import settings
from django.utils import timezone

from mail import verp
from sandbox import certificates, credentials, late_mail
from sandbox.late_delivery import HOST, LateDelivery
from sandbox.late_mail import LateMail
from sandbox.mail_view import clean, summary
from sandbox.models import AUTH, PLAIN, STARTTLS, SandboxMail
from sandbox.specials import LATE_SECONDS, SLOW_SECONDS, Special, special
from sandbox.store import Store
from sandbox.visitors import visit_by

log = logging.getLogger(__name__)

MAX_BYTES = 10 * 1024 * 1024
MAX_RECIPIENTS = 100


class PortTaken(Exception):
    def __init__(self, listener: str, port: int) -> None:
        super().__init__(f"Port {port} is used by another program.")
        self.listener = listener


@dataclass
class ListenerHandler:
    """aiosmtpd's handler of one listener: answers commands and passes mail to the store."""

    listener: str
    store: Store
    late: LateDelivery
    greylisted: set[str]  # Recipients refused once; shared by the listeners.

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        # aiosmtpd offers AUTH even if every mechanism is excluded.
        offered = [line for line in responses if self.listener == AUTH or not line.startswith("250-AUTH")]
        return [offered[0], "250-PIPELINING", *offered[1:]]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.listener == AUTH and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= MAX_RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        kind = None if _has_our_tag(address) else special(address)  # Return paths often begin with "bounce".
        if kind == Special.BOUNCE:
            return "550 5.1.1 No such user here"
        if kind == Special.FULL:
            return "452 4.2.2 Mailbox full"
        if kind == Special.GREYLIST and address not in self.greylisted:
            self.greylisted.add(address)
            return "451 4.7.1 Greylisted, please try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        mails = self._mails(session, envelope)
        if not await self.store.save(mails):
            return "451 4.3.0 The mail could not be stored, please try again later"
        for mail in mails:
            self._answer_later(mail.mail_from, mail.rcpt_to, envelope.original_content or b"")
        kinds = {special(address) for address in envelope.rcpt_tos}
        if Special.SLOW in kinds:
            await asyncio.sleep(SLOW_SECONDS)
        if Special.DROP in kinds:
            assert server.transport is not None
            server.transport.abort()  # type: ignore[attr-defined]  # typed as the base of all transports
            await asyncio.get_running_loop().create_future()  # The lost connection ends this.
        return "250 2.0.0 Received"

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, TLSSetupException):
            log.info("A client gave up the TLS handshake: %s", error.__cause__)
        else:
            log.error("The sandbox could not handle a command", exc_info=error)
        return "451 4.3.0 The sandbox could not handle this command"

    def _answer_later(self, sender: str, recipient: str, content: bytes) -> None:
        if _has_our_tag(recipient):  # As the probe of a return path.
            self.late.schedule(LateMail(sender, recipient, content), 0)
        elif answer := late_mail.answer(recipient, sender, content, timezone.now()):
            self.late.schedule(answer, LATE_SECONDS)
        else:
            visit_by(special(recipient), recipient, content)

    def _mails(self, session: Session, envelope: Envelope) -> list[SandboxMail]:
        content = envelope.original_content or b""
        subject, message_id = summary(content)
        return [
            SandboxMail(
                listener=self.listener,
                mail_from="" if envelope.mail_from == "<>" else clean(envelope.mail_from or "", 320),
                rcpt_to=clean(recipient, 320),
                subject=subject,
                message_id=message_id,
                tls=_tls(session),
                signed_in_as=clean(session.auth_data or "", 255),
                content=content,
            )
            for recipient in envelope.rcpt_tos
        ]


def _has_our_tag(address: str) -> bool:
    return verp.is_unsubscribe_address(address) or verp.tag_of(address, settings.TOKEN_KEYS) is not None


def _tls(session: Session) -> str:
    if not session.ssl:
        return ""
    channel: ssl.SSLObject = session.ssl["ssl_object"]
    cipher = channel.cipher()
    return f"{channel.version()} {cipher[0] if cipher else ''}".strip()


@asynccontextmanager
async def receiving(
    data_dir: Path, ports: Mapping[str, int], store: Store, late: LateDelivery
) -> AsyncIterator[dict[str, int]]:
    """Receive mail while the block runs; yields the port of each listener (0 requests any free port).

    ``store`` and ``late`` are closed at the end.

    :raises PortTaken: if another program listens on one of ``ports``.
    :raises OSError: if ``data_dir`` cannot be written.
    """
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificates.ensure(data_dir).chain)
    password = credentials.password(data_dir)
    options: dict[str, dict[str, Any]] = {
        PLAIN: {"auth_exclude_mechanism": ["LOGIN", "PLAIN"]},
        STARTTLS: {"tls_context": tls, "require_starttls": True, "auth_exclude_mechanism": ["LOGIN", "PLAIN"]},
        AUTH: {"auth_require_tls": False, "authenticator": _authenticator(password)},
    }
    greylisted: set[str] = set()
    connections: weakref.WeakSet[SMTP] = weakref.WeakSet()
    servers: dict[str, asyncio.Server] = {}

    def listener_factory(listener: str) -> Any:
        def connect() -> SMTP:
            connection = SMTP(
                ListenerHandler(listener, store, late, greylisted),
                hostname="localhost",
                ident="Brilliance sandbox",
                data_size_limit=MAX_BYTES,
                enable_SMTPUTF8=True,
                loop=asyncio.get_running_loop(),
                **options[listener],
            )
            connections.add(connection)
            return connection

        return connect

    try:
        for listener, port in ports.items():
            try:
                servers[listener] = await asyncio.get_running_loop().create_server(
                    listener_factory(listener), HOST, port
                )
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise PortTaken(listener, port) from None
                raise
        yield {listener: server.sockets[0].getsockname()[1] for listener, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()
        late.close()
        await store.close()
        for connection in connections:
            if connection.transport is not None:
                connection.transport.abort()  # type: ignore[attr-defined]  # typed as the base of all transports
        for server in servers.values():
            await server.wait_closed()


def _authenticator(password: str) -> Any:
    def authenticate(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        is_right = hmac.compare_digest(given.login, credentials.USERNAME.encode())
        is_right &= hmac.compare_digest(given.password, password.encode())
        return AuthResult(success=is_right, handled=False, auth_data=credentials.USERNAME if is_right else None)

    return authenticate
