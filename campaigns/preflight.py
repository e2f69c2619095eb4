"""Who would get a campaign if it started now, and who is left out and why: counted, and listed person by person.

Reads the database and changes nothing.
"""

import datetime as dt
from dataclasses import dataclass

from campaigns.audience import audience_of
from campaigns.models import Campaign
from contacts.reaching import Verdict, count


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Some people and what keeps mail from them."""

    reason: str  # Short and stable, such as "unsubscribed": what a list of these people is asked for by.
    title: str  # For people, such as "asked for a break".
    number: int


@dataclass(frozen=True, slots=True)
class PeopleReport:
    """How many people a campaign reaches, and why not the others; zeros are left out."""

    reached: int  # Who gets a message.
    left_out: tuple[LeftOut, ...]  # Who gets none.
    doubtful: tuple[LeftOut, ...]  # Of those reached: what is known already to fail.
    repeated: int  # Of those reached: on several of the lists and segments; each gets one message.

    @property
    def total(self) -> int:
        return self.reached + sum(each.number for each in self.left_out)


def people(campaign: Campaign, now: dt.datetime) -> PeopleReport:
    """Count the people of the campaign's audience by what becomes of them; for a million it takes a few seconds."""
    numbers, repeated = count(audience_of(campaign), now)
    left_out = tuple(
        LeftOut(verdict.value, str(verdict.label), number)
        for verdict, number in numbers.items()
        if number and verdict != Verdict.REACHED
    )
    return PeopleReport(numbers[Verdict.REACHED], left_out, (), repeated)
