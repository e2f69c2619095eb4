"""The containers: what the compose file names exists, and its commands do the main job on PostgreSQL and Redis."""

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from django.conf import settings

from tests.harness.demo import free_ports

SETTINGS = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (settings.BASE_DIR / "brilliance" / "settings.py").read_text()))
OF_THE_LISTENER = {"INTAKE_HOST", "INTAKE_PORT"}
OF_THE_FILE = {"DATA_DIR", "HOST", "PORT", "DATABASE_URL", "BROKER_URL", *OF_THE_LISTENER}


def ours(compose: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the services that run our own image."""
    found = [service for service in compose["services"].values() if service["image"] == "brilliance"]
    assert len(found) == 6
    return found


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())
    return found


def test_it_has_web_two_workers_beat_and_their_stores(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"migrate", "web", "worker-1", "worker-2", "beat", "intake", "postgres", "redis"}
    for name in ("web", "postgres", "redis"):
        assert "test" in compose["services"][name]["healthcheck"]


def test_every_setting_but_those_of_the_file_itself_is_set_by_the_environment(compose: dict[str, Any]) -> None:
    for service in ours(compose):
        own = {"DATA_DIR", "HOST", "PORT", *OF_THE_LISTENER}
        assert set(service["environment"]) - OF_THE_LISTENER == SETTINGS - own
        for name in SETTINGS - OF_THE_FILE:
            # Without a value compose hands on what .env says, and nothing where it is silent.
            value = service["environment"][name]
            assert value is None or value.startswith(f"${{{name}:"), name


def test_the_example_environment_gives_every_variable_the_compose_file_asks_for(compose: dict[str, Any]) -> None:
    asked = set(re.findall(r"\$\{(\w+)", (settings.BASE_DIR / "docker-compose.yml").read_text()))
    handed_on = {name for service in ours(compose) for name, value in service["environment"].items() if value is None}
    example = (settings.BASE_DIR / ".env.example").read_text()

    assert asked | handed_on == set(re.findall(r"^(?:# )?(\w+)=", example, re.MULTILINE))


def test_an_optional_setting_of_the_example_has_its_default() -> None:
    example = (settings.BASE_DIR / ".env.example").read_text()
    page = (settings.BASE_DIR / "docs" / "settings.md").read_text()
    told = {name: default.strip("`") for name, default in re.findall(r"^\| `(\w+)` \| (.*?) \|", page, re.MULTILINE)}

    for name, value in re.findall(r"^# (\w+)=(.*)$", example, re.MULTILINE):
        assert (value or "empty") == ("off" if name == "SANDBOX_ENABLED" else told[name]), name


def test_containers_write_to_their_volume_alone_and_have_no_powers(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any("tmp" in Path(folder.partition(":")[0]).parts for folder in service["tmpfs"]), name
        assert service["restart"] == ("no" if name == "migrate" else "unless-stopped"), name
    assert compose["services"]["postgres"]["user"] == "postgres"
    assert compose["services"]["redis"]["user"] == "redis"


def test_images_are_named_by_their_full_version(compose: dict[str, Any]) -> None:
    dockerfile = (settings.BASE_DIR / "Dockerfile").read_text()

    assert re.search(r"^FROM python:3\.\d+\.\d+-slim$", dockerfile, re.MULTILINE)
    assert re.fullmatch(r"postgres:\d+\.\d+", compose["services"]["postgres"]["image"])
    assert re.fullmatch(r"redis:\d+\.\d+\.\d+", compose["services"]["redis"]["image"])


def test_who_works_with_rows_knows_no_password_that_changes_the_schema(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        text = json.dumps(service["environment"])
        assert ("POSTGRES_PASSWORD" in text) is (name == "postgres"), name
        assert ("MIGRATION_PASSWORD" in text) is (name in ("postgres", "migrate")), name


def test_the_image_runs_as_nobody_special() -> None:
    lines = (settings.BASE_DIR / "Dockerfile").read_text().splitlines()

    assert "USER brilliance" in lines
    assert lines.index("USER brilliance") > lines.index("COPY . .")


@pytest.fixture
def database() -> Iterator[dict[str, str]]:
    """A database of its own with the two roles of deploy/roles.sql, on the server that DATABASE_URL names.

    Roles belong to the whole server, so these have names of their own. The addresses: of the role that migrates, and
    of the one that works.
    """
    name = f"brilliance_{os.getpid()}"
    superuser = urlsplit(os.environ["DATABASE_URL"])
    passwords = {"MIGRATION_PASSWORD": "m" * 20, "DATABASE_PASSWORD": "d" * 20}
    roles = (settings.BASE_DIR / "deploy" / "roles.sql").read_text().replace("brilliance", name)
    with psycopg.connect(superuser.geturl(), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    own = superuser._replace(path=f"/{name}")
    try:
        psql = ["psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", own.geturl()]
        for _ in range(2):  # It may run again.
            subprocess.run(psql, input=roles, text=True, env={**os.environ, **passwords}, check=True)
        place = own.netloc.rpartition("@")[2]
        yield {
            "migrates": own._replace(netloc=f"{name}_migration:{'m' * 20}@{place}").geturl(),
            "works": own._replace(netloc=f"{name}:{'d' * 20}@{place}").geturl(),
            "superuser": own.geturl(),
        }
    finally:
        with psycopg.connect(superuser.geturl(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            for role in (name, f"{name}_migration"):
                connection.execute(f'DROP ROLE IF EXISTS "{role}"')


@pytest.mark.postgres
@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
def test_the_role_that_works_changes_no_schema(database: dict[str, str]) -> None:
    with psycopg.connect(database["migrates"], autocommit=True) as connection:
        connection.execute("CREATE TABLE thing (id bigserial PRIMARY KEY, word text)")

    with psycopg.connect(database["works"], autocommit=True) as connection:
        connection.execute("INSERT INTO thing (word) VALUES ('a'); UPDATE thing SET word = 'b'; DELETE FROM thing")
        connection.execute("CREATE TEMPORARY TABLE import AS SELECT * FROM thing")
        for forbidden in (
            "CREATE TABLE other ()",
            "ALTER TABLE thing ADD more text",
            "DROP TABLE thing",
            "TRUNCATE thing",
            "CREATE INDEX ON thing (word)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE SCHEMA mine",
            "CREATE ROLE boss SUPERUSER",
            "COPY thing TO PROGRAM 'true'",
        ):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)):
                connection.execute(forbidden)


# Beside the folder of data everything is read-only, /tmp is the process's own, and root has no power over files.
CONFINED = """
set -e
mount --make-rprivate /
mount --bind "$DATA_DIR" /mnt
mount -t tmpfs -o size=512m,mode=1777 tmpfs /tmp
for place in "$@"; do
    [ "$place" = -- ] && break
    mount --bind "$place" "$place"
    mount -o remount,bind,ro "$place"
done
mount -o remount,bind,ro /
while [ "$1" != -- ]; do shift; done
shift
if touch "$PWD/written" 2>/dev/null; then echo "The tree can be written to." >&2; exit 1; fi
DATA_DIR=/mnt exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@"
"""


def confined(command: list[str]) -> list[str]:
    """Return the command as it runs in a container of the compose file, as nearly as this machine can."""
    places = {str(settings.BASE_DIR), str(Path(sys.prefix).resolve())}
    return ["unshare", "--mount", "sh", "-c", CONFINED, "confined", *sorted(places), "--", *command]


def can_confine() -> bool:
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv", "mount"))):
        return False
    return subprocess.run(["unshare", "--mount", "mount", "--make-rprivate", "/"], capture_output=True).returncode == 0


needs_root = pytest.mark.skipif(not can_confine(), reason="a read-only tree needs root, unshare and setpriv")


@pytest.mark.postgres
@pytest.mark.redis
@pytest.mark.skipif(shutil.which("psql") is None, reason="needs psql")
@needs_root
def test_its_commands_send_a_campaign_on_a_read_only_tree_with_a_role_that_changes_no_schema(
    compose: dict[str, Any], database: dict[str, str], tmp_path: Path
) -> None:
    web_port, plain, starttls, auth, intake = free_ports(5)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "DATA_DIR": str(tmp_path),
        **{name: default(value) for name, value in compose["services"]["web"]["environment"].items() if value},
        "BASE_URL": "https://mail.example.com",
        "SECRET_KEY": "k" * 64,
        "FIELD_ENCRYPTION_KEYS": "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=",
        "TOKEN_KEYS": "t" * 64,
        "DATABASE_URL": database["works"],
        "BROKER_URL": urlsplit(os.environ["BROKER_URL"])._replace(path="/13").geturl(),
        # The demo stands in for real servers and people.
        "SANDBOX_ENABLED": "on",
        "SANDBOX_PLAIN_PORT": str(plain),
        "SANDBOX_STARTTLS_PORT": str(starttls),
        "SANDBOX_AUTH_PORT": str(auth),
        "INTAKE_PORT": str(intake),
    }
    services = compose["services"]

    def run(command: list[str], **changes: str) -> None:
        subprocess.run(confined(command), cwd=settings.BASE_DIR, env={**environment, **changes}, check=True)

    run(shlex.split(services["migrate"]["command"]), DATABASE_URL=database["migrates"])
    run(["python", "manage.py", "seed_demo"])
    web = [word.replace("0.0.0.0:8000", f"127.0.0.1:{web_port}") for word in image_command()]
    commands = [web, ["python", "manage.py", "sandbox"]]
    commands += [
        shlex.split(services[name]["command"].replace("@%h", f"-{name}@%h"))
        for name in ("worker-1", "worker-2", "beat", "intake")
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.extend(
            subprocess.Popen(confined(command), cwd=settings.BASE_DIR, env=environment) for command in commands
        )
        wait_for(lambda: readiness(web_port).get("ready") is True)
        with psycopg.connect(database["superuser"], autocommit=True) as connection:
            arrived = "SELECT count(*) >= 40 FROM sandbox_sandboxmail"  # Notices come there too.
            wait_for(lambda: connection.execute(arrived).fetchone() == (True,))
            finished = "SELECT count(*) FROM campaigns_campaign WHERE status = 'finished'"
            wait_for(lambda: connection.execute(finished).fetchone() == (1,))
            counts = (
                "SELECT status, count(*) FROM delivery_message JOIN delivery_mailing AS mailing"
                " ON mailing_id = mailing.id WHERE stream = 'campaign' GROUP BY 1 ORDER BY 1"
            )
            # One is bounced by a report that comes in by mail.
            wait_for(lambda: connection.execute(counts).fetchall() == [("accepted", 39), ("bounced", 1)])
    finally:
        codes = ended(running)
    assert codes == [0] * len(running)


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server")
def test_redis_takes_its_password_from_no_command_line(compose: dict[str, Any], tmp_path: Path) -> None:
    (port,) = free_ports(1)
    service = compose["services"]["redis"]
    [*shell, script] = [word.replace("$$", "$") for word in service["command"]]
    script = script.replace("appendonly no", f"appendonly no\nport {port}\nbind 127.0.0.1\ndir {tmp_path}")
    environment = {"PATH": os.environ["PATH"], "REDIS_PASSWORD": "r" * 20}
    _, check = service["healthcheck"]["test"]
    check = check.replace("$$", "$").replace("redis-cli", f"redis-cli -p {port}")

    process = subprocess.Popen([*shell, script], env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: subprocess.run(["sh", "-c", check], env=environment, capture_output=True).returncode == 0)
        words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        stranger = subprocess.run(["redis-cli", "-p", str(port), "ping"], capture_output=True, text=True)
    finally:
        ended([process])

    assert b"redis-server" in words
    assert b"rrrr" not in words
    assert "NOAUTH" in stranger.stdout + stranger.stderr
    assert "-a " not in check


def ended(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    """Have processes end, and return their codes. Those that don't end are killed, so that none outlives its test."""
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(120)
        process.kill()
    return [process.wait() for process in processes]


def default(value: str) -> str:
    """Return what compose makes of ``${NAME:-default}`` without an environment."""
    return re.sub(r"\$\{\w+(?::[-?]([^}]*))?\}", r"\1", value)


def image_command() -> list[str]:
    line = next(line for line in (settings.BASE_DIR / "Dockerfile").read_text().splitlines() if line.startswith("CMD "))
    command: list[str] = json.loads(line.removeprefix("CMD "))
    return command


def readiness(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz", headers={"Host": "mail.example.com"})
        found: dict[str, Any] = json.loads(connection.getresponse().read())
        return found
    except (OSError, ValueError):
        return {}
    finally:
        connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
