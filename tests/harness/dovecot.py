"""A Dovecot of the tests' own: IMAP and POP3 on loopback, with TLS, STARTTLS, passwords and XOAUTH2.

It runs as an ordinary user. Where Dovecot is not installed, its tests are skipped; under CI they fail.
"""

import base64
import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import trustme

from tests.harness.demo import free_ports

PASSWORD = "correct-horse"
OAUTH_KEY = "a key of the tests' own, long enough for HS256"
INSTALL = "apt-get install dovecot-imapd dovecot-pop3d"


class Dovecot:
    """A running server. Each mailbox exists as soon as something is delivered to it, or somebody signs in."""

    def __init__(self, folder: Path, user: str) -> None:
        self.folder, self._user = folder, user
        self.imap, self.imaps, self.pop3, self.pop3s = free_ports(4)
        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes().decode()
        authority.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
        self.context = ssl.create_default_context(cadata=self.ca_pem)
        keys = folder / "keys" / "default" / "HS256"
        keys.mkdir(parents=True)
        (keys / "default").write_bytes(base64.b64encode(OAUTH_KEY.encode()))
        (folder / "oauth2.conf").write_text(
            f"introspection_mode = local\nlocal_validation_key_dict = fs:posix:prefix={folder}/keys/\n"
            "username_attribute = sub\n"
        )
        (folder / "dovecot.conf").write_text(self._configuration())
        (folder / "mail").mkdir()

    def _configuration(self) -> str:
        def service(protocol: str, plain: int, tls: int) -> str:
            return (
                f"service {protocol}-login {{\n chroot =\n inet_listener {protocol} {{\n address = 127.0.0.1\n"
                f" port = {plain}\n }}\n inet_listener {protocol}s {{\n address = 127.0.0.1\n port = {tls}\n"
                " ssl = yes\n }\n}\n"
            )

        user, folder = self._user, self.folder
        return f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap pop3
default_internal_user = {user}
default_internal_group = {_group(user)}
default_login_user = {user}
mail_location = maildir:{folder}/mail/%n
mail_uid = {user}
mail_gid = {_group(user)}
first_valid_uid = 1
first_valid_gid = 1
mail_fsync = never
auth_mechanisms = plain xoauth2 oauthbearer
auth_failure_delay = 0
ssl = required
ssl_cert = <{folder}/tls.pem
ssl_key = <{folder}/tls.pem
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={user} gid={_group(user)} home={folder}/mail/%n
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service auth {{
  client_limit = 500
}}
{service("imap", self.imap, self.imaps)}
{service("pop3", self.pop3, self.pop3s)}
"""

    # --- what is in a mailbox

    def deliver(self, mailbox: str, content: bytes) -> None:
        """Put a mail into a mailbox, as a mail server does."""
        home = self.folder / "mail" / mailbox
        for name in ("tmp", "new", "cur"):
            (home / name).mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}.{uuid.uuid4().hex}.tests"
        (home / "tmp" / name).write_bytes(content)
        self._give(home)
        (home / "tmp" / name).rename(home / "new" / name)

    def contents(self, mailbox: str, folder: str = "INBOX") -> list[bytes]:
        """Return the mails of a folder, with the line ends of the wire; empty if there is no such folder."""
        with self.signed_in(mailbox) as client:
            answer, (number,) = client.select(f'"{folder}"', readonly=True)
            if answer != "OK" or number == b"0":
                return []
            _, found = client.fetch("1:*", "(BODY.PEEK[])")
            return [part[1] for part in found if isinstance(part, tuple)]

    def flags(self, mailbox: str, folder: str = "INBOX") -> list[str]:
        """Return the flags of a folder's mails, as IMAP writes them."""
        with self.signed_in(mailbox) as client:
            client.select(f'"{folder}"', readonly=True)
            _, found = client.fetch("1:*", "(FLAGS)")
            return [imaplib.ParseFlags(line) and line.decode() for line in found if line]

    @contextlib.contextmanager
    def signed_in(self, mailbox: str) -> Iterator[imaplib.IMAP4_SSL]:
        """Yield a client that is signed in to a mailbox."""
        with imaplib.IMAP4_SSL("localhost", self.imaps, ssl_context=self.context) as client:
            client.login(mailbox, PASSWORD)
            yield client

    def renumber(self, mailbox: str) -> None:
        """Give the mailbox another UIDVALIDITY, as after it was moved to another machine."""
        home = self.folder / "mail" / mailbox
        for path in home.glob("dovecot*"):
            path.unlink()
        (home / "dovecot-uidlist").write_text(f"3 V{time.time_ns() // 1_000_000_000 + 7} N1 G{uuid.uuid4().hex}\n")
        self._give(home)

    def token(self, mailbox: str, seconds: int = 3600) -> str:
        """Return an access token for a mailbox; expired if ``seconds`` is negative."""
        return jwt.encode({"sub": mailbox, "exp": int(time.time()) + seconds}, OAUTH_KEY, algorithm="HS256")

    def _give(self, folder: Path) -> None:
        if os.getuid() == 0:
            for path in (folder, *folder.rglob("*")):
                shutil.chown(path, self._user, _group(self._user))

    # --- its process

    @contextlib.contextmanager
    def running(self) -> Iterator["Dovecot"]:
        as_user = []
        if os.getuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self._user, _group(self._user))
            as_user = ["setpriv", f"--reuid={self._user}", f"--regid={_group(self._user)}", "--clear-groups"]
        command = [*as_user, _program(), "-F", "-c", str(self.folder / "dovecot.conf")]
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            self._wait(process)
            yield self
        finally:
            process.terminate()
            process.wait(10)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), self.signed_in("somebody"):
                return
            told = [path.read_text() for path in (self.folder / "output", self.folder / "log") if path.exists()]
            assert process.poll() is None, told
            assert time.monotonic() < deadline, told
            time.sleep(0.05)


def _program() -> str:
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or ""


def _group(user: str) -> str:
    return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name


@contextlib.contextmanager
def running_dovecot() -> Iterator[Dovecot]:
    """Run a Dovecot with no mailboxes."""
    if not _program():
        missing = f"needs Dovecot: {INSTALL}"
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    user = "dovecot" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="brilliance-dovecot-"))
    try:
        with Dovecot(folder, user).running() as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
