"""One reading of what is written in a campaign: its parts come from the database once, and its content is built once.

The checks, the forecast and the freezing of a campaign take it from here. It says nothing about later changes; a second
reading does.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

from django.db.models import QuerySet

from campaigns.ab_test.variants import VARIED, as_campaign, experiment_of
from campaigns.ab_test.winner import Counting
from campaigns.audience.audience import of_choices
from campaigns.audience.headcounts import Headcounts
from campaigns.content.build import Built, CampaignFiles, body_of, build, frame_of
from campaigns.content.frozen import queued_content, tracking_level, written_content
from campaigns.markup.frame import Frame
from campaigns.models import Campaign, Experiment, Variant
from contacts.models import Contact, ContactList
from contacts.segments.audience import Audience, reached
from mail.links import levels
from mail.links.levels import Level

# Fields of the schedule. They are not editable in the form, and still belong to the version.
TIMES = ("start", "start_wall", "time_zone", "not_after", "window_days", "window_opens", "window_closes")


class Written:
    """A campaign with everything that it says, and to whom. A part is read when it is first needed."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.files = CampaignFiles(campaign)
        self._built: dict[str, Built | ValueError] = {}
        self._first_people: dict[dt.datetime, Contact | None] = {}

    @classmethod
    def each(cls, campaigns: QuerySet[Campaign]) -> list[Self]:
        """Read campaigns with their layouts and A/B tests in one query."""
        found = []
        for campaign in campaigns.select_related("layout__logo", "experiment__winner"):
            written = cls(campaign)
            written.experiment = getattr(campaign, "experiment", None)
            found.append(written)
        return found

    @classmethod
    def read(cls, campaign_id: int, *, locks: bool = False) -> Self:
        """Read one campaign.

        :param locks: lock its row until the end of the transaction.
        :raises Campaign.DoesNotExist: if there is none with this id.
        """
        rows = Campaign.objects.select_for_update(of=("self",)) if locks else Campaign.objects.all()
        for written in cls.each(rows.filter(pk=campaign_id)):
            return written
        raise Campaign.DoesNotExist(f"There is no campaign {campaign_id}.")

    # --- to whom

    @cached_property
    def _chosen_lists(self) -> list[ContactList]:
        return list(self.campaign.lists.all())

    @cached_property
    def audience(self) -> Audience:
        return of_choices([each.pk for each in self._chosen_lists], self.campaign.audience)

    @cached_property
    def lists(self) -> list[ContactList]:
        """The lists whose consent lets us write, in the order of their ids."""
        found = {each.pk: each for each in self._chosen_lists}
        if missing := set(self.audience.all_lists) - set(found):
            found |= {each.pk: each for each in ContactList.objects.filter(pk__in=missing)}
        return [found[pk] for pk in sorted(found)]

    @cached_property
    def headcounts(self) -> Headcounts:
        return Headcounts(self.audience)

    def first_person(self, now: dt.datetime) -> Contact | None:
        """Return the person with the lowest id among those who would get the campaign; None if there is nobody."""
        if now not in self._first_people:
            self._first_people[now] = reached(self.audience, now).order_by("pk").first()
        return self._first_people[now]

    # --- the content

    @cached_property
    def experiment(self) -> Experiment | None:
        """The A/B test."""
        return experiment_of(self.campaign)

    @cached_property
    def variants(self) -> list[Variant]:
        """The variants of the A/B test in their order; empty without a test."""
        return list(self.experiment.variants.all()) if self.experiment is not None else []

    @cached_property
    def contents(self) -> list[tuple[str, Campaign]]:
        """Each variant as a campaign, with its letter; without variants the campaign itself, with an empty letter."""
        return [(str(each), as_campaign(self.campaign, each)) for each in self.variants] or [("", self.campaign)]

    @property
    def mailing_ids(self) -> list[int]:
        """The campaign's mailings in the order of their start; empty before it is frozen."""
        found = [*(each.mailing_id for each in self.variants), self.campaign.mailing_id]
        return [mailing_id for mailing_id in found if mailing_id is not None]

    def built(self, content: Campaign) -> Built:
        """Return the built content of the campaign or of one of its variants.

        :param content: the campaign itself, or one of :attr:`contents`.
        :raises ContentInvalid: if the content cannot become a mail.
        """
        if content.letter not in self._built:
            try:
                self._built[content.letter] = build(content, self.files)
            except ValueError as error:
                self._built[content.letter] = error
        found = self._built[content.letter]
        if isinstance(found, ValueError):
            raise found
        return found

    def mailing_content(self, content: Campaign) -> dict[str, Any]:
        """Return the content of a mailing: the written one of a draft, the frozen one of a queued campaign.

        :raises ContentInvalid: if the content cannot become a mail, or the A/B test is not the one that was queued.
        """
        queued = queued_content(content)
        return written_content(content, self.built(content), self.lists) if queued is None else queued

    @cached_property
    def written_contents(self) -> dict[str, dict[str, Any]]:
        """The written content of each of :attr:`contents` by its letter, in values for JSON.

        :raises ContentInvalid: if one of them cannot become a mail.
        """
        return {letter: written_content(each, self.built(each), self.lists) for letter, each in self.contents}

    @cached_property
    def tracking(self) -> Level:
        """How opens and clicks are counted: as they would be now, or of a queued campaign as it was frozen."""
        queued = queued_content(self.contents[0][1])
        return tracking_level(self.campaign, self.lists) if queued is None else levels.lowest([queued["tracking"]])

    @cached_property
    def in_text_only(self) -> list[str]:
        """The letters of :attr:`contents` without HTML."""
        return [letter for letter, content in self.contents if not body_of(content).strip()]

    @property
    def is_text_only(self) -> bool:
        return len(self.in_text_only) == len(self.contents)

    @property
    def counting(self) -> Counting:
        """What is counted of all its contents."""
        return Counting(self.tracking, not self.in_text_only, self.campaign.track_text)

    # --- its version

    @cached_property
    def version(self) -> str:
        """A hash of everything that the campaign says, to whom and when. Any edit changes it."""
        try:
            # Built, because layout and files may be edited without the campaign.
            return self.version_with(self.written_contents)
        except ValueError as error:
            return self.version_with(str(error))

    def version_with(self, contents: Mapping[str, Any] | str) -> str:
        """Return the version that the campaign would have with these built contents."""
        said = {**self._said, "contents": contents}
        return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()

    @cached_property
    def _said(self) -> dict[str, Any]:
        fields = [field for field in Campaign._meta.concrete_fields if field.editable or field.name in TIMES]
        said: dict[str, Any] = {field.name: field.value_to_string(self.campaign) for field in fields}
        said["audience"] = self.audience.as_json()
        if self.experiment is not None:
            names = ("position", *VARIED, "body")
            variants = [[getattr(each, name) for name in names] for each in self.variants]
            said["test"] = [self.experiment.sample_percent, self.experiment.winner_by, *variants]
        said["attachments"] = sorted(each.pk for each in self.files.attachments)
        return said

    def is_unchanged_in(self, later: "Written") -> bool:
        """Whether a later reading would have the same version. Compares what contents are built of; builds nothing."""
        return self._said == later._said and self._frame == later._frame and self.files.is_unchanged_in(later.files)

    @cached_property
    def _frame(self) -> Frame | None:
        return frame_of(self.campaign)
