"""Conditions as SQL: against an oracle that asks person by person, and in one query whatever is asked."""

import datetime as dt
import json
import random

import pytest
from django.utils import timezone

from contacts.models import Attribute, ContactList
from contacts.segments import query
from contacts.segments.conditions import load
from tests.contacts.segments import oracle

NOW = dt.datetime(2026, 2, 27, 23, 30, tzinfo=dt.UTC)  # The next day is over a month's end in a common year.


@pytest.fixture
def attributes(db: None) -> None:
    kinds = {"city": "text", "size": "number", "birthday": "date", "member": "boolean", "plan": "choice"}
    for name, kind in kinds.items():
        Attribute.objects.create(name=name, label=name.title(), kind=kind, choices=oracle.PLANS)


@pytest.mark.parametrize("seed", range(3))
def test_the_query_finds_whom_a_look_at_each_person_finds(
    attributes: None, seed: int, django_assert_num_queries
) -> None:
    chance = random.Random(seed)
    lists = [ContactList.objects.create(name=name) for name in ("News", "Events", "Offers")]
    people = oracle.make_people(chance, lists, NOW, 40)
    fields = list(query.vocabulary().values())
    fields = [field for field in fields if field.name.partition(":")[0] in oracle.KINDS]
    singles = [oracle.random_condition(chance, field, NOW) for field in fields for _ in range(12)]
    asked = [{"match": "all", "conditions": [each]} for each in singles]
    asked += [oracle.random_group(chance, fields, NOW) for _ in range(60)]
    zone = timezone.get_default_timezone()
    sizes = set()

    for written in asked:
        group = query.check(json.loads(json.dumps(written)))
        with django_assert_num_queries(1):
            found = set(query.people(group, NOW).values_list("pk", flat=True))
        assert found == {person.pk for person in people if oracle.meets(person, written, NOW, zone)}, written
        assert load(written) == group
        sizes.add(len(found))

    assert len(sizes) > 15  # Not all or nobody each time.
