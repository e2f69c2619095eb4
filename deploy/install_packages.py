"""Installs the packages of a requirements file, pinned by hash, into the environment whose Python runs this.

uv does it within seconds. It is fetched with pip, pinned by hash too, and told what pip's configuration says about
indexes. pip installs the packages where uv cannot be had, fails, or cannot be told all that pip's configuration says.
Only the standard library is needed, as nothing is installed yet.
"""

import ast
import contextlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

PINNED_UV = Path(__file__).resolve().parent.parent / "requirements-uv.txt"
FROM_INDEX = ("install", "--quiet", "--disable-pip-version-check", "--no-input", "--require-hashes")

# How pip's settings are called in the environment of uv.
TOLD_TO_UV = {
    "index-url": ("UV_DEFAULT_INDEX",),
    "extra-index-url": ("UV_INDEX",),
    "find-links": ("UV_FIND_LINKS",),
    "trusted-host": ("UV_INSECURE_HOST",),
    "cert": ("SSL_CERT_FILE",),
    "proxy": ("HTTP_PROXY", "HTTPS_PROXY"),
    "timeout": ("UV_HTTP_TIMEOUT",),
    "default-timeout": ("UV_HTTP_TIMEOUT",),
    "no-cache-dir": ("UV_NO_CACHE",),
}
# pip's settings that change nothing about which files are installed from where. Constraints are among them: they can
# only choose a version, and a hash has chosen it already.
LEFT_TO_PIP = {
    "break-system-packages",
    "cache-dir",
    "config-file",
    "constraint",
    "disable-pip-version-check",
    "exists-action",
    "log",
    "no-color",
    "no-input",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "user",
    "verbose",
}


def main(requirements: str) -> int:
    if problem := install_with_uv(requirements):
        print(f"{problem} pip installs the packages instead, which takes longer.", flush=True)
        return install_with_pip(requirements)
    return 0


def install_with_uv(requirements: str) -> str:
    """Return the empty text, or a sentence that says why uv has not installed the packages."""
    pip = find_pip()
    if pip is None:
        return "pip could not be had."
    environment = environment_of_uv(_output(*pip, "config", "list"))
    if environment is None:
        return "pip is configured in a way that uv does not know."
    uv = fetch_uv(pip)
    if uv is None:
        return "uv could not be had."
    command = [uv, "pip", "install", "--quiet", "--require-hashes", "--python", sys.executable, "-r", requirements]
    with contextlib.suppress(OSError):  # A file for another machine.
        if _run(*map(str, command), environment={**os.environ, **environment}).returncode == 0:
            return ""
    return "uv could not install the packages."


def install_with_pip(requirements: str) -> int:
    if importlib.util.find_spec("pip") is None:
        made = _run(*_own("ensurepip", "--default-pip"))
        if made.returncode:
            print(made.stderr, file=sys.stderr)
            return 1
    return subprocess.run(_own("pip", *FROM_INDEX, "-r", requirements)).returncode  # noqa: S603


def fetch_uv(pip: Sequence[str]) -> Path | None:
    """Return the program of the pinned uv, fetched where it is not there yet; None where it cannot be had."""
    folder = Path(sys.prefix, "uv")
    pinned, is_there = PINNED_UV.read_text(), folder / "pinned.txt"
    if not is_there.exists() or is_there.read_text() != pinned:
        shutil.rmtree(folder, ignore_errors=True)
        options = ("--no-deps", "--only-binary=:all:", "--no-compile", "--target", str(folder), "-r", str(PINNED_UV))
        if _run(*pip, *FROM_INDEX, *options, environment={**os.environ, "PIP_USER": "0"}).returncode:
            return None
        is_there.write_text(pinned)
    return folder / "bin" / "uv"


def find_pip() -> list[str] | None:
    """Return the command of a pip: this environment's, its Python's, or one that is made here (in seconds)."""
    for pip in _pips():
        with contextlib.suppress(OSError):
            if _output(*pip, "--version"):
                return pip
    return None


def _pips() -> Iterator[list[str]]:
    if importlib.util.find_spec("pip"):
        yield _own("pip")
    yield [str(Path(sys.base_prefix, "bin", f"python{sys.version_info.major}.{sys.version_info.minor}")), "-m", "pip"]
    if _run(*_own("ensurepip", "--default-pip")).returncode == 0:
        yield _own("pip")


def environment_of_uv(configuration: str) -> dict[str, str] | None:
    """Return what the variables of uv must be to follow pip's configuration, or None where it cannot.

    :param configuration: the lines of ``pip config list``.
    """
    settings = read_configuration(configuration)
    if settings is None or not settings.keys() <= TOLD_TO_UV.keys() | LEFT_TO_PIP:
        return None
    # pip takes a package from whichever of its indexes has it.
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never"}
    for name in TOLD_TO_UV.keys() & settings.keys():
        between = "," if name == "find-links" else " "
        environment |= dict.fromkeys(TOLD_TO_UV[name], between.join(settings[name].split()))
    return environment


def read_configuration(listing: str) -> dict[str, str] | None:
    """Return pip's settings by name from ``pip config list``, or None where two files disagree.

    What stands under ``install`` goes before ``global``, and the environment before both.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listing.splitlines():
        place, _, value = line.partition("=")
        section, _, name = place.partition(".")
        if section in sections:
            text = str(ast.literal_eval(value))
            if sections[section].setdefault(name, text) != text:
                return None
    return sections["global"] | sections["install"] | sections[":env:"]


def _own(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _run(*command: str, environment: Mapping[str, str] = os.environ) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603


def _output(*command: str) -> str:
    """Return what the command wrote, or the empty text if it failed."""
    result = _run(*command)
    return "" if result.returncode else result.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
