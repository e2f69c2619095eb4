"""Searches, filters and segments find a text whatever the case of its letters and however its accents are stored."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Value
from django.db.models.lookups import IContains, IEndsWith, IExact, IStartsWith
from django.test import Client

from brilliance.spelling import patterns_of
from campaigns.models import Campaign
from contacts.admin.filters import parameter
from contacts.models import Attribute, Contact, ContactList

PAIRS = [
    ("Jörg", "JÖRG"),
    ("Иван", "ИВАН"),
    ("ИВАНОВ", "иванов"),
    ("José", "Jose\u0301"),
    ("Jose\u0301", "José"),
    ("ZOE\u0308", "zoë"),
    ("Ελένη", "ΕΛΈΝΗ"),
    ("Łukasz", "łUKASZ"),
]


@pytest.fixture
def boss(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    return client


def found(client: Client, address: str, **query: str) -> list[str]:
    return [str(thing) for thing in client.get(address, query).context["cl"].result_list]


@pytest.mark.parametrize(("stored", "sought"), PAIRS)
def test_a_search_finds_every_spelling(boss: Client, stored: str, sought: str) -> None:
    Contact.objects.create(email="ann@example.org", first_name=stored)
    Contact.objects.create(email="bo@example.org", first_name="Bo", last_name="Ångström")
    ContactList.objects.create(name=f"For {stored} alone")
    Campaign.objects.create(name="News", subject=stored)

    assert found(boss, "/admin/contacts/contact/", q=sought) == ["ann@example.org"]
    assert found(boss, "/admin/contacts/contactlist/", q=sought) == [f"For {stored} alone"]
    assert found(boss, "/admin/campaigns/campaign/", q=sought) == ["News"]


@pytest.mark.parametrize(("stored", "sought"), PAIRS)
def test_a_filter_by_an_attribute_finds_every_spelling(boss: Client, stored: str, sought: str) -> None:
    Attribute.objects.create(name="city", label="City")
    Contact.objects.create(email="ann@example.org", attributes={"city": f"Neu-{stored}"})
    Contact.objects.create(email="bo@example.org", attributes={"city": "Łódź"})

    assert found(boss, "/admin/contacts/contact/", **{parameter(Attribute.objects.get()): sought}) == [
        "ann@example.org"
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(("stored", "sought"), PAIRS)
def test_each_comparison_finds_every_spelling_and_nothing_else(stored: str, sought: str) -> None:
    Contact.objects.create(email="ann@example.org", first_name=stored, last_name=f"van {stored}sen")
    Contact.objects.create(email="bo@example.org", first_name="Bö", last_name="")
    people = Contact.objects

    assert people.get(first_name__iexact=sought).email == "ann@example.org"
    assert people.get(first_name__istartswith=sought).email == "ann@example.org"
    assert people.get(first_name__iendswith=sought).email == "ann@example.org"
    assert people.get(last_name__icontains=sought).email == "ann@example.org"
    assert not people.filter(last_name__iexact=sought).exists()
    assert not people.filter(last_name__istartswith=sought).exists()
    assert [each.email for each in people.exclude(first_name__icontains=sought)] == ["bo@example.org"]
    for lookup in (IContains, IEndsWith, IExact, IStartsWith):  # As segments use them.
        assert people.filter(lookup(Value(stored), sought)).count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("sign", ["%", "_", "\\", "\\%", "*", "?", "[", "]", "^", "-", "[^a]"])
def test_the_signs_of_a_pattern_are_sought_as_they_stand(sign: str) -> None:
    Contact.objects.create(email="ann@example.org", first_name=f"ö{sign}ä")
    Contact.objects.create(email="bo@example.org", first_name="öxä")

    assert Contact.objects.get(first_name__icontains=f"Ö{sign}Ä").email == "ann@example.org"


@pytest.mark.django_db
def test_ascii_is_sought_as_before() -> None:
    with connection.execute_wrapper(lambda execute, sql, *rest: execute(asks_as_before(sql), *rest)):
        assert not Contact.objects.filter(first_name__icontains="ann").exists()


def asks_as_before(sql: str) -> str:
    assert "GLOB" not in sql
    assert "normalize" not in sql
    return sql


def test_a_pattern_takes_every_sign_for_itself() -> None:
    assert patterns_of("Éa?") == ["É[Aa][?]", "é[Aa][?]"]
    assert patterns_of("[*]^-") == ["[[][*]]^-"]
    assert patterns_of("ß") == ["ß"]
