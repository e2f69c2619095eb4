"""What was measured on what: the machine, the commit, the versions."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.processes import ROOT
from bench.stage.programs import python_version
from bench.stage.stage import Stage


def facts(there: Stage) -> dict[str, Any]:
    """Return what stands beside every result."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) // 1024**2 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    commit = _git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain") else "")
    packages = ("Django", "celery", "psycopg", "cryptography")
    return {
        "machine": f"{os.cpu_count()} × {(models or ['unknown'])[0]}, {(memory or [0])[0]} GiB, {platform.platform()}",
        "commit": commit or "unknown",
        "versions": {
            "Python": python_version(),
            **{name: version(name) for name in packages},
            **{name: program.version for name, program in there.programs.items()},
        },
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # Not on Linux.
        return []


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
