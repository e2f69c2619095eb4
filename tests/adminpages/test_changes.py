"""A page that was open while somebody else saved: every editable page, and the rows of lists."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.messages import get_messages
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from campaigns.models import ApprovalRule, Campaign, Layout, MediaFile, SeedList
from contacts.models import Attribute, Contact, ContactList, Segment
from domains.models import SendingDomain
from feedback.models import Mailbox
from installation.models import SiteSettings
from oauth.models import OAuthAccount
from publicpages.models import Appearance
from smtpservers.models import Route, SmtpServer
from tests.adminpages.conftest import SignIn
from tests.brilliance.test_roles import things as things
from tests.harness.forms import opened

# By page: a field, what somebody else makes of it, and another one that is changed on the older page.
# A page that can be edited and is missing here fails the test.
EDITS: dict[type[Model], tuple[str, str, str, str]] = {
    User: ("first_name", "Theirs", "last_name", "Mine"),
    Contact: ("first_name", "Theirs", "last_name", "Mine"),
    ContactList: ("description", "Theirs", "consent_text", "Mine"),
    Segment: ("description", "Theirs", "name", "Mine"),
    Attribute: ("label", "Theirs", "position", "7"),
    OAuthAccount: ("name", "Theirs", "mailbox", "mine@example.com"),
    SmtpServer: ("notes", "Theirs", "domain_name", "mine.example"),
    Mailbox: ("folder", "Theirs", "name", "Mine"),
    Route: ("from_domains", "theirs.example", "name", "Mine"),
    SendingDomain: ("tracking_host", "click.shop.example", "selectors", "s2"),
    Campaign: ("preheader", "Theirs", "preheader", "Mine"),
    Layout: ("footer", "Theirs", "organisation", "Mine"),
    MediaFile: ("alt", "Theirs", "name", "mine.pdf"),
    SeedList: ("addresses", "bob@shop.example.net", "name", "Mine"),
    ApprovalRule: ("needed_above", "77", "needed_above", "78"),
    Appearance: ("postal_address", "Theirs", "name", "Mine"),
    SiteSettings: ("gateway_networks", "192.0.2.0/24", "organisation", "Mine"),
    Group: ("permissions", "", "name", "Mine"),
}

BY_NAME = {
    "match": "all",
    "conditions": [{"field": "first_name", "operator": "is", "text": "Ann"}],
}


def key(model: type[Model]) -> str:
    return f"{model._meta.app_label}/{model._meta.model_name}"


@pytest.fixture
def editable(things: dict[str, Any]) -> dict[type[Model], Model]:
    """One row of each page, such that an administrator may change it."""
    Campaign.objects.update(status=Campaign.Status.DRAFT)
    SmtpServer.objects.update(notes="")
    rows = {model: things[key(model)] for model in admin.site._registry}
    rows[Route] = Route.objects.create(name="Some", is_default=False, from_domains="a.example", strategy="order")
    rows[Segment] = Segment.objects.create(name="Ann", conditions=BY_NAME)
    rows[Group] = Group.objects.create(name="Some")
    rows[Group].permissions.set(Permission.objects.filter(codename__in=["view_contact", "view_campaign"]))
    return rows


def errors_of(answer: Any) -> Any:
    return answer.context and answer.context["adminform"].form.errors


def stored(model: type[Model], row: Model, name: str) -> str:
    value = getattr(model._default_manager.get(pk=row.pk), name)
    return str(value) if not hasattr(value, "all") else ",".join(str(each.pk) for each in value.all())


def test_no_page_puts_back_what_somebody_else_changed(editable: dict[type[Model], Model], signed_in: SignIn) -> None:
    client, seen = signed_in("admin"), []

    for model in admin.site._registry:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[editable[model].pk])
        shown = client.get(page, follow=True).content.decode()
        if 'name="_save"' not in shown:
            continue
        seen.append(model)
        field, theirs, other, mine = EDITS[model]
        form = f"{model._meta.model_name}_form"
        older = opened(shown, form)
        theirs_saved = client.post(page, opened(shown, form) | {field: theirs} if theirs else without(older, field))
        assert theirs_saved.status_code == 302, (model, errors_of(theirs_saved))
        after_theirs = stored(model, editable[model], field)

        refused = client.post(page, older | {other: mine})

        assert refused.status_code != 302, model
        assert "Someone else" in refused.content.decode() or "Two versions" in refused.content.decode(), model
        assert stored(model, editable[model], field) == after_theirs, model
        if field == other:
            continue  # Both changed the same field; the page asks which of the two is meant.
        agreed = client.post(page, opened(refused.content, form))

        assert agreed.status_code == 302, (model, errors_of(agreed))
        said = [str(message) for message in get_messages(agreed.wsgi_request)]
        assert not any("successfully" in sentence for sentence in said), (model, said)
        assert stored(model, editable[model], field) == after_theirs, model
        assert stored(model, editable[model], other) == mine, model

    assert set(seen) == set(EDITS)


def without(form: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in form.items() if each != name}


def test_where_both_changed_a_field_the_page_says_what_is_stored_and_a_second_save_replaces_it(
    signed_in: SignIn,
) -> None:
    client, layout = signed_in("marketer"), Layout.objects.create(name="House", footer="Old")
    page = reverse("admin:campaigns_layout_change", args=[layout.pk])
    older = opened(client.get(page).content, "layout_form")
    Layout.objects.filter(pk=layout.pk).update(footer="Theirs")

    refused = client.post(page, older | {"footer": "Mine"})

    text = refused.content.decode()
    assert "Someone else changed this layout while you had it open, so nothing was saved. Changed: “Footer”." in text
    assert "Someone else set this to “Theirs” meanwhile." in text
    again = opened(text, "layout_form")
    assert again["footer"] == "Mine"
    assert client.post(page, again).status_code == 302
    layout.refresh_from_db()
    assert layout.footer == "Mine"


def test_whoever_does_the_same_is_not_held_up(signed_in: SignIn) -> None:
    client, layout = signed_in("marketer"), Layout.objects.create(name="House", footer="One\nTwo")
    page = reverse("admin:campaigns_layout_change", args=[layout.pk])
    older = opened(client.get(page).content, "layout_form")
    Layout.objects.filter(pk=layout.pk).update(footer="Three\nFour")

    assert client.post(page, older | {"footer": "Three\r\nFour "}).status_code == 302


def test_a_page_on_which_nobody_else_was_is_saved_at_once(
    editable: dict[type[Model], Model], signed_in: SignIn
) -> None:
    client = signed_in("admin")

    for model in EDITS:
        page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[editable[model].pk])
        shown = client.get(page, follow=True).content

        assert client.post(page, opened(shown, f"{model._meta.model_name}_form")).status_code == 302, model


@pytest.mark.parametrize("sent", ["", "{", "[]", "[" * 50_000, '{"name": 5}', "null"])
def test_what_is_no_digest_does_no_harm(sent: str, signed_in: SignIn) -> None:
    layout = Layout.objects.create(name="House")
    client, page = signed_in("marketer"), reverse("admin:campaigns_layout_change", args=[layout.pk])

    assert client.post(page, opened(client.get(page).content, "layout_form") | {"seen": sent}).status_code in (200, 302)


# --- rows of a list


def rows_of(client: Client, address: str) -> dict[str, Any]:
    form = opened(client.get(address).content, "changelist-form")
    return {name: value for name, value in form.items() if name.startswith(("form-", "initial-form-"))}


@pytest.mark.parametrize(
    ("model", "column"), [(SmtpServer, "display_order"), (Attribute, "position")], ids=["servers", "attributes"]
)
def test_a_list_that_was_open_puts_no_row_back(model: type[Model], column: str, signed_in: SignIn) -> None:
    client = signed_in("admin")
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    named = [{"name": f"row{number}", "host": "a.example", "label": f"Row {number}"} for number in range(3)]
    fields = {field.name for field in model._meta.get_fields()}
    rows = [
        model._default_manager.create(**{k: v for k, v in each.items() if k in fields}, **{column: (number + 1) * 10})
        for number, each in enumerate(named)
    ]
    older = rows_of(client, address)
    place = {str(older[f"form-{index}-id"]): index for index in range(3)}
    model._default_manager.filter(pk=rows[1].pk).update(**{column: 55})

    saved = client.post(address, older | {f"form-{place[str(rows[0].pk)]}-{column}": "5", "_save": "Save"})
    refused = client.post(address, older | {f"form-{place[str(rows[1].pk)]}-{column}": "6", "_save": "Save"})

    assert saved.status_code == 302
    assert "Someone else changed this while you had the page open" in refused.content.decode()
    assert [getattr(model._default_manager.get(pk=row.pk), column) for row in rows] == [5, 55, 30]
