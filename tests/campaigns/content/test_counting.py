"""How a campaign's opens and clicks are counted: the lowest level, frozen when it is queued, and told on its pages."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns.ab_test import run
from campaigns.content.frozen import tracking_level
from campaigns.content.written import Written
from campaigns.forms.campaign import CampaignForm
from campaigns.lifecycle import states
from campaigns.lifecycle.archive import render_without_recipient
from campaigns.models import Campaign, Experiment, Variant
from campaigns.preflight.preview import build_preview
from campaigns.preflight.review import review
from contacts.models import Contact, ContactList, Subscription
from delivery.content.previews import web_version
from delivery.models import Mailing, Message
from domains.models import SendingDomain
from installation.models import SiteSettings
from smtpservers.models import SmtpServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(seconds=2)


def allow(level: str) -> None:
    SiteSettings.objects.update_or_create(pk=1, defaults={"tracking": level})


def prove(domain: str) -> None:
    """Store a domain whose host of links passed its check."""
    host = f"click.{domain}"
    SendingDomain.objects.create(name=domain, tracking_host=host, proved_tracking_host=host, is_tracking_host_good=True)


def told(campaign: Campaign, check_id: str = "M15") -> list[str]:
    return [finding.sentence for finding in review(campaign, NOW).findings if finding.check_id == check_id]


@pytest.mark.parametrize(
    ("installation", "lists", "own", "found"),
    [
        ("personal", ["personal"], "", "personal"),
        ("personal", ["personal", "anonymous"], "", "anonymous"),
        ("personal", ["personal", "off"], "", "off"),
        ("anonymous", ["personal"], "personal", "anonymous"),
        ("", ["personal"], "personal", "off"),
        ("personal", ["personal"], "anonymous", "anonymous"),
        ("personal", ["anonymous"], "personal", "anonymous"),
        ("personal", ["personal"], "off", "off"),
        ("personal", [], "", "anonymous"),
        ("personal", [], "personal", "anonymous"),
    ],
)
def test_the_lowest_level_counts(installation: str, lists: list[str], own: str, found: str) -> None:
    allow(installation)

    assert tracking_level(Campaign(tracking=own), [ContactList(tracking=each) for each in lists]) == found


def test_the_level_is_frozen_when_the_campaign_is_queued(
    campaign: Campaign, server: SmtpServer, people: dict[str, User]
) -> None:
    allow("personal")
    ContactList.objects.update(tracking="personal")
    Campaign.objects.update(track_text=True)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []

    allow("off")
    ContactList.objects.update(tracking="off")
    states.start_due_campaigns(SOON)

    mailing = Mailing.objects.get(stream="campaign")
    assert (mailing.tracking, mailing.track_text) == ("personal", True)


def test_the_hosts_of_links_are_frozen_by_the_domains_of_from_and_only_proved_ones(
    campaign: Campaign, server: SmtpServer, people: dict[str, User]
) -> None:
    allow("anonymous")
    SmtpServer.objects.create(
        name="Beta", host="localhost", port=2601, mail_from="b@beta.example", handles_email_validation=True
    )
    for name in ("example.com", "beta.example", "gamma.example"):
        prove(name)
    SendingDomain.objects.filter(name="beta.example").update(is_tracking_host_good=False)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []

    SendingDomain.objects.update(is_tracking_host_good=True)
    SendingDomain.objects.filter(name="example.com").update(tracking_host="", is_tracking_host_good=False)
    states.start_due_campaigns(SOON)

    assert Mailing.objects.get(stream="campaign").tracking_hosts == {"example.com": "click.example.com"}


@pytest.mark.parametrize(
    ("mail_from", "level", "frozen"),
    [
        ("Shop <a@GAMMA.example>", "anonymous", {"gamma.example": "click.gamma.example"}),
        ("Shop <a@news.gamma.example>", "anonymous", {}),  # A domain of its own.
        ("Shop <a@bücher.example>", "anonymous", {"xn--bcher-kva.example": "click.xn--bcher-kva.example"}),
        ("{{ x }}", "anonymous", {}),
        ("Shop <a@gamma.example>", "off", {}),
    ],
)
def test_a_campaign_with_its_own_from_has_the_host_of_that_domain(
    campaign: Campaign, server: SmtpServer, mail_from: str, level: str, frozen: dict[str, str]
) -> None:
    allow(level)
    for name in ("example.com", "gamma.example", "xn--bcher-kva.example"):
        prove(name)
    campaign.mail_from = mail_from

    assert Written(campaign).mailing_content(campaign)["tracking_hosts"] == frozen


def test_another_host_of_links_is_a_change_of_the_campaign(campaign: Campaign, server: SmtpServer) -> None:
    allow("anonymous")
    before = Written(campaign).version

    prove("example.com")

    assert Written(campaign).version != before


def test_variants_and_the_winner_are_counted_alike(
    campaign: Campaign, server: SmtpServer, people: dict[str, User]
) -> None:
    allow("anonymous")
    prove("example.com")
    crowd = Contact.objects.bulk_create(
        Contact(email=f"reader{number}@example.com", email_key=f"reader{number}@example.com") for number in range(40)
    )
    Subscription.objects.bulk_create(Subscription(contact=each, list=campaign.lists.get()) for each in crowd)
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=50, seed="0123456789abcdef")
    for position, subject in enumerate(["", "Snow?"]):
        Variant.objects.create(experiment=experiment, position=position, subject=subject)
    Campaign.objects.update(track_text=True)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    states.start_due_campaigns(SOON)
    Message.objects.filter(status="queued").update(status="accepted")

    SendingDomain.objects.update(is_tracking_host_good=False)
    later = NOW + dt.timedelta(hours=5)
    assert run.choose(campaign.pk, experiment.variants.get(position=1).pk, people["marketer"], later) == ""
    run.open_rests(later)

    mailings = Mailing.objects.filter(stream="campaign")
    assert list(mailings.values_list("tracking", "track_text")) == [("anonymous", True)] * 3
    assert [each.tracking_hosts for each in mailings] == [{"example.com": "click.example.com"}] * 3


def test_a_change_of_the_level_is_a_change_of_the_campaign(campaign: Campaign, server: SmtpServer) -> None:
    allow("personal")
    before = Written(campaign).version

    ContactList.objects.update(tracking="off")

    assert Written(campaign).version != before


def test_preview_web_version_and_archive_have_no_trace_of_counting(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], settings: Any
) -> None:
    allow("personal")
    settings.TRACKING_URL = "https://click.example.com"
    ContactList.objects.update(tracking="personal")
    Contact.objects.update(open_tracking="yes", click_tracking="yes")
    shown = build_preview(campaign, Contact.objects.first(), server, NOW)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    states.start_due_campaigns(SOON)
    mailing = Mailing.objects.get(stream="campaign")
    assert mailing.tracking == "personal"

    texts = [shown.html, web_version(mailing.messages.all()[0]).html, *render_without_recipient(mailing)]

    for text in texts:
        assert "click.example.com" not in text
    for html in (shown.html, texts[1]):
        assert "https://example.com/sale" in html


# --- the review


def test_nothing_is_said_while_nothing_is_counted(campaign: Campaign, server: SmtpServer) -> None:
    campaign.html = '<a href="https://example.com/{{ first_name }}">Yours</a>'
    Contact.objects.update(click_tracking="none")

    assert told(campaign) == []


def test_people_without_consent_are_counted_on_the_review(campaign: Campaign, server: SmtpServer) -> None:
    allow("personal")
    ContactList.objects.update(tracking="personal")
    assert told(campaign) == ["3 recipients haven't agreed to be counted by name, and are counted anonymously."]

    Contact.objects.update(open_tracking="yes", click_tracking="yes")
    Contact.objects.filter(first_name="Ann").update(click_tracking="unset")
    Contact.objects.filter(first_name="Bea").update(open_tracking="none")

    assert told(campaign) == [
        "1 recipient hasn't agreed to be counted by name, and is counted anonymously.",
        "1 recipient refused to have opens or clicks counted. What they refused isn't counted.",
    ]
    campaign.tracking = "anonymous"
    assert told(campaign) == ["1 recipient refused to have opens or clicks counted. What they refused isn't counted."]


def test_links_that_are_not_counted_are_named(campaign: Campaign, server: SmtpServer) -> None:
    allow("anonymous")
    campaign.html = (
        '<a href="https://example.com/{{ first_name }}">Your page</a><a href="{{ unsubscribe_url }}">Leave</a>'
        '<a href="https://example.com/a?sv=1&amp;sig=2"><img src="x.png" alt="Invoice"></a>'
        '<a href="https://example.com/">Shop</a><a href="https://example.com/" data-track="off">Quiet</a>'
        '<a href="https://example.com/Price list.pdf">Prices</a><a href="https://exa mple.com/">Blog</a>'
        '<a href="https://example.com:☃/">Snow</a>'
    )

    assert told(campaign) == [
        "Links with a merge field in their address aren't counted: “Your page”.",
        "Links with a signed address aren't counted: “Invoice”.",
        "Links with a broken or very long address aren't counted: “Blog”, “Snow”.",
    ]


@pytest.mark.parametrize("level", ["off", "anonymous", "personal"])
@pytest.mark.parametrize(
    ("link", "is_seen"),
    [
        ('<a href="https://example.com/{{ first_name }}">Your page</a>', False),
        ('<a href="https://example.com/" data-track="off">Your page</a>', False),
        ('<a href="#top" data-track="off">Your page</a><a href="{{ unsubscribe_url }}">Leave</a>', True),
    ],
)
def test_the_review_says_when_segments_will_not_know_who_did_not_click(
    campaign: Campaign, server: SmtpServer, level: str, link: str, is_seen: bool
) -> None:
    """As segments do afterwards: of an anonymous campaign nobody expects them to."""
    allow(level)
    ContactList.objects.update(tracking="personal")
    campaign.html = f'{link}<a href="https://example.com/">Shop</a>'

    said = [sentence for sentence in told(campaign) if "did not click" in sentence]

    assert bool(said) == (level == "personal" and not is_seen)
    assert all("Your page" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("html", "named"), [("", ""), ('<a href="https://example.com/{{ last_name }}">Your page</a>', "“Your page”, ")]
)
def test_links_of_the_text_part_are_named_where_links_of_texts_are_counted(
    campaign: Campaign, server: SmtpServer, html: str, named: str
) -> None:
    allow("anonymous")
    campaign.html = html
    campaign.text = "https://example.com/{{ first_name }} https://example.com/a?sv=1&sig=2 https://example.com/shop"
    assert not any("https://" in sentence for sentence in told(campaign))

    campaign.track_text = True

    assert told(campaign) == [
        *([] if html else ["An email in text only counts no opens."]),
        f"Links with a merge field in their address aren't counted: {named}“https://example.com/{{{{ first_name }}}}”.",
        "Links with a signed address aren't counted: “https://example.com/a?sv=1&sig=2”.",
    ]


def test_a_mail_in_text_only_is_said_to_count_nothing_unless_its_links_do(
    marketer: Client, campaign: Campaign, server: SmtpServer
) -> None:
    def line() -> str:
        page = marketer.get(f"/campaigns/{campaign.pk}/review/").content.decode()
        return page.partition("<dt>Opens and clicks</dt><dd>")[2].partition("</dd>")[0]

    Campaign.objects.update(html="", text="Sale: https://example.com/sale")
    campaign.refresh_from_db()
    assert told(campaign) == []  # Nothing is to be counted.

    allow("anonymous")
    assert told(campaign) == ["An email in text only counts no opens, and its links aren't counted."]
    assert line() == "Not counted"

    Campaign.objects.update(track_text=True)
    campaign.refresh_from_db()
    assert told(campaign) == ["An email in text only counts no opens."]
    assert line() == "Counted anonymously, for the campaign and each link"


def test_variants_in_text_only_are_named(campaign: Campaign, server: SmtpServer) -> None:
    allow("anonymous")
    Campaign.objects.update(html="", text="Sale: https://example.com/sale")
    experiment = Experiment.objects.create(campaign=campaign)
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, body="<p>Sale</p>")
    campaign.refresh_from_db()

    assert told(campaign) == ["Variant A: An email in text only counts no opens, and its links aren't counted."]


def test_a_clipped_mail_is_said_to_lose_its_opens(campaign: Campaign, server: SmtpServer) -> None:
    campaign.html = f"<p>{'Snow. ' * 20_000}</p>"
    assert [each for each in told(campaign, "M9") if "102 KB" in each and "opens" not in each]

    allow("anonymous")

    assert [each for each in told(campaign, "M9") if "102 KB" in each and "opens there aren't counted" in each]


@pytest.mark.parametrize(
    ("level", "sentence"),
    [
        ("off", "Not counted"),
        ("anonymous", "Counted anonymously, for the campaign and each link"),
        ("personal", "Counted by name for people who agreed, anonymously for others"),
    ],
)
def test_the_review_says_how_opens_and_clicks_are_counted(
    marketer: Client, campaign: Campaign, server: SmtpServer, level: str, sentence: str
) -> None:
    allow(level)
    ContactList.objects.update(tracking="personal")

    page = marketer.get(f"/campaigns/{campaign.pk}/review/").content.decode()

    assert f"<dt>Opens and clicks</dt><dd>{sentence}</dd>" in page


# --- the form


def test_a_campaign_lowers_its_level_in_the_form(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    allow("anonymous")
    address = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    form = {"name": "Spring", "subject": "Hi", "text": "Flowers.", "lists": [each.pk for each in campaign.lists.all()]}

    page = marketer.get(address).content.decode()
    marketer.post(address, {**form, "tracking": "off", "track_text": "on"})

    assert "This installation counts at most: Anonymous." in page
    assert "As the lists say" in page
    campaign.refresh_from_db()
    assert (campaign.tracking, campaign.track_text) == ("off", True)
    refused = CampaignForm({**form, "tracking": "everything"}, instance=campaign)
    assert list(refused.errors) == ["tracking"]
