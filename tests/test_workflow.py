"""The workflow of a public host runs what we run, on what we ship, and nothing that may change under our feet."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert workflow["permissions"] == {"contents": "read"}
    found: dict[str, Any] = workflow["jobs"]["run"]
    return found


def test_it_runs_the_one_script(job: dict[str, Any]) -> None:
    assert [step["run"] for step in job["steps"] if "run" in step] == ["bash .ci/run"]


def test_each_action_is_one_commit(job: dict[str, Any]) -> None:
    used = [step["uses"] for step in job["steps"] if "uses" in step]

    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name) for name in used), used


def test_its_services_are_those_of_the_compose_file(job: dict[str, Any]) -> None:
    ours = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]

    for name, service in job["services"].items():
        assert service["image"] == ours[name]["image"]
        assert "--health-cmd" in service["options"]
    assert job["services"]["postgres"]["ports"] == ["127.0.0.1:5432:5432"]
    assert job["services"]["redis"]["ports"] == ["127.0.0.1:6379:6379"]


def test_it_tries_the_oldest_python_and_that_of_the_image(job: dict[str, Any]) -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]["python_version"]
    image = re.search(r"^FROM python:(3\.\d+)\.", (ROOT / "Dockerfile").read_text(), re.MULTILINE)

    assert image is not None
    assert job["strategy"]["matrix"]["python"] == [oldest, image[1]]
