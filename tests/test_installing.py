"""uv installs packages as pip is configured, pip where uv cannot; make needs neither of them."""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from deploy.install_packages import environment_of_uv

ROOT = Path(__file__).resolve().parent.parent
OURS = Path(sys.prefix, "uv")
ALWAYS = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_PYTHON_DOWNLOADS": "never"}


@pytest.mark.parametrize(
    ("listing", "environment"),
    [
        ("", {}),
        ("global.index-url='https://pypi.example/simple'", {"UV_DEFAULT_INDEX": "https://pypi.example/simple"}),
        (
            "global.extra-index-url='https://a.example https://b.example'",
            {"UV_INDEX": "https://a.example https://b.example"},
        ),
        ("install.find-links='\\n/opt/a\\n/opt/b'", {"UV_FIND_LINKS": "/opt/a,/opt/b"}),
        (":env:.cert='/etc/ssl/ca.pem'", {"SSL_CERT_FILE": "/etc/ssl/ca.pem"}),
        ("global.proxy='http://p:1'", {"HTTP_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:1"}),
        # The nearer place wins, wherever it stands.
        (":env:.index-url='https://e'\nglobal.index-url='https://g'", {"UV_DEFAULT_INDEX": "https://e"}),
        ("install.index-url='https://i'\nglobal.index-url='https://g'", {"UV_DEFAULT_INDEX": "https://i"}),
        # A hash has chosen the version; other commands of pip are none of ours.
        ("global.constraint='/etc/c.txt'\nglobal.cache-dir='/c'\nlist.format='columns'", {}),
    ],
)
def test_uv_is_told_what_pip_is_configured_to(listing: str, environment: dict[str, str]) -> None:
    assert environment_of_uv(listing) == {**ALWAYS, **environment}


@pytest.mark.parametrize(
    "listing",
    [
        "global.no-index='1'",
        "install.no-binary=':all:'",
        "global.client-cert='/etc/ssl/own.pem'",
        "global.a-setting-to-come='1'",
        # Of two files, as newer pips list them.
        "global.index-url='https://a'\nglobal.index-url='https://b'",
    ],
)
def test_what_uv_does_not_know_is_left_to_pip(listing: str) -> None:
    assert environment_of_uv(listing) is None


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """A package of our own in a folder of wheels."""
    path = tmp_path / "wheels" / "greeting-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("greeting.py", "WORD = 'hello'\n")
        archive.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        archive.writestr(
            "greeting-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "greeting-1.0.dist-info/RECORD",
            "".join(
                f"greeting{name},,\n"
                for name in (".py", "-1.0.dist-info/METADATA", "-1.0.dist-info/WHEEL", "-1.0.dist-info/RECORD")
            ),
        )
    return path


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """The Python of a new environment without pip, as the Makefile makes it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return tmp_path / "venv" / "bin" / "python"


@pytest.fixture(scope="module")
def environment_with_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pip") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def python_with_pip(environment_with_pip: Path, tmp_path: Path) -> Path:
    """The Python of an environment of its own that has a pip already: to make one takes seconds."""
    shutil.copytree(environment_with_pip, tmp_path / "venv", symlinks=True)
    return tmp_path / "venv" / "bin" / "python"


def install(python: Path, wheel: Path, digest: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
    """Install the package from its folder."""
    requirements = python.parent / "requirements.txt"
    requirements.write_text(f"greeting==1.0 --hash=sha256:{digest or sha256(wheel)}\n")
    environment = {**no_network(python.parent, wheel), **changes}
    command = [python, ROOT / "deploy" / "install_packages.py", requirements]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def no_network(folder: Path, wheel: Path) -> dict[str, str]:
    """Return an environment where the index is a folder that holds nothing, and the wheel lies in another."""
    index = folder / "index"
    index.mkdir(exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": index.as_uri(),
        "PIP_FIND_LINKS": f"{folder} {wheel.parent}",
    }


def installer(python: Path) -> str:
    """Return who installed the package, as it is written down beside it; empty where it is not installed."""
    found = list(python.parent.parent.glob("lib/*/site-packages/greeting-1.0.dist-info/INSTALLER"))
    return found[0].read_text().strip() if found else ""


needs_uv = pytest.mark.skipif(not (OURS / "bin" / "uv").exists(), reason="uv could not be had when this was installed")


@needs_uv
def test_uv_installs_from_where_pip_is_told_to_look(python: Path, wheel: Path) -> None:
    python.parent.parent.joinpath("uv").symlink_to(OURS)

    result = install(python, wheel)

    assert (result.returncode, result.stdout + result.stderr, installer(python)) == (0, "", "uv")
    assert not list(python.parent.parent.glob("lib/*/site-packages/__pycache__"))


@needs_uv
def test_uv_takes_no_package_with_another_hash(python_with_pip: Path, wheel: Path) -> None:
    python_with_pip.parent.parent.joinpath("uv").symlink_to(OURS)

    result = install(python_with_pip, wheel, digest="0" * 64)

    assert result.returncode == 1
    assert result.stdout.startswith("uv could not install the packages. pip installs the packages instead")
    assert "DO NOT MATCH" in result.stderr
    assert installer(python_with_pip) == ""


def test_where_uv_cannot_be_had_pip_installs(python: Path, wheel: Path) -> None:
    result = install(python, wheel)

    assert result.stdout == "uv could not be had. pip installs the packages instead, which takes longer.\n"
    assert (result.returncode, installer(python)) == (0, "pip"), result.stderr


def test_a_program_that_this_machine_cannot_run_is_no_obstacle(python_with_pip: Path, wheel: Path) -> None:
    folder = python_with_pip.parent.parent / "uv"
    (folder / "bin").mkdir(parents=True)
    (folder / "pinned.txt").write_text((ROOT / "requirements-uv.txt").read_text())
    (folder / "bin" / "uv").write_bytes(b"\x7fELF of another machine")
    (folder / "bin" / "uv").chmod(0o755)

    result = install(python_with_pip, wheel)

    assert result.stdout.startswith("uv could not install the packages.")
    assert (result.returncode, installer(python_with_pip)) == (0, "pip"), result.stderr


def test_pip_installs_where_it_is_configured_as_uv_cannot_be(python_with_pip: Path, wheel: Path) -> None:
    result = install(python_with_pip, wheel, PIP_NO_INDEX="1")

    assert result.stdout.startswith("pip is configured in a way that uv does not know.")
    assert (result.returncode, installer(python_with_pip)) == (0, "pip"), result.stderr


def test_make_needs_nothing_but_python(tmp_path: Path, wheel: Path) -> None:
    clone = tmp_path / "clone"
    (clone / "deploy").mkdir(parents=True)
    for name in ("Makefile", "deploy/install_packages.py", "requirements-uv.txt"):
        shutil.copyfile(ROOT / name, clone / name)
    (clone / "requirements.txt").write_text(f"greeting==1.0 --hash=sha256:{sha256(wheel)}\n")

    result = subprocess.run(
        ["make", "--no-print-directory", ".venv/.product"],
        cwd=clone,
        env={**no_network(tmp_path, wheel), "PYTHON3": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "Making the virtual environment in .venv ...",
        "Installing the packages of requirements.txt ...",
        "uv could not be had. pip installs the packages instead, which takes longer.",
    ]
    word = subprocess.check_output(
        [clone / ".venv/bin/python", "-c", "import greeting; print(greeting.WORD)"], text=True
    )
    assert word == "hello\n"


def test_make_lets_programs_leave_bytecode(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("show:\n\t@env\n")

    shown = subprocess.check_output(
        ["make", "-s", "-f", "Makefile", "-f", tmp_path / "more", "show"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        text=True,
    )

    assert "PATH=" in shown
    assert "PYTHONDONTWRITEBYTECODE" not in shown
