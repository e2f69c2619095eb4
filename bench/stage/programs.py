"""Getting the programs Brilliance is compared with, in pinned versions, into a folder of their own.

Nothing of the machine changes: Postfix's package is unpacked and neither configured nor started, django-post_office
gets an environment of its own, nodemailer a folder. What cannot be had is said, and the bench goes on without it.
"""

import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

POST_OFFICE = ("django-post_office==3.12.0", "Django==5.2.19", "psycopg[binary]==3.3.9")
NODEMAILER = "nodemailer@10.6.0"
PY_SPY = ("py-spy==0.4.3",)


class Unavailable(Exception):
    """A peer cannot be had on this machine; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """How a peer is started."""

    command: tuple[str, ...]
    version: str
    environment: Mapping[str, str] = field(default_factory=dict)


def postfix(folder: Path) -> tuple[Program, Program]:
    """Return smtp-source and smtp-sink: those of the machine, or out of Debian's package.

    :raises Unavailable: if there are neither.
    """
    found = [shutil.which(name) or shutil.which(name, path="/usr/sbin") for name in ("smtp-source", "smtp-sink")]
    if found[0] and found[1]:
        return Program((found[0],), "of this machine"), Program((found[1],), "of this machine")
    programs, libraries = folder / "unpacked/usr/sbin", folder / "unpacked/usr/lib/postfix"
    if not (programs / "smtp-source").exists():
        if not shutil.which("apt-get"):
            raise Unavailable("smtp-source and smtp-sink: Postfix is not installed, and this is no Debian")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run(["apt-get", "download", "-q", "postfix"], folder)
        except Unavailable:  # Perhaps the lists of packages are old.
            run(["apt-get", "update", "-q"], folder)
            run(["apt-get", "download", "-q", "postfix"], folder)
        package = max(folder.glob("postfix_*.deb"), key=lambda file: file.stat().st_mtime)
        run(["dpkg", "-x", str(package), str(folder / "unpacked")], folder)
    version = max(folder.glob("postfix_*.deb"), key=lambda file: file.stat().st_mtime).name.split("_")[1]
    environment = {"LD_LIBRARY_PATH": str(libraries)}
    return (
        Program((str(programs / "smtp-source"),), f"Postfix {version}", environment),
        Program((str(programs / "smtp-sink"),), f"Postfix {version}", environment),
    )


def post_office(folder: Path) -> Program:
    """Return the Python that has django-post_office.

    :raises Unavailable: if it cannot be installed.
    """
    return Program((str(_environment(folder, POST_OFFICE) / "python"),), ", ".join(POST_OFFICE))


def py_spy(folder: Path) -> Program:
    """Return the profiler.

    :raises Unavailable: if it cannot be installed.
    """
    return Program((str(_environment(folder, PY_SPY) / "py-spy"),), PY_SPY[0])


def _environment(folder: Path, packages: Sequence[str]) -> Path:
    """Return the ``bin`` of a Python environment that has these packages."""
    programs, stamp = folder / "bin", folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(packages):
        venv.create(folder, with_pip=True, clear=True)
        command = [str(programs / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run([*command, *packages], folder)
        stamp.write_text("\n".join(packages))
    return programs


def nodemailer(folder: Path) -> Program:
    """Return a node that finds nodemailer.

    :raises Unavailable: if there is no node, or no nodemailer for it.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        raise Unavailable("nodemailer: node and npm are not installed")
    stamp = folder / "installed.txt"
    if not stamp.exists() or stamp.read_text() != NODEMAILER:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        run([npm, "install", "--silent", "--no-audit", "--no-fund", NODEMAILER], folder)
        stamp.write_text(NODEMAILER)
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return Program((node,), f"{NODEMAILER}, node {version}", {"NODE_PATH": str(folder / "node_modules")})


def run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command[:3])}: {error}") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise Unavailable(f"{Path(command[0]).name} {command[1]}: {' '.join(last)}")


def python_version() -> str:
    """Return the version of the Python that runs this."""
    return sys.version.split()[0]
