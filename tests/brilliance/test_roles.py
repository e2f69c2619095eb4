"""Every address of the site with every role: nothing is open that is not listed here as open."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin import ModelAdmin, site
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connections, transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import AccountServer, Invitation
from brilliance.admin import admins, is_last_admin
from brilliance.rights import action_of, has_effect
from brilliance.roles import ROLES, make_roles
from brilliance.web.navigation import PLACES
from campaigns.content import media_library
from campaigns.models import Approval, ApprovalRule, ArchivedCampaign, ArchiveSettings, Campaign, Layout, SeedList
from contacts.models import (
    Attribute,
    ConsentEvent,
    Contact,
    ContactImport,
    ContactList,
    Segment,
    Subscription,
    Suppression,
    SuppressionLift,
)
from delivery.content import tokens
from delivery.models import Message, TrackedLink, Trial
from delivery.outbox import mailings
from delivery.outbox.snapshot import snapshot
from domains.models import SendingDomain
from encryption.keys import seal_bytes
from feedback.models import Feedback, Mailbox, RawReport, Report
from installation.models import SiteSettings
from mail.links.tracking import token_of_message
from oauth.models import OAuthAccount
from publicpages.models import Appearance, SignUp
from publicpages.subscriptions import subscribe
from sandbox.models import SandboxMail
from smtpservers.models import Route, SmtpServer
from tests.harness.files import pdf
from tests.lint_words import ROOMS, ROOT

# Who may come in: a(dmin), m(arketer), o(ps), v(iewer), and - for somebody without a role who is signed in, and
# ? for everybody. An address that is missing here fails the test.
EVERYBODY, SIGNED_IN, FLEET, PEOPLE, SERVERS, NOBODY = "?-amov", "-amov", "amov", "am", "ao", ""
EXPECTED = {
    "": SIGNED_IN,
    "admin/": SIGNED_IN,
    "admin/search/": SIGNED_IN,
    "admin/login/": NOBODY,  # It leads to the next one.
    "accounts/login/": EVERYBODY,
    "accounts/login/passkey/": SIGNED_IN,  # Strangers are sent to the sign-in, and after it to the dashboard.
    "accounts/login/second-factor/": SIGNED_IN,
    "accounts/login/issuer/": NOBODY,  # Nobody is asked for: no issuer is set.
    "accounts/login/issuer/callback/": NOBODY,
    "accounts/login/link/": EVERYBODY,
    "accounts/first/": NOBODY,  # Somebody is administrator already.
    "accounts/password/forgot/": EVERYBODY,
    "accounts/password/sent/": EVERYBODY,
    "accounts/password/new/": EVERYBODY,
    "accounts/invitation/": EVERYBODY,
    "accounts/logout/": NOBODY,  # It leads to the sign-in.
    "accounts/confirm/": SIGNED_IN,
    "accounts/": SIGNED_IN,
    "accounts/sessions/": SIGNED_IN,
    "accounts/sessions/end/": SIGNED_IN,
    "accounts/users/<int:user_id>/": "a",
    "accounts/factors/": SIGNED_IN,
    "accounts/factors/app/": SIGNED_IN,
    "accounts/factors/key/": SIGNED_IN,
    "accounts/factors/<int:factor_id>/remove/": NOBODY,  # Nobody has one.
    "accounts/factors/recovery-codes/": SIGNED_IN,
    "admin/logout/": SIGNED_IN,
    "admin/password_change/": SIGNED_IN,
    "admin/password_change/done/": SIGNED_IN,
    "admin/autocomplete/": NOBODY,  # Without the field it is asked for.
    "admin/jsi18n/": SIGNED_IN,
    "admin/r/<path:content_type_id>/<path:object_id>/": NOBODY,
    "admin/^(?P<app_label>auth|accounts|oauth|installation|contacts|smtpservers|domains|campaigns|feedback|publicpages"
    "|sandbox)"
    "/$": "a",
    "admin/(?P<url>.*)$": NOBODY,
    "admin/auth/user/<id>/password/": "a",
    "admin/auth/user/invite/": "a",
    "admin/contacts/contactimport/<int:import_id>/columns/": PEOPLE,
    "admin/contacts/contactimport/<int:import_id>/cancel/": PEOPLE,
    "admin/contacts/contactimport/<int:import_id>/progress.json": PEOPLE,
    "admin/contacts/contactimport/<int:import_id>/refused.csv": PEOPLE,
    "admin/contacts/contact/import/": PEOPLE,
    "admin/contacts/contact/export/": PEOPLE,
    "admin/contacts/contactlist/<path:object_id>/consents/": PEOPLE,
    "admin/contacts/segment/preview.json": PEOPLE,
    "admin/contacts/suppression/import/": PEOPLE,
    "admin/contacts/suppression/export/": PEOPLE,
    "admin/contacts/suppression/lifted/": PEOPLE,
    "admin/contacts/suppression/<path:object_id>/lift/": PEOPLE,
    "admin/contacts/contact/by-address/": PEOPLE,
    "admin/contacts/contact/retention/": "a",
    "admin/contacts/contact/<path:object_id>/personal-data/": PEOPLE,
    "admin/contacts/contact/<path:object_id>/erase/": PEOPLE,
    "admin/smtpservers/smtpserver/^([^/]+)/history/([^/]+)/$": NOBODY,
    "admin/oauth/oauthaccount/^([^/]+)/history/([^/]+)/$": NOBODY,
    "admin/smtpservers/smtpserver/<path:object_id>/send_test_page/": SERVERS,
    "admin/smtpservers/smtpserver/<int:server_id>/resume/": SERVERS,
    "admin/smtpservers/smtpserver/<int:server_id>/switch/": SERVERS,
    "admin/smtpservers/route/try/": "amo",
    "admin/domains/sendingdomain/<int:domain_id>/ask/": SERVERS,
    "admin/domains/sendingdomain/<int:domain_id>/reports/": "amo",
    "admin/domains/sendingdomain/<int:domain_id>/keys/": SERVERS,
    "admin/domains/sendingdomain/<int:domain_id>/keys/revoke/": SERVERS,
    "admin/oauth/oauthaccount/<int:account_id>/connect/": SERVERS,
    "admin/oauth/oauthaccount/<int:account_id>/sign-in/": SERVERS,  # It leads to the provider.
    "oauth/done": SERVERS,
    "servers/health/": SERVERS,
    "admin/feedback/feedback/<int:feedback_id>/try-again/": PEOPLE,
    "admin/feedback/report/raw/": PEOPLE,
    "admin/feedback/rawreport/<int:raw_id>/download/": PEOPLE,
    "admin/feedback/mailbox/<int:mailbox_id>/check/": SERVERS,
    "admin/feedback/mailbox/probe/<int:server_id>/": SERVERS,
    "admin/sandbox/sandboxmail/<int:mail_id>/html/": PEOPLE,
    "admin/sandbox/sandboxmail/<int:mail_id>/raw/": PEOPLE,
    "admin/sandbox/sandboxmail/<int:mail_id>/download/": PEOPLE,
    "admin/sandbox/sandboxmail/<int:mail_id>/visit/": PEOPLE,
    "admin/sandbox/sandboxmail/delete_all/": "a",
    "campaigns/<int:campaign_id>/": FLEET,
    "campaigns/<int:campaign_id>/progress.json": FLEET,
    "campaigns/audience.json": PEOPLE,
    "campaigns/<int:campaign_id>/people/": PEOPLE,
    "campaigns/<int:campaign_id>/people/export/": PEOPLE,
    "campaigns/<int:campaign_id>/queue/": PEOPLE,
    "campaigns/<int:campaign_id>/pause/": "amo",
    "campaigns/<int:campaign_id>/resume/": "amo",
    "campaigns/<int:campaign_id>/cancel/": PEOPLE,
    "campaigns/<int:campaign_id>/retry/": PEOPLE,
    "campaigns/<int:campaign_id>/duplicate/": PEOPLE,
    "campaigns/<int:campaign_id>/review/": PEOPLE,
    "campaigns/<int:campaign_id>/schedule/": PEOPLE,
    "campaigns/<int:campaign_id>/override/": "a",
    "campaigns/<int:campaign_id>/ask-again/": PEOPLE,
    "campaigns/<int:campaign_id>/approval/": PEOPLE,
    "campaigns/approvals/<int:approval_id>/": PEOPLE,
    "campaigns/<int:campaign_id>/start/": PEOPLE,
    "campaigns/<int:campaign_id>/take-back/": PEOPLE,
    "campaigns/<int:campaign_id>/tests/": PEOPLE,
    "campaigns/<int:campaign_id>/tests/<slug:batch>/": PEOPLE,
    "campaigns/<int:campaign_id>/preview/": PEOPLE,
    "campaigns/<int:campaign_id>/preview/html/": PEOPLE,
    "campaigns/<int:campaign_id>/test/": PEOPLE,
    "campaigns/begin/": PEOPLE,
    "campaigns/pictures.json": PEOPLE,
    "campaigns/pictures/upload/": PEOPLE,
    "campaigns/<int:campaign_id>/draft.json": PEOPLE,
    "campaigns/<int:campaign_id>/readiness/": PEOPLE,
    "campaigns/<int:campaign_id>/text.json": PEOPLE,
    "campaigns/in-format.json": PEOPLE,
    "campaigns/create-list.json": PEOPLE,
    "campaigns/<int:campaign_id>/preview/beside/": PEOPLE,
    "campaigns/<int:campaign_id>/preview/contacts.json": PEOPLE,
    "media/<str:stored_name>": EVERYBODY,
    "reports/": FLEET,
    "reports/<slug:table>.csv": FLEET,
    "reports/opens-clicks/": FLEET,
    "reports/opens-clicks/<slug:table>.csv": FLEET,
    "reports/compare/": FLEET,
    "campaigns/<int:campaign_id>/report/": FLEET,
    "campaigns/<int:campaign_id>/report/<slug:table>.csv": FLEET,
    "campaigns/<int:campaign_id>/clicks/": FLEET,
    "campaigns/<int:campaign_id>/clicks/html/": PEOPLE,
    "campaigns/<int:campaign_id>/clicks/<int:link_id>/": PEOPLE,
    "campaigns/<int:campaign_id>/clicks/links.csv": FLEET,
    "campaigns/<int:campaign_id>/report/opens-clicks/<slug:table>.csv": FLEET,
    "campaigns/<int:campaign_id>/servers/": "amo",
    "campaigns/<int:campaign_id>/variants/": PEOPLE,
    "campaigns/<int:campaign_id>/variants/remove/": PEOPLE,
    "campaigns/<int:campaign_id>/variants/choose/": PEOPLE,
    "set-up/organisation/": "a",
    "set-up/server/": "a",
    "set-up/people/": "a",
    "set-up/hide/": "a",
    "set-up/demo/": "a",
    "set-up/demo/remove/": "a",
    "campaigns/archive/": PEOPLE,
    "campaigns/<int:campaign_id>/publish/": PEOPLE,
    "campaigns/<int:campaign_id>/withdraw/": PEOPLE,
    "archive/": EVERYBODY,
    "archive/feed.xml": EVERYBODY,
    "archive/<int:entry_id>/mail": EVERYBODY,
    "archive/<int:entry_id>/<slug:slug>": EVERYBODY,
    "campaigns/<int:campaign_id>/recipients/": PEOPLE,
    "campaigns/<int:campaign_id>/recipients/export/": PEOPLE,
    "campaigns/recipients/<int:message_id>/": PEOPLE,
    "campaigns/recipients/<int:message_id>/resend/": PEOPLE,
    "servers/<int:server_id>/test/": SERVERS,
    "servers/<int:server_id>/test/<int:trial_id>/": SERVERS,
    "servers/<int:server_id>/held-back/": SERVERS,
    "messages/": PEOPLE,
    "restored/": "a",
    "hooks/<str:provider>/<str:secret>": EVERYBODY,  # A wrong secret gets 401.
    "servers/<int:server_id>/scorecard/": SERVERS,
    "servers/<int:server_id>/webhook/": SERVERS,
    "servers/<int:server_id>/webhook/address/": SERVERS,
    "servers/<int:server_id>/webhook/probe/": SERVERS,
    "servers/<int:server_id>/webhook/probe/<int:trial_id>/": SERVERS,
    "u/<str:token>": EVERYBODY,
    "p/<str:settings_token>": EVERYBODY,
    "t/<str:tracking_token>": EVERYBODY,
    "v/<str:web_token>": EVERYBODY,
    "c/<path:click_token>": EVERYBODY,
    "o/<path:pixel_token>": NOBODY,  # Django has only a page that says it is wrong.
    "confirm/<str:confirm_token>": EVERYBODY,
    "subscribe": EVERYBODY,
    "subscribe/": EVERYBODY,
    "subscribe/<int:list_id>": EVERYBODY,
    "subscribe.json": EVERYBODY,
    "looks/<str:name>.css": EVERYBODY,
    "looks/<str:name>": EVERYBODY,
    "audience/lists/<int:list_id>/form": PEOPLE,
    "healthz": EVERYBODY,
    "readyz": EVERYBODY,
}
# The admin's own pages of each model: list, add, change, history, delete.
ADMIN_PAGES = {
    "auth/user": ("a", "a", "a", "a", "a"),
    "auth/group": ("a", "a", "a", "a", NOBODY),  # It is one of ours.
    "accounts/invitation": ("a", "a", "a", "a", "a"),
    "accounts/accountserver": ("a", "a", "a", "a", "a"),
    "contacts/attribute": ("am", "a", "am", "am", "a"),
    "contacts/contact": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "contacts/contactlist": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "contacts/contactimport": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, NOBODY),
    "contacts/segment": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "contacts/suppression": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, NOBODY),  # It is lifted, with a reason.
    "contacts/suppressionlift": (PEOPLE, NOBODY, PEOPLE, PEOPLE, NOBODY),
    "contacts/consentevent": (PEOPLE, NOBODY, PEOPLE, PEOPLE, NOBODY),
    "smtpservers/smtpserver": (FLEET, SERVERS, SERVERS, SERVERS, SERVERS),
    "domains/sendingdomain": ("amo", SERVERS, "amo", "amo", SERVERS),
    "smtpservers/route": ("amo", "a", "amo", "amo", NOBODY),  # It is the default one.
    "oauth/oauthaccount": (SERVERS, SERVERS, SERVERS, SERVERS, SERVERS),
    "campaigns/campaign": (FLEET, PEOPLE, PEOPLE, PEOPLE, NOBODY),  # It is being sent.
    "campaigns/layout": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "campaigns/mediafile": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "campaigns/seedlist": (PEOPLE, PEOPLE, PEOPLE, PEOPLE, PEOPLE),
    "campaigns/approvalrule": ("am", NOBODY, "am", "am", NOBODY),  # There is one.
    "feedback/feedback": (PEOPLE, NOBODY, PEOPLE, PEOPLE, NOBODY),
    "feedback/report": (PEOPLE, NOBODY, PEOPLE, PEOPLE, NOBODY),
    "feedback/rawreport": (PEOPLE, NOBODY, PEOPLE, PEOPLE, NOBODY),
    "feedback/mailbox": (SERVERS, SERVERS, SERVERS, SERVERS, SERVERS),
    "publicpages/appearance": ("a", NOBODY, "a", "a", NOBODY),  # There is one.
    "installation/sitesettings": ("a", NOBODY, "a", "a", NOBODY),  # There is one.
    "sandbox/sandboxmail": (PEOPLE, NOBODY, PEOPLE, PEOPLE, "a"),
}
for _model, (_list, _add, _change, _history, _delete) in ADMIN_PAGES.items():
    EXPECTED |= {
        f"admin/{_model}/": _list,
        f"admin/{_model}/add/": _add,
        f"admin/{_model}/<path:object_id>/change/": _change,
        f"admin/{_model}/<path:object_id>/": _change,
        f"admin/{_model}/<path:object_id>/history/": _history,
        f"admin/{_model}/<path:object_id>/delete/": _delete,
    }


@pytest.fixture
def things(db: None) -> dict[str, Any]:
    """One of everything, so that a page that exists is never refused for want of an object."""
    now = timezone.now()
    server = SmtpServer.objects.create(
        name="One", host="relay.example.com", mail_from="a@example.com", notes="secret notes"
    )
    contact = Contact.objects.create(email="ann@example.com")
    people = ContactList.objects.create(name="People", is_public=True)
    Subscription.objects.create(contact=contact, list=people)
    mailing = mailings.open_mailing(
        stream="campaign", name="News", subject="News", html="<p>News</p>", text="", lists=[people]
    )
    snapshot(mailing.pk, now)
    message = Message.objects.get(mailing=mailing)
    campaign = Campaign.objects.create(
        name="News", subject="News", html="<p>News</p>", mailing=mailing, status=Campaign.Status.SENDING
    )
    uploaded = media_library.store(pdf(), "prices.pdf", "", None)
    ArchiveSettings.objects.create(pk=1, is_on=True)
    archived = ArchivedCampaign.objects.create(
        campaign=campaign, slug="news", subject="News", sent_at=now, published_at=now
    )
    batch = "0123456789abcdef0123456789abcdef"
    tested = mailings.open_mailing(
        stream="test", name="Test", subject="News", html="", text="News", reference=f"c{campaign.pk}", server=server
    )
    Trial.objects.create(server=server, recipient="a@example.com", mailing=tested, batch=batch, created_at=now)
    return {
        "batch": SimpleNamespace(pk=batch),
        "entry_id": archived,
        "table": SimpleNamespace(pk="days"),
        "auth/user": (somebody := User.objects.create_user("somebody")),
        "user_id": somebody,
        "auth/group": Group.objects.get(name="viewer"),
        "accounts/invitation": Invitation.objects.create(
            email="new@example.com", role=Group.objects.get(name="viewer"), invited_by=somebody, invited_at=now
        ),
        "accounts/accountserver": AccountServer.objects.create(server=server, destination={}),
        "contacts/attribute": Attribute.objects.create(name="city", label="City"),
        "contacts/contact": contact,
        "contacts/contactlist": people,
        "contacts/contactimport": ContactImport.objects.create(file_name="a.csv", stored_name="a"),
        "contacts/segment": Segment.objects.create(name="Some"),
        "contacts/suppression": Suppression.objects.create(email="bob@example.com"),
        "contacts/suppressionlift": SuppressionLift.objects.create(email="bob@example.com", suppressed_at=now),
        "contacts/consentevent": ConsentEvent.objects.create(
            contact=contact, list=people, list_name="People", status="subscribed", method="form", at=now
        ),
        "smtpservers/smtpserver": server,
        "smtpservers/route": Route.objects.get_or_create(is_default=True, defaults={"name": "Default"})[0],
        "domains/sendingdomain": (domain := SendingDomain.objects.create(name="shop.example")),
        "domain_id": domain,
        "oauth/oauthaccount": (
            account := OAuthAccount.objects.create(
                name="One", flow="microsoft user", mailbox="a@example.com", tenant="example.com", client_id="1"
            )
        ),
        "account_id": account,
        "campaigns/campaign": campaign,
        "campaigns/layout": Layout.objects.create(name="House"),
        "campaigns/mediafile": uploaded,
        "stored_name": SimpleNamespace(pk=uploaded.stored_name),
        "campaigns/seedlist": SeedList.objects.create(name="Ours", addresses="ann@example.com"),
        "campaigns/approvalrule": ApprovalRule.objects.create(),
        "approval_id": Approval.objects.create(campaign=campaign, version="1", requested_at=now),
        "feedback/rawreport": (
            raw := RawReport.objects.create(source="mailbox", digest="1", size_bytes=2, sealed=seal_bytes(b"A: b"))
        ),
        "raw_id": raw,
        "feedback/report": Report.objects.create(raw=raw, source="mailbox", state="unread"),
        "feedback/mailbox": Mailbox.objects.create(name="Bounces", host="10.1.2.3", username="bounces", password="x"),
        "feedback/feedback": Feedback.objects.create(
            kind="unsubscribe", channel="page", message=message, email="ann@example.com"
        ),
        "sandbox/sandboxmail": SandboxMail.objects.create(listener="plain", rcpt_to="ann@example.com", content=b""),
        "message_id": message,
        "link_id": TrackedLink.objects.create(mailing=mailing, part="html", position=1),
        "campaign_id": campaign,
        "server_id": server,
        "trial_id": Trial.objects.create(server=server, recipient="ann@example.com", created_at=now),
        "list_id": people,
        "installation/sitesettings": SiteSettings.objects.create(pk=1),
        "publicpages/appearance": Appearance.objects.create(pk=1, logo=b"picture", logo_type="image/png"),
        "sign_up": SignUp.objects.create(
            email=contact.email, language="en", channel="page", contact=contact, received_at=now
        ),
    }


def addresses(patterns: Any, prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            assert isinstance(pattern, URLPattern)
            yield prefix + str(pattern.pattern)


def filled(address: str, things: dict[str, Any]) -> str:
    """Return the address as a person would open it: with the keys of things that exist."""
    thing = things.get("/".join(address.split("/")[1:3]))
    number = things["message_id"].pk
    links = {
        "token": tokens.unsubscribe_url(number),
        "settings_token": tokens.preferences_url(number),
        "tracking_token": tokens.tracking_url(number),
        "web_token": tokens.web_version_url(number),
        "confirm_token": subscribe.confirm_url(things["sign_up"].pk),
        "click_token": token_of_message(number, settings.TOKEN_KEYS) + "aaaaaaaa",
    }

    def value(match: re.Match[str]) -> str:
        if match["name"] in links:
            return str(links[match["name"]]).rpartition("/")[2]
        found = things.get(match["name"], thing)
        return str(found.pk) if found is not None else "1"

    address = re.sub(
        r"<(?:\w+:)?(?P<name>\w+)>", value, address.replace("(?P<app_label>auth|", "auth").split("accounts|")[0]
    )
    if "([^/]+)" in address:  # Of the history: which row, which version.
        for key in (thing.pk, thing.history.first().pk):
            address = address.replace("([^/]+)", str(key), 1)
    return "/" + address.replace("^", "").replace("(?P1.*)", "nothing").replace("$", "")


def is_let_in(client: Client, address: str) -> bool:
    """Whether the address answers with a page, after all its redirects, and not with a refusal or the sign-in."""
    response = client.get(address)
    if response.status_code == 405:
        response = client.post(address)
    while target := response.headers.get("Location"):
        if "/login/" in target:  # A page of its own, which is walked too: not drawn for each that leads to it.
            return False
        if urlsplit(target).netloc not in ("", "testserver"):
            return True
        address = urljoin(address, target)
        response = client.get(address)
    assert response.status_code < 500 or address == "/readyz"
    return response.status_code not in (403, 404)


@pytest.fixture
def cookies(db: None) -> dict[str, Any]:
    """The cookies of one person of each role, of one without a role, and of nobody."""
    found = {"?": Client().cookies}
    for name in ("-", *ROLES):
        user = User.objects.create_user(f"walker-{name}", is_staff=True)
        user.groups.add(*Group.objects.filter(name=name))
        client = Client()
        client.force_login(user)
        found[name[0]] = client.cookies
    return found


def test_every_address_is_listed_and_no_other() -> None:
    assert set(addresses(get_resolver().url_patterns)) == set(EXPECTED)


@pytest.mark.parametrize("letter", EVERYBODY)
def test_every_address_lets_in_whom_it_should_and_nobody_else(
    things: dict[str, Any], cookies: dict[str, Any], caplog: pytest.LogCaptureFixture, letter: str
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")  # Hundreds of refusals, as it should be.
    found = set()
    for address in addresses(get_resolver().url_patterns):
        client = Client()
        client.cookies.update(cookies[letter])
        with transaction.atomic():
            if is_let_in(client, filled(address, things)):
                found.add(address)
            transaction.set_rollback(True)

    assert found == {address for address, letters in EXPECTED.items() if letter in letters}


def test_making_the_roles_again_changes_nothing(db: None) -> None:
    def granted() -> dict[str, set[str]]:
        return {
            group.name: {f"{p.content_type.app_label}.{p.codename}" for p in group.permissions.all()}
            for group in Group.objects.prefetch_related("permissions__content_type")
        }

    before = granted()

    make_roles(apps, "default")

    assert granted() == before
    assert set(before) == set(ROLES)
    assert len(before["admin"]) == Permission.objects.count()


def test_ops_and_viewers_hold_no_permission_on_contact_data(db: None) -> None:
    for name in ("ops", "viewer"):
        held = Group.objects.get(name=name).permissions
        rooms = set(held.values_list("content_type__app_label", flat=True))

        assert rooms <= {"smtpservers", "domains", "oauth", "campaigns", "feedback"}
        of_feedback = set(held.filter(content_type__app_label="feedback").values_list("content_type__model", flat=True))
        assert of_feedback <= {"mailbox"}


def test_viewers_and_marketers_see_names_and_quotas_of_servers_and_nothing_else(
    things: dict[str, Any], cookies: dict[str, Any]
) -> None:
    for letter in "mv":
        client = Client()
        client.cookies.update(cookies[letter])

        page = client.get("/admin/smtpservers/smtpserver/").content.decode()

        assert "One" in page
        for hidden in (things["server_id"].host, "a@example.com", "secret notes"):
            assert hidden not in page


@pytest.mark.parametrize("role", ["ops", "viewer"])
def test_progress_shows_no_address_to_those_who_may_not_see_people(
    things: dict[str, Any], cookies: dict[str, Any], role: str
) -> None:
    client = Client()
    client.cookies.update(cookies[role[0]])

    for address in ("/admin/", "/admin/campaigns/campaign/", f"/campaigns/{things['campaign_id'].pk}/"):
        page = client.get(address, follow=True)

        assert page.status_code == 200
        assert "ann@example.com" not in page.content.decode()


def test_the_last_admin_can_be_neither_demoted_nor_deleted(db: None) -> None:
    admin = User.objects.create_user("only", is_staff=True)
    admin.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(admin)

    answer = client.post(f"/admin/auth/user/{admin.pk}/change/", {"username": "only", "is_active": "on"})

    assert "last active person who can manage people" in answer.content.decode()
    assert client.post(f"/admin/auth/user/{admin.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/auth/user/", {"action": "delete_selected", "_selected_action": admin.pk, "post": "yes"})
    assert User.objects.filter(username="only", groups__name="admin", is_active=True).exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["demote", "delete", "delete from the list"])
def test_of_two_admins_who_take_each_other_away_at_once_one_stays(monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    people = [User.objects.create_user(name, is_staff=True) for name in ("ann", "bob")]
    both_asked = Barrier(2)
    delete = ModelAdmin.delete_queryset

    def meet() -> None:
        """Give the other one time to ask whether somebody remains."""
        with suppress(BrokenBarrierError):
            both_asked.wait(1)

    def slowly_asked(person: User | None) -> bool:
        is_last = is_last_admin(person)
        meet()
        return is_last

    def slowly_deleted(*args: Any) -> None:
        meet()
        delete(*args)

    def take_away(client: Client, other: User) -> None:
        page = "/admin/auth/user/"
        try:
            match act:
                case "demote":
                    client.post(f"{page}{other.pk}/change/", {"username": other.username, "is_active": "on"})
                case "delete":
                    client.post(f"{page}{other.pk}/delete/", {"post": "yes"})
                case _:
                    chosen = {"action": "delete_selected", "_selected_action": other.pk, "post": "yes"}
                    client.post(page, chosen)
        finally:
            connections.close_all()

    clients = [Client(), Client()]
    for person, client in zip(people, clients, strict=True):
        person.groups.add(Group.objects.get(name="admin"))
        client.force_login(person)  # Before one of them is gone.
    monkeypatch.setattr("brilliance.admin.is_last_admin", slowly_asked)
    monkeypatch.setattr(ModelAdmin, "delete_queryset", slowly_deleted)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(take_away, clients, reversed(people)))

    assert admins().count() == 1


def test_a_role_can_be_given_each_permission_that_the_product_asks_for_and_none_on_internal_tables(db: None) -> None:
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")] + [*(ROOT / "templates").rglob("*.html")]
    named = {name for path in sources for name in re.findall(r"[\"'. ]([a-z]+\.[a-z]+_[a-z]+)\b", path.read_text())}
    permissions = {f"{each.content_type.app_label}.{each.codename}": each for each in Permission.objects.all()}
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(boss)

    page = client.get(f"/admin/auth/group/{Group.objects.get(name='ops').pk}/change/").content.decode()

    asked = named & permissions.keys()
    assert len(asked) > 40
    offered = set(map(int, re.findall(r'name="permissions" value="(\d+)"', page)))
    assert [name for name in sorted(asked) if permissions[name].pk not in offered] == []
    assert permissions["delivery.add_clockmark"].pk not in offered


def test_a_role_is_told_in_the_words_and_the_places_of_the_sidebar(db: None) -> None:
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(boss)
    ops = Group.objects.get(name="ops")
    held = {each.pk for each in ops.permissions.all()}

    page = client.get(f"/admin/auth/group/{ops.pk}/change/").content.decode()

    for shown in (page, client.get("/admin/auth/group/").content.decode()):
        assert "Servers and their tests, no contacts" in shown
    groups = re.findall(r"<fieldset>\s*<legend>(.+?)</legend>(.+?)</fieldset>", page, re.DOTALL)
    assert [place for place, _boxes in groups] == [str(place.title) for place in PLACES]
    offered = {
        int(key): (place, " ".join(words.split()))
        for place, boxes in groups
        for key, words in re.findall(r'name="permissions" value="(\d+)".*?<span[^>]*>(.*?)</span>', boxes, re.DOTALL)
    }
    ticked = set(map(int, re.findall(r'name="permissions" value="(\d+)"[^>]* checked[ >]', page)))
    assert ticked == held & offered.keys() != set()
    assert len({words for _place, words in offered.values()}) == len(offered)  # No two read alike.
    for each in Permission.objects.filter(pk__in=offered).select_related("content_type"):
        place, words = offered[each.pk]
        assert "|" not in words
        assert "_" not in words
        assert not words.startswith("Can ")
        tab_names = {f"{each.content_type.app_label}.{each.codename}"}
        places = {str(one.title) for one in PLACES for tab in one.tabs if tab_names & set(tab.permissions)}
        assert not places or place in places


def test_a_role_is_offered_no_right_that_every_page_denies_and_each_that_one_heeds(db: None) -> None:
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(boss)
    request = RequestFactory().get("/")
    request.user = boss
    on_rows = [each for each in Permission.objects.select_related("content_type") if action_of(each)]
    denied = {
        f"{each.content_type.app_label}.{each.codename}"
        for each in on_rows
        if (page := site._registry.get(each.content_type.model_class()))
        and not getattr(page, f"has_{action_of(each)}_permission")(request)
    }

    form = client.get("/admin/auth/group/add/").content.decode()

    offered = set(map(int, re.findall(r'name="permissions" value="(\d+)"', form)))
    names = {f"{each.content_type.app_label}.{each.codename}" for each in on_rows if each.pk in offered}
    without_effect = {f"{each.content_type.app_label}.{each.codename}" for each in on_rows if not has_effect(each)}
    assert len(without_effect) > 10
    assert names & denied == {"contacts.delete_suppression"}  # It lets lift them, by a page of its own.
    assert without_effect == denied - names


def test_who_may_only_see_roles_reads_the_same_words(db: None) -> None:
    role = Group.objects.create(name="auditor")
    role.permissions.add(Permission.objects.get(codename="view_group"))
    reader = User.objects.create_user("reader", is_staff=True)
    reader.groups.add(role)
    client = Client()
    client.force_login(reader)

    page = client.get(f"/admin/auth/group/{role.pk}/change/").content.decode()
    empty = client.get(f"/admin/auth/group/{Group.objects.create(name='none').pk}/change/").content.decode()

    assert "View roles" in page
    assert "Can view" not in page
    assert "View roles" not in empty


def test_names_of_roles_differ_in_more_than_case(db: None) -> None:
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(Group.objects.get(name="admin"))
    client = Client()
    client.force_login(boss)

    page = client.post("/admin/auth/group/add/", {"name": "Admin", "permissions": []}).content.decode()
    client.post("/admin/auth/group/add/", {"name": "Press", "permissions": []})
    press = Group.objects.get(name="Press")
    client.post(f"/admin/auth/group/{press.pk}/change/", {"name": "press", "permissions": []})  # Its own name.

    assert "There is a role “admin” already." in page
    assert set(Group.objects.values_list("name", flat=True)) == {*ROLES, "press"}


def test_the_roles_can_be_neither_deleted_nor_renamed_and_admin_loses_nothing(db: None) -> None:
    boss = User.objects.create_user("boss", is_staff=True)
    role = Group.objects.get(name="admin")
    boss.groups.add(role)
    client = Client()
    client.force_login(boss)
    viewer = Group.objects.get(name="viewer")

    client.post(f"/admin/auth/group/{role.pk}/change/", {"name": "other", "permissions": []})
    client.post(f"/admin/auth/group/{viewer.pk}/change/", {"name": "other", "permissions": []})
    for group in (role, viewer):
        assert client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 403
        chosen = {"action": "delete_selected", "_selected_action": group.pk, "post": "yes"}
        client.post("/admin/auth/group/", chosen)

    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    assert Group.objects.get(name="admin").permissions.count() == Permission.objects.count()
    assert viewer.permissions.count() == 0  # Of the others that is a decision.
    assert client.get("/admin/auth/group/add/").status_code == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("turn", ["first", "after every table was emptied"])
def test_the_roles_are_there(turn: str) -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)
    assert Group.objects.get(name="viewer").permissions.count() == 2


@pytest.mark.django_db
def test_a_release_gives_its_new_permissions_and_returns_none_that_was_taken() -> None:
    marketer = Group.objects.get(name="marketer")
    taken = marketer.permissions.get(codename="delete_contact")
    marketer.permissions.remove(taken)
    Permission.objects.filter(codename="view_attribute").delete()  # As before the release that brought attributes.

    call_command("migrate", verbosity=0)

    assert marketer.permissions.filter(codename="view_attribute").exists()
    assert not marketer.permissions.filter(codename="add_attribute").exists()
    assert taken not in marketer.permissions.all()
