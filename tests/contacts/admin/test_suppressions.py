"""The pages of suppressions, lists and consents: what they change, what they show, and who may see them."""

import csv
import datetime as dt
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression, SuppressionLift
from tests.harness.forms import opened

SUPPRESSIONS = "/admin/contacts/suppression/"


def text_of(response: HttpResponse) -> str:
    return " ".join(response.content.decode().split())


def rows_of(response: HttpResponse) -> list[dict[str, str]]:
    content = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(content)))


def add(client: Client, **typed: str) -> HttpResponse:
    return client.post(f"{SUPPRESSIONS}add/", {"email": "ann@example.org", "reason": "manual", "source": ""} | typed)


def errors_of(response: HttpResponse) -> str:
    assert response.status_code == 200
    return str(response.context["adminform"].form.errors)  # type: ignore[attr-defined]


# --- by hand


def test_an_address_is_suppressed_by_hand_with_who_did_it(marketers_client: Client) -> None:
    assert add(marketers_client, email="Ann@example.org", source="asked by phone").status_code == 302
    again = add(marketers_client, email="ann@EXAMPLE.org")

    suppression = Suppression.objects.get()
    assert (suppression.email, suppression.source) == ("Ann@example.org", "admin: mia – asked by phone")
    assert "has been suppressed since" in errors_of(again)
    assert LogEntry.objects.get().is_addition()
    assert marketers_client.post(f"{SUPPRESSIONS}{suppression.pk}/change/", {"email": "x@y.z"}).status_code == 403
    assert marketers_client.post(f"{SUPPRESSIONS}{suppression.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Suppression.objects.exists()


def test_a_domain_is_suppressed_and_the_page_says_how_many_it_concerns(ann: Contact, marketers_client: Client) -> None:
    sent = {"email": "Example.org", "reason": "manual", "source": ""}
    page = text_of(marketers_client.post(f"{SUPPRESSIONS}add/", sent, follow=True))

    assert Suppression.objects.get().email_key == "@example.org"
    assert "@example.org is suppressed. 1 contact has an address there." in page


def test_an_end_must_be_to_come_and_what_is_over_can_be_suppressed_again(marketers_client: Client) -> None:
    past = add(marketers_client, expires_at_0="2020-01-01", expires_at_1="00:00")
    assert "in the past" in errors_of(past)
    changes.suppress("ann@example.org", "manual", "asked", timezone.now(), until=timezone.now() - dt.timedelta(1))
    assert ">Expired<" in text_of(marketers_client.get(SUPPRESSIONS)).replace(" ", "")

    assert add(marketers_client, expires_at_0="2099-12-31", expires_at_1="00:00").status_code == 302

    suppression = Suppression.objects.get()
    assert suppression.expires_at is not None
    assert suppression.expires_at.year >= 2099
    assert "31 Dec 2099" in text_of(marketers_client.get(SUPPRESSIONS))


def test_who_is_entered_as_unsubscribed_is_taken_off_every_list(
    ann: Contact, news: ContactList, marketers_client: Client, now: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="page", now=now)

    add(marketers_client, email=ann.email, reason="unsubscribed")

    assert Subscription.objects.get().status == "unsubscribed"
    event = changes.history(ann.pk)[0]
    assert (event.status, event.method, event.source) == ("unsubscribed", "admin", "admin: mia")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"ann", "@example.org", "old"}),
        ("?q=EXAMPLE", {"ann", "@example.org", "old"}),
        ("?q=phone", {"old"}),
        ("?kind=domain", {"@example.org"}),
        ("?kind=address", {"ann", "old"}),
        ("?state=holds", {"ann", "@example.org"}),
        ("?state=ends", {"@example.org"}),
        ("?state=over", {"old"}),
        ("?reason__exact=complaint", {"ann"}),
    ],
)
def test_suppressions_are_found_by_word_kind_state_and_reason(
    marketers_client: Client, query: str, shown: set[str]
) -> None:
    now = timezone.now()
    changes.suppress("ann@example.org", "complaint", "feedback loop", now)
    changes.suppress("@example.org", "manual", "", now, until=now + dt.timedelta(days=1))
    changes.suppress("old@example.org", "manual", "by phone", now, until=now - dt.timedelta(days=1))

    response = marketers_client.get(f"{SUPPRESSIONS}{query}")

    found = {each.email for each in response.context["cl"].result_list}
    assert {name.removesuffix("@example.org") or name for name in found} == shown


# --- lifting


def test_a_suppression_is_lifted_with_a_reason_and_never_deleted(marketers_client: Client, now: dt.datetime) -> None:
    changes.suppress("ann@example.org", "hard_bounce", "550 5.1.1 <b>No</b>", now)
    suppression = Suppression.objects.get()
    url = f"{SUPPRESSIONS}{suppression.pk}/lift/"

    answer = marketers_client.get(url)
    page, sent = text_of(answer), opened(answer.content, "lift")
    assert "550 5.1.1 &lt;b&gt;No&lt;/b&gt;" in page
    assert "Mail to dead mailboxes" in page
    assert "This field is required." in text_of(marketers_client.post(url, sent | {"why": " "}))
    assert Suppression.objects.exists()
    done = marketers_client.post(url, sent | {"why": "The mailbox works again."}, follow=True)

    assert "ann@example.org is no longer suppressed." in text_of(done)
    assert not Suppression.objects.exists()
    lift = SuppressionLift.objects.get()
    assert (lift.why, lift.lifted_by_name, lift.reason) == ("The mailbox works again.", "mia", "hard_bounce")
    assert LogEntry.objects.get().is_deletion()
    lifted = text_of(marketers_client.get("/admin/contacts/suppressionlift/"))
    assert "The mailbox works again." in lifted
    assert marketers_client.get(url).status_code == 404


def test_several_are_lifted_by_one_dialog(marketers_client: Client, now: dt.datetime) -> None:
    for number in range(3):
        changes.suppress(f"p{number}@example.org", "manual", "", now)
    kept, *chosen = Suppression.objects.order_by("pk").values_list("pk", flat=True)
    sent = {"action": "lift_chosen", "_selected_action": chosen}

    answer = marketers_client.post(SUPPRESSIONS, sent)
    page, sent = text_of(answer), opened(answer.content, "lift")
    assert "p2@example.org" in page
    assert "p0@example.org" not in page
    assert Suppression.objects.count() == 3
    missing = text_of(marketers_client.post(SUPPRESSIONS, sent | {"why": ""}))
    assert "This field is required." in missing
    marketers_client.post(SUPPRESSIONS, sent | {"why": "A mistake."})

    assert Suppression.objects.get().pk == kept
    assert set(SuppressionLift.objects.values_list("email", "why")) == {
        ("p1@example.org", "A mistake."),
        ("p2@example.org", "A mistake."),
    }


@pytest.mark.parametrize("change", ["unsubscribes", "complains", "another"])
def test_a_page_left_open_lifts_nothing_that_it_did_not_show(
    marketers_client: Client, now: dt.datetime, later: dt.datetime, change: str
) -> None:
    changes.suppress("ann@example.org", "manual", "Until the fair is over.", now, until=later)
    everything = {"action": "lift_chosen", "_selected_action": [Suppression.objects.get().pk], "select_across": "1"}
    sent = opened(marketers_client.post(SUPPRESSIONS, everything).content, "lift")
    if change == "unsubscribes":
        changes.unsubscribe_from_everything("ann@example.org", method="unsubscribe", source="link", now=later)
    elif change == "complains":
        changes.suppress("ann@example.org", "complaint", "She complained.", now)
    else:
        changes.unsubscribe_from_everything("bo@example.org", method="unsubscribe", source="link", now=later)
    before = list(Suppression.objects.values())

    answer = marketers_client.post(SUPPRESSIONS, sent | {"why": "The fair is over."})

    assert "changed while you had the page open" in text_of(answer)
    assert list(Suppression.objects.values()) == before
    marketers_client.post(SUPPRESSIONS, opened(answer.content, "lift") | {"why": "She wrote."})
    assert not Suppression.objects.exists()


def test_nothing_is_lifted_without_the_right_or_by_a_link(marketer: User, now: dt.datetime) -> None:
    changes.suppress("ann@example.org", "manual", "", now)
    url = f"{SUPPRESSIONS}{Suppression.objects.get().pk}/lift/"
    marketer.user_permissions.remove(marketer.user_permissions.get(codename="delete_suppression"))
    client = Client()
    client.force_login(marketer)

    assert client.post(url, {"why": "x"}).status_code == 403
    client.post(SUPPRESSIONS, {"action": "lift_chosen", "_selected_action": [1], "lift": "yes", "why": "x"})
    assert Suppression.objects.exists()


def test_a_lift_without_the_token_of_its_form_is_refused(marketer: User, now: dt.datetime) -> None:
    changes.suppress("ann@example.org", "manual", "", now)
    client = Client(enforce_csrf_checks=True)
    client.force_login(marketer)

    assert client.post(f"{SUPPRESSIONS}{Suppression.objects.get().pk}/lift/", {"why": "x"}).status_code == 403
    assert Suppression.objects.exists()


# --- files


def upload(client: Client, content: bytes) -> HttpResponse:
    file = SimpleUploadedFile("old.csv", content, content_type="text/csv")
    return client.post(f"{SUPPRESSIONS}import/", {"file": file, "reason": "complaint"})


def test_a_file_is_taken_in_and_refused_rows_are_shown_with_their_reasons(marketers_client: Client) -> None:
    page = text_of(upload(marketers_client, b"email,reason\nann@example.org,\n<script>,\n@rival.example,manual\n"))

    assert set(Suppression.objects.values_list("email", "reason")) == {
        ("ann@example.org", "complaint"),
        ("@rival.example", "manual"),
    }
    assert "&lt;script&gt; has no @ sign" in page
    assert "<script>," not in page
    entry = LogEntry.objects.get()
    assert entry.change_message == "Imported old.csv: 2 suppressed, 1 rows refused."


def test_a_file_that_cannot_be_read_says_why(marketers_client: Client) -> None:
    page = text_of(upload(marketers_client, b"name\nAnn\n"))

    assert "one of them must be “email” or “domain”" in page
    assert not LogEntry.objects.exists()


def test_suppressions_are_handed_out_and_the_history_says_to_whom(marketers_client: Client) -> None:
    now = timezone.now()
    changes.suppress("ann@example.org", "complaint", "=cmd()", now)
    changes.suppress("@rival.example", "manual", "", now, until=now + dt.timedelta(days=1))
    changes.suppress("old@example.org", "manual", "", now, until=now - dt.timedelta(days=1))

    assert marketers_client.get(f"{SUPPRESSIONS}export/").status_code == 200
    assert not LogEntry.objects.exists()
    response = marketers_client.post(f"{SUPPRESSIONS}export/", {"which": "holding", "reason": ""})

    rows = rows_of(response)
    assert [(row["email"], row["domain"], row["reason"]) for row in rows] == [
        ("ann@example.org", "", "complaint"),
        ("", "rival.example", "added by hand"),
    ]
    assert rows[0]["source"] == "'=cmd()"
    entry = LogEntry.objects.get()
    assert (entry.user.get_username(), entry.change_message) == ("mia", "Exported 2 suppressions as CSV.")
    everything = marketers_client.post(f"{SUPPRESSIONS}export/", {"which": "all", "reason": "manual"})
    assert [row["email"] for row in rows_of(everything)] == ["", "old@example.org"]


# --- lists


def test_a_list_says_how_people_come_onto_it(marketers_client: Client) -> None:
    sent = {"name": "Club", "description": "", "is_public": "on", "opt_in": "double", "consent_text": "Yes, write."}
    sent["tracking"] = "anonymous"

    assert marketers_client.post("/admin/contacts/contactlist/add/", sent).status_code == 302

    club = ContactList.objects.get()
    assert (club.opt_in, club.is_public, club.consent_text) == ("double", True, "Yes, write.")
    page = text_of(marketers_client.get(f"/admin/contacts/contactlist/{club.pk}/change/"))
    assert "“Yes, write.”" in page
    listed = text_of(marketers_client.get("/admin/contacts/contactlist/"))
    assert "double" in listed
    assert "public" in listed


def test_a_list_counts_who_is_subscribed_not_confirmed_and_gone(
    news: ContactList, marketers_client: Client, now: dt.datetime
) -> None:
    for number, status in enumerate(["subscribed"] * 3 + ["pending"] * 2 + ["unsubscribed"]):
        person = Contact.objects.create(email=f"p{number}@example.org")
        Subscription.objects.create(contact=person, list=news, status=status)

    response = marketers_client.get("/admin/contacts/contactlist/")

    shown = response.context["cl"].result_list.get()
    assert (shown.subscribed_count, shown.not_confirmed_count, shown.unsubscribed_count) == (3, 2, 1)
    assert f"?list={news.pk}&amp;state=pending" in text_of(response)


# --- the proof of consents


def test_the_consents_to_a_list_are_handed_out_as_proof(
    ann: Contact, news: ContactList, events: ContactList, marketers_client: Client, now: dt.datetime, later: dt.datetime
) -> None:
    changes.subscribe(
        ann, news, method="form", source="=page", now=now, wording="Yes, “news”,\nplease.", network="192.0.2.7"
    )
    changes.subscribe(ann, events, method="form", source="page", now=now)
    changes.unsubscribe(ann.pk, [news.pk], method="one_click", source="mail", now=later)
    url = f"/admin/contacts/contactlist/{news.pk}/consents/"

    assert "2 steps are on record" in text_of(marketers_client.get(url))
    assert not LogEntry.objects.exists()
    given, withdrawn = rows_of(marketers_client.post(url))

    assert given == {
        "email": "Ann@example.org",
        "at": "2026-01-31T23:59:30+00:00",
        "about": "list",
        "status": "subscribed",
        "method": "form",
        "source": "'=page",
        "wording": "Yes, “news”,\nplease.",
        "network": "192.0.2.0/24",
        "list": "News",
        "status_now": "unsubscribed",
    }
    assert (withdrawn["status"], withdrawn["method"]) == ("unsubscribed", "one-click in the mail program")
    assert "mia exported 2 steps of consents as CSV." in LogEntry.objects.get().change_message


def test_consents_and_lifts_are_looked_up_and_never_changed(
    ann: Contact, news: ContactList, marketer: User, marketers_client: Client, now: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="page", now=now, wording="Yes <b>please</b>.")
    changes.suppress("ann@example.org", "manual", "", now)
    lift = changes.lift(Suppression.objects.get(), "A mistake.", marketer, now)
    assert lift is not None
    event = ConsentEvent.objects.get()

    assert "Ann@example.org" in text_of(marketers_client.get("/admin/contacts/consentevent/?q=ANN"))
    assert "Ann@example.org" not in text_of(marketers_client.get("/admin/contacts/consentevent/?q=bo"))
    page = text_of(marketers_client.get(f"/admin/contacts/consentevent/{event.pk}/change/"))
    assert "Yes &lt;b&gt;please&lt;/b&gt;." in page
    for path in (f"consentevent/{event.pk}", f"suppressionlift/{lift.pk}"):
        assert marketers_client.get(f"/admin/contacts/{path}/change/").status_code == 200
        assert marketers_client.post(f"/admin/contacts/{path}/change/", {}).status_code == 403
        assert marketers_client.post(f"/admin/contacts/{path}/delete/", {"post": "yes"}).status_code == 403
    for name in ("consentevent", "suppressionlift"):
        assert marketers_client.get(f"/admin/contacts/{name}/add/").status_code == 403


@pytest.mark.parametrize(("role", "status"), [("marketer", 200), ("ops", 403), ("viewer", 403)])
def test_the_roles_see_of_it_what_is_theirs(role: str, status: int, news: ContactList, now: dt.datetime) -> None:
    changes.suppress("ann@example.org", "manual", "", now)
    user = User.objects.create_user("somebody", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)

    pages = (
        SUPPRESSIONS,
        *(f"{SUPPRESSIONS}{each}/" for each in ("import", "export", f"{Suppression.objects.get().pk}/lift")),
        "/admin/contacts/suppressionlift/",
        "/admin/contacts/consentevent/",
        f"/admin/contacts/contactlist/{news.pk}/consents/",
    )
    assert {page: client.get(page).status_code for page in pages} == dict.fromkeys(pages, status)
