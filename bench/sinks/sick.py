"""SMTP servers that misbehave, each in a way of its own, for as long as one likes to talk to them.

    python -m bench.sinks.sick --servers 20

The ports are printed as one line of JSON. Ways that hold the connection open answer nothing more, or a byte a second.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
from collections.abc import Awaitable, Callable

HOURS = 3 * 3600
Way = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes the connection and says nothing."""
    await asyncio.sleep(HOURS)


async def too_many(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends everybody away."""
    writer.write(b"421 4.7.0 too many connections\r\n")


async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks another protocol."""
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes at once."""


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Greets with a byte a second."""
    for octet in itertools.chain(b"220 ", itertools.repeat(ord("x"))):
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(1)


def conversation(**answers: bytes) -> Way:
    """Return a way that follows the protocol but for some answers; an empty one closes the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sick.example ESMTP\r\n")
        usual = {"EHLO": b"250-sick.example\r\n250 PIPELINING\r\n", "DATA": b"354 go on\r\n"}
        while line := await reader.readline():
            verb = line[:4].decode("ascii", "replace").upper()
            answer = answers.get(verb, usual.get(verb, b"250 ok\r\n"))
            writer.write(answer)
            if not answer or verb == "QUIT":
                return
            if verb == "DATA" and answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(answers.get("DOT", b"250 ok\r\n"))
                if not answers.get("DOT", b"250"):
                    return

    return talk


WAYS: tuple[Way, ...] = (
    *(silent, too_many, nonsense, hangs_up, drips),
    conversation(EHLO=b"550 5.7.1 not you\r\n", HELO=b"550 5.7.1 not you\r\n"),
    conversation(MAIL=b"451 4.3.0 try again later\r\n"),
    conversation(RCPT=b"452 4.2.2 mailbox full\r\n"),
    conversation(DATA=b"451 4.3.0 try again later\r\n"),
    conversation(DOT=b""),
)


async def serve(servers: int) -> None:
    """Run so many servers, the ways in turn, and print their ports. Ends with the process."""
    running = []
    for _, way in zip(range(servers), itertools.cycle(WAYS), strict=False):

        async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way = way) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await way(reader, writer)
            writer.close()

        running.append(await asyncio.start_server(session, "127.0.0.1", 0, backlog=1024))
    print(json.dumps([server.sockets[0].getsockname()[1] for server in running]), flush=True)
    await asyncio.sleep(HOURS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=20)
    asyncio.run(serve(parser.parse_args().servers))
