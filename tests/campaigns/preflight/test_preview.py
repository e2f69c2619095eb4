"""What the preview tells: each link as it is sent, clashes of UTM codes, the weight, the dark, and misspelt fields."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.content.build import build
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign, Layout
from campaigns.preflight.checks.message import GMAIL_CLIPS_AT
from campaigns.preflight.preview import build_preview, in_dark_mode, links_in, sample_subject
from contacts.models import Attribute, Contact, ContactList
from mail.merge_fields import parse
from mail.plaintext import from_html
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def seen(campaign: Campaign, server: SmtpServer, **changes: str):
    for name, value in changes.items():
        setattr(campaign, name, value)
    campaign.save()
    return build_preview(campaign, Contact.objects.filter(email="ann@example.com").first(), server, NOW)


def test_each_link_is_shown_as_it_is_sent_with_what_is_unusual(campaign: Campaign, server: SmtpServer) -> None:
    html = """
        <a href="https://example.com/a?x=1&amp;y=2">Plain <b>words</b></a>
        <a href="https://example.com/b?utm_source=partner">Own</a>
        <a href="https://example.com/c" data-utm="off">Off</a>
        <a href="https://example.com/d?utm_source=news">Same</a>
        <a href="mailto:shop@example.com"><img src="x.png" alt="Mail"></a>
        <a href="">Nowhere</a> <a href="{{ first_name | prepend: 'https://example.com/' }}">Merged</a>
        <a href="{{ unsubscribe_url }}">Out</a>
    """

    links = {link.label: link for link in seen(campaign, server, html=html, utm_campaign="x").links}

    assert links["Plain words"].url == "https://example.com/a?x=1&y=2&utm_source=news&utm_campaign=x"
    assert links["Plain words"].note == ""
    assert links["Own"].is_clash
    assert links["Own"].note == "utm_source=partner overrides news."
    assert links["Own"].url == "https://example.com/b?utm_source=partner&utm_campaign=x"
    assert (links["Off"].url, links["Off"].note) == ("https://example.com/c", "No UTM codes are added.")
    assert not links["Same"].is_clash
    assert links["[Mail]"].url == "mailto:shop@example.com"
    assert (links["Nowhere"].url, links["Nowhere"].is_clash) == ("", True)
    assert links["Merged"].url == "https://example.com/Ann?utm_source=news&utm_campaign=x"
    assert (links["Out"].note, links["Out"].is_clash) == ("", False)


def test_without_tagging_no_link_is_called_unusual(campaign: Campaign, server: SmtpServer) -> None:
    campaign.is_tagged = False

    link, *_ = seen(campaign, server, html='<a href="https://example.com/?utm_source=partner">x</a>').links

    assert (link.url, link.note, link.is_clash) == ("https://example.com/?utm_source=partner", "", False)


def test_misspelt_fields_are_named_with_a_suggestion_and_defined_ones_are_known(
    campaign: Campaign, server: SmtpServer
) -> None:
    Attribute.objects.create(name="favourite_colour", label="Colour")
    html = "{{ first_nam }} {{ favourite_colour }} {{ favorite_colour }}"

    problems = seen(campaign, server, html=html).problems

    assert [sentence.partition(", which")[0] for sentence in problems] == [
        "The HTML uses {{ favorite_colour }}",
        "The HTML uses {{ first_nam }}",
    ]
    assert "Did you mean {{ favourite_colour }}?" in problems[0]
    assert "Did you mean {{ first_name }}?" in problems[1]


def test_the_weight_is_that_of_the_html_beside_what_gmail_shows(
    campaign: Campaign, marketer: Client, server: SmtpServer
) -> None:
    url = reverse("campaigns:preview_beside", args=[campaign.pk])

    light = marketer.get(url).content.decode()
    heavy = seen(campaign, server, html="<p>é</p>" * (GMAIL_CLIPS_AT // 8))
    cut = marketer.get(url).content.decode()

    assert "Gmail shows up to 102 KB" in light
    assert heavy.bytes > GMAIL_CLIPS_AT
    assert "Gmail clips it at 102 KB." in cut


def test_dark_shows_the_mails_own_colours_or_turns_them_round(campaign: Campaign, server: SmtpServer) -> None:
    own = seen(
        campaign,
        server,
        html="<html><head><style>@media ( PREFERS-color-scheme:dark ){p{color:red}}"
        "@media (prefers-color-scheme: light){p{color:blue}}</style></head><body><p>x</p></body></html>",
    )
    none = seen(campaign, server, html="<html><head></head><body><p>x</p></body></html>")

    assert own.has_dark_scheme
    assert "@media (min-width:0)" in in_dark_mode(own)
    assert "@media (max-width:0)" in in_dark_mode(own)
    assert "invert" not in in_dark_mode(own)
    assert not none.has_dark_scheme
    assert "filter:invert(1)" in in_dark_mode(none)


def test_the_preview_looks_through_any_eyes_and_any_server(
    campaign: Campaign, marketer: Client, server: SmtpServer
) -> None:
    other = SmtpServer.objects.create(
        name="Beta", host="b.example.com", mail_from="b@example.com", unknown_first_name="Friend", display_order=9
    )
    Campaign.objects.update(subject="Hello {{ first_name }}")
    url = reverse("campaigns:preview_beside", args=[campaign.pk])
    bea = Contact.objects.get(email="bea@example.com")

    pages = {
        who: marketer.get(url, {"contact": who, "server": other.pk}).content.decode()
        for who in (str(bea.pk), "nobody", "999999")
    }

    assert "Hello Bea" in pages[str(bea.pk)]
    assert "Hello Friend" in pages["nobody"]
    assert "a sample contact without a name" in pages["nobody"]
    found = marketer.get(reverse("campaigns:find_contact", args=[campaign.pk]), {"q": "BEA"}).json()["found"]
    assert found == [{"id": str(bea.pk), "email": "bea@example.com", "name": "Bea"}]


def test_the_frame_runs_nothing_and_the_source_is_only_text(
    campaign: Campaign, marketer: Client, server: SmtpServer
) -> None:
    Campaign.objects.update(html="<p>x</p><script>alert(1)</script>")

    frame = marketer.get(reverse("campaigns:preview_html", args=[campaign.pk]), {"beside": "1", "dark": "1"})
    facts = marketer.get(reverse("campaigns:preview_beside", args=[campaign.pk])).content.decode()

    policy = frame["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-same-origin; default-src 'none';")
    assert "script-src" not in policy
    assert "allow-scripts" not in policy
    assert "https:" not in policy  # Pictures and fonts of other hosts are not asked for.
    assert "aren't loaded" not in facts
    for foreign in ('<img src="https://evil.example/p.png">', "<p style='background:url(//evil.example/p)'>x</p>"):
        Campaign.objects.update(html=foreign)
        beside = marketer.get(reverse("campaigns:preview_beside", args=[campaign.pk])).content.decode()
        assert "Images from other sites aren't loaded" in beside
    assert "<script>" not in facts
    assert "&lt;script&gt;alert(1)" in facts


@pytest.mark.parametrize("starter", [one for one in starters() if one.content], ids=lambda one: one.key)
def test_a_starter_template_is_complete_light_and_free_of_foreign_pictures(
    starter, news: ContactList, server: SmtpServer
) -> None:
    layout = Layout.objects.create(name="House", organisation="Shop", postal_address="1 High Street")
    campaign = Campaign.objects.create(
        name="s",
        subject=starter.subject,
        preheader=starter.preheader,
        markup=starter.markup,
        layout=layout,
        **{starter.markup: starter.content},
    )
    campaign.lists.add(news)

    view = build_preview(campaign, None, server, NOW)

    assert view.problems == []
    assert view.has_dark_scheme
    assert view.bytes < GMAIL_CLIPS_AT // 3
    assert "<img" not in view.html
    assert "fonts.g" not in view.html
    assert 'name="viewport"' in view.html
    assert all(not link.is_clash for link in view.links)
    assert "{{" not in view.rendered.subject + view.rendered.text
    html = build(campaign).html
    assert len(from_html(html)) > 200
    assert parse(html).names <= {"first_name"}


LINKED = """
    <a href="https://example.com/a">Plain</a> <a href="https://example.com/a" data-track="off">Marked</a>
    <a href="https://example.com/{{ first_name }}">Merged</a> <a href="mailto:shop@example.com">Mail</a>
    <a href="{{ unsubscribe_url }}">Out</a> <a href="https://example.com/?X-Amz-Signature=1">Signed</a>
    {% assign places = "north,south" | split: "," %}
    {% for place in places %}<a href="https://example.com/places">{{ place }}</a>{% endfor %}
"""


def test_the_preview_says_which_links_are_counted_and_why_others_are_not(
    campaign: Campaign, server: SmtpServer, marketer: Client, settings: Any
) -> None:
    settings.TRACKING_LEVEL = "anonymous"

    view = seen(campaign, server, html=LINKED, utm_campaign="x")

    why = {link.label: link.why_uncounted for link in view.links}
    assert [why[label] for label in ("Plain", "north", "south")] == ["", "", ""]
    assert "it is marked so" in why["Marked"]
    assert "merge field" in why["Merged"]
    assert "signed" in why["Signed"]
    assert "this site" in why["Out"]
    assert "web page" in why["Mail"]
    assert view.counted == 3
    assert {link.url for link in view.links if link.label in ("Plain", "Merged")} == {
        "https://example.com/a?utm_source=news&utm_campaign=x",
        "https://example.com/Ann?utm_source=news&utm_campaign=x",
    }
    for name in ("preview", "preview_beside"):
        page = marketer.get(reverse(f"campaigns:{name}", args=[campaign.pk])).content.decode()
        assert f"{len(view.links)} links, 3 counted" in page
        assert "Previews and tests have neither." in page


@pytest.mark.parametrize(("installation", "of_list"), [("off", "personal"), ("personal", "off")])
def test_the_preview_of_what_is_not_counted_says_nothing_of_it(
    campaign: Campaign, server: SmtpServer, marketer: Client, settings: Any, installation: str, of_list: str
) -> None:
    settings.TRACKING_LEVEL = installation
    ContactList.objects.update(tracking=of_list)

    view = seen(campaign, server, html=LINKED)

    assert (view.counted, {link.why_uncounted for link in view.links}) == (0, {""})
    page = marketer.get(reverse("campaigns:preview", args=[campaign.pk])).content.decode()
    assert f"{len(view.links)} links, as sent" in page


def test_no_link_of_the_preview_turns_around_what_stands_beside_it(campaign: Campaign, server: SmtpServer) -> None:
    link = seen(campaign, server, html='<a href="https://a.example/\u202eb">\u202eSale</a>').links[0]

    assert (link.label, "\u202e" in link.url, "%E2%80%AE" in link.url) == ("Sale", False, True)


def test_links_are_read_from_broken_markup_too() -> None:
    assert links_in("<a href=x>one<a href='y'>two</a><area href=z alt=three><a name=q>none</a><a href=w>last") == [
        ("one", "x"),
        ("two", "y"),
        ("three", "z"),
        ("last", "w"),
    ]


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("Snow & ice", "Snow &amp; ice"),
        ("<b>{{ first_name }}</b>", '&lt;b&gt;Ann&lt;/b&gt; <small class="campaign-sample">with sample values</small>'),
        ("Your {{ plan }}", 'Your [plan] <small class="campaign-sample">with sample values</small>'),
        ("{{ first_name", "{{ first_name"),
    ],
)
def test_a_subject_is_shown_filled_and_says_that_its_values_are_samples(subject: str, shown: str) -> None:
    assert sample_subject(subject) == shown
