"""Custom attributes on the pages: defined by administrators, typed by marketers, shown and filtered by everybody."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from contacts import tasks
from contacts.attributes import retype
from contacts.models import Attribute, Contact
from tests.contacts.admin.test_people import CONTACTS, errors_of, person, text_of

ATTRIBUTES = "/admin/contacts/attribute/"


@pytest.fixture
def defined(db: None) -> dict[str, Attribute]:
    """One attribute of each kind."""
    kinds = ("text", "number", "date", "boolean")
    made = {kind: Attribute(name=f"a_{kind}", label=f"The {kind}", kind=kind, is_column=True) for kind in kinds}
    made["choice"] = Attribute(name="a_choice", label="The choice", kind="choice", choices=["Gold", "Silver"])
    for definition in made.values():
        definition.save()
    return made


def definition(**changes: object) -> dict[str, object]:
    return {"label": "Shoe size", "name": "", "kind": "number", "choices": "", "position": "0", **changes}


def test_an_attribute_is_defined_and_named_after_its_label(marketers_client: Client) -> None:
    sent = definition(label="Plan of  choice", kind="choice", choices=" Gold \n\nSilver\n", is_column="on")

    response = marketers_client.post(f"{ATTRIBUTES}add/", sent)

    assert response.status_code == 302
    made = Attribute.objects.get()
    assert (made.label, made.name, made.kind) == ("Plan of choice", "plan_of_choice", "choice")
    assert made.choices == ["Gold", "Silver"]
    assert made.is_column


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "first_name"}, "has a meaning of its own"),
        ({"name": "for"}, "{{ for }} couldn&#x27;t show it. Choose another name, for example my_for."),
        ({"name": "", "label": "Limit"}, "for example my_limit"),
        ({"name": "Größe"}, "write for example grosse"),
        ({"label": "A text"}, "a_text already exists"),
        ({"kind": "choice"}, "at least one choice"),
        ({"kind": "choice", "choices": "Gold\ngold"}, "listed twice"),
        ({"kind": "choice", "choices": "\n".join(map(str, range(201)))}, "200 choices, and these are 201"),
    ],
)
@pytest.mark.usefixtures("defined")
def test_a_wrong_definition_is_told_in_words(marketers_client: Client, changes: dict[str, object], words: str) -> None:
    response = marketers_client.post(f"{ATTRIBUTES}add/", definition(**changes))

    assert words in errors_of(response)
    assert Attribute.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_a_change_of_kind_warns_and_then_reads_the_values_that_are_there(
    marketers_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retype, "SLICE_CONTACTS", 2)
    monkeypatch.setattr(tasks.retype, "delay", tasks.retype)  # At once, in place of a worker.
    size = Attribute.objects.create(name="size", label="Size")
    for number, text in enumerate(["38", "38.50", "large", " "]):
        Contact.objects.create(email=f"p{number}@example.org", attributes={"size": text, "other": "x"})
    Contact.objects.create(email="none@example.org")
    url = f"{ATTRIBUTES}{size.pk}/change/"

    asked = marketers_client.post(url, definition(label="Size"))
    assert "4 contacts already have a value" in errors_of(asked)
    marketers_client.post(url, definition(label="Size", is_sure="on"))

    values = Contact.objects.order_by("email").values_list("attributes", flat=True)
    assert [each.get("size") for each in values] == [None, 38, 38.5, "large", None]
    assert [each.get("other") for each in values] == [None, "x", "x", "x", "x"]
    marketers_client.post(url, definition(label="Size", kind="text", is_sure="on"))
    assert [each.get("size") for each in values.all()] == [None, "38", "38.5", "large", None]


def test_deleting_a_definition_counts_who_holds_a_value_and_keeps_it(marketers_client: Client) -> None:
    size = Attribute.objects.create(name="size", label="Size")
    Contact.objects.create(email="ann@example.org", attributes={"size": "38"})

    page = text_of(marketers_client.get(f"{ATTRIBUTES}{size.pk}/delete/"))
    assert "This is kept:" in page
    assert "The value of 1 contact, without a definition" in page
    marketers_client.post(f"{ATTRIBUTES}{size.pk}/delete/", {"post": "yes"})

    assert not Attribute.objects.exists()
    assert Contact.objects.get().attributes == {"size": "38"}


def typed(**values: str) -> dict[str, object]:
    fields = {"a_text": "", "a_number": "", "a_date": "", "a_boolean": "", "a_choice": "", **values}
    return person(**{f"attribute_{name}": value for name, value in fields.items()})


@pytest.mark.usefixtures("defined")
def test_each_kind_has_its_widget_and_is_stored_with_its_type(marketers_client: Client, ann: Contact) -> None:
    url = f"{CONTACTS}{ann.pk}/change/"
    page = marketers_client.get(url).content.decode()
    assert 'type="date" name="attribute_a_date"' in page or 'name="attribute_a_date"' in page
    sent = typed(a_text="Bonn", a_number="38,5", a_date="23.11.2026", a_boolean="no", a_choice="Gold")
    sent |= {"attributes-name": ["own"], "attributes-value": ["thing"]}

    assert marketers_client.post(url, sent).status_code == 302

    ann.refresh_from_db()
    assert ann.attributes == {
        "a_text": "Bonn",
        "a_number": 38.5,
        "a_date": "2026-11-23",
        "a_boolean": False,
        "a_choice": "Gold",
        "own": "thing",
    }
    marketers_client.post(url, typed(a_text="Bonn"))
    ann.refresh_from_db()
    assert ann.attributes == {"a_text": "Bonn"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attribute_a_number": "many"}, "is not a number"),
        ({"attribute_a_date": "2026-02-30"}, "There is no 2026-02-30"),
        ({"attribute_a_boolean": "perhaps"}, "neither yes nor no"),
        ({"attribute_a_choice": "Bronze"}, "is none of the choices"),
        ({"attributes-name": ["a_text"], "attributes-value": ["x"]}, "has its own field: The text"),
        ({"time_zone": "Mars/Base"}, "Choose something from the list"),
    ],
)
@pytest.mark.usefixtures("defined")
def test_a_value_that_does_not_fit_is_told_in_words(
    marketers_client: Client, ann: Contact, changes: dict[str, object], words: str
) -> None:
    response = marketers_client.post(f"{CONTACTS}{ann.pk}/change/", typed() | changes)

    assert words in errors_of(response)


@pytest.mark.usefixtures("defined")
def test_a_stored_value_older_than_its_kind_is_shown_and_survives_a_save(
    marketers_client: Client, ann: Contact
) -> None:
    held = {"a_date": "in spring", "a_choice": "Bronze", "a_number": "many"}
    Contact.objects.filter(pk=ann.pk).update(attributes=held)

    page = text_of(marketers_client.get(f"{CONTACTS}{ann.pk}/change/"))
    assert "The stored value “in spring” doesn't fit the kind “Date”." in page
    marketers_client.post(
        f"{CONTACTS}{ann.pk}/change/",
        typed(a_date="in spring", a_choice="Bronze", a_number="many") | {"last_name": "Leigh"},
    )

    ann.refresh_from_db()
    assert (ann.last_name, ann.attributes) == ("Leigh", held)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("attribute.a_text=onn", {"ann"}),
        ("attribute.a_number_from=38&attribute.a_number_to=38.5", {"ann", "bo"}),
        ("attribute.a_number_from=38,2", {"bo"}),
        ("attribute.a_number_to=39", {"ann", "bo"}),
        ("attribute.a_number_from=many", set()),
        ("attribute.a_date_from=2026-11-23", {"bo"}),
        ("attribute.a_date_to=2026-11-22", {"ann"}),
        ("attribute.a_boolean==yes", {"ann"}),
        ("attribute.a_boolean==no", {"bo"}),
        ("attribute.a_boolean=none", {"cy"}),
        ("attribute.a_choice==Gold", {"ann"}),
        ("attribute.contains==x", {"cy"}),
        ("domain=@Example.NET", {"cy"}),
        ("language=de", {"bo"}),
        ("language=none", {"ann", "cy"}),
        ("q=@example.net", {"cy"}),
        ("q=BO@example.org", {"bo"}),
        ("q=bo%40exam", {"bo"}),
    ],
)
@pytest.mark.usefixtures("defined")
def test_people_are_found_by_their_attributes(marketers_client: Client, query: str, expected: set[str]) -> None:
    Attribute.objects.create(name="contains", label="Named like a lookup", kind="choice", choices=["x"])
    held = {"a_text": "Bonn", "a_number": 38, "a_date": "2026-11-22", "a_boolean": True, "a_choice": "Gold"}
    Contact.objects.create(email="ann@example.org", attributes=held)
    held = {"a_number": 38.5, "a_date": "2026-11-23", "a_boolean": False, "a_choice": "Silver"}
    Contact.objects.create(email="bo@example.org", language="de", attributes=held)
    held = {"a_number": "many", "a_date": "in spring", "contains": "x"}
    Contact.objects.create(email="cy@example.net", attributes=held)

    response = marketers_client.get(f"{CONTACTS}?{query}")

    assert {contact.email.partition("@")[0] for contact in response.context["cl"].result_list} == expected


@pytest.mark.usefixtures("defined")
def test_an_attribute_may_be_a_column_of_the_list(marketers_client: Client) -> None:
    Contact.objects.create(email="ann@example.org", attributes={"a_boolean": True, "a_choice": "Gold"})

    page = text_of(marketers_client.get(CONTACTS))

    assert "The boolean" in page
    assert ">yes<" in page.replace("> ", ">").replace(" <", "<")
    assert "Gold" not in page.partition("<tbody")[2].partition("</tbody")[0]


def test_who_may_not_define_attributes_sees_them(client: Client, nobody: User, defined: dict[str, Attribute]) -> None:
    nobody.user_permissions.set(Permission.objects.filter(codename="view_attribute"))
    client.force_login(nobody)

    assert "The text" in text_of(client.get(ATTRIBUTES))
    assert client.post(f"{ATTRIBUTES}add/", definition()).status_code == 403
    assert client.post(f"{ATTRIBUTES}{defined['text'].pk}/delete/", {"post": "yes"}).status_code == 403
