"""A contestant, the names it goes by in tables, and how many messages it sends, so that a run takes about a second."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.processes import Sample

CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Contestant:
    """A sender into one sink."""

    name: str
    sink: str
    run: Callable[[], Sample]
    is_short: bool = True  # Whether it takes part in the short form.

    @property
    def title(self) -> str:
        """Its name in tables."""
        return f"{self.name} → {self.sink}"


def ours(database: str, more: str = "") -> str:
    """Return the name of Brilliance on a database."""
    return f"Brilliance, {database}{more}"


SOURCE = "smtp-source"
NODEMAILER = "nodemailer, pool of 10"
POST_OFFICE = "django-post_office"
RSA, ED25519 = "RSA-2048", "Ed25519"
ONE_CONNECTION, SIGNED, IN_CELERY = ", one connection", ", signed with ", ", in a Celery worker"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many messages each of them sends."""

    ours: int
    ours_rsa: int
    ours_far: int
    source: int
    source_far: int
    nodemailer: int
    nodemailer_rsa: int
    post_office: int
    django: int
    one_task_each: int


SHORT = Sizes(10_000, 3_000, 100, 10_000, 20, 1_000, 300, 400, 300, 200)
SMOKE = Sizes(200, 40, 20, 200, 4, 40, 20, 40, 20, 20)  # Shows that everything works, and no speed.
LONG = Sizes(20_000, 10_000, 200, 20_000, 40, 4_000, 1_500, 2_000, 1_000, 1_000)


def lists_needed(sizes: Sizes) -> list[int]:
    """Return the lists of people that the contestants write to."""
    return sorted({sizes.ours, sizes.ours // 2, sizes.ours_rsa, sizes.ours_rsa // 2, sizes.ours_far})


def patience(messages: int) -> float:
    """Return after how many seconds a run has failed: at a hundredth of the rate that is wanted."""
    return 120 + messages / 100
