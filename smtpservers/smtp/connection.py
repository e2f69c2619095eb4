"""The SMTP connection to one server: connect, secure, sign in, send; the stage of every message is always known.

The caller interprets the answers. Nothing here reads the database, and a refusal by the server is a value, never an
exception.
"""

import asyncio
import base64
import contextlib
import datetime as dt
import os
import re
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography import x509

from mail.reachability import is_forbidden, is_near, is_private_host, is_public
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from net.addresses import Resolve, look_up
from oauth import sasl
from oauth.tokens import NoToken
from smtpservers.destinations import Security
from smtpservers.mechanisms import Exchange, SignInBroken, exchange, proves_server, usable_mechanisms
from smtpservers.smtp.answer import Answer, accepted
from smtpservers.smtp.conversation import Extensions, Observer, Step, lost_step, said, since
from smtpservers.smtp.endpoint import Endpoint
from smtpservers.smtp.pipeline import E, Envelope, Pipeline, Source
from smtpservers.smtp.wire import Wire, WireLost
from words.texts import joined, text_of
from words.texts import text as _

MECHANISM_REFUSED = (504, 534)  # The mechanism, not the password (RFC 4954 section 6): another one may work.
SHOW_PASSWORD = ("PLAIN", "LOGIN")  # They need nothing but a comparison at the server, and TLS on our side.
BESIDE = _("%(one)s; %(other)s")  # Between two mechanisms that were passed over.
PROVIDER_SAYS = "provider says"  # The name of a step's detail.
ADDRESS_SECONDS = 5.0  # Per address if there are several, so that a broken IPv6 costs little.


class ConnectionFailed(Exception):
    """No connection that mail may use; the server is at fault, not a message.

    :param needs_mending: whether it stays so until a person fixes it, as with a wrong certificate.
    :param awaits_account: whether it stays so until the server's OAuth account works.
    :param lacks_token: whether the OAuth account gave no token, so that nothing was asked of the server.
    """

    def __init__(
        self,
        stage: Stage,
        why: str,
        reply: Reply | None = None,
        *,
        needs_mending: bool = False,
        awaits_account: bool = False,
        lacks_token: bool = False,
    ) -> None:
        super().__init__(why)
        self.stage = stage
        self.reply = reply
        self.needs_mending = needs_mending
        self.awaits_account = awaits_account
        self.lacks_token = lacks_token


class Connection:
    """A signed-in SMTP connection; made by :func:`connect`."""

    def __init__(self, endpoint: Endpoint, wire: Wire, observer: Observer | None) -> None:
        self.endpoint = endpoint
        self.extensions = Extensions()
        self.learned_mechanism = endpoint.learned_mechanism
        self.wire = wire
        self._observe = observer
        self._pipeline: Pipeline[Any] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it can carry another message."""
        begun = self._pipeline.begun if self._pipeline else 0
        return not self.wire.lost and begun < self.endpoint.messages_per_connection

    @property
    def certificate_expires_at(self) -> dt.datetime | None:
        """When the server's certificate expires; None without encryption."""
        tls = self.wire.transport and self.wire.transport.get_extra_info("ssl_object")
        certificate = tls and tls.getpeercert(binary_form=True)
        if not certificate:
            return None
        try:
            return x509.load_der_x509_certificate(certificate).not_valid_after_utc
        except ValueError:  # OpenSSL could read it, but cryptography is stricter.
            return None

    @property
    def learned(self) -> dict[str, Any]:
        """The facts that the server revealed, by the model field that stores them."""
        return {
            "certificate_expires_at": self.certificate_expires_at,
            "max_message_bytes": self.extensions.size,
            "learned_mechanism": self.learned_mechanism,
        }

    async def send(
        self, mail_from: str, rcpt_to: str, content: bytes, *, before_dot: Callable[[], bool], smtputf8: bool = False
    ) -> Answer:
        """Send one message to one recipient; return the outcome.

        :param content: the message with CRLF line ends, without dot-stuffing.
        :param before_dot: called before the final dot is written; if it returns False, the dot is not written and the
            connection is closed.
        :raises ValueError: if an address contains a line break.
        """
        source = _SingleMessage(Envelope(mail_from, rcpt_to, content, smtputf8, needs_stuffing=True), before_dot)
        self.pipeline(source).wake()
        return await source.answer

    def pipeline(self, source: Source[E]) -> Pipeline[E]:
        """Return the pipeline of this connection; its messages come from ``source`` from now on."""
        if self._pipeline is None:
            self._pipeline = Pipeline(self.wire, self.extensions, self.endpoint, source, self._observe)
        self._pipeline.source = source
        return self._pipeline

    async def quit(self) -> None:
        """Send QUIT and close, whatever the reply."""
        self.wire.listener = None
        with contextlib.suppress(WireLost):
            await self.wire.command("QUIT", min(self.endpoint.timeout, 2.0))
        self.wire.close()

    def close(self) -> None:
        """Close without QUIT."""
        self.wire.close()


class _SingleMessage:
    """The source of a single message."""

    def __init__(self, envelope: Envelope, before_dot: Callable[[], bool]) -> None:
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._envelopes = [envelope]
        self._before_dot = before_dot

    def next(self, sent_before: int) -> Envelope | None:
        return self._envelopes.pop() if self._envelopes else None

    def may_finish(self, envelope: Envelope) -> bool:
        return self._before_dot()

    def agreed(self, envelope: Envelope, text: str) -> None:
        self.answered(envelope, accepted(text))

    def dot_kept(self, envelope: Envelope) -> None:
        """Nothing to do: ``may_finish`` is called again before the dot."""

    def answered(self, envelope: Envelope, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def put_back(self, envelope: Envelope, answer: Answer) -> None:
        self.answered(envelope, answer)

    def idle(self) -> None:
        """Nothing to do: the answer is enough."""

    def ended(self) -> None:
        """Nothing to do: the answer is enough."""


async def connect(
    endpoint: Endpoint,
    observer: Observer | None = None,
    *,
    is_near: Callable[[str], bool] = is_near,
    resolve: Resolve | None = None,
) -> Connection:
    """Open, secure and sign in a connection.

    :param is_near: tells whether an IP address is near enough for credentials without encryption; the host as typed
        must be private too.
    :param resolve: resolves a host to addresses; None: the system's resolver.
    :raises ConnectionFailed: with stage and cause, after the failed step was observed.
    """
    if endpoint.token is None:
        return await _connect(endpoint, observer, is_near, resolve)
    token = await _token(endpoint, "", observer)
    try:
        return await _connect(replace(endpoint, password=token), observer, is_near, resolve)
    except ConnectionFailed as error:
        if error.stage is not Stage.AUTH or error.reply is None or error.reply.code != 535:
            raise
        # It may have been revoked before its time: once more with a new one.
        newer = await _token(endpoint, token, observer)
        if newer == token:
            raise
    return await _connect(replace(endpoint, password=newer), observer, is_near, resolve)


async def _token(endpoint: Endpoint, refused: str, observer: Observer | None) -> str:
    assert endpoint.token is not None
    began = time.perf_counter()
    try:
        return await asyncio.to_thread(endpoint.token, refused)
    except NoToken as error:
        (observer or _ignore)(lost_step("token", "", text_of(error), began))
        raise ConnectionFailed(
            Stage.AUTH,
            text_of(error),
            needs_mending=error.needs_person,
            awaits_account=error.awaits_account,
            lacks_token=True,
        ) from None


async def _connect(
    endpoint: Endpoint, observer: Observer | None, is_near: Callable[[str], bool], resolve: Resolve | None
) -> Connection:
    observe = observer or _ignore
    # A private address from DNS does not make a public name near.
    may_be_near = is_private_host(endpoint.host)
    wire, near = await _open(endpoint, observe, lambda address: may_be_near and is_near(address), resolve or look_up)
    wire.mask = masking(endpoint)
    connection = Connection(endpoint, wire, observer)
    try:
        await _greet(connection, wire, near, observe)
    except WireLost as error:
        raise ConnectionFailed(Stage.EHLO, text_of(error)) from None
    except ValueError as error:  # In our own command: a damaged domain name or user name.
        wire.close()
        raise ConnectionFailed(
            Stage.EHLO, _("the server's settings cannot be used: %(why)s", why=error), needs_mending=True
        ) from None
    except BaseException:
        wire.close()
        raise
    return connection


def _ignore(step: Step) -> None:
    """Observe nothing."""


async def _open(
    endpoint: Endpoint, observer: Observer, is_near: Callable[[str], bool], resolve: Resolve
) -> tuple[Wire, bool]:
    """Return an open connection, and whether its other end is near."""
    addresses = await _resolve(endpoint, observer, resolve)
    loop = asyncio.get_running_loop()
    is_implicit = endpoint.security is Security.IMPLICIT
    began = time.perf_counter()
    problem = ""
    for position, address in enumerate(addresses):
        is_last = position == len(addresses) - 1
        seconds = endpoint.timeout if is_last else min(endpoint.timeout, ADDRESS_SECONDS)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                transport, wire = await loop.create_connection(Wire, address, endpoint.port)
        except TimeoutError:
            problem = _(
                "no answer from %(address)s port %(port)s within %(seconds)s s",
                address=address,
                port=endpoint.port,
                seconds=f"{seconds:g}",
            )
            continue
        except OSError as error:
            what = os.strerror(error.errno).lower() if error.errno else str(error)
            problem = _("%(address)s port %(port)s: %(what)s", address=address, port=endpoint.port, what=what)
            continue
        if (
            wire.transport is None
        ):  # A loop only logs what its protocols raise, and a wait for the greeting would follow.
            transport.abort()
            raise RuntimeError("the event loop's connection cannot be used")
        observer(Step("connect", _shown(address, endpoint.port), None, _("connected"), since(began), True))
        if is_implicit:
            await _secure(wire, endpoint, is_near(address), observer)
        return wire, is_near(address)
    observer(lost_step("connect", _shown(endpoint.host, endpoint.port), problem, began))
    raise ConnectionFailed(Stage.CONNECT, problem)


def _shown(host: str, port: int) -> str:
    return _("%(host)s port %(port)s", host=host, port=port)


async def _resolve(endpoint: Endpoint, observer: Observer, resolve: Resolve) -> list[str]:
    """Return the addresses of the host, without cloud metadata services and, if the site forbids them, private ones.

    The connection uses exactly these addresses: the name is not resolved again.
    """
    began = time.perf_counter()
    try:
        async with asyncio.timeout(min(endpoint.timeout, 10.0)):
            addresses = await resolve(endpoint.host, endpoint.port)
    except TimeoutError:
        problem = _("the name servers did not answer for %(host)s", host=endpoint.shown_host)
    except (OSError, UnicodeError) as error:
        problem = _(
            "there is no address for %(host)s (%(why)s)",
            host=endpoint.shown_host,
            why=str(getattr(error, "strerror", None) or error),
        )
    else:
        allowed = [address for address in addresses if not is_forbidden(address)]
        if endpoint.forbids_private:
            allowed = [address for address in allowed if is_public(address)]
        if allowed:
            observer(Step("DNS", endpoint.host, None, ", ".join(allowed), since(began), True))
            return allowed
        problem = (
            _("%(host)s has only link-local or private addresses, which are refused", host=endpoint.shown_host)
            if endpoint.forbids_private
            else _(
                "%(host)s has only link-local, unspecified or multicast addresses, which are refused",
                host=endpoint.shown_host,
            )
        )
    observer(lost_step("DNS", endpoint.host, problem, began))
    raise ConnectionFailed(Stage.CONNECT, problem)


async def _greet(connection: Connection, wire: Wire, near: bool, observer: Observer) -> None:
    endpoint = connection.endpoint
    began = time.perf_counter()
    try:
        banner = await wire.reply(endpoint.timeout)
    except WireLost as error:
        observer(lost_step("banner", "", text_of(error), began))
        raise ConnectionFailed(Stage.CONNECT, text_of(error)) from None
    observer(Step("banner", "", banner.code, said(banner), since(began), banner.code == 220))
    if banner.code != 220:
        raise ConnectionFailed(Stage.CONNECT, _("the server refused the connection"), banner)
    await _ehlo(connection, wire, observer)
    offers_tls = "STARTTLS" in connection.extensions and endpoint.security is not Security.NEVER
    if endpoint.security is Security.STARTTLS or (offers_tls and endpoint.security is not Security.IMPLICIT):
        await _start_tls(connection, wire, near, observer)
    if endpoint.username:
        if not wire.is_encrypted and not near:
            problem = _("there is no encryption; credentials were not sent")
            observer(lost_step("AUTH", "", problem, time.perf_counter()))
            raise ConnectionFailed(Stage.TLS, problem)
        await _sign_in(connection, wire, observer)


async def _ehlo(connection: Connection, wire: Wire, observer: Observer) -> None:
    endpoint = connection.endpoint
    for verb in ("EHLO", "HELO"):
        line = f"{verb} {endpoint.ehlo_name}"
        began = time.perf_counter()
        try:
            reply = await wire.command(line, endpoint.timeout)
        except WireLost as error:
            observer(lost_step(verb, line, text_of(error), began))
            raise
        is_ok = reply.code == 250
        extensions = Extensions.parse(reply) if verb == "EHLO" and is_ok else Extensions()
        offered = ", ".join(f"{name} {value}".strip() for name, value in extensions.keywords.items())
        needs_ehlo = endpoint.username or endpoint.security is Security.STARTTLS
        may_be_old = verb == "EHLO" and not needs_ehlo and 500 <= reply.code < 600
        details = {"extensions": offered} if offered else {}
        if may_be_old:
            details = {"older server": _("it may know only HELO, which is enough where nobody signs in")}
        observer(Step("EHLO", line, reply.code, said(reply), since(began), is_ok or may_be_old, details))
        if is_ok:
            connection.extensions = extensions
            return
        if not may_be_old:
            raise ConnectionFailed(Stage.EHLO, _("the server refused our greeting"), reply)


async def _start_tls(connection: Connection, wire: Wire, near: bool, observer: Observer) -> None:
    endpoint = connection.endpoint
    began = time.perf_counter()
    if "STARTTLS" not in connection.extensions:
        problem = _("the server does not offer STARTTLS, and without it nothing is sent")
        observer(lost_step("TLS", "", problem, began))
        raise ConnectionFailed(Stage.TLS, problem)
    reply = await wire.command("STARTTLS", endpoint.timeout)
    if reply.code != 220:
        observer(Step("TLS", "STARTTLS", reply.code, said(reply), since(began), False))
        raise ConnectionFailed(Stage.TLS, _("the server refused STARTTLS"), reply)
    await _secure(wire, endpoint, near, observer)
    await _ehlo(connection, wire, observer)  # The EHLO before the handshake is void (RFC 3207 section 4.2).


async def _secure(wire: Wire, endpoint: Endpoint, near: bool, observer: Observer) -> None:
    began = time.perf_counter()
    sent = "" if endpoint.security is Security.IMPLICIT else "STARTTLS"
    try:
        await wire.start_tls(tls_context(endpoint, near), endpoint.host, endpoint.timeout)
    except ssl.SSLError as error:
        problem = getattr(error, "verify_message", "") or error.reason or str(error)
        why = _("the TLS handshake failed: %(problem)s", problem=str(problem))
        observer(lost_step("TLS", sent, why, began))
        # A connection lost during the handshake says nothing about the certificate.
        is_cut = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError))
        raise ConnectionFailed(Stage.TLS, why, needs_mending=not is_cut) from None
    except WireLost as error:
        observer(lost_step("TLS", sent, text_of(error), began))
        raise ConnectionFailed(Stage.TLS, text_of(error)) from None
    observer(Step("TLS", sent, None, _("encrypted"), since(began), True, _tls_details(wire)))


def tls_context(endpoint: Endpoint, near: bool) -> ssl.SSLContext:
    """Return the TLS settings: version 1.2 or later, certificate and host name verified.

    A certificate trusted for this server is an additional anchor, as CA or as the exact certificate. Only opportunistic
    TLS that protects no credentials for a public host is not verified.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # Only the subjectAltName counts (RFC 9525 section 6.3).
    if endpoint.trusted_certificate:
        context.load_verify_locations(cadata=endpoint.trusted_certificate)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    elif endpoint.security is Security.OPPORTUNISTIC and (not endpoint.username or near):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _tls_details(wire: Wire) -> dict[str, str]:
    assert wire.transport is not None
    tls = wire.transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() or {}
    return {
        "version": str(tls.version()),
        "cipher": str(tls.cipher()[0]),
        "certificate for": ", ".join(value for __, value in certificate.get("subjectAltName", ())) or _("not verified"),
        "issued by": ", ".join(value for part in certificate.get("issuer", ()) for __, value in part),
        "valid until": str(certificate.get("notAfter", "")),
    }


async def _sign_in(connection: Connection, wire: Wire, observer: Observer) -> None:
    """Sign in with the best mechanism.

    A refused mechanism gives way to the next, a refused password does not. But some servers offer a mechanism that they
    cannot do and then call the password wrong: so over TLS one more is tried that sends the password itself.
    """
    endpoint = connection.endpoint
    began = time.perf_counter()
    left = _mechanisms(connection, wire)
    passed_over: list[str] = []
    refusal: tuple[Step, Reply] | None = None  # Of the last mechanism that was skipped.
    while left:
        mechanism, *left = left
        shown = f"AUTH {mechanism} ***"
        try:
            reply, broken, challenge = await _exchange(wire, endpoint, mechanism)
        except WireLost as error:
            if refusal is not None:  # The server had closed the connection with that refusal.
                observer(refusal[0])
                raise ConnectionFailed(Stage.AUTH, _("the server refused the sign-in"), refusal[1]) from None
            observer(lost_step("AUTH", shown, text_of(error), began))
            raise ConnectionFailed(Stage.AUTH, text_of(error)) from None
        except SignInBroken as error:  # Nothing was sent.
            passed_over.append(_("%(name)s: %(why)s", name=mechanism, why=error))
            continue
        details = {"mechanism": mechanism} | ({"passed over": joined(passed_over, BESIDE)} if passed_over else {})
        if challenge:
            details[PROVIDER_SAYS] = wire.mask(challenge)
        if broken:
            problem = _("no sign-in took place: %(why)s", why=broken)
            observer(Step("AUTH", shown, None, problem, since(began), False, details))
            raise ConnectionFailed(Stage.AUTH, problem, reply if reply.code >= 400 else None, needs_mending=True)
        step = Step("AUTH", shown, reply.code, said(reply), since(began), reply.code == 235, details)
        if following := _after_refusal(mechanism, reply, left, is_encrypted=wire.is_encrypted):
            passed_over.append(_("%(name)s: %(why)s", name=mechanism, why=str(reply)))
            left, refusal = following, (step, reply)
            continue
        observer(step)
        if reply.code != 235:
            raise ConnectionFailed(Stage.AUTH, _("the server refused the sign-in"), reply)
        if refusal is not None:
            connection.learned_mechanism = mechanism
        return
    problem = _no_mechanism(connection, passed_over)
    observer(lost_step("AUTH", "", problem, began))
    raise ConnectionFailed(Stage.AUTH, problem, needs_mending=True)


def _mechanisms(connection: Connection, wire: Wire) -> list[str]:
    """Return the mechanisms to try, in order."""
    endpoint = connection.endpoint
    usable = usable_mechanisms(connection.extensions.mechanisms, with_token=bool(endpoint.oauth_provider))
    if endpoint.oauth_provider:
        return list(usable)
    if endpoint.mechanism:
        return [name for name in usable if name == endpoint.mechanism]
    learned = endpoint.learned_mechanism if wire.is_encrypted else ""
    return sorted(usable, key=lambda name: name != learned)


def _after_refusal(mechanism: str, reply: Reply, left: list[str], *, is_encrypted: bool) -> list[str]:
    """Return the mechanisms to try next; none after success, or if the password was refused."""
    if reply.code in MECHANISM_REFUSED:
        return left
    if mechanism not in SHOW_PASSWORD and is_encrypted and 500 <= reply.code < 600:
        return [name for name in left if name in SHOW_PASSWORD][:1]
    return []


def _no_mechanism(connection: Connection, passed_over: list[str]) -> str:
    if passed_over:
        return _("no sign-in took place: %(why)s", why=joined(passed_over, BESIDE))
    offered = ", ".join(sorted(connection.extensions.mechanisms)) or _("none")
    if chosen := connection.endpoint.mechanism:
        return _(
            "the server does not offer %(chosen)s, which was chosen (offered: %(offered)s)",
            chosen=chosen,
            offered=offered,
        )
    return _("the server offers no sign-in we know (offered: %(offered)s)", offered=offered)


async def _exchange(wire: Wire, endpoint: Endpoint, mechanism: str) -> tuple[Reply, str, str]:
    """Run one mechanism; return the server's last reply, the reason to distrust it, if any, and what a provider said
    about the token.

    :raises SignInBroken: if the mechanism cannot carry the password; nothing was sent.
    """
    challenge = ""
    talk = exchange(mechanism, endpoint.username, endpoint.password, host=endpoint.host, port=endpoint.port)
    line = next(talk)
    reply = await wire.command(line, endpoint.timeout)
    while reply.code == 334:
        try:
            # SCRAM takes CPU time, and other connections share this thread.
            line = await asyncio.to_thread(_next_line, talk, reply.text)
        except SignInBroken as error:
            # Cancels the exchange (RFC 4954 section 4).
            return await wire.command("*", endpoint.timeout), text_of(error), challenge
        if mechanism in sasl.MECHANISMS:
            challenge = _read_challenge(reply.text) or challenge
        reply = await wire.command(line, endpoint.timeout)
    if reply.code == 235 and proves_server(mechanism) and line:
        distrust = _("the server let us in without proving that it knows the password; somebody may be tampering")
        return reply, distrust, challenge
    return reply, "", challenge


def _read_challenge(text: str) -> str:
    try:
        return str(sasl.read_challenge(base64.b64decode(text)))
    except ValueError:
        return ""


def _next_line(talk: Exchange, challenge: str) -> str:
    try:
        return talk.send(challenge)
    except StopIteration:
        raise SignInBroken(_("the server asks on after everything was said")) from None


def masking(endpoint: Endpoint) -> Callable[[str], str]:
    """Return a function that masks our password in a server's words; in base64 also a part of it."""
    password = endpoint.password
    if not password:
        return str
    plain = [f"\0{endpoint.username}\0{password}".encode(), password.encode()]
    if endpoint.oauth_provider:
        plain += [
            sasl.initial_response(name, endpoint.username, password, host=endpoint.host, port=endpoint.port)
            for name in sasl.MECHANISMS
        ]
    encoded = [base64.b64encode(secret).decode("ascii") for secret in plain]
    # A short password occurs within many words, so only a whole word is masked.
    words = re.sub(r"(?:\\ )+", r"\\s{1,9}", re.escape(password))  # The server may stretch a blank, or break the line.
    alone = words if len(password) >= SHORT_SECRET else rf"(?<!\w){words}(?!\w)"
    secrets = re.compile("|".join([*map(re.escape, encoded), alone]))

    def masked(found: re.Match[str]) -> str:
        word = found[0]
        return "***" if any(word in secret or secret in word for secret in encoded) else word

    def mask(text: str) -> str:
        return secrets.sub("***", _ENCODED.sub(masked, text))

    return mask


SHORT_SECRET = 4  # Letters; a shorter password is masked only as a whole word.
_ENCODED = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")  # Long enough to rule out chance.
