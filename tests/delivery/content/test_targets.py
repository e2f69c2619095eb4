"""Targets of counted links: stored once for each address, also when several workers store them at a time."""

import threading
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from delivery.content import targets
from delivery.models import Mailing, TrackedLink, TrackedMailing, TrackedTarget
from mail.links import tracking
from mail.links.link_targets import Link
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db

LINKS = [
    Link("html", 1, "https://shop.example/sale?utm_source=alpha", "Sale"),
    Link("html", 2, "https://shop.example/sale?utm_source=alpha", "Sale again"),
    Link("html", 3, "https://shop.example/{{ code }}", "Yours", "field"),
    Link("text", 1, "https://shop.example/ä" + "x" * 5_000),
]


def make_mailing() -> Mailing:
    return Mailing.objects.create(stream="campaign", name="Sale", tracking="anonymous")


def make_server(name: str = "Alpha") -> SmtpServer:
    return SmtpServer.objects.create(name=name, host="smtp.shop.example", mail_from="news@shop.example")


def test_each_place_has_a_link_and_each_address_of_it_a_target() -> None:
    mailing, server = make_mailing(), make_server()

    stored = targets.store(mailing.pk, server.name, LINKS)

    assert [(link.part, link.position, link.label) for link in TrackedLink.objects.filter(is_counted=True)] == [
        ("html", 1, "Sale"),
        ("html", 2, "Sale again"),
        ("text", 1, ""),
    ]
    codes = {
        target.code: (target.link.part, target.link.position, target.url) for target in TrackedTarget.objects.all()
    }
    assert {key: code for code, key in codes.items()} == stored.codes
    assert set(codes.values()) == {(link.part, link.position, link.url) for link in LINKS if not link.why_not}
    group = tracking.read(stored.token, settings.TOKEN_KEYS)
    assert group == tracking.Token("g", TrackedMailing.objects.get(mailing=mailing, server_name=server.name).pk)


def test_the_same_addresses_keep_their_targets_and_a_server_with_other_codes_adds_its_own() -> None:
    mailing, alpha, beta = make_mailing(), make_server(), make_server("Beta")
    first = targets.store(mailing.pk, alpha.name, LINKS)

    assert targets.store(mailing.pk, alpha.name, LINKS) == first
    assert targets.store(mailing.pk, beta.name, LINKS).codes == first.codes
    other = [Link("html", 1, "https://shop.example/sale?utm_source=beta", "Sale")]
    codes = targets.store(mailing.pk, beta.name, other).codes

    assert TrackedLink.objects.filter(is_counted=True).count() == 3
    assert TrackedTarget.objects.count() == 4
    assert set(codes.values()).isdisjoint(first.codes.values())


@pytest.mark.parametrize(
    ("url", "why_not", "is_unseen"),
    [
        ("https://shop.example/{{ code }}", "field", True),
        ("https://shop.example/", "off", True),
        ("mailto:ann@shop.example", "off", False),
        ("https://shop.example/?X-Amz-Signature=1", "signed", True),
        ("https://shop.example/<", "broken", True),
        ("https://shop.example/1001", "many", True),
        ("https://news.example/u/preview", "own", False),
        ("tel:+491", "other", False),
        ("https://shop.example/", "", False),
    ],
)
def test_links_that_can_be_followed_unseen_are_stored_without_a_target(url: str, why_not: Any, is_unseen: bool) -> None:
    targets.store(make_mailing().pk, make_server().name, [Link("html", 1, url, "Yours", why_not)])

    unseen = TrackedLink.objects.filter(is_counted=False)
    assert list(unseen.values_list("position", "label")) == ([(1, "Yours")] if is_unseen else [])
    assert TrackedTarget.objects.exists() == (why_not == "")


def test_a_place_that_one_server_makes_uncountable_is_counted_through_the_other() -> None:
    mailing = make_mailing()
    targets.store(mailing.pk, make_server().name, [Link("html", 1, "https://shop.example/", "Sale", "broken")])

    codes = targets.store(mailing.pk, make_server("Beta").name, LINKS[:1]).codes

    assert len(codes) == 1
    assert sorted(TrackedLink.objects.values_list("position", "is_counted")) == [(1, False), (1, True)]


def test_two_campaigns_share_no_target() -> None:
    server = make_server()
    codes = [set(targets.store(make_mailing().pk, server.name, LINKS).codes.values()) for _ in range(2)]

    assert codes[0].isdisjoint(codes[1])


def test_a_code_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()
    drawn = iter(["aaaaaaaa", "aaaaaaaa", "aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(tracking, "new_code", lambda: next(drawn))
    targets.store(make_mailing().pk, server.name, LINKS[:1])

    codes = targets.store(make_mailing().pk, server.name, LINKS[:1]).codes

    assert list(codes.values()) == ["bbbbbbbb"]


def test_a_deleted_server_takes_no_target_with_it() -> None:
    mailing, server = make_mailing(), make_server()
    stored = targets.store(mailing.pk, server.name, LINKS)

    server.delete()

    assert set(TrackedTarget.objects.values_list("code", flat=True)) == set(stored.codes.values())
    assert TrackedMailing.objects.get().server_name == "Alpha"
    assert targets.store(mailing.pk, make_server().name, LINKS) == stored


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_workers_that_store_at_a_time_end_with_the_same_targets() -> None:
    mailing, server = make_mailing(), make_server()
    together = threading.Barrier(6)
    found: list[Any] = []

    def work() -> None:
        together.wait()
        try:
            found.append(targets.store(mailing.pk, server.name, LINKS))
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 6
    assert all(each == found[0] for each in found)
    assert (TrackedMailing.objects.count(), TrackedLink.objects.count(), TrackedTarget.objects.count()) == (1, 4, 3)
