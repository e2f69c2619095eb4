"""Where the links of a message lead: the unsubscribe address as a template, and UTM codes with what overrides them."""

import re
from typing import Any

import pytest

from delivery.content.tokens import unsubscribe_url
from delivery.models import Message
from delivery.operators.send_test import Content
from tests.fields.bench import HTML, TEXT, Bench, FormRefused
from tests.fields.rows import codes_beside_own, unsubscribe_link

SERVER = {
    "utm_source": "server-source",
    "utm_medium": "email",
    "utm_campaign": "server-campaign",
    "utm_term": "server-term",
    "utm_content": "server-content",
}


@pytest.mark.parametrize(
    ("template", "link"),
    [
        ("", "http://localhost:8000/u/TOKEN"),
        ("https://shop.example/leave", "https://shop.example/leave?t=TOKEN"),
        ("https://shop.example/leave?a=1", "https://shop.example/leave?a=1&t=TOKEN"),
        ("https://shop.example/leave#form", "https://shop.example/leave?t=TOKEN#form"),
        ("https://shop.example/{token}/leave", "https://shop.example/TOKEN/leave"),
        (
            "https://shop.example/?e={email}&c={campaign}&l={list}",
            "https://shop.example/?e=ann%2Bnews%40customer.example&c=winter&l=LIST&t=TOKEN",
        ),
        ("https://bücher.example:8443/löschen?t={token}", "https://xn--bcher-kva.example:8443/l%C3%B6schen?t=TOKEN"),
        ("mailto:leave@shop.example?subject={token}", "mailto:leave@shop.example?subject=TOKEN"),
    ],
)
def test_the_unsubscribe_address_is_a_template(bench: Bench, template: str, link: str) -> None:
    bench.save(unsubscribe_url=template)

    (mail,) = bench.campaign("ann+news@customer.example")

    message = Message.objects.get()
    token = unsubscribe_url(message.pk).rpartition("/")[2]
    link = link.replace("TOKEN", token).replace("LIST", str(message.mailing.lists.get().pk))
    assert unsubscribe_link(mail) == link
    assert mail.links.count(link) == (1 if link.startswith("mailto:") else 2)
    assert mail.content.count(b"List-Unsubscribe:") == 1
    assert re.search(rb"List-Unsubscribe: <[!-~]+>\r\n", mail.content)


def test_a_host_that_is_no_domain_is_refused(bench: Bench) -> None:
    with pytest.raises(FormRefused, match=r"is not a domain name\. Write it as"):
        bench.save(unsubscribe_url="https://b\u2044cher.example/{token}")


def test_links_of_the_shop_keep_their_codes_beside_an_unsubscribe_page_at_its_root(bench: Bench) -> None:
    bench.save(utm_source="news", unsubscribe_url="https://shop.example/{token}")

    assert bench.first().link("https://shop.example/sale") == "utm_source=news"


@pytest.mark.parametrize(
    ("on", "campaign", "sale"),
    [
        # All of the server's; the suggestions are no codes.
        ({}, {}, "utm_source=server-source&utm_medium=email&utm_campaign=server-campaign"),
        # The campaign's own come first, one by one, and need no switch.
        (
            {},
            {"utm": {"utm_campaign": "own", "utm_term": "own-term"}},
            "utm_source=server-source&utm_medium=email&utm_campaign=own&utm_term=own-term",
        ),
        (
            {"always_utm_term": "on", "always_utm_content": "on"},
            {"utm": {"utm_term": "own-term"}},
            "utm_source=server-source&utm_medium=email&utm_campaign=server-campaign&utm_term=own-term"
            "&utm_content=server-content",
        ),
        # A campaign may do without.
        ({"always_utm_term": "on"}, {"is_tagged": False}, ""),
    ],
)
def test_a_campaigns_values_come_before_the_servers(
    bench: Bench, on: dict[str, Any], campaign: dict[str, Any], sale: str
) -> None:
    bench.save(**SERVER, **on)

    in_campaign = bench.first(**campaign)
    in_test = bench.tested(Content(name="Winter", subject="Winter", html=HTML, text=TEXT, **campaign))

    for mail in (in_campaign, in_test):
        assert mail.link("https://shop.example/sale") == sale
        assert [link for link in mail.links if "/u/" in link and "?" in link] == []


def test_a_links_own_values_come_before_all_others(bench: Bench) -> None:
    bench.save(**SERVER, always_utm_content="on")
    html = '<a href="https://shop.example/sale?utm_source=own" data-utm-content="footer">Sale</a>'

    mail = bench.first(html=html, text="")

    assert mail.link("https://shop.example/sale") == (
        "utm_source=own&utm_medium=email&utm_campaign=server-campaign&utm_content=footer"
    )


def test_values_may_name_the_campaign_the_domain_and_the_day_and_nobody(bench: Bench) -> None:
    bench.save(utm_source="{{server.domain}}", utm_campaign="{{  campaign.slug }} {{campaign.id}}")

    assert codes_beside_own(bench)[0] == "utm_source=shop.example&utm_campaign=winter%20c7"
    with pytest.raises(FormRefused, match="would put personal data into web addresses"):
        bench.save(utm_source="{{ first_name }}")


def test_a_single_message_is_tagged_only_when_it_is_commercial(bench: Bench) -> None:
    bench.save(utm_source="news")

    (receipt,) = bench.single()
    (offer,) = bench.single("bob@customer.example", is_commercial=True)

    assert receipt.link("https://shop.example/sale") == ""
    assert offer.link("https://shop.example/sale") == "utm_source=news"


@pytest.mark.parametrize("replaces", [True, False])
def test_codes_of_a_link_stay_or_are_set_anew(bench: Bench, replaces: bool) -> None:
    bench.save(utm_source="news", utm_medium="email", replaces_utm="on" if replaces else None)
    html = '<a href="https://shop.example/sale?utm_source=partner&amp;x=1&amp;utm_term=shoes">Sale</a>'

    mail = bench.first(html=html, text="See https://shop.example/sale?utm_source=partner&x=1&utm_term=shoes now")

    expected = (
        "x=1&utm_source=news&utm_medium=email" if replaces else "utm_source=partner&x=1&utm_term=shoes&utm_medium=email"
    )
    found = [link.partition("?")[2] for link in mail.links if link.startswith("https://shop.example/sale")]
    assert found == [expected, expected]


@pytest.mark.parametrize("text", ["", "See https://shop.example/sale?x=1 now"])
@pytest.mark.parametrize("is_on", [True, False])
def test_links_of_the_text_may_go_without_codes(bench: Bench, text: str, is_on: bool) -> None:
    bench.save(utm_source="news", tags_text_links="on" if is_on else None)

    mail = bench.first(html='<p><a href="https://shop.example/sale?x=1">Sale</a></p>', text=text)

    in_html, in_text = (link.partition("?")[2] for link in mail.links if link.startswith("https://shop.example/sale"))
    assert in_html == "x=1&utm_source=news"
    assert in_text.rstrip(">") == ("x=1&utm_source=news" if is_on else "x=1")
