"""The pages of the media library and of layouts: uploading, refusing, deleting, and pictures in the preview."""

import html
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from campaigns.content import media_library
from campaigns.models import Campaign, Layout, MediaFile
from delivery.content.attachments import shown_by_address
from smtpservers.models import SmtpServer
from tests.campaigns.content.test_media_library import picture

pytestmark = pytest.mark.django_db
ADD = "/admin/campaigns/mediafile/add/"


@pytest.fixture(autouse=True)
def folder(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "media"


def given(content: bytes, name: str) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/html")  # What the browser claims does not count.


def test_a_file_is_uploaded_described_renamed_and_deleted(
    marketer: Client, folder: Path, django_capture_on_commit_callbacks
) -> None:
    assert marketer.post(ADD, {"file": given(picture(), "../Logo.png"), "alt": "Our logo"}).status_code == 302
    file = MediaFile.objects.get()
    page = marketer.get(f"/admin/campaigns/mediafile/{file.pk}/change/").content.decode()
    renamed = {"name": "Mark.html", "alt": "The mark"}
    marketer.post(f"/admin/campaigns/mediafile/{file.pk}/change/", renamed)

    assert (file.name, file.alt, file.content_type, file.created_by.username) == (
        "Logo.png",
        "Our logo",
        "image/png",
        "marketer",
    )
    assert media_library.url_of(file) in page
    file.refresh_from_db()
    assert (file.name, file.alt) == ("Mark.png", "The mark")
    with django_capture_on_commit_callbacks(execute=True):
        marketer.post(f"/admin/campaigns/mediafile/{file.pk}/delete/", {"post": "yes"})
    assert not MediaFile.objects.exists()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"<svg onload=alert(1)>", "a.svg", "This file type isn't supported."),
        (b"GIF89a<script>", "a.gif", "The image is damaged"),
        (b"x" * 5_000_001, "a.txt", "larger than 5 MB"),
        (b"", "a.png", "empty"),
    ],
)
def test_what_is_not_taken_is_refused_on_the_page_and_beside_the_editor(
    marketer: Client, folder: Path, content: bytes, name: str, sentence: str
) -> None:
    page = marketer.post(ADD, {"file": given(content, name), "alt": ""})
    answer = marketer.post(reverse("campaigns:upload"), {"file": given(content, name), "alt": ""})

    assert page.status_code == 200
    assert sentence in html.unescape(page.content.decode())
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]
    assert not MediaFile.objects.exists()
    assert not folder.exists() or not list(folder.iterdir())


def test_a_file_in_use_cannot_be_deleted_and_its_campaign_is_named(marketer: Client) -> None:
    file = media_library.store(picture(), "Logo.png", "", None)
    Campaign.objects.create(name="Winter", subject="s", html=f"<img src='{media_library.url_of(file)}'>")

    answer = marketer.post(f"/admin/campaigns/mediafile/{file.pk}/delete/", {"post": "yes"}, follow=True)

    assert MediaFile.objects.exists()
    assert "is used by the campaign “Winter”. Remove it there first." in answer.content.decode()


def test_a_picture_is_uploaded_beside_the_editor_and_offered_there(marketer: Client) -> None:
    answer = marketer.post(reverse("campaigns:upload"), {"file": given(picture(), "Logo.png"), "alt": 'A "logo"'})

    shown = answer.json()["picture"]
    assert shown["alt"] == 'A "logo"'
    assert marketer.get(reverse("campaigns:pictures")).json()["pictures"] == [shown]


def test_pictures_inside_a_message_are_shown_by_a_browser_too(
    campaign: Campaign, marketer: Client, server: SmtpServer
) -> None:
    file = media_library.store(picture(), "Logo.png", "", None)
    Campaign.objects.update(html=f"<p><img src='{media_library.url_of(file)}'></p>", embeds_images=True)

    frame = marketer.get(reverse("campaigns:preview_html", args=[campaign.pk]), {"beside": 1}).content.decode()

    assert media_library.url_of(file) in frame
    assert "cid:" not in frame
    entry = {"stored_name": file.stored_name, "content_id": "a@b"}
    assert shown_by_address("<img src='cid:a@b'>", [entry]) == f"<img src='{media_library.url_of(file)}'>"


def test_one_layout_is_the_default_and_a_used_one_stays(marketer: Client) -> None:
    fields = {"organisation": "Shop", "accent": "#112233", "logo_width": "160", "is_default": "on"}
    for name in ("One", "Two"):
        marketer.post("/admin/campaigns/layout/add/", {**fields, "name": name})
    one, two = Layout.objects.order_by("name")
    Campaign.objects.create(name="Winter", subject="s", layout=one)

    refused = marketer.post(f"/admin/campaigns/layout/{one.pk}/delete/", {"post": "yes"})

    assert (one.is_default, two.is_default) == (False, True)
    assert Layout.objects.count() == 2
    assert "Winter" in refused.content.decode()


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("accent", "#12345g", "Enter a colour like #2563eb."),
        ("links", "Mastodon javascript:alert(1)", "Line 1 needs an address at its end"),
        ("footer", "{{ broken", "is never closed"),
        ("logo_width", "9000", "16 to 560 pixels"),
        ("home_url", "javascript:alert(1)", "Enter a valid URL."),
    ],
)
def test_a_wrong_field_of_a_layout_is_marked(marketer: Client, field: str, value: str, sentence: str) -> None:
    fields = {"name": "House", "accent": "#112233", "logo_width": "160", field: value}

    page = marketer.post("/admin/campaigns/layout/add/", fields)

    assert sentence in page.content.decode()
    assert not Layout.objects.exists()
