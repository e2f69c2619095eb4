"""The containers: what the compose file names exists, and its commands do the main job on PostgreSQL and Redis."""

import http.client
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml
from django.conf import settings

from tests.demo import free_ports

SETTINGS = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (settings.BASE_DIR / "brilliance" / "settings.py").read_text()))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())
    return found


def test_it_has_web_two_workers_beat_and_their_stores(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"migrate", "web", "worker-1", "worker-2", "beat", "postgres", "redis"}
    for name in ("web", "postgres", "redis"):
        assert "test" in compose["services"][name]["healthcheck"]


def test_every_variable_of_our_containers_is_a_setting(compose: dict[str, Any]) -> None:
    ours = [service for service in compose["services"].values() if service["image"] == "brilliance"]

    assert len(ours) == 5
    for service in ours:
        assert set(service["environment"]) <= SETTINGS


def test_the_example_environment_gives_every_variable_the_compose_file_asks_for() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (settings.BASE_DIR / "docker-compose.yml").read_text()))
    given = set(re.findall(r"^(\w+)=", (settings.BASE_DIR / ".env.example").read_text(), re.MULTILINE))

    assert asked == given


def test_the_image_runs_as_nobody_special() -> None:
    lines = (settings.BASE_DIR / "Dockerfile").read_text().splitlines()

    assert "USER brilliance" in lines
    assert lines.index("USER brilliance") > lines.index("COPY . .")


@pytest.fixture
def database() -> Iterator[str]:
    """The address of a database of its own, on the server that DATABASE_URL names."""
    name = f"brilliance_compose_{os.getpid()}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.mark.postgres
@pytest.mark.redis
def test_its_commands_send_a_campaign_on_postgresql_and_redis(
    compose: dict[str, Any], database: str, tmp_path: Path
) -> None:
    web_port, plain, starttls, auth = free_ports(4)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DATA_DIR": str(tmp_path),
        **{name: default(value) for name, value in compose["services"]["web"]["environment"].items()},
        "BASE_URL": "https://mail.example.com",
        "SECRET_KEY": "k" * 64,
        "FIELD_ENCRYPTION_KEYS": "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U=",
        "TOKEN_KEYS": "t" * 64,
        "DATABASE_URL": database,
        "BROKER_URL": urlsplit(os.environ["BROKER_URL"])._replace(path="/13").geturl(),
        # The demo stands in for real servers and people.
        "SANDBOX_ENABLED": "on",
        "SANDBOX_PLAIN_PORT": str(plain),
        "SANDBOX_STARTTLS_PORT": str(starttls),
        "SANDBOX_AUTH_PORT": str(auth),
    }
    services = compose["services"]
    subprocess.run(shlex.split(services["migrate"]["command"]), cwd=settings.BASE_DIR, env=environment, check=True)
    subprocess.run(["python", "manage.py", "seed_demo"], cwd=settings.BASE_DIR, env=environment, check=True)
    web = [word.replace("0.0.0.0:8000", f"127.0.0.1:{web_port}") for word in image_command()]
    commands = [web, ["python", "manage.py", "sandbox"]]
    commands += [
        shlex.split(services[name]["command"].replace("@%h", f"-{name}@%h"))
        for name in ("worker-1", "worker-2", "beat")
    ]
    running: list[subprocess.Popen[bytes]] = []
    try:
        running.extend(subprocess.Popen(command, cwd=settings.BASE_DIR, env=environment) for command in commands)
        wait_for(lambda: readiness(web_port).get("ready") is True)
        with psycopg.connect(database, autocommit=True) as connection:
            wait_for(lambda: connection.execute("SELECT count(*) FROM sandbox_sandboxmail").fetchone() == (40,))
            finished = "SELECT count(*) FROM campaigns_campaign WHERE status = 'finished'"
            wait_for(lambda: connection.execute(finished).fetchone() == (1,))
            counts = connection.execute("SELECT status, count(*) FROM delivery_message GROUP BY 1").fetchall()
            assert counts == [("accepted", 40)]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(30)
    assert [process.returncode for process in running] == [0] * len(running)


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
