"""The return path in a send test: whether its domain takes mail, and whether its mailbox takes a tagged bounce.

The domain's mail server is asked with RCPT, and no message is sent. If it cannot be asked, or puts us off, that is said
and is no fault of the return path. A server without a return path has nothing to check.
"""

import asyncio
import time

from django.conf import settings

from delivery.content.recipient_domains import Validator
from delivery.content.tokens import NOBODY
from mail import verp
from mail.addresses import ascii_address, domain_of, is_reserved, needs_smtputf8
from mail.replies.reply import Reply, classify
from mail.replies.rules import Action, Stage
from smtpservers.destinations import Security
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.conversation import Step, lost_step, said, since
from smtpservers.smtp.endpoint import Endpoint, domain_name_of
from smtpservers.smtp.wire import WireLost
from words.texts import joined, text_of
from words.texts import text as _

PORT = 25
SECONDS = 8.0  # For all conversations together.
MOST_HOSTS = 2
MEANS = "means"  # The detail of a step that says in a sentence what the answer means.


def has_return_path(server: SmtpServer) -> bool:
    return bool(server.use_return_path and server.return_path)


def check(server: SmtpServer, port: int = PORT, seconds: float = SECONDS) -> list[Step]:
    """Return the step that checks the return path of a server; none if it has no return path of its own."""
    if not has_return_path(server):
        return []
    began = time.perf_counter()
    plain, domain = ascii_address(server.return_path), domain_of(server.return_path)
    if is_reserved(domain):
        return [
            _not_checked(plain, _("%(domain)s is reserved for examples and receives no mail", domain=domain), began)
        ]
    return [asyncio.run(_check(server, port, seconds))]


def _not_checked(address: str, why: str, began: float) -> Step:
    return Step("bounces", address, None, _("Not checked: %(why)s.", why=why), since(began), True)


async def _check(server: SmtpServer, port: int, seconds: float) -> Step:
    began = time.perf_counter()
    plain = ascii_address(server.return_path)
    validator = Validator()
    address = verp.tagged(plain, NOBODY, 0, settings.TOKEN_KEYS) if server.use_verp else plain
    why = _("DNS names no mail server for it")
    try:
        async with asyncio.timeout(seconds):
            if problem := await validator.problem(server.return_path):
                advice = _("Bounces would be lost. Correct Email return path, or add an MX record to its domain.")
                return lost_step("bounces", plain, joined([problem.sentence, advice]), began)
            for host in (await validator.exchanges(domain_of(plain)))[:MOST_HOSTS]:
                try:
                    return await _ask(host, port, server, plain, address, began)
                except (ConnectionFailed, WireLost, ValueError) as error:
                    why = _("%(host)s couldn't be reached (%(error)s)", host=host, error=text_of(error))
    except TimeoutError:
        why = _("DNS or its mail server didn't reply within %(seconds)s seconds", seconds=f"{seconds:g}")
    return _not_checked(plain, _("%(why)s. Many networks block port 25", why=why), began)


async def _ask(host: str, port: int, server: SmtpServer, plain: str, address: str, began: float) -> Step:
    """Ask a mail server whether it takes a bounce, which has an empty sender, to the address."""
    endpoint = Endpoint(
        server_id=server.pk,
        name=server.name,
        host=host,
        port=port,
        security=Security.OPPORTUNISTIC,
        ehlo_name=domain_name_of(server),
        timeout=SECONDS / 2,
        forbids_private=settings.FORBID_PRIVATE_HOSTS,
    )
    connection = await connect(endpoint)
    try:
        reply = await _say(connection, f"MAIL FROM:<>{' SMTPUTF8' if needs_smtputf8(plain) else ''}")
        sent, is_fine, means = (
            "MAIL FROM:<>",
            True,
            _("Not checked: %(host)s refuses connections from this machine.", host=host),
        )
        if reply.is_positive:
            sent = f"RCPT TO:<{address}>"
            reply = await _say(connection, sent)
            is_permanent = reply.code >= 500
            without_tag = await _say(connection, f"RCPT TO:<{plain}>") if is_permanent and address != plain else reply
            is_fine, means = _meaning(host, server.return_path, address != plain, reply, without_tag)
    finally:
        await connection.quit()
    return Step("bounces", sent, reply.code, said(reply), since(began), is_fine, {"asked": host, MEANS: means})


async def _say(connection: Connection, line: str) -> Reply:
    return await connection.wire.command(line, connection.endpoint.timeout)


def _meaning(host: str, plain: str, is_tagged: bool, reply: Reply, without_tag: Reply) -> tuple[bool, str]:
    """Return whether bounces arrive, as far as is known, and a sentence that says so."""
    if reply.is_positive:
        return True, _(
            "%(host)s accepts bounces to %(address)s.",
            host=host,
            address=_("the tagged address") if is_tagged else plain,
        )
    if without_tag.is_positive:
        return False, _(
            "%(host)s accepts bounces to %(address)s but rejects the tagged address. Turn off Tag each return path, or"
            " let the mailbox accept plus-addresses.",
            host=host,
            address=plain,
        )
    if classify(Stage.RCPT, without_tag, plain).action is Action.SUPPRESS:
        return False, _(
            "%(host)s rejects bounces to %(address)s. Correct Email return path, or create the mailbox.",
            host=host,
            address=plain,
        )
    return True, _("Not checked: %(host)s replied about something else. Its reply above says what.", host=host)
