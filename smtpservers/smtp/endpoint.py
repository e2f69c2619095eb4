"""The endpoint of a server: a frozen value made from its row, whose repr shows no secret."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection

from mail.addresses import domain_of, parse_mailbox, readable_domain
from oauth.client.providers import provider_of
from oauth.models import OAuthAccount
from oauth.tokens import NoToken, token_for, why_not_to
from smtpservers.destinations import Security
from smtpservers.models import SECRETS, SmtpServer
from smtpservers.presets import sign_in
from words.texts import text as _

Pipelining = SmtpServer.Pipelining


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address, credentials and settings to connect with. Timeouts are in seconds."""

    server_id: int
    name: str
    host: str
    port: int
    security: Security
    ehlo_name: str
    timeout: float = 30.0
    final_timeout: float = 600.0
    username: str = field(default="", repr=False)  # With some providers it is the secret too.
    password: str = field(default="", repr=False)
    mechanism: str = ""  # SMTP AUTH; empty: the best that both sides know.
    learned_mechanism: str = ""  # Tried first if none is chosen: a safer one was refused before.
    trusted_certificate: str = field(default="", repr=False)
    messages_per_connection: int = 100
    pipelining: Pipelining = Pipelining.LOOK_AHEAD  # Only if EHLO offers it.
    forbids_private: bool = False  # Whether this machine and private networks are blocked.
    oauth_provider: str = ""  # Of the account whose tokens stand in for a password; empty: there is none.
    # Returns an access token, newer than the one that was refused. May take seconds, in a thread of its own.
    token: Callable[[str], str] | None = field(default=None, repr=False, compare=False)

    @property
    def shown_host(self) -> str:
        """The host for people: in its own script, where the connection uses A-labels."""
        return readable_domain(self.host)


def endpoint_of(server: SmtpServer, *, final_timeout: float, clock: Callable[[], dt.datetime]) -> Endpoint:
    """Return the endpoint of a server, with its secret decrypted.

    :param final_timeout: the minimum wait for the reply to the final dot, in seconds; a longer timeout wins.
    :param clock: read when a connection needs a token.
    :raises SecretUnreadable: if a stored secret cannot be decrypted, or was entered for another destination.
    """
    destination = server.destination
    secrets = (getattr(server, name).reveal(destination) for name in SECRETS)
    username, password = sign_in(server.preset, server.username, *secrets)
    account = server.oauth_account
    if account is not None:
        username, password = account.mailbox, ""
    return Endpoint(
        server_id=server.pk,
        name=server.name,
        host=server.host,
        port=server.port,
        security=destination.security,
        ehlo_name=domain_name_of(server),
        timeout=float(server.timeout_seconds),
        final_timeout=max(float(server.timeout_seconds), final_timeout),
        username=username,
        password=password,
        mechanism=server.mechanism,
        learned_mechanism=server.learned_mechanism,
        trusted_certificate=server.trusted_certificate,
        messages_per_connection=min(
            server.messages_per_connection, server.learned_messages_per_connection or server.messages_per_connection
        ),
        pipelining=Pipelining(server.pipelining),
        forbids_private=settings.FORBID_PRIVATE_HOSTS,
        oauth_provider=provider_of(account.flow) if account else "",
        token=_token_source(server, account, clock) if account else None,
    )


def _token_source(server: SmtpServer, account: OAuthAccount, clock: Callable[[], dt.datetime]) -> Callable[[str], str]:
    def token(refused: str) -> str:
        try:
            if why := why_no_token(server, account):
                raise NoToken(why, needs_person=True)
            return token_for(account, server.host, clock(), refused=refused)
        finally:
            connection.close()  # Of this thread, which nobody else uses.

    return token


def why_no_token(server: SmtpServer, account: OAuthAccount) -> str:
    """Return why the account's tokens may not be sent to the server; empty if they may.

    Whoever may edit servers must not have a token sent to a machine of their own.
    """
    if server.trusted_certificate:
        return _("An OAuth account signs in under public certificates only. Clear Trusted certificate.")
    return why_not_to(account, server.host)


def domain_name_of(server: SmtpServer) -> str:
    """Return the server's Domain name, or else the domain of its Mail from."""
    return server.domain_name or domain_of(parse_mailbox(server.mail_from).address)
