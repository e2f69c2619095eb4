"""What an import adds, what it leaves alone, and what happens when it is interrupted."""

import datetime as dt
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.db.models.functions import Now

from contacts import consent, importing
from contacts.importing import BATCH_ROWS, find_neglected, import_people, remove_orphans
from contacts.models import Contact, ContactImport, ContactList, Subscription, Suppression

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)


def upload(content: str, contact_list: ContactList, name: str = "people.csv") -> ContactImport:
    contact_import = importing.store(SimpleUploadedFile(name, content.encode()), contact_list, None)
    contact_import.save()
    return contact_import


def run(content: str, contact_list: ContactList) -> ContactImport:
    contact_import = upload(content, contact_list)
    assert import_people(contact_import.pk, NOW) is False
    contact_import.refresh_from_db()
    return contact_import


def figures(contact_import: ContactImport) -> tuple[int, int, int, int]:
    contact_import.refresh_from_db()
    return (
        contact_import.rows_read,
        contact_import.rows_added,
        contact_import.rows_known,
        contact_import.rows_refused,
    )


def people(count: int) -> str:
    return "email,first_name\n" + "".join(f"p{number}@example.org,P{number}\n" for number in range(count))


def after(batches: int) -> Callable[[], bool]:
    """Return a question that is answered yes from the given batch on."""
    answers = iter([False] * (batches - 1) + [True])
    return lambda: next(answers)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)


def test_people_are_added_with_names_attributes_and_consent(news: ContactList) -> None:
    done = run(
        "E-mail;First name;Last name;Language;Shoe size\nZoë@Bücher.example;Zoë;Lee;de-AT;38\nbo@example.org;;;xx;\n",
        news,
    )

    assert done.status == "finished"
    assert figures(done) == (2, 2, 0, 0)
    assert done.finished_at is not None
    assert done.read_bytes == done.size_bytes
    zoe = Contact.objects.get(email_key="zoë@xn--bcher-kva.example")
    assert (zoe.email, zoe.first_name, zoe.last_name, zoe.language) == ("Zoë@Bücher.example", "Zoë", "Lee", "de")
    assert zoe.attributes == {"shoe_size": "38"}
    bo = Contact.objects.get(email="bo@example.org")
    assert (bo.first_name, bo.language, bo.attributes) == ("", "", {})
    subscription = Subscription.objects.get(contact=zoe)
    assert (subscription.list, subscription.status, subscription.source) == (news, "subscribed", "import: people.csv")
    assert subscription.changed_at == NOW


def test_the_same_file_again_adds_nothing(news: ContactList) -> None:
    run(people(3), news)
    before = list(Subscription.objects.values())

    again = run(people(3), news)

    assert figures(again) == (3, 0, 3, 0)
    assert Contact.objects.count() == 3
    assert list(Subscription.objects.values()) == before


def test_known_people_are_completed_and_not_overwritten(ann: Contact, news: ContactList) -> None:
    Contact.objects.filter(pk=ann.pk).update(last_name="", attributes={"city": "Bonn", "plan": "free", "age": 7})

    done = run("email,first_name,last_name,plan,city\nann@EXAMPLE.org,Anna,Lee,paid,\n", news)

    assert figures(done) == (1, 0, 1, 0)
    ann.refresh_from_db()
    assert (ann.email, ann.first_name, ann.last_name) == ("Ann@example.org", "Ann", "Lee")
    assert ann.attributes == {"city": "Bonn", "plan": "paid", "age": 7}


def test_somebody_twice_in_one_file_is_one_person(news: ContactList) -> None:
    done = run("email,first_name,city\nann@example.org,Ann,\nANN@example.org,Anna,Bonn\nann@example.org,,\n", news)

    assert figures(done) == (3, 1, 2, 0)
    contact = Contact.objects.get()
    assert (contact.first_name, contact.attributes) == ("Ann", {"city": "Bonn"})


def test_nobody_who_withdrew_is_brought_back(ann: Contact, news: ContactList, events: ContactList) -> None:
    consent.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=NOW)
    consent.suppress("bo@example.org", Suppression.Reason.COMPLAINT, "feedback loop", NOW)
    rows = "email\nann@example.org\nbo@example.org\n"

    run(rows, news)
    run(rows, events)

    withdrawn = Subscription.objects.get(contact=ann, list=news)
    assert (withdrawn.status, withdrawn.source) == ("unsubscribed", "link in mail")
    assert Subscription.objects.get(contact=ann, list=events).status == "subscribed"
    assert Suppression.objects.get().reason == "complaint"


def test_refused_rows_are_kept_with_line_and_reason(news: ContactList) -> None:
    done = run("email,city\nann@@example.org,Bonn\nbo@example.org,Rome\n,Paris\n", news)

    assert figures(done) == (3, 1, 0, 2)
    refused = list(done.refused_rows.values_list("line_number", "content"))
    assert refused == [(2, "ann@@example.org,Bonn"), (4, ",Paris")]
    assert "two @ signs" in done.refused_rows.all()[0].reason


def test_a_file_that_cannot_be_read_fails_in_words_and_is_deleted(news: ContactList) -> None:
    failed = run("name\nAnn\n", news)

    assert failed.status == "failed"
    assert "must name the columns" in failed.error
    assert not list(importing.folder().iterdir())


def test_a_missing_file_fails_in_words(news: ContactList) -> None:
    contact_import = upload(people(1), news)
    (importing.folder() / contact_import.stored_name).unlink()

    import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.error == "The uploaded file is no longer there; upload it again."


def test_the_stored_file_is_private_and_gone_after_the_import(news: ContactList) -> None:
    contact_import = upload(people(1), news, name="../../etc/passwd\x00.csv")
    stored = importing.folder() / contact_import.stored_name

    assert contact_import.file_name == "passwd.csv"
    assert stored.parent == Path(settings.DATA_DIR) / "imports"
    assert stored.stat().st_mode & 0o777 == 0o600
    import_people(contact_import.pk, NOW)
    assert not stored.exists()


def test_an_import_that_paused_goes_on_at_the_next_row(news: ContactList) -> None:
    rows = 2 * BATCH_ROWS + 10
    contact_import = upload(people(rows), news)

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
    contact_import = upload(people(3), news)
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
    contact_import = upload(people(rows), news)
    calls = 0

    def fall_asleep_once() -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            ContactImport.objects.update(seen_at=Now() - importing.SILENCE - dt.timedelta(seconds=1))
            assert find_neglected() == [contact_import.pk]
            assert import_people(contact_import.pk, NOW, should_pause=after(1)) is True
        return False

    import_people(contact_import.pk, NOW, should_pause=fall_asleep_once)

    assert calls == 1
    assert figures(contact_import) == (2 * BATCH_ROWS, 2 * BATCH_ROWS, 0, 0)
    import_people(contact_import.pk, NOW)
    assert figures(contact_import) == (rows, rows, 0, 0)
    assert Contact.objects.count() == rows


def test_a_batch_that_breaks_leaves_nothing_of_itself(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_import = upload(people(3), news)

    def go_away(*args: object) -> None:
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as broken:
        broken.setattr(importing, "_record_progress", go_away)
        with pytest.raises(OperationalError):
            import_people(contact_import.pk, NOW)

    assert not Contact.objects.exists()
    contact_import.refresh_from_db()
    assert contact_import.status == "running"
    ContactImport.objects.update(seen_at=Now() - importing.SILENCE - dt.timedelta(seconds=1))
    import_people(contact_import.pk, NOW)
    assert figures(contact_import) == (3, 3, 0, 0)


def test_an_error_of_the_program_ends_the_import_in_words(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> None:
    contact_import = upload(people(3), news)

    def stumble(*args: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(importing, "_save_people", stumble)
    with pytest.raises(ZeroDivisionError):
        import_people(contact_import.pk, NOW)

    contact_import.refresh_from_db()
    assert contact_import.status == "failed"
    assert "upload the file again" in contact_import.error
    assert find_neglected() == []


def test_an_import_into_a_list_that_was_deleted_fails_in_words(news: ContactList) -> None:
    contact_import = upload(people(BATCH_ROWS + 1), news)

    def delete_the_list() -> bool:
        news.delete()
        return False

    import_people(contact_import.pk, NOW, should_pause=delete_the_list)

    contact_import.refresh_from_db()
    assert contact_import.status == "failed"
    assert contact_import.error.startswith("The list was deleted")
    assert Contact.objects.count() == BATCH_ROWS


def test_waiting_imports_are_found_and_finished_ones_are_not(news: ContactList) -> None:
    waiting = upload(people(1), news)
    run(people(1), news)
    in_hand = upload(people(1), news)
    ContactImport.objects.filter(pk=in_hand.pk).update(status="running", seen_at=Now())

    assert find_neglected() == [waiting.pk]


def test_files_that_belong_to_no_import_are_removed_after_a_day(news: ContactList) -> None:
    wanted = upload(people(1), news)
    orphan = importing.folder() / "orphan.csv"
    orphan.write_text("x")
    fresh = importing.folder() / "fresh.csv"
    fresh.write_text("x")
    now = dt.datetime.now(tz=dt.UTC)
    two_days_ago = (now - dt.timedelta(days=2)).timestamp()
    for path in (orphan, importing.folder() / wanted.stored_name):
        os.utime(path, (two_days_ago, two_days_ago))

    assert remove_orphans(now) == 1

    assert sorted(path.name for path in importing.folder().iterdir()) == sorted(["fresh.csv", wanted.stored_name])
