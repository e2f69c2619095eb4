"""What a campaign says once it is built: page, layout, preheader, pictures and attachments, the same everywhere."""

import datetime as dt
import re
from pathlib import Path

import pytest

from campaigns.content import media_library
from campaigns.content.build import Built, build
from campaigns.lifecycle import states
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign, Layout, MediaFile
from campaigns.preflight.refusals import refusals
from contacts.models import Contact, ContactList
from delivery.content.composer import composer_for
from delivery.content.message import Outgoing
from delivery.content.previews import preview
from installation.models import SiteSettings
from mail.merge_fields import parse
from mail.plaintext import from_html
from smtpservers.models import SmtpServer
from tests.campaigns.content.test_media_library import picture
from tests.harness.files import pdf
from words.texts import TRANSLATOR, translated

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HOUSE = {
    "name": "House",
    "organisation": "Shop & Söhne",
    "home_url": "https://example.com/",
    "footer": "You read **{{ email }}**.",
    "postal_address": "1 High Street\nTown",
    "links": "Mastodon https://example.social/@shop\nhttps://example.com/blog",
    "accent": "#b45309",
}


@pytest.fixture
def logo(db: None, settings, tmp_path: Path) -> MediaFile:
    settings.DATA_DIR = tmp_path
    return media_library.store(picture(), "Logo.png", "Our logo", None)


def written(**fields) -> Campaign:
    return Campaign(**{"name": "Winter", "subject": "Hi", **fields})


def test_markdown_becomes_a_page_that_fits_a_phone_and_the_dark() -> None:
    html = build(written(markup="markdown", markdown="# Snow\n\nHi {{ first_name }}")).html

    assert 'name="viewport"' in html
    assert "prefers-color-scheme:dark" in html
    assert re.search(r'<h1 style="[^"]*color: #18181b', html)  # Inlined: many programs read no style element.
    assert "Hi {{ first_name }}" in html
    assert "http" not in re.sub(r'"http://www\.w3\.org[^"]*"', "", html)  # Nothing is loaded from anywhere.


def test_a_page_of_ones_own_stays_as_it_is() -> None:
    html = "<!doctype html><html><body bgcolor=red><P>Mine</html>"

    assert build(written(html=html)).html == html


def test_a_piece_of_html_is_told_how_to_be_read() -> None:
    html = build(written(html="<p>Mine</p>")).html

    assert html.startswith("<!doctype html>")
    assert '<meta charset="utf-8">' in html
    assert "<p>Mine</p>" in html


@pytest.mark.parametrize(
    ("markup", "source"),
    [
        ("html", "<p>Body</p>"),
        ("html", "<html><head></head><body><p>Body</p></body></html>"),
        ("markdown", "Body"),
        (
            "mjml",
            "<mjml><mj-body><mj-section><mj-column><mj-text>Body</mj-text></mj-column></mj-section></mj-body></mjml>",
        ),
    ],
)
def test_a_layout_stands_around_content_of_every_kind(markup: str, source: str) -> None:
    layout = Layout.objects.create(**HOUSE)
    html = build(written(markup=markup, layout=layout, **{markup: source})).html

    order = ["Shop &amp; Söhne", "Body", "You read <strong>{{ email }}</strong>.", "1 High Street<br>Town"]
    places = [html.index(words) for words in order]
    assert places == sorted(places)
    assert 'href="https://example.social/@shop"' in html
    assert html.count("</body>") == 1
    assert "javascript" not in html


@pytest.mark.parametrize("has_layout", [False, True])
@pytest.mark.parametrize(
    ("markup", "source"), [("html", "<p>Body</p>"), ("markdown", "Body"), ("mjml", "<mj-section></mj-section>")]
)
def test_settings_and_layout_values_are_no_merge_tags(markup: str, source: str, has_layout: bool) -> None:
    evil = "{% z %} {{ email }}"
    SiteSettings.objects.update_or_create(pk=1, defaults={"organisation": evil, "postal_address": evil})
    values = {
        "organisation": evil,
        "links": f"{evil} https://x.example/{{{{email}}}}",
        "home_url": "https://x.example/{%z%}",
    }
    layout = Layout.objects.create(name="Evil", **values) if has_layout else None

    built = build(written(markup=markup, text="Hand-made", layout=layout, **{markup: source}))

    assert parse(built.html).names == parse(built.text).names == frozenset()


def test_the_layout_ends_a_text_written_by_hand_and_leaves_a_mail_of_text_alone_without_html() -> None:
    layout = Layout.objects.create(**HOUSE)

    built = build(written(text="Dear {{ first_name }}", layout=layout))

    assert built.html == ""
    assert built.text.startswith("Dear {{ first_name }}\n\n-- \nShop & Söhne\n1 High Street\nTown\nMastodon: https")


def test_the_preheader_comes_first_is_not_seen_and_not_in_the_text() -> None:
    layout = Layout.objects.create(**HOUSE)

    html = build(
        written(
            markup="markdown", markdown="# Snow", layout=layout, preheader='For {{ first_name | default: "you" }} & <b>'
        )
    ).html

    body = html.partition("<body")[2].partition(">")[2]
    assert body.lstrip().startswith('<div style="display:none')
    assert 'For {{ first_name | default: "you" }} &amp; &lt;b&gt;' in body
    assert body.index("For {{") < body.index("Shop &amp;") < body.index("Snow")
    text = from_html(html)
    assert "For {{" not in text
    assert text.startswith("Shop")


def test_the_preview_text_of_mjml_counts_unless_a_preheader_is_written() -> None:
    source = "<mjml><mj-head><mj-preview>Own</mj-preview></mj-head><mj-body></mj-body></mjml>"

    assert ">Own<" in build(written(markup="mjml", mjml=source)).html
    other = build(written(markup="mjml", mjml=source, preheader="Written")).html
    assert ">Written<" in other
    assert "Own" not in other


def test_pictures_travel_inside_where_they_are_shown_and_links_keep_their_address(logo: MediaFile) -> None:
    url = media_library.url_of(logo)
    html = f'<p><img src="{url}"> <a href="{url}">large</a> <img src="https://elsewhere.example/x.png"></p>'

    by_address, inside = (build(written(html=html, embeds_images=on)) for on in (False, True))

    assert (by_address.files, f'src="{url}"' in by_address.html) == ((), True)
    (file,) = inside.files
    assert f'src="cid:{file["content_id"]}"' in inside.html
    assert f'href="{url}"' in inside.html
    assert 'src="https://elsewhere.example/x.png"' in inside.html
    assert (file["name"], file["content_type"]) == ("Logo.png", "image/png")


def test_what_is_frozen_is_what_was_built_with_its_files(logo: MediaFile, news: ContactList, people, server) -> None:
    prices = media_library.store(pdf(), "Prices.pdf", "", None)
    campaign = Campaign.objects.create(
        name="Winter",
        subject="Hi",
        markup="markdown",
        markdown=f"Snow ![]({media_library.url_of(logo)})",
        embeds_images=True,
    )
    campaign.lists.add(news)
    campaign.attachments.add(prices)
    built = build(campaign)

    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    states.start_due_campaigns(NOW)

    campaign.refresh_from_db()
    mailing = campaign.mailing
    assert mailing is not None
    assert Built(mailing.subject, mailing.html, mailing.text, tuple(mailing.files)) == built
    message = mailing.messages.first()
    assert message is not None
    SmtpServer.objects.update(mail_from="news@example.com")
    message.message_id = "<1@example.com>"
    wire = composer_for(mailing, server).compose(Outgoing.of(message), NOW).content
    assert b"multipart/mixed" in wire
    assert b"multipart/related" in wire
    assert b'filename="Prices.pdf"' in wire


def test_too_much_to_carry_is_refused_in_the_words_of_the_checks(logo: MediaFile, settings, server) -> None:
    settings.ATTACHMENTS_MAX_BYTES = 10
    campaign = Campaign.objects.create(name="Winter", subject="Hi", text="x")
    campaign.attachments.add(logo)

    with pytest.raises(ContentInvalid, match="Attachments and embedded images"):
        build(campaign)
    assert any("Attachments and embedded images" in sentence for sentence in refusals(campaign, NOW))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"subject": "{{ first_name"}, "The subject has an invalid merge field."),
        ({"preheader": "{% if %}", "html": "x"}, "The preheader has an invalid merge field"),
        ({"markup": "markdown", "markdown": "\n\n{{ x | upcas }}"}, "Line 3: there is no filter named “upcas”"),
        ({"markup": "mjml", "mjml": "<mjml><mj-body><mj-nope/></mj-body></mjml>"}, "MJML has no <mj-nope>"),
    ],
)
def test_a_mistake_is_told_as_it_was_written(fields: dict[str, str], sentence: str) -> None:
    with pytest.raises(ContentInvalid, match=re.escape(sentence)):
        build(written(**fields))


def test_what_is_not_used_of_two_contents_does_not_matter() -> None:
    assert "x" in build(written(markup="markdown", markdown="x", html="{{ broken")).html


def test_a_campaign_whose_layout_broke_after_it_was_queued_is_sent_as_it_was(
    news: ContactList, people, server: SmtpServer
) -> None:
    layout = Layout.objects.create(name="House")
    campaign = Campaign.objects.create(name="Winter", subject="Hi", html="<p>x</p>", layout=layout)
    campaign.lists.add(news)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    Layout.objects.update(footer="{{ x")

    assert states.start_due_campaigns(NOW) == 1


def test_content_that_was_never_frozen_and_is_broken_makes_a_draft(
    news: ContactList, people, server: SmtpServer, caplog
) -> None:
    """One that an older version queued has nothing frozen: it is sent as it is written now, if that can be sent."""
    campaign = Campaign.objects.create(name="Winter", subject="Hi", html="<style>p{}</style>{{ x")
    campaign.lists.add(news)
    Campaign.objects.update(status="scheduled", starts_at=NOW)

    assert states.start_due_campaigns(NOW) == 0

    campaign.refresh_from_db()
    assert (campaign.status, campaign.mailing) == ("draft", None)
    assert "invalid merge field" in campaign.returned_reason
    assert "is a draft again" in caplog.text
    assert any("invalid merge field" in sentence for sentence in refusals(campaign, NOW))


def test_a_copy_keeps_how_it_is_written(logo: MediaFile) -> None:
    layout = Layout.objects.create(name="House")
    campaign = Campaign.objects.create(
        name="Winter", subject="Hi", preheader="P", markup="markdown", markdown="x", layout=layout, embeds_images=True
    )
    campaign.attachments.add(logo)
    Campaign.objects.update(version=7)

    copy = states.duplicate(campaign.pk)

    assert (copy.preheader, copy.markup, copy.markdown, copy.layout, copy.embeds_images, copy.version) == (
        "P",
        "markdown",
        "x",
        layout,
        True,
        1,
    )
    assert list(copy.attachments.all()) == [logo]


@pytest.mark.parametrize("site", ["en", "ja"])
@pytest.mark.parametrize(
    ("servers", "contacts", "expected"), [("de", "", "de"), ("de", "fr", "fr"), ("", "it", "it"), ("", "", None)]
)
@pytest.mark.parametrize("source", ["<p>Hello</p>", "<style>html{color:red}</style><p>Hello</p>"])
def test_a_page_of_ours_says_the_language_that_its_footer_is_in(
    settings, servers: str, contacts: str, expected: str | None, source: str, site: str
) -> None:
    settings.SITE_LANGUAGE = site
    built = build(Campaign(name="Winter", subject="Winter", html=source))
    server = SmtpServer(mail_from="news@example.com", host="localhost", language=servers, use_unsubscribe_link=True)
    contact = Contact(email="ann@example.com", language=contacts)

    sender = {"organisation": "Shop", "postal_address": "", "site_language": site}

    html = preview(subject="Winter", html=built.html, text="", contact=contact, server=server, now=NOW, **sender).html

    language = expected or site
    assert re.search(rf'<html [^>]*lang="{language}" dir="ltr"', html)
    assert f'<div lang="{language}" dir="ltr"' in html  # The footer.
    own = "<html lang=pt><body>Olá</body></html>"
    assert build(Campaign(name="Winter", subject="Winter", html=own)).html == own


@pytest.mark.parametrize(
    ("source", "is_given_a_font"),
    [
        ("<p>Hello</p>", True),
        ('<p style="font-family:Georgia">Hello</p>', False),
        ('<font face="Georgia">Hello</font>', False),
        ("<style>p{color:red}</style><p>Hello</p>", False),
        ("<html><body><p>Hello</p></body></html>", False),
    ],
)
def test_html_without_any_style_has_the_font_of_the_footer(source: str, is_given_a_font: bool) -> None:
    html = build(Campaign(name="Winter", subject="Winter", html=source)).html

    assert ('<body style="font-family:Arial' in html) == is_given_a_font


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("<p>\n{{ x", "[Line 2: [“{{ x” is never closed; close it with }}, or remove it.]]"),
        ("{% if x %}", "[Line 1: [{% if %} is never ended; add {% endif %}.]]"),
        ("{{ x | nope }}", "[Line 1: [there is no filter named “nope”; [remove it.]]]"),
    ],
)
def test_what_is_wrong_with_the_content_is_told_in_the_reader_s_language(
    monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda template: f"[{template}]")

    with pytest.raises(ContentInvalid) as refused:
        build(Campaign(name="Winter", subject="Winter", html=source))

    assert translated(refused.value) == f"[[The HTML] has an invalid merge field. {said}]"
    assert "[" not in str(refused.value)
