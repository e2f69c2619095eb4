"""Servers that misbehave on the wire: nothing hangs, nothing is lost, nothing is believed that was not said."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest
import trustme

from mail.replies.rules import Stage
from smtpservers.destinations import Security
from smtpservers.smtp.answer import Answer
from smtpservers.smtp.connection import Connection, ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.endpoint import Endpoint

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CONTENT = b"Subject: hi\r\n\r\n.leading dot\r\nbody\r\n"


def endpoint(port: int, **fields: object) -> Endpoint:
    values: dict[str, object] = {
        "server_id": 1,
        "name": "Peer",
        "host": "127.0.0.1",
        "port": port,
        "security": Security.OPPORTUNISTIC,
        "ehlo_name": "mail.shop.example",
        "timeout": 0.5,
        "final_timeout": 0.5,
    }
    return Endpoint(**(values | fields))  # type: ignore[arg-type]


def with_server(talk: Talk, client: Callable[[int], Awaitable[object]]) -> object:
    """Run ``client`` against a server that does ``talk`` on each connection."""

    async def run() -> object:
        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(guarded, "127.0.0.1", 0, limit=2**22)
        try:
            return await client(server.sockets[0].getsockname()[1])
        finally:
            server.close()

    return asyncio.run(asyncio.wait_for(run(), 20))


async def until_dot(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n.\r\n")


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *keywords: bytes) -> None:
    writer.write(b"220 hi\r\n")
    await reader.readline()
    lines = [b"peer", *keywords]
    writer.write(b"".join(b"250%s%s\r\n" % (b"-" if n < len(lines) - 1 else b" ", w) for n, w in enumerate(lines)))


async def send(port: int, **fields: object) -> Answer:
    connection = await connect(endpoint(port, **fields))
    answer = await connection.send("a@shop.example", "b@customer.example", CONTENT, before_dot=lambda: True)
    connection.close()
    return answer


def failure(talk: Talk, **fields: object) -> ConnectionFailed:
    steps: list[Step] = []

    async def client(port: int) -> object:
        with pytest.raises(ConnectionFailed) as caught:
            await connect(endpoint(port, **fields), steps.append)
        return caught.value

    error = with_server(talk, client)
    assert isinstance(error, ConnectionFailed)
    assert not steps[-1].is_ok, "the step that failed is shown"
    return error


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (b"", "silent for 0.5 s"),
        (b"hello there\r\n", "no SMTP reply"),
        (b"999 what\r\n", "no SMTP reply"),
        (b"2 50 ok\r\n", "no SMTP reply"),
        (b"220-a\r\n250 b\r\n", "changed its code"),
        (b"220-x\r\n" * 300, "endless reply"),
        (b"220 " + b"x" * 1_000_000, "endless line"),
        (b"554 5.7.1 go away\r\n", "refused the connection"),
    ],
)
def test_a_bad_greeting_is_the_servers_fault(words: bytes, why: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(words)
        await reader.read()

    error = failure(talk)

    assert error.stage is Stage.CONNECT
    assert why in str(error)


def test_a_reply_dripped_byte_by_byte_does_not_hold_a_worker() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"220 very slow server\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0.2)

    assert "silent for 0.5 s" in str(failure(talk))


def test_clear_text_slipped_in_before_the_handshake_is_refused() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"STARTTLS")
        await reader.readline()
        writer.write(b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
        await reader.read()

    error = failure(talk, security=Security.STARTTLS)

    assert error.stage is Stage.TLS
    assert "clear text arrived" in str(error)


def test_what_was_offered_before_tls_is_forgotten() -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"STARTTLS", b"PIPELINING", b"SIZE 10")
        await reader.readline()
        writer.write(b"220 go\r\n")
        await writer.start_tls(context)
        await reader.readline()
        writer.write(b"250 peer\r\n")
        await reader.read()

    async def client(port: int) -> object:
        trusted = ca.cert_pem.bytes().decode()
        connection = await connect(endpoint(port, security=Security.STARTTLS, trusted_certificate=trusted, timeout=5.0))
        found = dict(connection.extensions.keywords)
        connection.close()
        return found

    assert with_server(talk, client) == {}


@pytest.mark.parametrize("pipelining", [True, False])
def test_dots_are_doubled_and_replies_belong_to_their_commands(pipelining: bool) -> None:
    bodies: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, *([b"PIPELINING"] if pipelining else [b"8BITMIME"]))
        for code in (b"250 sender", b"250 rcpt", b"354 go"):
            await reader.readline()
            writer.write(code + b"\r\n")
        bodies.append(await until_dot(reader))
        writer.write(b"250-queued\r\n250 as 42\r\n")
        await reader.read()

    answer = with_server(talk, send)

    assert isinstance(answer, Answer)
    assert bodies == [b"Subject: hi\r\n\r\n..leading dot\r\nbody\r\n.\r\n"]
    assert answer.stage is Stage.DOT
    assert answer.reply is not None
    assert answer.reply.code == 250


def test_a_body_that_nobody_is_to_get_is_ended_by_a_bare_dot() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"PIPELINING")
        for code in (b"250 sender", b"550 5.1.1 no such user", b"354 go"):
            await reader.readline()
            writer.write(code + b"\r\n")
        assert await reader.readline() == b".\r\n"
        writer.write(b"554 no valid recipients\r\n")
        assert await reader.readline() == b"RSET\r\n"
        writer.write(b"250 ok\r\n")
        await reader.read()

    async def client(port: int) -> object:
        connection = await connect(endpoint(port))
        answer = await connection.send("a@shop.example", "b@customer.example", CONTENT, before_dot=lambda: True)
        assert connection.is_usable
        connection.close()
        return answer

    answer = with_server(talk, client)

    assert isinstance(answer, Answer)
    assert (answer.stage, answer.is_dot_written) == (Stage.RCPT, False)


def test_an_answer_before_the_dot_stops_the_dot() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"8BITMIME")
        for code in (b"250 sender", b"250 rcpt", b"354 go\r\n421 shutting down"):
            await reader.readline()
            writer.write(code + b"\r\n")
        rest = await reader.read()
        assert not rest.endswith(b"\r\n.\r\n")

    answer = with_server(talk, send)

    assert isinstance(answer, Answer)
    assert (answer.stage, answer.is_dot_written) == (Stage.DOT, False)


def test_an_unasked_reply_is_never_taken_for_the_next_messages_answer() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"8BITMIME")
        for code in (b"250 sender", b"250 rcpt", b"354 go"):
            await reader.readline()
            writer.write(code + b"\r\n")
        await until_dot(reader)
        writer.write(b"250 queued\r\n550 and one more\r\n")
        await reader.read()

    async def client(port: int) -> object:
        connection = await connect(endpoint(port))
        answer = await connection.send("a@shop.example", "b@customer.example", CONTENT, before_dot=lambda: True)
        assert answer.reply is not None
        assert answer.reply.code == 250
        usable = connection.is_usable
        connection.close()
        return usable

    assert with_server(talk, client) is False


@pytest.mark.parametrize(
    ("said_after_dot", "lost"), [(b"", "silent"), (b"what?\r\n", "no SMTP reply"), (None, "closed the connection")]
)
def test_a_missing_final_answer_is_known_to_be_missing(said_after_dot: bytes | None, lost: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"8BITMIME")
        for code in (b"250 sender", b"250 rcpt", b"354 go"):
            await reader.readline()
            writer.write(code + b"\r\n")
        await until_dot(reader)
        if said_after_dot is not None:
            writer.write(said_after_dot)
            await reader.read()

    answer = with_server(talk, send)

    assert isinstance(answer, Answer)
    assert answer.reply is None
    assert answer.is_dot_written
    assert lost in answer.lost


def test_the_dot_is_not_written_without_the_right_to() -> None:
    received: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"8BITMIME")
        for code in (b"250 sender", b"250 rcpt", b"354 go"):
            await reader.readline()
            writer.write(code + b"\r\n")
        received.append(await reader.read())

    async def client(port: int) -> object:
        connection = await connect(endpoint(port))
        answer = await connection.send("a@shop.example", "b@customer.example", CONTENT, before_dot=lambda: False)
        await asyncio.sleep(0)
        return answer

    answer = with_server(talk, client)

    assert isinstance(answer, Answer)
    assert not answer.is_dot_written
    assert all(not body.endswith(b"\r\n.\r\n") for body in received)


def test_a_message_larger_than_the_server_takes_is_not_offered() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"SIZE 10")
        assert await reader.read() == b""

    answer = with_server(talk, send)

    assert isinstance(answer, Answer)
    assert answer.is_local
    assert str(answer.reply).startswith("552 5.3.4")


def test_a_line_break_in_an_address_adds_no_command() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await greet(reader, writer, b"8BITMIME")
        assert await reader.read() == b""

    async def client(port: int) -> object:
        connection: Connection = await connect(endpoint(port))
        with pytest.raises(ValueError, match="holds no line break"):
            await connection.send("a@b\r\nRSET", "b@customer.example", CONTENT, before_dot=lambda: True)
        connection.close()
        return None

    with_server(talk, client)


def test_the_password_is_masked_in_every_repr() -> None:
    assert "CANARY" not in repr(endpoint(25, username="ann", password="CANARY"))
