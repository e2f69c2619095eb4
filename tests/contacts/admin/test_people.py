"""The pages about people: what they show, what they change, and who may see them."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.http import HttpResponse
from django.test import Client

from contacts.consent import changes as consent_changes
from contacts.models import Contact, ContactImport, ContactList, Subscription, Suppression

CONTACTS = "/admin/contacts/contact/"
NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)


def text_of(response: HttpResponse) -> str:
    return " ".join(response.content.decode().split())


def person(**changes: object) -> dict[str, object]:
    """Return what the browser sends for a person on no list."""
    return {
        "email": "ann@example.org",
        "first_name": "",
        "last_name": "",
        "language": "",
        "attributes-name": [],
        "attributes-value": [],
        "subscriptions-TOTAL_FORMS": 0,
        "subscriptions-INITIAL_FORMS": 0,
        **changes,
    }


def errors_of(response: HttpResponse) -> str:
    assert response.status_code == 200, "the form was accepted"
    return str(response.context["errors"])


def test_a_person_is_added_with_attributes_and_lists(
    marketers_client: Client, news: ContactList, events: ContactList
) -> None:
    sent = person(
        **{
            "email": " Ann@Example.org ",
            "attributes-name": ["city", "", "shoe_size"],
            "attributes-value": [" Bonn ", "", "38"],
            "add_to_lists": [news.pk],
        }
    )

    response = marketers_client.post(f"{CONTACTS}add/", sent)

    assert response.status_code == 302
    contact = Contact.objects.get()
    assert contact.attributes == {"city": "Bonn", "shoe_size": "38"}
    assert contact.email_key == "ann@example.org"
    subscription = Subscription.objects.get()
    assert (subscription.list, subscription.source) == (news, "admin: mia")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"email": "ann@@example.org"}, "two @ signs"),
        ({"email": "BO@example.org"}, "is already a contact"),
        ({"attributes-name": ["City"], "attributes-value": ["x"]}, "write for example city"),
        ({"attributes-name": ["first_name"], "attributes-value": ["x"]}, "has a meaning of its own"),
        ({"attributes-name": ["true"], "attributes-value": ["x"]}, "is a word of the merge language"),
        ({"attributes-name": [""], "attributes-value": ["Bonn"]}, "The value “Bonn” has no name"),
        ({"attributes-name": ["a", "a"], "attributes-value": ["1", "2"]}, "is used twice"),
        ({"attributes-name": ["a"], "attributes-value": ["x" * 10_001]}, "at most 10,000 characters"),
        (
            {"attributes-name": [f"a{n}" for n in range(11)], "attributes-value": ["x" * 10_000] * 11},
            "one person may have 100,000",
        ),
        ({"first_name": "Ann\nBcc: x@example.org"}, "line break or invisible character"),
        ({"last_name": "\u202eeeL"}, "line break or invisible character"),
    ],
)
def test_a_wrong_entry_is_told_in_words_and_kept_in_the_form(
    marketers_client: Client, changes: dict[str, object], words: str
) -> None:
    Contact.objects.create(email="bo@example.org")

    response = marketers_client.post(f"{CONTACTS}add/", person(**changes))

    assert words in errors_of(response)
    assert Contact.objects.count() == 1
    for value in changes.get("attributes-value", []):  # type: ignore[attr-defined]
        assert f'value="{value}"' in response.content.decode()


def test_a_name_may_hold_a_joiner_and_a_no_break_space(marketers_client: Client) -> None:
    marketers_client.post(f"{CONTACTS}add/", person(first_name="على\u200cرضا", last_name="van\u00a0Dam"))

    assert list(Contact.objects.values_list("first_name", "last_name")) == [("على\u200cرضا", "van Dam")]


def test_an_attribute_nobody_changed_keeps_its_type(marketers_client: Client, ann: Contact) -> None:
    Contact.objects.filter(pk=ann.pk).update(attributes={"age": 7, "is_member": True})
    sent = person(**{"attributes-name": ["age", "is_member"], "attributes-value": ["7", "no"], "last_name": "Leigh"})

    marketers_client.post(f"{CONTACTS}{ann.pk}/change/", sent)

    ann.refresh_from_db()
    assert ann.last_name == "Leigh"
    assert ann.attributes == {"age": 7, "is_member": "no"}


def test_an_attribute_of_a_name_that_is_no_longer_taken_can_still_be_changed(
    marketers_client: Client, ann: Contact
) -> None:
    Contact.objects.filter(pk=ann.pk).update(attributes={"limit": "5"})

    marketers_client.post(
        f"{CONTACTS}{ann.pk}/change/", person(**{"attributes-name": ["limit"], "attributes-value": ["6"]})
    )

    ann.refresh_from_db()
    assert ann.attributes == {"limit": "6"}


def test_a_changed_subscription_is_recorded_with_who_and_when(
    marketers_client: Client, ann: Contact, news: ContactList, events: ContactList, now: dt.datetime
) -> None:
    consent_changes.subscribe(ann, events, method="form", source="web form", now=now)
    consent_changes.subscribe(ann, news, method="form", source="web form", now=now)
    events_row, news_row = Subscription.objects.order_by("list__name")
    sent = person(
        **{
            "subscriptions-TOTAL_FORMS": 2,
            "subscriptions-INITIAL_FORMS": 2,
            "subscriptions-0-id": events_row.pk,
            "subscriptions-0-contact": ann.pk,
            "subscriptions-0-status": "subscribed",
            "initial-subscriptions-0-status": "subscribed",
            "subscriptions-1-id": news_row.pk,
            "subscriptions-1-contact": ann.pk,
            "subscriptions-1-status": "unsubscribed",
            "initial-subscriptions-1-status": "subscribed",
        }
    )

    response = marketers_client.post(f"{CONTACTS}{ann.pk}/change/", sent)

    assert response.status_code == 302
    events_row.refresh_from_db()
    news_row.refresh_from_db()
    assert (events_row.source, events_row.changed_at) == ("web form", now)
    assert (news_row.status, news_row.source) == ("unsubscribed", "admin: mia")
    assert news_row.changed_at > now
    assert "subscription" in LogEntry.objects.get().get_change_message().lower()


def test_a_suppressed_person_is_marked_in_the_list_and_on_the_page(
    marketers_client: Client, ann: Contact, news: ContactList, now: dt.datetime
) -> None:
    consent_changes.subscribe(ann, news, method="form", source="web form", now=now)
    consent_changes.suppress("ANN@example.org", Suppression.Reason.HARD_BOUNCE, "550 5.1.1 <b>No</b> such user", now)

    listed = text_of(marketers_client.get(CONTACTS))
    page = text_of(marketers_client.get(f"{CONTACTS}{ann.pk}/change/"))

    assert 'title="Hard bounce">Suppressed</span>' in listed
    assert "Suppressed since" in page
    assert "Hard bounce. 550 5.1.1 &lt;b&gt;No&lt;/b&gt; such user." in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"ann", "bo", "cy", "di"}),
        ("?list={news}", {"ann", "bo", "cy"}),
        ("?state=mailable", {"ann", "bo"}),
        ("?state=mailable&list={news}", {"ann"}),
        ("?state=unsubscribed", {"bo"}),
        ("?state=unsubscribed&list={events}", set()),
        ("?state=suppressed", {"cy"}),
        ("?state=subscribed&list={news}", {"ann", "cy"}),
        ("?state=none", {"di"}),
        ("?q=ann", {"ann"}),
        ("?q=Bonnet", {"bo"}),
        ("?list=abc", set()),
        ("?list=99999999999999999999", set()),  # Fits into no column.
        ("?list=²", set()),  # A digit that is no number.
    ],
)
def test_filters_and_search_find_the_people_they_name(
    marketers_client: Client,
    news: ContactList,
    events: ContactList,
    now: dt.datetime,
    query: str,
    expected: set[str],
) -> None:
    people = {
        name: Contact.objects.create(email=f"{name}@example.org", last_name=last_name)
        for name, last_name in (("ann", ""), ("bo", "Bonnet"), ("cy", ""), ("di", ""))
    }
    for name in ("ann", "bo", "cy"):
        consent_changes.subscribe(people[name], news, method="form", source="", now=now)
    consent_changes.subscribe(people["bo"], events, method="form", source="", now=now)
    consent_changes.unsubscribe(people["bo"].pk, [news.pk], method="unsubscribe", source="", now=now)
    consent_changes.suppress("cy@example.org", Suppression.Reason.COMPLAINT, "", now)

    response = marketers_client.get(CONTACTS + query.format(news=news.pk, events=events.pk))

    assert {contact.email.partition("@")[0] for contact in response.context["cl"].result_list} == expected
    assert ("On the list <strong>News</strong>" in text_of(response)) == ("{news}" in query)


def test_the_list_of_people_asks_the_database_equally_often_for_few_and_many(
    marketers_client: Client,
    news: ContactList,
    now: dt.datetime,
    django_assert_max_num_queries: Callable[[int], object],
) -> None:
    for number in range(40):
        contact = Contact.objects.create(email=f"p{number}@example.org")
        consent_changes.subscribe(contact, news, method="form", source="", now=now)
        consent_changes.suppress(contact.email, Suppression.Reason.MANUAL, "", now)
    marketers_client.get(CONTACTS)

    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        marketers_client.get(CONTACTS)
    with django_assert_max_num_queries(14):  # type: ignore[attr-defined]
        marketers_client.get("/admin/contacts/contactlist/")


def test_lists_count_their_people(
    marketers_client: Client, ann: Contact, news: ContactList, events: ContactList, now: dt.datetime
) -> None:
    bo = Contact.objects.create(email="bo@example.org")
    for contact in (ann, bo):
        consent_changes.subscribe(contact, news, method="form", source="", now=now)
    consent_changes.unsubscribe(bo.pk, [news.pk], method="unsubscribe", source="", now=now)

    response = marketers_client.get("/admin/contacts/contactlist/")

    counts = {row.name: (row.subscribed_count, row.unsubscribed_count) for row in response.context["cl"].result_list}
    assert counts == {"News": (1, 1), "Events": (0, 0)}


def test_deleting_a_list_counts_what_goes_along_without_naming_each(
    marketers_client: Client, news: ContactList, now: dt.datetime
) -> None:
    for number in range(30):
        consent_changes.subscribe(
            Contact.objects.create(email=f"p{number}@example.org"), news, method="form", source="", now=now
        )
    url = f"/admin/contacts/contactlist/{news.pk}/delete/"

    page = text_of(marketers_client.get(url))
    assert "30 subscriptions" in page
    assert "p7@example.org" not in page
    marketers_client.post(url, {"post": "yes"})

    assert not ContactList.objects.exists()
    assert Contact.objects.count() == 30
    assert LogEntry.objects.get().object_repr == "News"


# --- permissions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        CONTACTS,
        f"{CONTACTS}add/",
        f"{CONTACTS}export/",
        f"{CONTACTS}import/",
        "/admin/contacts/contactlist/",
        "/admin/contacts/suppression/",
        "/admin/contacts/contactimport/",
        "/admin/contacts/contactimport/add/",
        "/admin/contacts/contactimport/{pk}/change/",
        "/admin/contacts/contactimport/{pk}/progress.json",
        "/admin/contacts/contactimport/{pk}/refused.csv",
    ],
)
def test_who_has_no_permission_sees_nobody(client: Client, nobody: User, news: ContactList, url: str) -> None:
    contact_import = ContactImport.objects.create(file_name="a.csv", stored_name="a")
    url = url.format(pk=contact_import.pk)

    assert client.get(url).status_code == 302
    client.force_login(nobody)
    assert client.get(url).status_code == 403


def test_who_may_only_look_can_neither_export_nor_import_nor_change(client: Client, nobody: User, ann: Contact) -> None:
    nobody.user_permissions.set(Permission.objects.filter(codename__in=["view_contact", "view_subscription"]))
    client.force_login(nobody)

    page = text_of(client.get(CONTACTS))

    assert "Ann@example.org" in page
    assert "/export/" not in page
    assert client.get(f"{CONTACTS}{ann.pk}/change/").status_code == 200
    assert client.post(f"{CONTACTS}{ann.pk}/change/", person()).status_code == 403
    assert client.post(f"{CONTACTS}export/").status_code == 403
    assert client.get("/admin/contacts/contactimport/add/").status_code == 403
    client.post(CONTACTS, {"action": "export_chosen", "_selected_action": [ann.pk]})
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    ("address", "order"),
    [
        (CONTACTS, "5"),
        (CONTACTS, "-5"),
        ("/admin/contacts/suppression/", ""),
        ("/admin/contacts/suppression/", "4"),
    ],
)
def test_a_list_in_the_order_of_its_making_sorts_no_million_rows(
    marketers_client: Client, ann: Contact, address: str, order: str
) -> None:
    Suppression.objects.create(email="bob@example.org")

    shown = marketers_client.get(address, {"o": order} if order else {}).context["cl"].queryset

    assert shown.query.order_by[0].removeprefix("-") == "pk"
    if not settings.IS_SQLITE:
        connection.cursor().execute("SET LOCAL enable_sort = off")  # Few rows are sorted though an index has the order.
    plan = shown[:50].explain().upper()
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
    assert "SORT KEY" not in plan


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("contact/", ["No contacts yet", "Contacts are the people you write to.", "Add contact"]),
        ("contact/?q=xy", ["No contacts match “xy”", "Clear search"]),
        ("contact/?language=de", ["No contacts match these filters", "Clear filters"]),
        ("segment/", ["No segments yet", "such as city or language."]),
        ("attribute/", ["No attributes yet", "Import a file with more columns, or ask an administrator."]),
    ],
)
def test_an_empty_list_says_what_is_missing_what_it_is_for_and_what_to_do(
    client: Client, nobody: User, address: str, words: list[str]
) -> None:
    nobody.groups.add(Group.objects.get(name="marketer"))
    client.force_login(nobody)

    page = text_of(client.get(f"/admin/contacts/{address}"))

    for each in words:
        assert each in page


def test_a_contact_is_added_to_a_list_that_is_created_with_it(marketers_client: Client, news: ContactList) -> None:
    form = {"email": "bo@example.org", "first_name": "", "last_name": "", "language": "", "time_zone": ""}

    refused = marketers_client.post("/admin/contacts/contact/add/", form | {"new_list": "News"})
    assert "A list named “News” already exists. Select it above." in text_of(refused)
    marketers_client.post("/admin/contacts/contact/add/", form | {"new_list": "Friends"})

    subscription = Subscription.objects.get(contact__email="bo@example.org")
    assert (subscription.list.name, subscription.status, subscription.source) == ("Friends", "subscribed", "admin: mia")


def test_who_may_not_add_lists_creates_none_with_a_contact(client: Client, nobody: User) -> None:
    allowed = ["add_contact", "view_contact", "view_contactlist"]
    nobody.user_permissions.set(Permission.objects.filter(codename__in=allowed))
    client.force_login(nobody)
    form = {"email": "bo@example.org", "first_name": "", "last_name": "", "language": "", "time_zone": ""}

    assert "New list" not in text_of(client.get("/admin/contacts/contact/add/"))
    client.post("/admin/contacts/contact/add/", form | {"new_list": "Friends"})

    assert Contact.objects.get().email == "bo@example.org"
    assert not ContactList.objects.exists()
