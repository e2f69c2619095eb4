"""The pages of imports: upload, columns, progress, refused rows; what they refuse, and who may see them."""

import csv
import datetime as dt
import io
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from contacts.admin.imports import REASONS_SHOWN
from contacts.forms.imports import DELIMITER_NAMES
from contacts.models import Attribute, ConsentEvent, Contact, ContactImport, ContactList, RefusedRow, Subscription
from contacts.segments import query
from contacts.transfer import import_contacts, uploads
from contacts.transfer.csv_file import DELIMITERS
from contacts.transfer.import_contacts import import_people
from contacts.transfer.reasons import MOST_REASONS
from tests.contacts.files import figures, people, started, stored

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
FILE = b"E-mail;First name;Shoe size\nann@example.org;Ann;38\nbo@example.org;Bo;44\n"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The imports a worker was told about, in place of a broker."""
    imports: list[int] = []
    monkeypatch.setattr("contacts.tasks.ring", imports.append)
    return imports


def text_of(response: HttpResponse) -> str:
    return " ".join(response.content.decode().split())


def page(name: str, contact_import: ContactImport) -> str:
    return reverse(f"admin:contacts_contactimport_{name}", args=[contact_import.pk])


def upload(client: Client, content: bytes = FILE, **form: object) -> HttpResponse:
    file = SimpleUploadedFile("people.csv", content, content_type="text/csv")
    return client.post("/admin/contacts/contactimport/add/", {"file": file, **form})


def decided(*mapping: str, **changes: object) -> dict[str, object]:
    """Return what the browser sends from the page of columns."""
    columns = {f"column_{position}": target for position, target in enumerate(mapping)}
    return (
        {"delimiter": ";", "encoding": "utf-8-sig", "new_list": "", "consent": "", "policy": "fill"} | columns | changes
    )


MAPPING = ("email", "first_name", "attributes.shoe_size")


@pytest.mark.django_db(transaction=True)
def test_a_file_goes_from_upload_over_its_columns_to_its_end(marketers_client: Client, rung: list[int]) -> None:
    response = upload(marketers_client, FILE + b"nobody;X;\n")

    draft = ContactImport.objects.get()
    assert (response.status_code, response.headers["Location"]) == (302, page("columns", draft))
    assert (draft.status, draft.created_by.get_username(), rung) == ("draft", "mia", [])  # type: ignore[union-attr]
    shown = text_of(marketers_client.get(page("columns", draft)))
    assert "Shoe size" in shown
    assert "<span>44</span>" in shown
    assert marketers_client.get(page("change", draft)).headers["Location"] == page("columns", draft)

    response = marketers_client.post(
        page("columns", draft), decided(*MAPPING, new_list="Fair", consent="Signed\nat the fair.", policy="overwrite")
    )

    assert response.headers["Location"] == page("change", draft)
    assert rung == [draft.pk]
    draft.refresh_from_db()
    assert (draft.status, draft.policy, draft.consent) == ("waiting", "overwrite", "Signed at the fair.")
    assert "Waiting for a worker" in text_of(marketers_client.get(page("change", draft)))
    assert marketers_client.get(page("progress", draft)).json()["percent"] == 0
    import_people(draft.pk, NOW)
    told = marketers_client.get(page("progress", draft)).json()
    assert told["is_over"] is True
    assert (told["percent"], told["rows_added"], told["rows_refused"], told["subscribed"]) == (100, "2", "1", "2")
    shown = text_of(marketers_client.get(page("change", draft)))
    assert "nobody has no @ sign" in shown
    assert "Shoe size → Shoe size" in shown
    assert "Overwritten with values from the file" in shown
    assert Subscription.objects.filter(list__name="Fair").count() == 2
    assert {event.wording for event in ConsentEvent.objects.all()} == {"Signed at the fair."}
    attribute = Attribute.objects.get()
    assert (attribute.name, attribute.label, attribute.kind) == ("shoe_size", "Shoe size", "text")


@pytest.mark.parametrize(
    ("page_before", "is_followed"),
    [
        ("/admin/campaigns/campaign/7/change/?a=1&b=2", True),
        ("https://evil.example/", False),
        ("//evil.example", False),
    ],
)
def test_an_import_for_a_draft_has_chosen_its_list_and_leads_back(
    marketers_client: Client, news: ContactList, page_before: str, is_followed: bool
) -> None:
    query = urlencode({"list": news.pk, "next": page_before})
    file = SimpleUploadedFile("people.csv", FILE, content_type="text/csv")
    way_back = f'href="{escape(page_before)}"'

    columns = marketers_client.post(f"/admin/contacts/contactimport/add/?{query}", {"file": file}).headers["Location"]

    shown = text_of(marketers_client.get(columns))
    assert re.search(rf'<input[^>]*name="lists"[^>]*value="{news.pk}"[^>]*checked', shown)
    answer = marketers_client.post(columns, decided(*MAPPING, lists=news.pk, consent="Asked."))
    assert (way_back in text_of(marketers_client.get(answer.headers["Location"]))) == is_followed
    assert ("evil" in answer.headers["Location"]) is False


def test_without_lists_only_a_new_one_is_offered(marketers_client: Client) -> None:
    upload(marketers_client)

    shown = text_of(marketers_client.get(page("columns", ContactImport.objects.get())))

    assert ("Add to lists" in shown, "New list" in shown) == (False, True)


@pytest.mark.parametrize(
    ("content", "form", "words"),
    [
        (b"", {}, "empty"),
        (b"PK\x03\x04....", {}, "Excel workbook"),
        (b'email,"name\n', {}, "The first row cannot be read"),
        (b"email\n", {"delimiter": "§"}, "Choose something from the list"),
    ],
)
def test_a_wrong_upload_is_refused_at_once_in_words(
    marketers_client: Client, content: bytes, form: dict[str, str], words: str
) -> None:
    response = upload(marketers_client, content, **form)

    assert response.status_code == 200
    assert words in text_of(response)
    assert not ContactImport.objects.exists()
    assert not list(uploads.folder().iterdir())


@pytest.mark.parametrize(
    ("mapping", "changes", "words"),
    [
        (("", "first_name", ""), {}, "No column becomes the email address"),
        (("email", "email", ""), {}, "Two columns become “Email”"),
        (("", "email", ""), {}, "The first rows contain no address"),
        (("email", "", "id"), {}, "Choose something from the list"),
        (("email", "", ""), {"lists": "{news}"}, "how these people gave consent"),
        (("email", "", ""), {"new_list": "Fair"}, "how these people gave consent"),
        (("email", "", ""), {"consent": "Asked."}, "people on no list get no campaigns"),
        (("email", "", ""), {"new_list": "News", "consent": "x"}, "A list named “News” already exists"),
        (("email", "", ""), {"consent": "x" * 301}, "Shorten this to 300 characters"),
        (("email", "", ""), {"policy": "delete"}, "Choose something from the list"),
    ],
)
def test_a_wrong_decision_is_told_in_words_and_starts_nothing(
    marketers_client: Client,
    news: ContactList,
    rung: list[int],
    mapping: tuple[str, ...],
    changes: dict[str, str],
    words: str,
) -> None:
    draft = stored(FILE)
    changes = {name: value.format(news=news.pk) for name, value in changes.items()}

    response = marketers_client.post(page("columns", draft), decided(*mapping, **changes))

    assert response.status_code == 200
    assert words in text_of(response)
    draft.refresh_from_db()
    assert (draft.status, rung) == ("draft", [])
    assert ContactList.objects.count() == 1


def test_columns_are_chosen_as_for_the_last_file_with_these_headings(
    marketers_client: Client, news: ContactList
) -> None:
    before = stored(FILE)
    layout, _ = uploads.preview(before)
    uploads.start(before, layout, ["email", "last_name", ""])
    again, other = stored(FILE), stored(FILE.replace(b"Shoe", b"Hat"))

    response = marketers_client.get(page("columns", again))

    chosen = [field.initial for name, field in response.context["form"].fields.items() if name.startswith("column_")]
    assert chosen == ["email", "last_name", ""]
    assert "Same as for the last file" in text_of(response)
    assert "Same as for the last file" not in text_of(marketers_client.get(page("columns", other)))


def test_the_file_can_be_read_with_another_delimiter_and_looking_changes_nothing(marketers_client: Client) -> None:
    draft = stored(FILE)
    before = ContactImport.objects.values().get()

    response = marketers_client.get(page("columns", draft), {"delimiter": ",", "encoding": "cp1252"})

    assert response.context["layout"].headings == ("E-mail;First name;Shoe size",)
    assert ContactImport.objects.values().get() == before
    marketers_client.post(page("columns", draft), decided("email", *MAPPING[1:], encoding="cp1252"))
    assert ContactImport.objects.get().encoding == "cp1252"


def test_a_file_that_is_gone_is_told_on_the_page_of_its_columns(marketers_client: Client) -> None:
    draft = stored(FILE)
    uploads.stored_path(draft).unlink()

    assert "is no longer there; upload it again" in text_of(marketers_client.get(page("columns", draft)))


def test_cells_of_the_file_are_text_on_the_page(marketers_client: Client) -> None:
    draft = stored(b"email,<b>x</b>\nann@example.org,<script>alert(1)</script>\n")

    shown = marketers_client.get(page("columns", draft)).content.decode()

    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert" not in shown
    assert "<b>x" not in shown


def test_who_may_import_chooses_the_kinds_of_new_attributes_and_can_use_them(
    client: Client, nobody: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung_retypes: list[int] = []  # Values from before that are read as the kind now.
    monkeypatch.setattr("contacts.tasks.retype.delay", rung_retypes.append)
    nobody.user_permissions.set(Permission.objects.filter(codename="import_contact"))
    client.force_login(nobody)
    Contact.objects.create(email="old@example.org", attributes={"age": "38"})
    draft = stored("email,age,joined,member,PLZ\nann@example.org,40,21.01.1954,yes,01067\n")
    page_of_columns = client.get(page("columns", draft))
    proposed = [page_of_columns.context["form"].fields[f"kind_{position}"].initial for position in range(1, 5)]
    names = [f"attributes.{name}" for name in ("age", "joined", "member", "plz")]
    kinds = {"kind_1": "number", "kind_2": "date", "kind_3": "boolean", "kind_4": "text"}

    client.post(page("columns", draft), decided("email", *names, delimiter=",", **kinds))
    import_people(draft.pk, NOW)

    assert proposed == ["text", "date", "boolean", "text"]
    assert dict(Attribute.objects.values_list("name", "kind")) == {
        "age": "number",
        "joined": "date",
        "member": "boolean",
        "plz": "text",
    }
    assert Contact.objects.get(email="ann@example.org").attributes == {
        "age": 40,
        "joined": "1954-01-21",
        "member": True,
        "plz": "01067",
    }
    assert rung_retypes == [Attribute.objects.get(name="age").pk]
    conditions = {"match": "all", "conditions": [{"field": "attribute:age", "operator": "number.more", "number": 39}]}
    assert [each.email for each in query.people(query.check(conditions), NOW)] == ["ann@example.org"]


def test_an_import_is_started_once(marketers_client: Client, rung: list[int]) -> None:
    draft = stored(FILE)

    marketers_client.post(page("columns", draft), decided(*MAPPING))
    again = marketers_client.post(page("columns", draft), decided("email", "", "", policy="skip"))

    assert again.headers["Location"] == page("change", draft)
    draft.refresh_from_db()
    assert (draft.mapping, draft.policy) == (list(MAPPING), "fill")


def test_a_running_import_is_cancelled_by_post_alone(marketers_client: Client, news: ContactList) -> None:
    contact_import = started(people(import_contacts.BATCH_ROWS + 1), [news])

    marketers_client.get(page("cancel", contact_import))
    contact_import.refresh_from_db()
    assert contact_import.status == "waiting"
    response = marketers_client.post(page("cancel", contact_import), follow=True)

    assert "Import cancelled. Nobody was added." in text_of(response)
    contact_import.refresh_from_db()
    assert contact_import.status == "cancelled"
    assert not list(uploads.folder().iterdir())
    assert "has already ended" in text_of(marketers_client.post(page("cancel", contact_import), follow=True))


@pytest.mark.parametrize("status", ContactImport.Status)
def test_a_list_that_an_import_fills_is_not_deleted(marketers_client: Client, news: ContactList, status: str) -> None:
    other = ContactList.objects.create(name="Other")
    contact_import = started(people(2), [news, other])
    ContactImport.objects.filter(pk=contact_import.pk).update(status=status)

    answer = marketers_client.post(reverse("admin:contacts_contactlist_delete", args=[news.pk]), {"post": "yes"})

    is_under_way = status in ("waiting", "running")
    assert ContactList.objects.filter(pk=news.pk).exists() is is_under_way
    said = f"the import of “{contact_import.file_name}”: wait for its end, or cancel it"
    assert (said in answer.content.decode()) is is_under_way


def test_refused_rows_come_as_a_file_safe_for_spreadsheets_that_can_be_imported(
    marketers_client: Client, news: ContactList
) -> None:
    contact_import = started("email,note\nann@@example.org,=cmd|' /C calc'!A0\nbo@example.org,x\"y\"\n,z\n", [news])
    import_people(contact_import.pk, NOW)
    RefusedRow.objects.create(contact_import=contact_import, line_number=9, content="=x", reason="From before.")

    response = marketers_client.get(page("refused", contact_import))

    content = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    rows = list(csv.reader(io.StringIO(content)))
    assert rows[0] == ["Line in the file", "Why it was refused", "email", "note"]
    assert rows[1][0] == "2"
    assert "two @ signs" in rows[1][1]
    assert rows[1][2:] == ["ann@@example.org", "'=cmd|' /C calc'!A0"]
    assert rows[2] == ["4", "The row has no email address.", "", "z"]
    assert rows[3] == ["9", "From before.", "'=x"]
    assert response.headers["Content-Disposition"] == 'attachment; filename="refused-rows.csv"'
    again = started(content.replace("ann@@", "ann@"), [news])
    import_people(again.pk, NOW)
    assert Contact.objects.get(email="ann@example.org").attributes == {"note": "=cmd|' /C calc'!A0"}


def test_the_page_of_columns_finds_the_addresses_counts_stray_bytes_and_asks_for_the_order_of_dates(
    marketers_client: Client,
) -> None:
    Attribute.objects.create(name="since", label="Since", kind="date")
    content = "Почта;Since\n" + "ann@example.org;03/04/2026\n" + "zoë@example.org;2026-01-02\n"
    upload(marketers_client, content.encode() + b"bo@example.org;M\xfc\n")
    draft = ContactImport.objects.get()

    shown = marketers_client.get(page("columns", draft))

    assert shown.context["form"].fields["column_0"].initial == "email"
    assert "In 1 place the file is not UTF-8." in text_of(shown)
    assert "Dates such as 03/04/2026" in text_of(shown)
    marketers_client.post(page("columns", draft), decided("email", "attributes.since", date_order="day"))
    import_people(draft.pk, NOW)
    draft.refresh_from_db()
    assert (draft.rows_added, draft.rows_refused, draft.cells_left_out) == (3, 0, 1)
    assert Contact.objects.get(email="ann@example.org").attributes == {"since": "2026-04-03"}
    over = text_of(marketers_client.get(page("change", draft)))
    assert "Imported with cells skipped." in over
    assert '<dt>Updated</dt><dd data-figure="rows_updated">' in over
    assert '<dt>Cells skipped</dt><dd data-figure="cells_left_out">1</dd>' in over


ZONES = "email,time zone,language\nann@example.org,MEZ,Deutsch\nbo@example.org,mez,en\ncy@example.org,Mars,\nnobody,,\n"
OF_ZONES = {"delimiter": ",", "column_0": "email", "column_1": "time_zone", "column_2": "language"}


def everything() -> list[object]:
    """Return all rows that an import could write but its own."""
    models = (Contact, ContactList, Subscription, ConsentEvent, Attribute, RefusedRow)
    return [list(model.objects.order_by("pk").values()) for model in models]


def test_a_trial_run_says_what_would_happen_and_writes_nothing(
    marketers_client: Client, news: ContactList, rung: list[int]
) -> None:
    Contact.objects.create(email="ann@example.org")
    Contact.objects.create(email="bo@example.org", language="en", time_zone="Europe/Rome")
    draft = stored(ZONES)
    before = everything()

    response = marketers_client.post(
        page("columns", draft),
        decided(trial="", new_list="Fair", consent="At the fair.", **OF_ZONES, column_3="attributes.x"),
    )
    shown = marketers_client.get(response.headers["Location"])

    trial = shown.context["trial"]
    assert (trial.rows, trial.added, trial.known, trial.updated, trial.refused) == (4, 1, 2, 0, 1)
    assert (trial.cells_left_out, trial.is_whole) == (4, True)
    told = text_of(shown)
    assert "Nothing was saved. The import would read 4 rows:" in told
    assert "<td>2 ×</td><td>Unknown time zone “MEZ”</td><td>Cell skipped</td>" in told
    assert "<td>1 ×</td><td>Unusable email address</td><td>Row not imported</td>" in told
    assert everything() == before
    draft.refresh_from_db()
    assert (draft.status, rung) == ("draft", [])
    assert text_of(marketers_client.get(response.headers["Location"])).count("Unknown time zone “MEZ”") == 1


def test_what_unknown_values_mean_is_asked_once_and_then_applied(marketers_client: Client) -> None:
    draft = stored(ZONES)

    response = marketers_client.post(page("columns", draft), decided(**OF_ZONES))
    asked = marketers_client.get(response.headers["Location"])

    draft.refresh_from_db()
    assert draft.status == "draft"
    assert [each[:4] for each in asked.context["questions"]] == [
        ("time_zone", "MEZ", "Europe/Berlin", 2),
        ("time_zone", "Mars", "", 1),
        ("language", "Deutsch", "de", 1),
    ]
    told = text_of(asked)
    assert "Nothing is imported yet." in told
    assert told.index("What do these values mean?") < told.index("Unknown time zone “MEZ”")
    answers = {
        "asked": "1",
        "unknown": ["time_zone:MEZ", "time_zone:Mars", "language:Deutsch"],
        "meaning": ["europe/vienna", "", "de"],
    }
    marketers_client.post(page("columns", draft), decided(**OF_ZONES, **answers))
    import_people(draft.pk, NOW)
    assert figures(draft) == (4, 3, 0, 1)
    assert set(Contact.objects.values_list("email", "time_zone", "language")) == {
        ("ann@example.org", "Europe/Vienna", "de"),
        ("bo@example.org", "Europe/Vienna", "en"),
        ("cy@example.org", "", ""),
    }
    over = text_of(marketers_client.get(page("change", draft)))
    assert "<td>1 ×</td><td>Unknown time zone “Mars”</td><td>Cell skipped</td>" in over
    assert "mez → Europe/Vienna" in over
    again = stored(ZONES)
    response = marketers_client.post(page("columns", again), decided(**OF_ZONES))
    proposed = marketers_client.get(response.headers["Location"]).context["questions"]
    assert [each.meaning for each in proposed] == ["Europe/Vienna", "", "de"]


@pytest.mark.parametrize(
    ("unknown", "meaning", "words"),
    [
        ("time_zone:MEZ", "Mars/Base", "“Mars/Base” isn&#x27;t a time zone. Choose one from the list for “MEZ”."),
        ("language:Deutsch", "xx", "Choose a language from the list for “Deutsch”."),
    ],
)
def test_a_meaning_that_does_not_exist_is_refused_in_words(
    marketers_client: Client, rung: list[int], unknown: str, meaning: str, words: str
) -> None:
    draft = stored(ZONES)

    others = {
        "unknown": [unknown, "time_zone:Mars"],
        "meaning": [meaning, "Europe/Vienna"],
    }
    response = marketers_client.post(page("columns", draft), decided(**OF_ZONES, asked="1", **others))
    shown = marketers_client.get(response.headers["Location"])

    assert rung == []
    told = text_of(shown)
    assert "Nothing is imported yet." in told
    assert words in told[told.index("What do these values mean?") : told.index("What is skipped, and why")]
    assert shown.context["trial"].rows == 4
    answers = {each.value: each.meaning for each in shown.context["questions"]}
    assert answers[unknown.partition(":")[2]] == meaning
    assert answers["Mars"] == "Europe/Vienna"


def test_answers_stay_when_another_field_is_wrong_and_after_a_reload(marketers_client: Client) -> None:
    draft = stored(ZONES)
    answers = {"asked": "1", "unknown": "time_zone:Mars", "meaning": "Europe/Vienna"}

    refused = marketers_client.post(page("columns", draft), decided(**OF_ZONES, **answers, new_list="Fair"))
    reloaded = marketers_client.get(page("columns", draft))

    for shown in (refused, reloaded):
        assert [each[:3] for each in shown.context["questions"]] == [("time_zone", "Mars", "Europe/Vienna")]
        assert 'value="Europe/Vienna"' in text_of(shown)


CONSENTS = (
    "email;Einwilligung;Umsatz;Letzter Kauf\n"
    "ann@example.org;ja;185,08;03/04/2026\n"
    "bo@example.org;nein;1100,46;26.01.2026\n"
    "cy@example.org;;12;2026-01-26\n"
)
OF_CONSENTS = ("email", "attributes.einwilligung", "attributes.umsatz", "attributes.letzter_kauf")


def test_only_rows_that_say_yes_are_subscribed_if_somebody_chooses_so(
    marketers_client: Client, news: ContactList
) -> None:
    draft = stored(CONSENTS)
    form = marketers_client.get(page("columns", draft)).context["form"]
    chosen = decided(
        *OF_CONSENTS,
        kind_3="date",
        lists=str(news.pk),
        consent="On paper.",
        subscribes_by=str(form["subscribes_by"].value()),
    )

    tried = marketers_client.get(
        marketers_client.post(page("columns", draft), chosen | {"trial": ""}).headers["Location"]
    )
    marketers_client.post(page("columns", draft), chosen)
    import_people(draft.pk, NOW)

    assert form["subscribes_by"].value() == 1
    assert [str(label) for _value, label in form.fields["subscribes_by"].choices] == [
        "Everyone in the file",
        "Only rows where “Einwilligung” says yes",
    ]
    assert "<dt>Not subscribed</dt><dd>2</dd>" in text_of(tried)
    assert "Letzter Kauf: day or month first? Choose it under “Dates such as 03/04/2026”" in text_of(tried)
    assert figures(draft) == (3, 3, 0, 0)
    assert [each.contact.email for each in Subscription.objects.select_related("contact")] == ["ann@example.org"]
    over = text_of(marketers_client.get(page("change", draft)))
    assert '<dt>Not subscribed</dt><dd data-figure="not_subscribed">2</dd>' in over
    assert "Only rows where “Einwilligung” says yes" in over
    assert "Letzter Kauf → Letzter Kauf" in over


def test_a_consent_to_be_counted_is_not_offered_as_one_to_get_mail(marketers_client: Client) -> None:
    draft = stored("email;Count opens;Einwilligung\nann@example.org;yes;ja\nbo@example.org;no;nein\n")

    form = marketers_client.get(page("columns", draft)).context["form"]

    assert form["column_1"].value() == "open_tracking"
    assert [value for value, _label in form.fields["subscribes_by"].choices] == ["", 2]


def test_everyone_is_subscribed_if_somebody_chooses_so(marketers_client: Client, news: ContactList) -> None:
    draft = stored(CONSENTS)

    marketers_client.post(
        page("columns", draft), decided(*OF_CONSENTS, lists=str(news.pk), consent="On paper.", subscribes_by="")
    )
    import_people(draft.pk, NOW)

    assert Subscription.objects.count() == 3


def test_the_page_of_columns_keeps_what_was_chosen_for_its_next_visit(
    marketers_client: Client, news: ContactList
) -> None:
    draft = stored(FILE)
    chosen = decided("email", "last_name", "attributes.shoe_size", kind_2="number", new_list="Fair", lists=str(news.pk))

    kept = marketers_client.post(page("columns", draft), {**chosen, "keep": "1", "junk": "x", "consent": "y" * 9_000})
    form = marketers_client.get(page("columns", draft)).context["form"]

    assert kept.status_code == 204
    draft.refresh_from_db()
    assert "junk" not in draft.choices["fields"]
    assert draft.choices["fields"]["consent"] == ["y" * 300]
    values = {name: form[name].value() for name in ("column_1", "kind_2", "new_list", "lists")}
    assert values == {"column_1": "last_name", "kind_2": "number", "new_list": "Fair", "lists": [str(news.pk)]}
    other = marketers_client.get(page("columns", draft), {"delimiter": ",", "encoding": "utf-8-sig"}).context["form"]
    assert other["new_list"].value() == "Fair"
    assert other["column_0"].value() != "email"
    marketers_client.post(page("columns", draft), chosen | {"consent": "Asked."})
    draft.refresh_from_db()
    assert (draft.status, draft.choices) == ("waiting", {})


def test_a_value_that_no_page_asked_about_means_nothing(marketers_client: Client) -> None:
    draft = stored(ZONES)
    unknown = ["time_zone:M\x9bEZ", "email:ann", "junk", "language:" + "x" * 90]

    marketers_client.post(
        page("columns", draft),
        decided(**OF_ZONES, asked="1", unknown=unknown, meaning=["Europe/Berlin", "x", "y", "de"]),
    )

    draft.refresh_from_db()
    assert (draft.status, draft.meanings) == ("waiting", {})


def test_every_delimiter_has_a_name() -> None:
    assert tuple(DELIMITER_NAMES) == DELIMITERS


def test_a_discarded_file_says_that_nobody_was_added(marketers_client: Client) -> None:
    draft = stored(FILE)

    response = marketers_client.post(page("cancel", draft), follow=True)

    assert response.redirect_chain == [("/admin/contacts/contactimport/", 302)]
    assert "File discarded. Nobody was added." in text_of(response)
    shown = text_of(marketers_client.get(page("change", draft)))
    assert "Import cancelled. Nobody was added." in shown
    assert "View people" not in shown


def test_reasons_of_a_hostile_file_are_few_short_and_text(marketers_client: Client) -> None:
    zones = "".join(f"p{n}@example.org,<b>{n}</b>{'z' * 90}\n" for n in range(2_000))
    long = f"q@example.org,{'Q' * 9_000}\n,\x00\nr@example.org,=cmd|' /C calc'!A0\n"
    draft = stored(f"email,time zone\n{zones}{long}")
    chosen = {"delimiter": ",", "column_0": "email", "column_1": "time_zone"}

    tried = marketers_client.get(
        marketers_client.post(page("columns", draft), decided(**chosen, trial="")).headers["Location"]
    )
    marketers_client.post(page("columns", draft), decided(**chosen, asked="1"))
    import_people(draft.pk, NOW)
    over = marketers_client.get(page("change", draft))

    draft.refresh_from_db()
    assert draft.cells_left_out == 2_002
    assert len(draft.reasons) == MOST_REASONS + 1
    for response in (tried, over):
        assert len(response.context["reasons"]) == REASONS_SHOWN + 1
        assert sum(each["count"] for each in response.context["reasons"]) == 2_003
        assert b"<b>1</b>" not in response.content
        assert b"z" * 70 not in response.content.partition(b"refused-rows")[0]
        assert len(response.content) < 400_000
    assert len(tried.context["questions"]) == 0  # Values this long are cut, and cannot be asked about.


@pytest.mark.parametrize("address", ["columns/", "cancel/", "progress.json", "refused.csv", "change/"])
def test_who_has_no_permission_sees_no_import(client: Client, nobody: User, news: ContactList, address: str) -> None:
    contact_import = stored(FILE)
    url = f"/admin/contacts/contactimport/{contact_import.pk}/{address}"

    assert client.get(url).status_code == 302
    client.force_login(nobody)
    assert client.get(url).status_code == 403
    assert client.post(url, decided(*MAPPING)).status_code == 403
    contact_import.refresh_from_db()
    assert contact_import.status == "draft"


def test_imports_are_neither_edited_nor_deleted(marketers_client: Client, news: ContactList) -> None:
    contact_import = started(FILE, [news])

    response = marketers_client.post(f"/admin/contacts/contactimport/{contact_import.pk}/delete/", {"post": "yes"})

    assert response.status_code == 403
    assert marketers_client.get("/admin/contacts/contactimport/999999/change/").status_code == 404
    assert marketers_client.get("/admin/contacts/contactimport/999999/columns/").status_code == 404
    assert marketers_client.get("/admin/contacts/contactimport/abc/change/").status_code == 404
    assert "News" in text_of(marketers_client.get("/admin/contacts/contactimport/"))
