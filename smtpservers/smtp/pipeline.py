"""The mail transactions of one connection: one after the other or, with PIPELINING, overlapping.

With PIPELINING (RFC 2920) the next message's MAIL, RCPT and DATA follow this message's body, so that a message costs
one round trip. Nothing here blocks: replies arrive as calls, and the source is asked for the next message.
"""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.smtp.answer import Answer
from smtpservers.smtp.conversation import Extensions, Observer, Step, lost_step, said, since
from smtpservers.smtp.endpoint import Endpoint, Pipelining
from smtpservers.smtp.wire import Wire, WireLost
from words.texts import text as _
from words.texts import text_of

# Up to this size a body is written together with its dot. The dot of a longer body waits until the kernel has all of
# it.
ONE_WRITE_BYTES = 64 * 1024
_DRAIN_SECONDS = 0.005
_DOT = b".\r\n"
_ENVELOPE = (Stage.MAIL, Stage.RCPT, Stage.DATA)
# The replies to the end of one message, with or without those to the next one's envelope, if all agree in one line of
# printable ASCII each. RFC 5321 section 4.5.3.1.5 allows 512 octets.
_LINE = rb" [ -~]{0,500}\r\n"
_ACCEPTED = re.compile(rb"250 ([ -~]{0,500})\r\n").fullmatch
_ACCEPTED_AND_NEXT = re.compile(rb"250 ([ -~]{0,500})\r\n(?:250%b){2}354%b" % (_LINE, _LINE)).fullmatch
_RESET, _EMPTY = "RSET", "empty message"  # Other commands that expect a reply.


@dataclass(slots=True)
class Envelope:
    """One message for one recipient; subclasses add fields."""

    mail_from: str
    rcpt_to: str
    content: bytes  # As sent after DATA, with CRLF line ends.
    is_smtputf8: bool
    needs_stuffing: bool  # Whether a line may begin with a dot; dots are doubled here (RFC 5321 section 4.5.2).


E = TypeVar("E", bound=Envelope)


class Source(Protocol[E]):
    """Supplies a connection with messages and receives their outcomes. No method may block."""

    def next(self, sent_before: int) -> E | None:
        """Return a message whose MAIL may be sent now; None: none at present, :meth:`Pipeline.wake` follows.

        :param sent_before: the messages that this connection has carried.
        """

    def may_finish(self, envelope: E) -> bool:
        """Whether the message's final dot may be written; the answer takes effect at once."""

    def agreed(self, envelope: E, text: str) -> None:
        """Receive the outcome of a message that the server accepted with 250 in one plain line.

        :param text: the line after the code, with secrets masked.
        """

    def dot_kept(self, envelope: E) -> None:
        """The dot could not be written yet; :meth:`may_finish` is called again."""

    def answered(self, envelope: E, answer: Answer) -> None:
        """Receive the outcome of the message."""

    def put_back(self, envelope: E, answer: Answer) -> None:
        """The connection ended before the message's body, which is not to blame: it may be sent again."""

    def idle(self) -> None:
        """No message is in progress now."""

    def ended(self) -> None:
        """The connection carries no more messages."""


class Pipeline(Generic[E]):
    """Sends the messages of its source; one per connection."""

    def __init__(
        self, wire: Wire, extensions: Extensions, endpoint: Endpoint, source: Source[E], observer: Observer | None
    ) -> None:
        self.source = source
        self.begun = 0  # Transactions over the life of the connection.
        self._wire = wire
        self._endpoint = endpoint
        self._observe = observer
        self._size_limit = extensions.size
        self._takes_size = "SIZE" in extensions
        self._takes_utf8 = "SMTPUTF8" in extensions
        self._is_stepwise = "PIPELINING" not in extensions or endpoint.pipelining is Pipelining.STEPS
        self._looks_ahead = not self._is_stepwise and endpoint.pipelining is Pipelining.LOOK_AHEAD
        self._expected: deque[Stage | str] = deque()  # The commands that await replies, in order.
        self._steps: deque[bytes] = deque()  # Without pipelining: lines that wait for the previous reply.
        self._current: E | None = None
        self._ahead: E | None = None  # Its envelope follows the body of the current one.
        self._is_dot_kept = False  # Until the kernel has everything before it.
        self._refusal: Answer | None = None
        self._is_dot_written = False
        self._needs_reset = False
        self._is_over = False
        self._since = 0.0  # The start of the current step, for the observer.
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._timeout = 0.0
        self._waits_for = ""
        self._timer: asyncio.TimerHandle | None = None
        wire.listener = self

    @property
    def is_idle(self) -> bool:
        """Whether no message is in progress."""
        return self._current is None and not self._expected and not self._is_over

    @property
    def is_over(self) -> bool:
        """Whether the connection carries no more messages."""
        return self._is_over

    def wake(self) -> None:
        """Start the next message, if none is in progress and the source has one."""
        if not self.is_idle:
            return
        if self._wire.lost:
            self.lost(self._wire.lost)
            return
        envelope = self._take()
        if envelope is not None:
            self._begin(envelope)

    # --- what the wire tells

    def read_plain(self, data: bytes) -> bool:
        expected = self._expected
        if not expected or expected[0] is not Stage.DOT or self._observe is not None:
            return False
        is_ahead = self._ahead is not None
        found = (_ACCEPTED_AND_NEXT if is_ahead else _ACCEPTED)(data)
        if found is None:
            return False
        envelope = self._current
        assert envelope is not None
        expected.clear()
        self._current, self._ahead = self._ahead, None
        self._is_dot_written = False
        self.source.agreed(envelope, self._wire.mask(found[1].decode("ascii")))
        if not is_ahead:
            self._go_on()
        elif not self._wire.lost:
            self._write_body()
        return True

    def replied(self, code: int, lines: list[bytes]) -> None:
        if not self._expected:
            if self._current is not None:  # A reply before the end of the message.
                envelope, self._current = self._current, None
                stage = Stage.DOT if code >= 400 else Stage.DATA  # A refusal concerns the part that it has seen.
                self.source.answered(envelope, Answer(stage, self._wire.read(code, lines)))
            self._wire.fail("the server answered what nobody asked")
            return
        step = self._expected.popleft()
        if step is Stage.MAIL or step is Stage.RCPT:
            self._envelope_answered(step, code, lines)
        elif step is Stage.DATA:
            self._data_answered(code, lines)
        elif step is Stage.DOT:
            self._dot_answered(code, lines)
        elif step == _RESET:
            if code != 250:
                self._wire.fail("the server refused RSET")
            elif not self._expected:
                self._go_on()
        else:  # The empty message of a transaction without recipients.
            self._refused()
        if self._expected and not self._wire.lines_left:
            self._set_deadline(
                self._endpoint.final_timeout if self._expected[0] is Stage.DOT else self._endpoint.timeout
            )

    def drained(self) -> None:
        if not self._is_dot_kept or self._current is None:
            return
        if not self._wire.is_drained:
            self._loop.call_later(_DRAIN_SECONDS, self.drained)
            return
        self._write_dot()

    def lost(self, why: str) -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        current, ahead = self._current, self._ahead
        self._current = self._ahead = None
        if ahead is not None:
            self.source.put_back(ahead, Answer(Stage.MAIL, None, lost=why))
        if current is not None:
            self._line_lost(current, why)
        self.source.ended()

    # --- the steps of one message

    def _take(self) -> E | None:
        """Return the next message that this server can take; other messages are answered here."""
        while self.begun < self._endpoint.messages_per_connection:
            envelope = self.source.next(self.begun)
            if envelope is None:
                return None
            size = len(envelope.content)
            if self._size_limit is not None and size > self._size_limit:
                text = f"552 5.3.4 This message has {size} bytes; the server takes {self._size_limit}."
            elif envelope.is_smtputf8 and not self._takes_utf8:
                text = "553 5.6.7 The address needs SMTPUTF8, which the server does not offer."
            else:
                self.begun += 1
                return envelope
            reply = Reply.parse(text)
            if self._observe is not None:
                self._observe(Step("MAIL", "", reply.code, said(reply), 0.0, False, {"not sent": _("EHLO said so")}))
            self.source.answered(envelope, Answer(Stage.MAIL, reply, is_local=True))
        return None

    def _lines(self, envelope: E) -> bytes:
        size = f" SIZE={len(envelope.content)}" if self._takes_size else ""
        utf8 = " SMTPUTF8" if envelope.is_smtputf8 else ""
        text = f"MAIL FROM:<{envelope.mail_from}>{size}{utf8}\r\nRCPT TO:<{envelope.rcpt_to}>\r\nDATA\r\n"
        if text.count("\n") != 3 or text.count("\r") != 3 or "\0" in text:
            raise ValueError("an SMTP command holds no line break")
        return text.encode()

    def _begin(self, envelope: E) -> None:
        lines = self._lines(envelope)
        self._current = envelope
        self._refusal = None
        self._is_dot_written = False
        self._since = time.perf_counter()
        if self._is_stepwise:
            self._steps = deque(lines.splitlines(keepends=True))
            self._expected.append(Stage.MAIL)
            lines = self._steps.popleft()
        else:
            self._expected += _ENVELOPE
        if self._needs_reset:
            self._needs_reset = False
            self._expected.appendleft(_RESET)
            lines = b"RSET\r\n" + lines
        self._set_deadline(self._endpoint.timeout)
        self._wire_write(lines)

    def _envelope_answered(self, stage: Stage, code: int, lines: list[bytes]) -> None:
        assert self._current is not None
        is_ok = 200 <= code < 300
        if self._observe is not None or (not is_ok and self._refusal is None):
            reply = self._wire.read(code, lines)
            self._observe_reply(stage, reply, is_ok)
            if not is_ok and self._refusal is None:
                self._refusal = Answer(stage, reply)
        if self._is_stepwise:
            if self._refusal is not None:
                self._refused()
            else:
                self._expected.append(Stage.RCPT if stage is Stage.MAIL else Stage.DATA)
                self._wire_write(self._steps.popleft())

    def _data_answered(self, code: int, lines: list[bytes]) -> None:
        assert self._current is not None
        is_ok = code == 354
        if self._observe is not None or not is_ok:
            reply = self._wire.read(code, lines)
            self._observe_reply(Stage.DATA, reply, is_ok)
            if not is_ok and code < 400:
                # Neither accepted nor refused: replies and commands are out of step, and an earlier refusal of MAIL or
                # RCPT may have concerned another message.
                why = f"its replies are out of step: it answered DATA with {reply}"
                envelope, self._current, self._refusal = self._current, None, None
                self.source.answered(envelope, Answer(Stage.DATA, None, lost=why))
                self._wire.fail("the server answered DATA with something else")
                return
            if not is_ok and self._refusal is None:
                self._refusal = Answer(Stage.DATA, reply)
        if self._refusal is None:
            if not self._wire.has_unread:  # Otherwise read the rest of its replies first.
                self._write_body()
        elif is_ok:
            # The server wants a body without recipients (RFC 2920 section 3.1).
            self._expected.append(_EMPTY)
            self._wire_write(_DOT)
        else:
            self._refused()

    def _refused(self) -> None:
        is_closing = self._settle_refusal()
        if is_closing:
            self._wire.fail(_("the server closes the connection"))
            return
        self._needs_reset = True
        self._go_on()
        if self._needs_reset and self.is_idle:
            self._needs_reset = False
            self._expected.append(_RESET)
            self._set_deadline(self._endpoint.timeout)
            self._wire_write(b"RSET\r\n")

    def _settle_refusal(self) -> bool:
        """Report a refusal to the source; return whether the server closes the connection with it."""
        envelope, refusal = self._current, self._refusal
        assert envelope is not None
        assert refusal is not None
        assert refusal.reply is not None
        self._current = self._refusal = None
        is_closing = refusal.reply.code == 421  # RFC 5321 section 3.8.
        if is_closing and self.begun > 1:
            self.source.put_back(envelope, refusal)
        else:
            self.source.answered(envelope, refusal)
        return is_closing

    def _write_body(self) -> None:
        assert self._current is not None
        self._since = time.perf_counter()
        body = self._current.content
        if self._current.needs_stuffing:
            body = _stuffed(body)
        if len(body) > ONE_WRITE_BYTES or not self._wire.takes_now:
            self._keep_dot(body)
            return
        tail = self._tail()
        if tail is None:
            return
        try:
            taken = self._wire.write_now(body, tail)
        except WireLost:
            return
        if taken < len(body) + len(_DOT):
            self.source.dot_kept(self._current)
            self._keep_dot(body[taken:])
        else:
            self._dot_written(tail[taken - len(body) :])

    def _keep_dot(self, body: bytes) -> None:
        """Write the body, and the dot once the kernel has all of it."""
        self._is_dot_kept = True
        self._set_deadline(self._endpoint.timeout, "take the data")
        if body:
            self._wire_write(body)
        # Process what has arrived first: a lost connection, or an early reply.
        self._loop.call_soon(self.drained)

    def _write_dot(self) -> None:
        tail = self._tail()
        if tail is None or self._current is None:
            return
        taken = 0
        if not self._wire.is_encrypted:
            try:
                taken = self._wire.write_now(tail)
            except WireLost:
                return
            if taken < len(_DOT):  # The kernel's buffer is full.
                self.source.dot_kept(self._current)
                if taken:
                    self._wire.fail("the connection broke within the final dot")
                else:
                    self._loop.call_later(_DRAIN_SECONDS, self.drained)
                return
        self._is_dot_kept = False
        self._dot_written(tail[taken:])

    def _tail(self) -> bytes | None:
        """Return the final dot and what may follow it; None if the dot must not be written."""
        assert self._current is not None
        if self._looks_ahead and self._ahead is None:
            self._ahead = self._take()
        if not self.source.may_finish(self._current):
            envelope, self._current = self._current, None
            self.source.answered(envelope, Answer(Stage.DATA, None, lost=_("the worker lost its right to send")))
            self._wire.fail("the message must not be finished")
            return None
        return _DOT if self._ahead is None else _DOT + self._lines(self._ahead)

    def _dot_written(self, rest: bytes) -> None:
        """Note that the kernel has the dot; ``rest`` is the part after it that the kernel does not have yet."""
        self._is_dot_written = True
        self._expected.append(Stage.DOT)
        if self._ahead is not None:
            self._expected += _ENVELOPE
        self._set_deadline(self._endpoint.final_timeout)
        if rest:
            self._wire_write(rest)

    def _dot_answered(self, code: int, lines: list[bytes]) -> None:
        envelope, self._current = self._current, self._ahead
        self._ahead = None
        assert envelope is not None
        reply = self._wire.read(code, lines)
        self._is_dot_written = False
        self._observe_reply(Stage.DOT, reply, 200 <= code < 300, len(envelope.content))
        self.source.answered(envelope, Answer(Stage.DOT, reply, is_dot_written=True))
        if code == 421:
            self._wire.fail(_("the server closes the connection"))
        elif self._current is None:
            self._go_on()

    def _go_on(self) -> None:
        if self.begun >= self._endpoint.messages_per_connection:
            self.source.ended()
            return
        self.wake()
        if self.is_idle:
            self.source.idle()

    def _line_lost(self, envelope: E, why: str) -> None:
        if self._is_dot_written:
            if self._observe is not None:
                self._observe(lost_step("message", "(message) .", why, self._since))
            self.source.answered(envelope, Answer(Stage.DOT, None, is_dot_written=True, lost=why))
            return
        stage = Stage.DATA
        if self._expected and self._expected[0] in (_RESET, Stage.MAIL, Stage.RCPT):
            stage = Stage.RCPT if self._expected[0] is Stage.RCPT else Stage.MAIL
        if self._refusal is not None:  # A reply that arrived before the loss still counts.
            self._current = envelope
            self._settle_refusal()
            return
        if self._observe is not None:
            self._observe(lost_step(stage.value, "", why, self._since))
        answer = Answer(stage, None, lost=why)
        if stage is Stage.MAIL and self.begun > 1:  # A server may close a connection after some messages.
            self.source.put_back(envelope, answer)
        else:
            self.source.answered(envelope, answer)

    # --- writing, watching, and the patience with a silent server

    def _wire_write(self, content: bytes) -> None:
        try:
            self._wire.write(content)
        except WireLost as error:
            self.lost(text_of(error))

    def _observe_reply(self, stage: Stage, reply: Reply, is_ok: bool, size: int = 0) -> None:
        if self._observe is None:
            return
        assert self._current is not None or stage is Stage.DOT
        if stage is Stage.DOT:
            name, sent = "message", f"({size} bytes) ."
        else:
            assert self._current is not None
            lines = self._lines(self._current).decode().splitlines()
            name, sent = stage.value, lines[(Stage.MAIL, Stage.RCPT, Stage.DATA).index(stage)]
        self._observe(Step(name, sent, reply.code, said(reply), since(self._since), is_ok))
        self._since = time.perf_counter()

    def _set_deadline(self, seconds: float, what: str = "") -> None:
        """Set the deadline for the next reply. One timer checks it regularly: a timer per reply would cost too much."""
        self._timeout = seconds
        self._waits_for = what
        self._deadline = time.monotonic() + seconds
        if self._timer is None:
            self._check_deadline()

    def _check_deadline(self) -> None:
        self._timer = None
        if self._is_over or self._wire.lost:
            return
        if not self.is_idle and time.monotonic() >= self._deadline:
            self._wire.fail(
                f"the server did not {self._waits_for} within {self._timeout:g} s"
                if self._waits_for
                else f"the server was silent for {self._timeout:g} s"
            )
            return
        self._timer = self._loop.call_later(min(1.0, self._endpoint.timeout / 10), self._check_deadline)


def _stuffed(content: bytes) -> bytes:
    """Return a message with dot-stuffing and a final line break."""
    if b"\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content if content.endswith(b"\r\n") else content + b"\r\n"
