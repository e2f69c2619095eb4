"""What a list may be asked by its address: each registered page, each role, and no exception to remember."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import RequestFactory
from django.urls import reverse

from adminpages.pages import ModelAdmin
from adminpages.queries import MOST_CHARACTERS, MOST_WORDS, refusal
from campaigns.models import Campaign
from contacts.models import Attribute, Contact, ContactList
from tests.adminpages.conftest import ROLES, SignIn

LOOKUPS = ("regex", "iregex", "startswith", "contains", "gt", "in", "isnull", "exact")
TRIED = {"regex": "(", "exact": "1"}  # Of each column, by a real request.
CATASTROPHE = "^(([^~])+)+~$"
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)


def list_of(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def columns_of(model: type[Model]) -> Iterator[str]:
    """Yield every column, those of related rows, and those of rows related to these."""
    for field in model._meta.get_fields():
        yield field.name
        related = field.related_model
        if isinstance(related, type):
            for further in related._meta.get_fields():
                yield f"{field.name}__{further.name}"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_has_our_base_class(model: type[Model]) -> None:
    assert isinstance(admin.site._registry[model], ModelAdmin)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_column_can_be_looked_up_but_by_the_pages_own_filters(model: type[Model], db: None) -> None:
    page = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_staff=True)  # The one who may do everything.

    allowed = {
        f"{column}__{lookup}"
        for column in columns_of(model)
        for lookup in LOOKUPS
        if page.lookup_allowed(f"{column}__{lookup}", "1", request)
    }

    named = {each if isinstance(each, str) else each[0] for each in page.get_list_filter(request) if not callable(each)}
    assert {name.rpartition("__")[2] for name in allowed} <= {"exact", "isnull"}
    # A filter on a relation asks for its key: list__id__exact.
    assert all(name.split("__")[0] in {*named, model._meta.pk.name} for name in allowed)


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_refused_every_column_of_every_list(role: str, signed_in: SignIn) -> None:
    client = signed_in(role)

    for model in MODELS:
        address = list_of(model)
        if client.get(address).status_code != 200:
            continue  # A list that this role does not see, or a page of one row.
        page = admin.site._registry[model]
        assert isinstance(page, ModelAdmin)
        anybody = RequestFactory().get("/")
        anybody.user = User(is_superuser=True)
        own = {*page._own_parameters(anybody), f"{model._meta.pk.name}__exact"}
        for field in model._meta.get_fields():
            for lookup, value in TRIED.items():
                if f"{field.name}__{lookup}" in own:
                    continue
                asked = f"{address}?{urlencode({f'{field.name}__{lookup}': value})}"

                assert client.get(asked).status_code in (302, 400), asked


def test_a_regular_expression_without_end_is_never_looked_for(signed_in: SignIn) -> None:
    Campaign.objects.create(name="News", subject="News", html="a" * 200)

    for role in ROLES:
        answer = signed_in(role).get(list_of(Campaign), {"html__regex": CATASTROPHE})

        assert answer.status_code == 400
        assert "Go back" in answer.content.decode()


def test_the_pages_own_filters_and_the_key_still_work(signed_in: SignIn) -> None:
    client = signed_in("admin")
    shop = ContactList.objects.create(name="Shop", is_public=True)
    Attribute.objects.create(name="city", label="City", kind=Attribute.Kind.TEXT)
    Attribute.objects.create(name="age", label="Age", kind=Attribute.Kind.NUMBER)
    Contact.objects.create(email="ann@example.com", attributes={"city": "Ulm", "age": 30})
    Campaign.objects.create(name="News", subject="News")

    for model, query, shown in (
        (Campaign, {"status__exact": "draft"}, "News"),
        (ContactList, {"is_public__exact": "1", "opt_in__exact": "double"}, "Shop"),
        (ContactList, {"id__exact": str(shop.pk)}, "Shop"),
        (Contact, {"attribute.city": "ulm"}, "ann@example.com"),
        (Contact, {"attribute.age_from": "20", "attribute.age_to": "40", "state": "none"}, "ann@example.com"),
        (User, {"is_active__exact": "1"}, "one admin"),
    ):
        answer = client.get(list_of(model), query)

        assert answer.status_code == 200, query
        assert shown in answer.content.decode(), query


EVIL = ("(%\\'", "9" * 30, "²", "1e400")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_no_value_of_a_filter_is_a_fault_of_ours(model: type[Model], signed_in: SignIn) -> None:
    for kind in Attribute.Kind:
        Attribute.objects.create(name=f"of_{kind}", label=str(kind), kind=kind)
    client = signed_in("admin")
    page = admin.site._registry[model]
    assert isinstance(page, ModelAdmin)
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True)

    for name in page._own_parameters(request):
        for value in EVIL:
            answer = client.get(list_of(model), {str(name): value})

            assert answer.status_code in (200, 302, 400), (name, value)


@pytest.mark.parametrize(
    "name", ["id__exact", "q", "o", "p", "all", "e", "_to_field", "_popup", "_facets", "list", "\udcff"]
)
def test_no_parameter_that_every_list_has_is_a_fault_of_ours(name: str, signed_in: SignIn) -> None:
    client = signed_in("viewer")

    for value in (*EVIL, "NaN", "-1", "2026-99-99", "", "," * 400):
        answer = client.get(f"{list_of(Campaign)}?{urlencode({name: value}, errors='surrogateescape')}")

        assert answer.status_code in (200, 302, 400), value


@pytest.mark.parametrize(
    "query",
    [
        {"q": " ".join("abcdefghijkl")},
        {"q": "x" * 501},
        {"o": ".".join(["1"] * 2001)},
        {"o": "1;DROP"},
        {"o": "²"},
        {"status__exact": "y" * 501},
    ],
    ids=lambda query: next(iter(query)),
)
def test_what_would_take_long_is_answered_with_a_sentence(query: dict[str, str], signed_in: SignIn) -> None:
    Campaign.objects.create(name="News", subject="News")

    answer = signed_in("marketer").get(list_of(Campaign), query, follow=True)

    assert answer.redirect_chain[-1][0] == list_of(Campaign)
    page = answer.content.decode()
    assert "News" in page
    assert "at most" in page or "longer than" in page or "sorted" in page


def test_what_people_type_is_answered() -> None:
    for query in ({"q": ["ann smith"]}, {"q": ['"one phrase" two']}, {"o": ["1.-2"]}, {"o": ["-3"]}, {"p": ["2"]}, {}):
        assert refusal(query) == ""
    assert refusal({"q": [" ".join("a" for _ in range(MOST_WORDS))]}) == ""
    assert refusal({"list": ["x" * MOST_CHARACTERS]}) == ""


def test_what_a_filter_cannot_read_leads_to_the_whole_list_with_a_sentence(signed_in: SignIn) -> None:
    Campaign.objects.create(name="News", subject="News")

    answer = signed_in("viewer").get(list_of(Campaign), {"id__exact": "no number"}, follow=True)

    page = answer.content.decode()
    assert "News" in page
    assert "the whole list is shown" in page
