"""The click map tells links apart by their place, says which are not counted, and no link in it can be followed."""

import csv
import datetime as dt
import io
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from campaigns.reports.click_map import mapped_links, marked_html
from delivery.models import Mailing, TrackedLink, TrackedTarget
from feedback.models import VisitCount
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.browser import sideways_scroll, sign_in

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HTML = """<html><head><style>p{color:#333}</style></head><body>
<p>Hello {{ first_name }}, <a href="https://shop.example/sale">the sale</a> begins.</p>
<p><a class="button" href='https://shop.example/sale' target="_top">Buy</a>
<a href="mailto:us@shop.example">Write</a></p>
<p><a href="https://shop.example/{{ first_name }}">Yours</a></p>
{% if first_name == "Zoe" %}<a href="https://shop.example/zoe">For Zoe</a>{% endif %}
<map name="m"><area href="https://shop.example/area" alt="North"></map>
<svg viewBox="0 0 9 9"><a xlink:href="https://shop.example/svg"><rect width="9" height="9"/></a></svg>
</body></html>"""


@pytest.fixture
def mailing(campaign: Campaign, server: SmtpServer) -> Mailing:
    """A mailing whose two links to one page are counted."""
    made = Mailing.objects.create(
        stream="campaign", name="Winter sale", subject="Snow", html=HTML, text="Snow", tracking="personal"
    )
    Campaign.objects.filter(pk=campaign.pk).update(mailing=made, status="finished")
    for position, label, clicks in ((1, "the sale", 30), (2, "Buy", 10)):
        link = TrackedLink.objects.create(mailing=made, part="html", position=position, label=label)
        for visitor, loads, people in (("human", clicks, clicks - 5), ("machine", 99, 99)):
            for link_id, family in ((link.pk, "chrome"), (0, f"{position}")):  # Of the link, and of the mailing.
                VisitCount.objects.create(
                    mailing=made,
                    kind="click",
                    visitor=visitor,
                    link_id=link_id,
                    loads=loads,
                    people=people,
                    is_personal=True,
                    quarter_at=NOW,
                    family=family,
                )
    return made


@pytest.mark.django_db
def test_two_links_to_one_page_stay_apart_and_uncounted_ones_say_why(mailing: Mailing, server: SmtpServer) -> None:
    found = mapped_links(mailing, server)

    assert [(link.position, link.label, link.share, link.clicks.human, link.clicks.people) for link in found[:2]] == [
        (1, "the sale", "75%", 30, 25),
        (2, "Buy", "25%", 10, 5),
    ]
    assert found[0].url == "https://shop.example/sale"  # Without the server's UTM codes.
    assert [(link.position, link.is_counted) for link in found[2:]] == [(3, False), (4, False), (5, False), (6, False)]
    assert "doesn't lead to a web page" in found[2].why_not
    assert "merge field" in found[3].why_not
    assert found[3].url == "https://shop.example/{{ first_name }}"


@pytest.mark.django_db
def test_without_a_server_what_was_counted_is_still_told(mailing: Mailing) -> None:
    assert [(link.label, link.clicks.human) for link in mapped_links(mailing, None)] == [("the sale", 30), ("Buy", 10)]


@pytest.mark.django_db
def test_each_link_has_its_badge_and_none_has_an_address(mailing: Mailing, server: SmtpServer) -> None:
    html = marked_html(mailing, mapped_links(mailing, server), server)

    assert re.findall(r">(\d: [^<]*)</span>", html) == [
        "1: 75% · 30",
        "2: 25% · 10",
        "3: not counted",
        "4: not counted",
        "6: not counted",
    ]  # The fifth is only in Zoe's mail.
    assert "href" not in html
    assert "target" not in html
    assert 'class="button"' in html


@pytest.mark.django_db
def test_a_mail_with_its_own_link_to_unsubscribe_gets_no_second_one(mailing: Mailing, server: SmtpServer) -> None:
    TrackedLink.objects.all().delete()
    mailing.html = '<p><a href="https://shop.example/">Sale</a> <a href="{{ unsubscribe_url }}">Leave us</a></p>'

    html = marked_html(mailing, mapped_links(mailing, server), server)

    assert "2: not counted" in html
    assert html.count("</a>") == 2
    assert "href" not in html


@pytest.mark.django_db
def test_links_of_the_text_are_shown_as_written_and_told_from_those_of_the_html(
    mailing: Mailing, campaign: Campaign, server: SmtpServer, marketer: Client
) -> None:
    text = "Gift: https://shop.example/gift?who={{ first_name }}\nSale: https://shop.example/sale"
    Mailing.objects.filter(pk=mailing.pk).update(text=text, track_text=True)
    counted = TrackedLink.objects.create(mailing=mailing, part="text", position=2)
    TrackedTarget.objects.create(link=counted, url="https://shop.example/sale?utm_source=x", url_hash="1", code="a" * 6)

    links = [link for link in mapped_links(Mailing.objects.get(), server) if link.part == "text"]
    page = marketer.get(reverse("campaigns:click_map", args=[campaign.pk])).content.decode()
    file = marketer.get(reverse("campaigns:links_csv", args=[campaign.pk])).getvalue().decode("utf-8-sig")
    rows = [row for row in csv.DictReader(io.StringIO(file)) if row["part"] == "text"]
    who = marketer.get(reverse("campaigns:link_clicks", args=[campaign.pk, counted.pk])).content.decode()

    assert [link.url for link in links] == [
        "https://shop.example/gift?who={{ first_name }}",
        "https://shop.example/sale",
    ]
    assert [row["label"] for row in rows] == [row["address"] for row in rows] == [link.url for link in links]
    assert page.count('aria-label="Who clicked link 2"') == page.count('aria-label="Who clicked text link 2"') == 1
    assert "Who clicked text link 2" in who
    assert "https://shop.example/sale?utm_source=x" in who


@pytest.mark.django_db
def test_nothing_in_a_link_turns_around_what_stands_beside_it(mailing: Mailing, server: SmtpServer) -> None:
    """A right-to-left override would show the address of a link backwards (UAX #9)."""
    TrackedLink.objects.all().delete()
    mailing.html = '<a href="https://\u202eshop.example/{{ x }}">&#8238;Sale\u2066</a>'

    link = mapped_links(mailing, server)[0]

    assert (link.label, link.url) == ("Sale", "https://%E2%80%AEshop.example/{{ x }}")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "written",
    [
        '<a href="#{mark}-1">x</a>',
        '<A HREF = "https://a.example/?x=1&amp;y=2" >x</A>',
        "<a href=https://a.example/>x</a>",
        '<a href=" \n https://a.example/ ">x</a>',
        '<a href="javascript:alert(1)">x</a>',
        '<a href="https://a.example/" href="https://b.example/">x</a>',
        '<a data-x="href=1" href="https://a.example/"><b>x',
    ],
)
def test_no_way_of_writing_a_link_keeps_its_address(mailing: Mailing, server: SmtpServer, written: str) -> None:
    mailing.html = f"<p>{written}</p>"

    html = marked_html(mailing, mapped_links(mailing, server), server)

    assert not re.search(r"<a\b[^>]*\s(xlink:)?href\s*=\s*[\"']?(?!1)", html, re.IGNORECASE)
    assert html.count("1: ") == 1


@pytest.mark.django_db
def test_figures_are_for_all_who_follow_and_the_mail_for_those_who_see_campaigns(
    mailing: Mailing, campaign: Campaign, people: dict[str, User]
) -> None:
    for role, user in people.items():
        client = client_of(user)
        shown = client.get(reverse("campaigns:click_map", args=[campaign.pk]))
        frame = client.get(reverse("campaigns:click_map_html", args=[campaign.pk]))
        sees = role in ("admin", "marketer")
        assert shown.status_code == 200
        assert (b"<iframe" in shown.content) == sees
        assert frame.status_code == (200 if sees else 403)
        if sees:
            assert frame["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.django_db
def test_the_file_of_links_is_safe_in_a_spreadsheet(mailing: Mailing, campaign: Campaign, marketer: Client) -> None:
    TrackedLink.objects.filter(position=1).update(label="=cmd|' /C calc'!A0")

    file = marketer.get(reverse("campaigns:links_csv", args=[campaign.pk])).getvalue().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(file)))

    assert rows[0]["label"] == "'=cmd|' /C calc'!A0"
    assert (rows[0]["people"], rows[0]["clicks by people"], rows[0]["share"]) == ("25", "30", "75%")
    assert (rows[2]["counted"], rows[2]["people"]) == ("no", "")


@pytest.mark.django_db
def test_a_mail_that_cannot_be_made_any_more_still_has_its_figures(
    mailing: Mailing, campaign: Campaign, marketer: Client
) -> None:
    Mailing.objects.filter(pk=mailing.pk).update(html="{% if %}")

    page = marketer.get(reverse("campaigns:click_map", args=[campaign.pk]))
    frame = marketer.get(reverse("campaigns:click_map_html", args=[campaign.pk]))

    assert "the sale" in page.content.decode()
    assert frame.content.decode().startswith("<p>Couldn&#x27;t show the mail.")


@pytest.mark.django_db
def test_the_map_asks_no_more_for_many_links(
    mailing: Mailing, campaign: Campaign, marketer: Client, django_assert_max_num_queries
) -> None:
    for position in range(10, 60):
        TrackedLink.objects.create(mailing=mailing, part="html", position=position, label=f"Link {position}")
    url = reverse("campaigns:click_map", args=[campaign.pk])
    marketer.get(url)

    with django_assert_max_num_queries(25):
        assert b"Link 59" in marketer.get(url).content


NEIGHBOURS = """<table width="600" style="width:100%;max-width:600px"><tr><td style="font-size:0;line-height:0">
<a href="https://shop.example/a" style="font:16px/20px serif">A</a><a href="https://shop.example/b"><img alt="B"
src="data:," width="40" height="20"></a><a href="https://shop.example/c"><img alt="C" src="data:," width="9"></a></td>
</tr></table>
<p style="line-height:1">See <a href="https://shop.example/d">the coats</a>,<a href="https://shop.example/e">hats</a>,<br>
<a href="https://shop.example/f">or</a><br><a href="https://shop.example/g">all</a></p>
<ul><li><a href="https://shop.example/h">One</a></li><li><a href="https://shop.example/i">Two</a></li></ul>
<a href="https://shop.example/j" style="display:inline-block;padding:12px 20px;background:#222;color:#fff">Buy</a>
<map name="m"><area href="https://shop.example/k" alt="K"><area href="https://shop.example/l" alt="L"></map>"""
COVERED = """() => {
  const badges = [...document.querySelectorAll("span")].filter(each => /^\\d+: /.test(each.textContent));
  const boxes = badges.map(each => each.getBoundingClientRect());
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
  const cut = boxes.filter(box => box.width < 20 || box.left < 0 || box.right > document.documentElement.clientWidth);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const words = [];
  while (texts.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(texts.currentNode);
    if (!badges.includes(texts.currentNode.parentNode)) words.push(...range.getClientRects());
  }
  const covered = boxes.flatMap((box, place) => [...boxes.slice(place + 1), ...words].filter(each => meet(box, each)));
  return [badges.length, cut.length, covered.length];
}"""


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1440, 390])
def test_badges_of_neighbouring_links_cover_neither_each_other_nor_the_mail(
    live_server, mailing: Mailing, campaign: Campaign, people: dict[str, User], page: Page, width: int
) -> None:
    Mailing.objects.filter(pk=mailing.pk).update(html=NEIGHBOURS)
    for position in range(3, 13):
        TrackedLink.objects.create(mailing=mailing, part="html", position=position)
    sign_in(page, people["marketer"])
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(reverse("campaigns:click_map", args=[campaign.pk]))
    expect(page.frame_locator("iframe").get_by_text("12: 0% · 0")).to_be_visible()

    assert page.frames[1].evaluate(COVERED) == [12, 0, 0]


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_a_click_on_the_map_goes_nowhere_and_a_phone_shows_it_whole(
    live_server, mailing: Mailing, campaign: Campaign, people: dict[str, User], page: Page
) -> None:
    sign_in(page, people["marketer"])
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(reverse("campaigns:click_map", args=[campaign.pk]))
    frame = page.frame_locator("iframe")
    before = page.frames[1].url

    expect(frame.get_by_text("1: 75% · 30")).to_be_visible()
    frame.get_by_text("the sale").click(force=True)
    frame.get_by_text("Buy").click(force=True)

    assert page.frames[1].url == before
    assert sideways_scroll(page) == 0
    expect(page.get_by_role("row", name="the sale")).to_contain_text("75%")
