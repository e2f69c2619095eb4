"""An SMTP server that takes messages as fast as it can, counts them and keeps nothing.

    python -m bench.sinks.fast --port 2600 [--delay 50] [--watch somebody]

It offers PIPELINING. ``--delay`` stands for the round trip of a far server: what a chunk of input asks for is answered
so many milliseconds later. ``XSTAT`` tells how many messages and bytes of content came so far. The arrival of messages
whose RCPT holds the word of ``--watch`` is printed, with the time.
"""

import argparse
import asyncio
import time

END = b"\r\n.\r\n"
OK = b"250 2.0.0 ok\r\n"
ANSWERS = {
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 2.0.0 bye\r\n",
}


class Session(asyncio.BufferedProtocol):
    """One connection; the counts are those of all connections."""

    delay = 0.0
    watch = b""
    messages = 0
    octets = 0

    def __init__(self) -> None:
        self._buffer = bytearray(256 * 1024)
        self._filled = 0
        self._is_content = False
        self._watched = b""  # The RCPT of the message that is coming in.
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._answer(b"220 sink.example ESMTP\r\n")

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        position, answers = 0, []
        while True:
            # Searched from behind, where it stands: nobody sends a second content before the answer to DATA.
            find = self._buffer.rfind if self._is_content else self._buffer.find
            end = find(END if self._is_content else b"\n", position, self._filled)
            if end < 0:
                break
            if self._is_content:
                Session.octets += end - position  # The line break of DATA, which it begins with, stands for its last.
                Session.messages += 1
                self._is_content, position = False, end + len(END)
                answers.append(OK)
                if self._watched:
                    print(time.time(), self._watched.decode(), flush=True)
                    self._watched = b""
            else:
                verb = bytes(self._buffer[position : position + 4]).upper()
                if Session.watch and verb == b"RCPT" and Session.watch in self._buffer[position:end]:
                    self._watched = bytes(self._buffer[position:end]).strip()
                self._is_content = verb == b"DATA"
                # Content begins with the line break of its command: a dot may be its first byte.
                position = end - 1 if self._is_content else end + 1
                answers.append(ANSWERS.get(verb, OK) if verb != b"XSTA" else self._statistics())
        if self._is_content:  # Counted and forgotten, but for what may be the beginning of its end.
            kept = max(position, self._filled - len(END) + 1)
            Session.octets += kept - position
            position = kept
        self._buffer[: self._filled - position] = self._buffer[position : self._filled]
        self._filled -= position
        if answers:
            self._answer(b"".join(answers))

    def _statistics(self) -> bytes:
        return b"250 %d %d\r\n" % (Session.messages, Session.octets)

    def _answer(self, answer: bytes) -> None:
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        if answer.endswith(ANSWERS[b"QUIT"]):
            self._transport.close()


async def serve(port: int, delay: float, watch: str) -> None:
    """Take mail on ``port``, 0 for any; the port is printed. Ends with the process."""
    Session.delay, Session.watch = delay, watch.encode()
    server = await asyncio.get_running_loop().create_server(Session, "127.0.0.1", port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=int, default=0, help="milliseconds")
    parser.add_argument("--watch", default="", help="a word in the recipient")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.delay / 1000, options.watch))
