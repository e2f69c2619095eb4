"""One reading of a campaign: a later change of anything that it says is noticed without building the content again."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from campaigns.content import media_library
from campaigns.content.written import Written
from campaigns.lifecycle import states
from campaigns.models import Campaign, Experiment, FrozenContent, Layout, MediaFile, Variant
from contacts.models import ContactList, Segment
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet
from tests.campaigns.content.test_media_library import picture
from tests.harness.files import pdf

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
NAMED_ANN = {"match": "all", "conditions": [{"field": "first_name", "operator": "is", "text": "Ann"}]}
NAMED_BEA = {"match": "all", "conditions": [{"field": "first_name", "operator": "is", "text": "Bea"}]}


@pytest.fixture
def rich(campaign: Campaign, settings, tmp_path: Path) -> Campaign:
    """A campaign that has everything a campaign may have."""
    settings.DATA_DIR = tmp_path
    shown, logo = (media_library.store(picture(), name, "", None) for name in ("Shown.png", "Logo.png"))
    prices = media_library.store(pdf(), "Prices.pdf", "", None)
    campaign.html = f'<p>Snow!</p><img src="{media_library.url_of(shown)}">'
    campaign.subject, campaign.embeds_images = "Snow", True
    campaign.layout = Layout.objects.create(name="Ours", footer="Our footer", logo=logo)
    campaign.audience = {"excluded_segments": [Segment.objects.create(name="Some", conditions=NAMED_ANN).pk]}
    campaign.save()
    campaign.attachments.add(prices)
    campaign.lists.add(ContactList.objects.create(name="Offers"))
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=100)
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, subject="Snow?")
    return campaign


def give_the_layout_another_logo() -> None:
    Layout.objects.update(logo=media_library.store(picture(size=(5, 5)), "Other.png", "", None))


# Each without the campaign's own row, whose time of change would tell by itself.
CHANGES: dict[str, Callable[[], object]] = {
    "content": lambda: Campaign.objects.update(html="<p>Rain!</p>"),
    "sender": lambda: Campaign.objects.update(reply_to="other@example.com"),
    "schedule": lambda: Campaign.objects.update(not_after=NOW),
    "layout": lambda: Layout.objects.update(footer="Another footer"),
    "no layout": lambda: Campaign.objects.update(layout=None),
    "logo": give_the_layout_another_logo,
    "name of the picture": lambda: MediaFile.objects.filter(name="Shown.png").update(name="Seen.png"),
    "picture": lambda: MediaFile.objects.filter(name="Shown.png").delete(),
    "name of the attachment": lambda: MediaFile.objects.filter(name="Prices.pdf").update(name="Offers.pdf"),
    "attachment": lambda: Campaign.attachments.through.objects.all().delete(),
    "list": lambda: ContactList.objects.filter(name="Offers").delete(),
    "segment": lambda: Segment.objects.update(conditions=NAMED_BEA),
    "segment is gone": lambda: Segment.objects.all().delete(),
    "variant": lambda: Variant.objects.filter(position=1).update(subject="Snow!!"),
    "third variant": lambda: Variant.objects.create(experiment=Experiment.objects.get(), position=2, subject="3"),
    "sample": lambda: Experiment.objects.update(sample_percent=50),
    "no test": lambda: Experiment.objects.all().delete(),
}
# What a mail does not say.
OTHER = {
    "name of the layout": lambda: Layout.objects.update(name="Theirs", updated_at=NOW),
    "description of the picture": lambda: MediaFile.objects.update(alt="A hill"),
    "nothing": lambda: None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_what_a_campaign_says_is_seen_without_building(rich: Campaign, change: str) -> None:
    before = Written.read(rich.pk)
    version = before.version

    CHANGES[change]()

    assert not before.is_unchanged_in(Written.read(rich.pk))
    assert Written.read(rich.pk).version != version


@pytest.mark.parametrize("change", OTHER)
def test_other_changes_are_none(rich: Campaign, change: str) -> None:
    before = Written.read(rich.pk)
    version = before.version

    OTHER[change]()

    assert before.is_unchanged_in(Written.read(rich.pk))
    assert Written.read(rich.pk).version == version


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_queued_that_changed_during_its_checks(
    rich: Campaign, people: dict[str, User], server: SmtpServer, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = states.review_of

    def changed_meanwhile(written: Written, fleet: Fleet) -> object:
        found = check(written, fleet)
        CHANGES[change]()
        return found

    monkeypatch.setattr(states, "review_of", changed_meanwhile)

    assert states.queue_campaign(rich.pk, people["marketer"], NOW) == [states.CHANGED_MEANWHILE]
    assert Campaign.objects.get().status == "draft"
    assert not FrozenContent.objects.exists()


def test_what_was_checked_is_what_is_frozen(rich: Campaign, people: dict[str, User], server: SmtpServer) -> None:
    before = Written.read(rich.pk)

    assert states.queue_campaign(rich.pk, people["marketer"], NOW) == []

    frozen = FrozenContent.objects.get()
    assert (frozen.version, frozen.contents) == (before.version, before.written_contents)
    assert [content["subject"] for content in frozen.contents.values()] == ["Snow", "Snow?"]
    assert {file["name"] for file in frozen.contents["A"]["files"]} == {"Logo.png", "Shown.png", "Prices.pdf"}


def test_a_reading_stays_what_it_was(rich: Campaign) -> None:
    before = Written.read(rich.pk)
    subjects = [content.subject for _, content in before.contents]

    Variant.objects.update(subject="Changed")
    Campaign.objects.update(subject="Changed")

    assert [content.subject for _, content in before.contents] == subjects
    assert [content.subject for _, content in Written.read(rich.pk).contents] == ["Changed", "Changed"]


def test_a_campaign_that_is_gone_cannot_be_read(db: None) -> None:
    with pytest.raises(Campaign.DoesNotExist, match="There is no campaign 77\\."):
        Written.read(77)
