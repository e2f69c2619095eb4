"""The public archive shows what was said, and nothing of whom it was said to."""

import datetime as dt
import xml.etree.ElementTree as ET

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.lifecycle import archive, states
from campaigns.models import ArchivedCampaign, ArchiveSettings, Campaign
from campaigns.views.archive import PER_PAGE
from campaigns.views.archive_words import ARCHIVE
from contacts.models import Contact
from delivery.models import Mailing
from installation.models import SiteSettings
from tests.campaigns.conftest import client_of

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
CONTENT = """<p>Hello {{ first_name | default: "reader" }} {{ last_name }},
we write to {{ email }} at {{ company }}.</p>
<p><a href="https://example.com/sale">The sale</a> <a href="{{ web_version_url }}">In the browser</a>
<a class="x" href='{{ preferences_url }}'><b>Settings</b></a></p>"""


@pytest.fixture
def finished(campaign: Campaign, people: dict[str, User], server) -> Campaign:
    Contact.objects.update(attributes={"company": "Acme"})
    Campaign.objects.update(html=CONTENT, subject="Snow, {{ first_name | default: 'reader' }} & more")
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    assert states.start_due_campaigns(NOW) == 1
    Campaign.objects.update(status="finished")
    return campaign


@pytest.fixture
def published(finished: Campaign, people: dict[str, User]) -> ArchivedCampaign:
    ArchiveSettings.objects.create(pk=1, is_on=True, title="Shop news", description="What we wrote.")
    assert archive.publish(finished.pk, people["marketer"], NOW) == ""
    return ArchivedCampaign.objects.get()


def test_nobody_is_in_it(published: ArchivedCampaign) -> None:
    Contact.objects.all().delete()  # It is made once, and asks nobody any more.

    page = Client().get(reverse("archive:entry", args=[published.pk, published.slug]))
    mail = Client().get(reverse("archive:mail", args=[published.pk])).content.decode()

    assert page.context["entry"].subject == "Snow, reader & more"
    assert "Hello reader" in " ".join(mail.split())
    assert "https://example.com/sale" in mail
    for secret in ("Ann", "Acme", "ann@", archive.ADDRESS, archive.OWN_LINK, "/u/", "/p/", "/v/", "utm_"):
        assert secret not in mail + published.text, secret
    assert "In the browser" in mail  # The words alone, so that the sentence around them is still one.
    assert "<b>Settings</b>" in mail
    assert "<a class" not in mail
    assert mail.count("<a ") == mail.count("</a>") == 1


def test_its_pages_run_nothing_and_are_kept_by_browsers(published: ArchivedCampaign) -> None:
    for name, arguments in (
        ("index", []),
        ("entry", [published.pk, published.slug]),
        ("mail", [published.pk]),
        ("feed", []),
    ):
        url = reverse(f"archive:{name}", args=arguments)
        page = Client().get(url)
        assert page.status_code == 200
        assert page["Cache-Control"] == "public, max-age=300"
        assert "script-src" not in page["Content-Security-Policy"]
        assert "default-src 'none'" in page["Content-Security-Policy"]
        assert not page.cookies
        assert Client().get(url, headers={"If-None-Match": page["ETag"]}).status_code == 304
        assert Client().post(url).status_code == 405
    mail = Client().get(reverse("archive:mail", args=[published.pk]))
    assert mail["Content-Security-Policy"].startswith("sandbox allow-popups")
    moved = Client().get(reverse("archive:entry", args=[published.pk, "old-words"]))
    assert moved["Location"] == reverse("archive:entry", args=[published.pk, published.slug])


def test_a_change_is_seen_though_the_page_was_kept(published: ArchivedCampaign) -> None:
    url = reverse("archive:index")
    known = Client().get(url)["ETag"]

    ArchiveSettings.objects.update(title="Other news")

    assert "Other news" in Client().get(url, headers={"If-None-Match": known}).content.decode()


def test_the_feed_is_rss_with_whole_addresses(published: ArchivedCampaign) -> None:
    feed = ET.fromstring(Client().get(reverse("archive:feed")).content)  # noqa: S314  # Our own.

    channel = feed.find("channel")
    assert (feed.tag, feed.get("version")) == ("rss", "2.0")
    assert [channel.findtext(name) for name in ("title", "description")] == ["Shop news", "What we wrote."]
    [item] = channel.findall("item")
    assert item.findtext("title") == "Snow, reader & more"
    assert item.findtext("link") == item.findtext("guid")
    assert item.findtext("link").endswith(f"/archive/{published.pk}/{published.slug}")
    assert item.findtext("link").startswith("http")
    assert "Hello reader" in item.findtext("description")
    assert item.findtext("pubDate").endswith("+0000")


def test_while_it_is_off_nothing_is_found(published: ArchivedCampaign) -> None:
    ArchiveSettings.objects.update(is_on=False)

    for name, arguments in (("index", []), ("feed", []), ("mail", [published.pk]), ("entry", [published.pk, "x"])):
        assert Client().get(reverse(f"archive:{name}", args=arguments)).status_code == 404


def test_it_has_pages_and_says_so_when_it_is_empty(published: ArchivedCampaign) -> None:
    for number in range(PER_PAGE):
        campaign = Campaign.objects.create(name=f"C{number}", subject="x", text="x")
        ArchivedCampaign.objects.create(
            campaign=campaign, slug="x", subject=f"Mail {number}", sent_at=NOW, published_at=NOW
        )
    first = Client().get(reverse("archive:index")).content.decode()
    ArchivedCampaign.objects.all().delete()

    assert "Page 1 of 2" in first
    assert "No newsletters yet." in Client().get(reverse("archive:index")).content.decode()


def test_the_switch_is_for_those_who_may_queue_and_finished_campaigns(
    finished: Campaign, people: dict[str, User]
) -> None:
    publish, withdraw = (reverse(f"campaigns:{name}", args=[finished.pk]) for name in ("publish", "withdraw"))
    marketer = client_of(people["marketer"])

    refused = {role: client_of(people[role]).post(publish).status_code for role in ("ops", "viewer")}
    said = marketer.post(publish, follow=True).content.decode()
    assert refused == {"ops": 403, "viewer": 403}
    assert "It appears once an administrator turns the archive on." in said
    assert "Remove from archive" in said
    assert ArchivedCampaign.objects.count() == 1
    marketer.post(withdraw)
    assert not ArchivedCampaign.objects.exists()
    assert LogEntry.objects.filter(change_message="Removed from the archive.").count() == 1
    Campaign.objects.update(status="sending")
    assert "Only sent campaigns" in marketer.post(publish, follow=True).content.decode()
    assert marketer.get(publish).status_code == 405


def test_administrators_alone_switch_it_on(people: dict[str, User]) -> None:
    url = reverse("campaigns:archive_settings")

    opened = {role: client_of(user).get(url).status_code for role, user in people.items()}
    tried = client_of(people["marketer"]).post(url, {"is_on": "on"}).status_code
    client_of(people["admin"]).post(url, {"is_on": "on", "title": "Shop news"})

    assert opened == {"admin": 200, "marketer": 200, "ops": 403, "viewer": 403}
    assert tried == 403
    assert ArchiveSettings.objects.get().is_on
    assert "Shop news" in Client().get(reverse("archive:index")).content.decode()


def test_a_content_that_needs_a_recipient_is_refused_in_words(finished: Campaign, people: dict[str, User]) -> None:
    Mailing.objects.update(html="{{ first_name | append: }}")

    assert archive.publish(finished.pk, people["marketer"], NOW).startswith(
        "The content can't be shown without a recipient: "
    )


@pytest.mark.parametrize("language", dict(settings.LANGUAGES))
def test_it_speaks_the_language_of_the_site(published: ArchivedCampaign, language: str, saved_settings: None) -> None:
    ArchivedCampaign.objects.update(sent_at=dt.datetime(2026, 3, 4, 23, 30, tzinfo=dt.UTC))
    url = reverse("archive:index")
    english = Client().get(url)
    SiteSettings.objects.create(pk=1, language=language, time_zone="Europe/Berlin")
    words, dated = ARCHIVE[language], {"en": "5 March 2026", "de": "5. März 2026", "ja": "2026年3月5日"}

    answer = Client().get(url, headers={"If-None-Match": english["ETag"], "Accept-Language": "sv"})
    index, page = answer.content.decode(), Client().get(reverse("archive:entry", args=[published.pk, published.slug]))

    assert answer.status_code == 200
    assert f'<html lang="{language}">' in index
    assert dated.get(language, "5") in index
    assert words.alone in page.content.decode()
    ArchivedCampaign.objects.all().delete()
    assert words.empty in Client().get(url).content.decode()
