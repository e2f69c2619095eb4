"""The pages of the routing rules: who may do what, what is refused, and what trying tells."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from smtpservers.models import Route, SmtpServer

LIST = "/admin/smtpservers/route/"
RULE: dict[str, Any] = {
    "name": "Gmail",
    "is_active": "on",
    "display_order": "10",
    "from_domains": "",
    "recipient_domains": "gmail.com, Googlemail.com",
    "strategy": "order",
}


def client_of(role: str) -> Client:
    user = User.objects.create_user(f"router-{role}", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def admin(db: None) -> Client:
    return client_of("admin")


@pytest.fixture
def alpha(db: None) -> SmtpServer:
    return SmtpServer.objects.create(name="Alpha", host="localhost", mail_from="News <a@shop.example>", weight=3)


@pytest.fixture
def beta(alpha: SmtpServer) -> SmtpServer:
    return SmtpServer.objects.create(name="Beta", host="localhost", mail_from="News <b@shop.example>")


def text_of(page: Any) -> str:
    return " ".join(page.content.decode().split())


def test_an_admin_adds_a_rule_and_it_is_stored_as_dns_knows_it(admin: Client, beta: SmtpServer) -> None:
    admin.post(f"{LIST}add/", {**RULE, "servers": [beta.pk]})

    route = Route.objects.get(name="Gmail")
    assert (route.recipient_domains, route.server_ids) == ("gmail.com\ngooglemail.com", [beta.pk])
    page = text_of(admin.get(LIST))
    assert "To gmail.com, googlemail.com" in page
    assert page.index(">Gmail<") < page.index("Everything else")


def test_states_of_rules_look_like_those_of_servers(admin: Client, alpha: SmtpServer) -> None:
    Route.objects.create(name="Gmail", is_active=False)

    rules, servers = text_of(admin.get(LIST)), text_of(admin.get("/admin/smtpservers/smtpserver/"))

    for page in (rules, servers):
        assert re.search(r'class="state-badge state-badge-green" title="[^"]+">Active</span>', page)
    assert re.search(r'class="state-badge state-badge-grey" title="[^"]+">Inactive</span>', rules)


def test_what_is_no_domain_is_marked(admin: Client) -> None:
    page = admin.post(f"{LIST}add/", {**RULE, "recipient_domains": "gmail"})

    assert "has no dot" in page.context["adminform"].form.errors["recipient_domains"][0]
    assert not Route.objects.filter(name="Gmail").exists()


def test_of_the_default_rule_strategy_and_servers_can_be_changed_and_nothing_else(
    admin: Client, beta: SmtpServer
) -> None:
    default = Route.objects.get(is_default=True)
    url = f"{LIST}{default.pk}/"

    admin.post(f"{url}change/", {**RULE, "strategy": "weighted", "servers": [beta.pk]})
    deleting = admin.post(f"{url}delete/", {"post": "yes"})

    default.refresh_from_db()
    assert (default.strategy, default.server_ids) == ("weighted", [beta.pk])
    assert (default.name, default.recipient_domains, default.is_active) == ("Default", "", True)
    assert deleting.status_code == 403


def test_a_deleted_server_stays_ticked_until_somebody_unticks_it(admin: Client, beta: SmtpServer) -> None:
    route = Route.objects.create(name="Gmail", server_ids=[beta.pk])
    beta.delete()

    page = text_of(admin.get(f"{LIST}{route.pk}/change/"))
    row = text_of(admin.get(LIST))

    assert "A server that has been deleted" in page
    assert "a server that has been deleted" in row


@pytest.mark.parametrize("role", ["ops", "marketer"])
def test_ops_and_marketers_see_and_try_and_change_nothing(role: str, beta: SmtpServer) -> None:
    client = client_of(role)
    route = Route.objects.create(name="Gmail", recipient_domains="gmail.com")

    assert "Gmail" in text_of(client.get(LIST))
    assert client.get(f"{LIST}{route.pk}/change/").status_code == 200
    assert "Alpha would send it" in text_of(client.get(f"{LIST}try/?recipient=ann@customer.example"))
    assert client.post(f"{LIST}{route.pk}/change/", RULE | {"name": "Mine"}).status_code == 403
    assert client.post(f"{LIST}add/", RULE | {"name": "Mine"}).status_code == 403
    assert client.post(f"{LIST}{route.pk}/delete/", {"post": "yes"}).status_code == 403
    assert not Route.objects.filter(name="Mine").exists()


def test_a_viewer_sees_no_rules(db: None) -> None:
    client = client_of("viewer")

    assert [client.get(url).status_code for url in (LIST, f"{LIST}try/")] == [403, 403]


def test_trying_says_which_rule_decides_and_why_the_others_do_not(admin: Client, beta: SmtpServer) -> None:
    Route.objects.create(name="Shop", display_order=1, from_domains="shop.example", server_ids=[1])
    Route.objects.create(name="Gmail", display_order=2, recipient_domains="gmail.com", server_ids=[beta.pk])

    gmail = text_of(admin.get(f"{LIST}try/", {"sender": "", "recipient": "ann@gmail.com"}))
    other = text_of(admin.get(f"{LIST}try/", {"sender": "", "recipient": "ann@customer.example"}))

    assert "Beta would send it" in gmail
    assert "Rule “Gmail”: Beta is first in the display order." in gmail
    assert "for mail from shop.example, and this message uses each server’s own From" in gmail
    assert "for recipients at gmail.com, not customer.example." in other
    assert "Alpha would send it" in other
    assert "If it can't, in this order: Beta." in other


def test_trying_a_shared_rule_shows_who_would_get_how_much(admin: Client, beta: SmtpServer) -> None:
    Route.objects.filter(is_default=True).update(strategy="weighted")

    page = text_of(admin.get(f"{LIST}try/", {"recipient": "ann@customer.example"}))

    assert "2 servers would share this mail" in page
    assert "<td>750</td><td>Alpha gets 75% by weight.</td>" in page
    assert "<td>250</td>" in page


def test_trying_a_shared_rule_gives_no_server_more_than_it_has_room_for(admin: Client, beta: SmtpServer) -> None:
    Route.objects.filter(is_default=True).update(strategy="weighted")
    SmtpServer.objects.filter(name="Alpha").update(max_per_month=79)

    shared = text_of(admin.get(f"{LIST}try/", {"recipient": "ann@customer.example"}))
    SmtpServer.objects.filter(name="Beta").update(max_per_hour=200)
    short = text_of(admin.get(f"{LIST}try/", {"recipient": "ann@customer.example"}))

    assert "<td>79</td><td>Alpha gets 75% by weight. Room for 79.</td>" in shared
    assert "<td>921</td><td>Beta gets 25% by weight.</td>" in shared
    assert "would wait" not in shared
    assert "<td>200</td><td>Beta gets 25% by weight. Room for 200.</td>" in short
    assert "721 would wait" in short


def test_trying_without_a_server_that_can_says_what_it_waits_for(admin: Client, alpha: SmtpServer) -> None:
    SmtpServer.objects.update(is_active=False)

    page = text_of(admin.get(f"{LIST}try/", {"recipient": "ann@customer.example"}))

    assert "It would wait" in page
    assert "No server can send this now: Alpha is inactive." in page


def test_trying_nonsense_says_so_and_escapes_it(admin: Client) -> None:
    page = text_of(admin.get(f"{LIST}try/", {"sender": "<script>", "recipient": "nobody"}))

    assert "has no @ sign" in page
    assert "<script>" not in page.split("<main")[-1].replace("<script src", "")
