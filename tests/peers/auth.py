"""The server's side of SMTP AUTH, written apart from the product: it really checks what a client claims to know.

Each function is a generator that yields challenges (bytes, sent as base64 behind 334), is sent the client's answers,
and returns whether the client may come in.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable, Generator

Check = Generator[bytes, bytes, bool]
Accounts = dict[str, str]


def plain(accounts: Accounts, initial: bytes | None) -> Check:
    words = initial if initial is not None else (yield b"")
    identity, username, password = words.split(b"\0")
    return identity == b"" and accounts.get(username.decode()) == password.decode()


def login(accounts: Accounts, initial: bytes | None) -> Check:
    username = initial if initial is not None else (yield b"Username:")
    password = yield b"Password:"
    return accounts.get(username.decode()) == password.decode()


def cram_md5(accounts: Accounts, initial: bytes | None) -> Check:
    challenge = b"<%d@peer.example>" % int.from_bytes(os.urandom(8))
    username, _, digest = (yield challenge).rpartition(b" ")
    password = accounts.get(username.decode(), "")
    return bool(password) and hmac.new(password.encode(), challenge, "md5").hexdigest() == digest.decode()


def scram(algorithm: str, *, lies: bool = False, rounds: int = 4096) -> Callable[[Accounts, bytes | None], Check]:
    """SCRAM as RFC 5802 has it for a server that stores the salted keys; ``lies`` forges the server's own proof."""

    def check(accounts: Accounts, initial: bytes | None) -> Check:
        first = (initial if initial is not None else (yield b"")).decode()
        assert first.startswith("n,,"), "no channel binding, no other identity"
        bare = first[3:]
        name, client_nonce = (part[2:] for part in bare.split(","))
        password = accounts.get(name.replace("=2C", ",").replace("=3D", "="), "no such account")
        salt = os.urandom(16)
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), salt, rounds)
        stored_key = hashlib.new(algorithm, hmac.digest(salted, b"Client Key", algorithm)).digest()
        server_key = hmac.digest(salted, b"Server Key", algorithm)
        nonce = client_nonce + base64.b64encode(os.urandom(12)).decode()
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i={rounds}"
        final = (yield challenge.encode()).decode()
        without_proof, _, proof = final.rpartition(",p=")
        assert without_proof == f"c=biws,r={nonce}"
        message = f"{bare},{challenge},{without_proof}".encode()
        signature = hmac.digest(stored_key, message, algorithm)
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if hashlib.new(algorithm, client_key).digest() != stored_key:
            return False
        own_proof = hmac.digest(os.urandom(20) if lies else server_key, message, algorithm)
        assert (yield b"v=" + base64.b64encode(own_proof)) == b""
        return True

    return check


CHECKS: dict[str, Callable[[Accounts, bytes | None], Check]] = {
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "SCRAM-SHA-1": scram("sha1"),
    "SCRAM-SHA-256": scram("sha256"),
}
