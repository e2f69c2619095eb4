"""The listening socket, its certificate, and its orderly end."""

import asyncio
import os
import shutil
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trustme

from feedback.listener.conversation import (
    IDLE_SECONDS,
    LARGE_MAIL_BYTES,
    Conversation,
    Door,
    LmtpConversation,
    Reception,
)
from feedback.listener.storage import Storage

STOP_SECONDS = 10.0  # For what is being stored.


@asynccontextmanager
async def listening(
    host: str, port: int, *, name: str, tls: ssl.SSLContext, is_lmtp: bool = False
) -> AsyncIterator[int]:
    """Take mail while the block runs; yields the port (0 requests any free one).

    :param name: what the listener calls itself.
    :raises OSError: if the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    reception = Reception(Storage(), is_lmtp)

    def converse() -> Conversation:
        conversation: Conversation = (LmtpConversation if is_lmtp else Conversation)(
            reception,
            hostname=name,
            ident="Brilliance",
            data_size_limit=LARGE_MAIL_BYTES,
            enable_SMTPUTF8=True,
            timeout=IDLE_SECONDS,
            tls_context=tls,
            loop=loop,
        )
        return conversation

    server = await loop.create_server(lambda: Door(reception, converse), host, port)
    stopped = asyncio.Event()
    beating = asyncio.create_task(reception.storage.beat(stopped))
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        stopped.set()
        if reception.storing:
            await asyncio.wait(reception.storing, timeout=STOP_SECONDS)
            await asyncio.sleep(0)  # Each conversation says its 250.
        left = list(reception.connections)
        for conversation in left:
            conversation.leave(b"421 4.3.2 Shutting down\r\n")
        await beating
        reception.storage.close()
        for conversation in left:
            await conversation.ended.wait()  # Who reads nothing is cut off.
        await server.wait_closed()


def tls_context(certificate: str, data_dir: Path, name: str) -> ssl.SSLContext:
    """Return the context for STARTTLS.

    :param certificate: the path of a PEM file with key and certificates; empty: one of our own, which senders take
        too, because mail servers do not check each other's (RFC 3207 section 4).
    :raises OSError: if a file cannot be read or written.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate or _own(data_dir, name))
    return context


def _own(data_dir: Path, name: str) -> Path:
    file = data_dir / "keys" / "intake-tls.pem"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = Path(tempfile.mkdtemp(dir=file.parent, prefix=".intake-tls-"))  # Readable by this user only.
        trustme.CA().issue_cert(name).private_key_and_cert_chain_pem.write_to_path(aside / file.name)
        os.chmod(aside / file.name, 0o600)
        (aside / file.name).replace(file)
        shutil.rmtree(aside, ignore_errors=True)
    return file
