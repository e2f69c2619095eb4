"""What an import adds, what it leaves alone, and what happens when it is interrupted."""

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, connections
from django.db.models.functions import Now

from contacts.consent import changes
from contacts.models import (
    Attribute,
    ConsentEvent,
    Contact,
    ContactImport,
    ContactList,
    ErasedAddress,
    RefusedRow,
    Subscription,
    Suppression,
)
from contacts.privacy import erasure
from contacts.transfer import import_contacts, trial, uploads
from contacts.transfer.import_contacts import BATCH_ROWS, cancel, find_unclaimed, import_people
from db.dialect import is_postgresql
from tests.contacts.files import figures, people, started, stored

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)


def run(content: str | bytes, *lists: ContactList, **decided: object) -> ContactImport:
    contact_import = started(content, lists, **decided)
    assert import_people(contact_import.pk, NOW) is False
    contact_import.refresh_from_db()
    return contact_import


def after(batches: int) -> Callable[[], bool]:
    """Return a question that is answered yes from the given batch on."""
    answers = iter([False] * (batches - 1) + [True])
    return lambda: next(answers)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr(import_contacts, "POSTGRES_BATCH_ROWS", BATCH_ROWS)


def test_people_are_added_with_names_attributes_and_consent(news: ContactList) -> None:
    done = run(
        "E-mail;First name;Last name;Language;Zeitzone;Shoe size\n"
        "Zoë@Bücher.example;Zoë;Lee;de-AT;europe/vienna;38\nbo@example.org;;;xx;;\n",
        news,
        consent="Signed at the fair.",
    )

    assert done.status == "finished"
    assert figures(done) == (2, 2, 0, 0)
    assert done.subscribed == 2
    assert done.finished_at is not None
    assert done.read_bytes == done.size_bytes
    zoe = Contact.objects.get(email_key="zoë@xn--bcher-kva.example")
    assert (zoe.email, zoe.first_name, zoe.last_name, zoe.language) == ("Zoë@Bücher.example", "Zoë", "Lee", "de")
    assert (zoe.time_zone, zoe.attributes, zoe.domain) == (
        "Europe/Vienna",
        {"shoe_size": "38"},
        "xn--bcher-kva.example",
    )
    assert (zoe.created_at, zoe.updated_at) == (NOW, NOW)
    bo = Contact.objects.get(email="bo@example.org")
    assert (bo.first_name, bo.language, bo.time_zone, bo.attributes) == ("", "", "", {})
    subscription = Subscription.objects.get(contact=zoe)
    assert (subscription.list, subscription.status, subscription.source) == (news, "subscribed", "import: people.csv")
    assert subscription.changed_at == NOW
    event = ConsentEvent.objects.get(contact=zoe)
    assert (event.list, event.list_name, event.status, event.method) == (news, "News", "subscribed", "import")
    assert (event.wording, event.source, event.at) == ("Signed at the fair.", "import: people.csv", NOW)


def test_people_go_to_several_lists_or_none(news: ContactList, events: ContactList) -> None:
    run("email\nann@example.org\n", news, events)
    run("email\nbo@example.org\n")

    assert set(Subscription.objects.values_list("contact__email", "list__name")) == {
        ("ann@example.org", "News"),
        ("ann@example.org", "Events"),
    }
    assert ConsentEvent.objects.count() == 2
    assert Contact.objects.count() == 2


def test_who_imported_is_kept_with_each_consent(news: ContactList, marketer: User) -> None:
    contact_import = started("email\nann@example.org\n", [news], actor=marketer, name="n" * 250 + ".csv")

    import_people(contact_import.pk, NOW)

    source = Subscription.objects.get().source
    assert source.startswith("import: nnn")
    assert source.endswith(", by mia")
    assert len(source) <= 200


def test_an_import_sends_nothing_and_subscribes_at_once_where_a_form_would_ask(news: ContactList) -> None:
    assert news.opt_in == ContactList.OptIn.DOUBLE

    run("email\nann@example.org\n", news)

    assert Subscription.objects.get().status == "subscribed"


def test_the_same_file_again_adds_nothing(news: ContactList) -> None:
    run(people(3), news)
    before = list(Subscription.objects.values()), list(ConsentEvent.objects.values()), list(Contact.objects.values())

    again = run(people(3), news)

    assert figures(again) == (3, 0, 3, 0)
    assert again.subscribed == 0
    after = list(Subscription.objects.values()), list(ConsentEvent.objects.values()), list(Contact.objects.values())
    assert after == before


def test_a_person_in_several_batches_is_updated_once(
    ann: Contact, news: ContactList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_contacts, "BATCH_ROWS", 2)
    monkeypatch.setattr(import_contacts, "POSTGRES_BATCH_ROWS", 2)
    rows = [f"{name}@example.org,{number}" for number in range(3) for name in ("ann", "new")]
    contact_import = started("\n".join(["email,first_name", *rows, ""]), [news], policy="overwrite")

    assert import_people(contact_import.pk, NOW, after(1))
    assert not import_people(contact_import.pk, NOW + dt.timedelta(seconds=30))  # Another run.

    contact_import.refresh_from_db()
    assert figures(contact_import) == (6, 1, 5, 0)
    assert contact_import.rows_updated == 1
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"2"}


@pytest.mark.parametrize(
    ("policy", "name", "attributes"),
    [
        ("skip", "Ann ", {"city": "Bonn", "age": 7}),
        ("fill", "Ann Lee", {"city": "Bonn", "age": 7, "plan": "paid"}),
        ("overwrite", "Anna Lee", {"city": "Rome", "age": 7, "plan": "paid"}),
    ],
)
def test_people_who_are_known_change_by_the_policy(
    ann: Contact, news: ContactList, policy: str, name: str, attributes: dict[str, object]
) -> None:
    Contact.objects.filter(pk=ann.pk).update(last_name="", attributes={"city": "Bonn", "age": 7})

    done = run("email,first_name,last_name,plan,city\nann@EXAMPLE.org,Anna,Lee,paid,Rome\n", news, policy=policy)

    assert figures(done) == (1, 0, 1, 0)
    assert done.rows_updated == (policy != "skip")
    ann.refresh_from_db()
    assert (ann.email, f"{ann.first_name} {ann.last_name}") == ("Ann@example.org", name)
    assert ann.attributes == attributes
    assert (ann.updated_at == NOW) == (policy != "skip")
    assert Subscription.objects.get().contact == ann


@pytest.mark.parametrize(
    ("policy", "name", "attributes"),
    [("skip", "Ann", {}), ("fill", "Ann", {"city": "Bonn"}), ("overwrite", "Anna", {"city": "Bonn"})],
)
def test_somebody_twice_in_one_file_is_one_person(
    news: ContactList, policy: str, name: str, attributes: dict[str, str]
) -> None:
    rows = "email,first_name,city\nann@example.org,Ann,\nANN@example.org,Anna,Bonn\nann@example.org,,\n"

    done = run(rows, news, policy=policy)

    assert figures(done) == (3, 1, 2, 0)
    contact = Contact.objects.get()
    assert (contact.first_name, contact.attributes) == (name, attributes)


@pytest.mark.parametrize("policy", ["fill", "overwrite"])
def test_nobody_gets_more_attributes_than_one_person_may_have(ann: Contact, news: ContactList, policy: str) -> None:
    Contact.objects.filter(pk=ann.pk).update(attributes={"before": "x" * 60_000})
    long = "y" * 9_000
    first, second = (f"email,{','.join(f'{letter}{n}' for n in range(6))}\n" for letter in "ab")
    rows = f"ann@example.org{f',{long}' * 6}\nbo@example.org{f',{long}' * 6}\n"

    done = [run(first + rows, news, policy=policy), run(second + rows, news, policy=policy)]

    assert [figures(each) for each in done] == [(2, 1, 1, 0), (2, 0, 2, 0)]
    ann.refresh_from_db()
    bo = Contact.objects.get(email_key="bo@example.org")
    assert list(ann.attributes) == ["before"]
    assert list(bo.attributes) == [f"a{n}" for n in range(6)]
    assert Subscription.objects.count() == 2
    told = [(row.line_number, row.content, row.reason) for row in RefusedRow.objects.order_by("pk")]
    assert [(line, content) for line, content, _ in told] == [
        (2, "ann@example.org"),
        (2, "ann@example.org"),
        (3, "bo@example.org"),
    ]
    assert all("one person may have 100,000" in reason for _, _, reason in told)


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
def test_nobody_who_withdrew_is_brought_back(ann: Contact, news: ContactList, events: ContactList, policy: str) -> None:
    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=NOW)
    changes.suppress("bo@example.org", Suppression.Reason.COMPLAINT, "feedback loop", NOW)
    changes.suppress("cy@example.org", Suppression.Reason.UNSUBSCRIBED, "link in mail", NOW)
    before = list(ConsentEvent.objects.filter(list=news).values())

    run("email\nann@example.org\nbo@example.org\ncy@example.org\n", news, events, policy=policy)

    withdrawn = Subscription.objects.get(contact=ann, list=news)
    assert (withdrawn.status, withdrawn.source) == ("unsubscribed", "link in mail")
    assert list(ConsentEvent.objects.filter(list=news, contact=ann).values()) == before
    assert Subscription.objects.get(contact=ann, list=events).status == "subscribed"
    assert not Subscription.objects.filter(contact__email="cy@example.org").exists()
    assert set(Suppression.objects.values_list("reason", flat=True)) == {"complaint", "unsubscribed"}


def test_who_had_everything_erased_is_refused_and_not_even_noted(
    news: ContactList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_contacts, "is_erased", lambda emails: {"ann@example.org"} & set(emails))

    done = run("email,city\nann@example.org,Bonn\nbo@example.org,Rome\nAnn@example.org,Bonn\n", news)

    assert figures(done) == (3, 1, 0, 2)
    assert list(Contact.objects.values_list("email", flat=True)) == ["bo@example.org"]
    refused = list(done.refused_rows.values_list("line_number", "cells", "reason"))
    assert refused == [(2, [], import_contacts.ERASED), (4, [], import_contacts.ERASED)]


def test_values_of_defined_attributes_are_stored_by_their_kind(news: ContactList) -> None:
    Attribute.objects.create(name="age", label="Age", kind="number")
    Attribute.objects.create(name="member", label="Member", kind="boolean")

    done = run("email,Age,Member\nann@example.org,38,yes\nbo@example.org,old,no\n", news)

    assert Contact.objects.get(email="ann@example.org").attributes == {"age": 38, "member": True}
    assert Contact.objects.get(email="bo@example.org").attributes == {"member": False}
    assert figures(done) == (2, 2, 0, 0)
    assert done.cells_left_out == 1
    told = done.refused_rows.get()
    assert (told.line_number, told.cells) == (3, ["bo@example.org", "old", "no"])
    assert "age: “old” is not a number" in told.reason


def test_a_file_in_utf8_with_stray_bytes_keeps_its_letters_and_lists_what_could_not_be_read(news: ContactList) -> None:
    content = "email,first_name\n" + "".join(f"p{n}@example.org,Zoë\n" for n in range(5))

    done = run(content.encode() + b"r@example.org,Ren\xe9\n" + "j@example.org,José\n".encode(), news)

    assert figures(done) == (7, 7, 0, 0)
    assert set(Contact.objects.values_list("first_name", flat=True)) == {"Zoë", "José", ""}
    assert done.cells_left_out == 1
    assert done.refused_rows.get().line_number == 7


def test_an_unreadable_cell_erases_nothing_of_somebody_known(news: ContactList) -> None:
    Attribute.objects.create(name="since", label="Since", kind="date")
    Contact.objects.create(email="ann@example.org", attributes={"since": "2020-01-01"})

    done = run("email,since\nann@example.org,03/04/2026\nbo@example.org,03/04/2026\n", news, policy="overwrite")

    assert Contact.objects.get(email="ann@example.org").attributes == {"since": "2020-01-01"}
    assert done.cells_left_out == 2


def test_dates_are_read_in_the_order_that_was_chosen(news: ContactList) -> None:
    Attribute.objects.create(name="since", label="Since", kind="date")

    done = run("email,since\nann@example.org,03/04/2026\n", news, date_order="month")

    assert Contact.objects.get().attributes == {"since": "2026-03-04"}
    assert done.cells_left_out == 0


def test_of_who_had_everything_erased_no_cell_is_listed(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    Attribute.objects.create(name="age", label="Age", kind="number")
    monkeypatch.setattr(import_contacts, "is_erased", lambda emails: {"ann@example.org"} & set(emails))

    done = run("email,age\nann@example.org,secret words\n", news)

    assert figures(done) == (1, 0, 0, 1)
    assert done.cells_left_out == 0
    assert list(done.refused_rows.values_list("cells", "content", "reason")) == [
        ([], "(not kept)", import_contacts.ERASED)
    ]


def test_refused_rows_are_kept_with_line_cells_and_reason(news: ContactList) -> None:
    done = run('email,city\nann@@example.org,Bo\x00nn\nbo@example.org,Rome\n,Paris\ncy@example.org,"x"y\n', news)

    assert figures(done) == (4, 1, 0, 3)
    refused = list(done.refused_rows.values_list("line_number", "cells", "content"))
    assert refused == [
        (2, ["ann@@example.org", "Bo\ufffdnn"], ""),
        (4, ["", "Paris"], ""),
        (5, [], 'cy@example.org,"x"y'),
    ]
    assert "two @ signs" in done.refused_rows.all()[0].reason
    assert "cannot be stored (U+0000)" in done.refused_rows.all()[0].reason


def test_very_long_rows_come_in_smaller_batches(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_contacts, "BATCH_CHARACTERS", 1_000)
    contact_import = started("email,city\n" + "".join(f"p{n}@example.org,{'ü' * 300}\n" for n in range(10)), [news])

    assert import_people(contact_import.pk, NOW, should_pause=after(1)) is True

    assert figures(contact_import) == (4, 4, 0, 0)
    assert Contact.objects.filter(attributes={"city": "ü" * 300}).count() == 4


def test_a_file_that_cannot_be_read_fails_in_words_and_is_deleted(news: ContactList) -> None:
    contact_import = started("email,a\nann@example.org,x\n", [news])
    uploads.stored_path(contact_import).write_text("email,a\n" + '"x\n",' * 1_100_000)

    import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.status == "failed"
    assert "A row is longer than 5,000,000 characters" in contact_import.error
    assert not list(uploads.folder().iterdir())


def test_a_missing_file_fails_in_words(news: ContactList) -> None:
    contact_import = started(people(1), [news])
    uploads.stored_path(contact_import).unlink()

    import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.error == "The uploaded file is no longer there; upload it again."


def test_an_import_from_before_columns_were_mapped_says_what_to_do(news: ContactList) -> None:
    contact_import = started(people(1), [news])
    ContactImport.objects.update(mapping=[])

    import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.error == import_contacts.UNMAPPED


def test_an_import_that_paused_goes_on_at_the_next_row(news: ContactList) -> None:
    rows = 2 * BATCH_ROWS + 10
    contact_import = started(people(rows), [news])

    assert import_people(contact_import.pk, NOW, should_pause=after(1)) is True

    contact_import.refresh_from_db()
    assert contact_import.status == "running"
    assert 0 < contact_import.read_bytes < contact_import.size_bytes
    assert figures(contact_import) == (BATCH_ROWS, BATCH_ROWS, 0, 0)
    assert import_people(contact_import.pk, NOW) is False
    assert figures(contact_import) == (rows, rows, 0, 0)
    assert contact_import.status == "finished"
    assert Subscription.objects.count() == rows


def test_a_second_worker_leaves_an_import_alone_that_is_in_hand(news: ContactList) -> None:
    contact_import = started(people(3), [news])
    answers: list[bool] = []

    def meanwhile() -> bool:
        answers.append(import_people(contact_import.pk, NOW))
        return False

    import_people(contact_import.pk, NOW, should_pause=meanwhile)

    assert answers == [False]
    assert figures(contact_import) == (3, 3, 0, 0)


def test_a_silent_worker_is_replaced_and_can_write_no_more(news: ContactList) -> None:
    """The first worker sleeps after its first batch; another one finishes; the first wakes up and must stop."""
    rows = 3 * BATCH_ROWS
    contact_import = started(people(rows), [news])
    calls = 0

    def fall_asleep_once() -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            ContactImport.objects.update(seen_at=Now() - import_contacts.HEARTBEAT_TIMEOUT - dt.timedelta(seconds=1))
            assert find_unclaimed() == [contact_import.pk]
            assert import_people(contact_import.pk, NOW, should_pause=after(1)) is True
        return False

    import_people(contact_import.pk, NOW, should_pause=fall_asleep_once)

    assert calls == 1
    assert figures(contact_import) == (2 * BATCH_ROWS, 2 * BATCH_ROWS, 0, 0)
    import_people(contact_import.pk, NOW)
    assert figures(contact_import) == (rows, rows, 0, 0)
    assert Contact.objects.count() == rows


def test_a_batch_that_breaks_leaves_nothing_of_itself(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_import = started(people(3), [news])

    def go_away(*args: object) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(import_contacts, "_record_progress", go_away)
        with pytest.raises(OperationalError):
            import_people(contact_import.pk, NOW)

    assert not Contact.objects.exists()
    contact_import.refresh_from_db()
    assert contact_import.status == "running"
    ContactImport.objects.update(seen_at=Now() - import_contacts.HEARTBEAT_TIMEOUT - dt.timedelta(seconds=1))
    import_people(contact_import.pk, NOW)
    assert figures(contact_import) == (3, 3, 0, 0)


def test_an_import_that_was_last_seen_in_the_future_is_nobodys(news: ContactList) -> None:
    contact_import = started(people(3), [news])
    ContactImport.objects.update(status="running", seen_at=Now() + dt.timedelta(days=1))  # The clock was set back.

    assert find_unclaimed() == [contact_import.pk]
    import_people(contact_import.pk, NOW)

    assert figures(contact_import) == (3, 3, 0, 0)


def test_an_error_of_the_program_ends_the_import_in_words(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_import = started(people(3), [news])

    def stumble(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(import_contacts, "_save_people", stumble)
    with pytest.raises(ZeroDivisionError):
        import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.status == "failed"
    assert "upload the file again" in contact_import.error
    assert find_unclaimed() == []


def test_an_import_into_a_list_that_was_deleted_fails_in_words(news: ContactList) -> None:
    contact_import = started(people(BATCH_ROWS + 1), [news])

    def delete_the_list() -> bool:
        news.delete()
        return False

    import_people(contact_import.pk, NOW, should_pause=delete_the_list)

    contact_import.refresh_from_db()
    assert contact_import.status == "failed"
    assert contact_import.error.startswith("The list “News” was deleted")
    assert Contact.objects.count() == BATCH_ROWS


def test_waiting_imports_are_found_and_finished_ones_are_not(news: ContactList) -> None:
    waiting = started(people(1), [news])
    run(people(1), news)
    in_hand = started(people(1), [news])
    ContactImport.objects.filter(pk=in_hand.pk).update(status="running", seen_at=Now())

    assert find_unclaimed() == [waiting.pk]


def test_a_draft_waits_for_somebody_and_not_for_a_worker(news: ContactList) -> None:
    draft = stored(people(1))

    assert find_unclaimed() == []
    assert import_people(draft.pk, NOW) is False
    assert figures(draft) == (0, 0, 0, 0)


def test_a_cancelled_import_stops_at_its_next_batch_and_keeps_who_was_added(news: ContactList) -> None:
    contact_import = started(people(3 * BATCH_ROWS), [news])

    def cancel_it() -> bool:
        assert cancel(contact_import.pk, NOW) is True
        return False

    assert import_people(contact_import.pk, NOW, should_pause=cancel_it) is False

    assert figures(contact_import) == (BATCH_ROWS, BATCH_ROWS, 0, 0)
    assert (contact_import.status, contact_import.finished_at) == ("cancelled", NOW)
    assert Contact.objects.count() == BATCH_ROWS
    assert not list(uploads.folder().iterdir())
    assert cancel(contact_import.pk, NOW) is False
    assert find_unclaimed() == []


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_people_end_with_each_of_them_once(tmp_path: Path) -> None:
    news = ContactList.objects.create(name="News")
    content = people(4_000)
    backwards = "email,first_name\n" + "".join(reversed(content.splitlines(keepends=True)[1:]))
    imports = [started(each, [news], policy="overwrite") for each in (content, backwards)]
    failures: list[BaseException] = []

    def work(import_id: int) -> None:
        try:
            import_people(import_id, NOW)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work, args=[each.pk]) for each in imports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert Contact.objects.count() == Subscription.objects.count() == ConsentEvent.objects.count() == 4_000
    assert [figures(each)[0] for each in imports] == [4_000, 4_000]


def test_people_are_locked_and_added_in_the_order_of_their_keys(
    news: ContactList, django_assert_max_num_queries: Callable[[int], object]
) -> None:
    with django_assert_max_num_queries(40):  # type: ignore[attr-defined]
        run(people(BATCH_ROWS), news)

    keys = list(Contact.objects.order_by("pk").values_list("email_key", flat=True))
    assert len(keys) == BATCH_ROWS
    if is_postgresql():
        assert keys == sorted(keys)


def test_reasons_are_counted_once_over_pauses_and_batches(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_contacts, "BATCH_CHARACTERS", 100)
    rows = "".join(f"p{n}@example.org,{'MEZ' if n % 2 else 'Mars'}\n" for n in range(40))
    contact_import = started(f"email,time zone\n{rows}nobody,\n", [news])

    while import_people(contact_import.pk, NOW, should_pause=after(1)):
        pass

    contact_import.refresh_from_db()
    assert contact_import.reasons == [
        ["time_zone", "time_zone", "Mars", 0, 20],
        ["time_zone", "time_zone", "MEZ", 0, 20],
        ["address", "email", "", 1, 0],
    ]


def test_a_trial_run_of_a_long_file_reads_its_beginning_and_knows_whom_it_met(
    ann: Contact, news: ContactList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_contacts, "BATCH_CHARACTERS", 100)
    monkeypatch.setattr(trial, "MOST_ROWS", 40)
    monkeypatch.setattr(import_contacts, "is_erased", lambda emails: {"gone@example.org"} & set(emails))
    rows = "".join(f"p{n % 10}@example.org,{n}\n" for n in range(30))
    draft = stored(f"email,city\nANN@example.org,Bonn\ngone@example.org,x\n{rows}{rows}")
    layout, _ = uploads.preview(draft)
    draft.mapping = ["email", "attributes.city"]

    tried = trial.try_out(draft, layout, {})

    assert tried.is_whole is False
    assert 40 <= tried.rows < 60
    assert (tried.added, tried.updated, tried.refused) == (10, 1, 1)
    assert tried.known == tried.rows - 11
    assert list(Contact.objects.values_list("email", "attributes")) == [("Ann@example.org", {})]


# --- whether opens and clicks are counted

SAID = (
    "email,open_tracking,Clicks counted\nann@example.org,yes,none\nbo@example.org,,agreed\nabe@example.org,perhaps,no\n"
)


def consents() -> dict[str, list[str]]:
    return {email: pair for email, *pair in Contact.objects.values_list("email", "open_tracking", "click_tracking")}


def test_consents_to_be_counted_come_in_with_their_proof(news: ContactList) -> None:
    done = run(SAID, news, consent="Ticked both boxes in the shop.")

    assert consents() == {
        "ann@example.org": ["yes", "none"],
        "bo@example.org": ["unset", "yes"],
        "abe@example.org": ["unset", "none"],
    }
    proof = ConsentEvent.objects.get(contact__email="ann@example.org", topic="opens")
    assert (proof.status, proof.method, proof.wording, proof.at) == (
        "yes",
        "import",
        "Ticked both boxes in the shop.",
        NOW,
    )
    assert proof.source.startswith("import: ")
    assert "“perhaps” says neither" in RefusedRow.objects.get().reason
    assert (done.rows_added, done.cells_left_out) == (3, 1)


def test_without_a_word_how_they_agreed_nobody_is_counted_by_name(db: None) -> None:
    run(SAID)

    assert consents()["ann@example.org"] == ["unset", "none"]  # A refusal needs no proof.


@pytest.mark.parametrize(
    ("policy", "before", "says", "after", "updated"),
    [
        ("overwrite", "none", "yes", "none", 0),
        ("fill", "none", "yes", "none", 0),
        ("fill", "unset", "yes", "yes", 1),
        ("fill", "yes", "no", "yes", 0),
        ("overwrite", "yes", "no", "none", 1),
        ("overwrite", "yes", "unset", "yes", 0),
        ("skip", "unset", "yes", "unset", 0),
        ("skip", "yes", "no", "yes", 0),
    ],
)
def test_a_file_changes_the_consents_of_known_people_within_the_policy_and_undoes_no_refusal(
    policy: str, before: str, says: str, after: str, updated: int, ann: Contact
) -> None:
    Contact.objects.filter(pk=ann.pk).update(open_tracking=before)
    content = f"email,open_tracking\n{ann.email},{says}\n"
    draft = stored(content)
    draft.mapping, draft.policy, draft.consent = ["email", "open_tracking"], policy, "By phone."
    tried = trial.try_out(draft, uploads.preview(draft)[0], {})

    done = run(content, policy=policy, consent="By phone.")

    assert consents()[ann.email] == [after, "unset"]
    assert (tried.updated, done.rows_updated) == (updated, updated)
    assert ConsentEvent.objects.count() == updated


def test_of_two_rows_about_a_person_one_refusal_is_enough(db: None) -> None:
    run("email,open_tracking\nbo@example.org,no\nbo@example.org,yes\n", consent="By phone.")

    assert consents() == {"bo@example.org": ["none", "unset"]}


def test_a_person_who_is_refused_for_having_been_erased_agrees_to_nothing(db: None) -> None:
    ErasedAddress.objects.create(digest=erasure._digests("bo@example.org")[0])

    run("email,open_tracking\nbo@example.org,yes\n", consent="By phone.")

    assert not Contact.objects.exists()
    assert not ConsentEvent.objects.exists()


def far_apart(first: str, second: str, heading: str = "Opt-in") -> str:
    """Return a file in which bo says two things, with more than a batch of other people between them."""
    between = "".join(f"p{number}@example.org,yes\n" for number in range(BATCH_ROWS))
    return f"email,{heading}\nbo@example.org,{first}\n{between}Bo@Example.org,{second}\n"


def subscribed() -> set[str]:
    return set(Subscription.objects.values_list("contact__email", flat=True))


EVERYBODY_ELSE = {f"p{number}@example.org" for number in range(BATCH_ROWS)}


@pytest.mark.parametrize(("first", "second"), [("yes", "no"), ("no", "yes"), ("yes", "left in May"), ("refused", "x")])
def test_one_row_that_refuses_keeps_a_person_off_the_list(first: str, second: str, news: ContactList) -> None:
    far = run(far_apart(first, second), news, subscribes_by=1)
    close = run(f"email,Opt-in\ncy@example.org,{first}\ncy@example.org,{second}\n", news, subscribes_by=1)

    assert subscribed() == EVERYBODY_ELSE
    assert not ConsentEvent.objects.filter(contact__email__in=["bo@example.org", "cy@example.org"]).exists()
    assert Contact.objects.count() == BATCH_ROWS + 2
    assert (far.not_subscribed, close.not_subscribed) == (2, 2)


@pytest.mark.parametrize("silent", ["", "-", "not asked"])
def test_a_row_that_says_nothing_takes_no_yes_away(silent: str, news: ContactList) -> None:
    run(far_apart(silent, "yes"), news, subscribes_by=1)

    assert subscribed() == {*EVERYBODY_ELSE, "bo@example.org"}


def test_a_row_that_cannot_be_imported_refuses_too(news: ContactList) -> None:
    done = run("email,Opt-in\nbo@example.org,yes\nbo@example.org,no,one cell too many\n", news, subscribes_by=1)

    assert done.rows_refused == 1
    assert subscribed() == set()


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_an_import_that_goes_on_after_a_break_still_knows_who_refuses_later(
    is_forgotten: bool, news: ContactList
) -> None:
    contact_import = started(far_apart("yes", "no"), [news], subscribes_by=1)
    path = uploads.refusals_path(contact_import)

    assert import_people(contact_import.pk, NOW, should_pause=after(1))
    assert path.stat().st_mode & 0o077 == 0
    assert b"bo@example.org" not in path.read_bytes()
    if is_forgotten:
        path.unlink()
    import_people(contact_import.pk, NOW)

    assert subscribed() == EVERYBODY_ELSE
    assert list(uploads.folder().iterdir()) == []


def test_a_worker_that_lost_the_import_while_it_read_for_refusals_writes_nothing(
    news: ContactList, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_contacts, "ROWS_OF_A_HEARTBEAT", 2)
    contact_import = started(far_apart("yes", "no"), [news], subscribes_by=1)
    ContactImport.objects.update(status="running")
    contact_import.refresh_from_db()
    parse = import_contacts.parser(contact_import)
    layout = uploads.preview(contact_import)[0]
    ContactImport.objects.update(run=contact_import.run + 1)

    with pytest.raises(import_contacts.ImportTakenOver):
        import_contacts._find_refusals(contact_import, layout, parse)

    assert not uploads.refusals_path(contact_import).exists()


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
@pytest.mark.parametrize("heading", ["open_tracking", "click_tracking"])
@pytest.mark.parametrize(("first", "second"), [("yes", "no"), ("no", "yes"), ("unset", "no")])
def test_one_row_that_refuses_to_be_counted_is_enough_however_far_apart(
    first: str, second: str, heading: str, policy: str, db: None
) -> None:
    run(far_apart(first, second, heading), policy=policy, consent="By phone.")

    at = ["open_tracking", "click_tracking"].index(heading)
    assert consents()["bo@example.org"][at] == "none"
    assert consents()["p7@example.org"][at] == "yes"
    assert ConsentEvent.objects.get(contact__email="bo@example.org").status == "none"
