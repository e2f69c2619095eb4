"""The pages of replies: what came back, why it counted so, and the raw mail, of which nothing runs."""

import json

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from contacts.models import Suppression
from contacts.privacy import erasure
from delivery.models import Message, ScoreCount
from feedback.intake.store import take
from feedback.models import RawReport, Report
from tests.feedback.reports.making import (
    NOW,
    bounce,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    return_path,
    sent_to,
)

pytestmark = pytest.mark.django_db

ANN = "ann@customer.example"


@pytest.fixture
def admin_page(client: Client, django_user_model: type[User]) -> Client:
    client.force_login(django_user_model.objects.create_superuser("root", "root@shop.example", "x"))
    return client


@pytest.fixture
def message() -> Message:
    return sent_to(ANN, make_mailing(), make_server())


def test_a_bounce_tells_what_it_says_and_what_it_did(admin_page: Client, message: Message) -> None:
    mail(bounce(message))
    process()
    report = Report.objects.get()
    listed = admin_page.get(reverse("admin:feedback_report_changelist"), {"kind__exact": "hard"}).content.decode()
    assert "Hard bounce" in listed
    assert ANN in listed
    page = admin_page.get(reverse("admin:feedback_report_change", args=[report.pk])).content.decode()
    assert "550 5.1.1" in page
    assert "The address is suppressed: it gets no more mail." in page
    assert "Winter sale" in page
    story = admin_page.get(reverse("admin:contacts_contact_change", args=[message.contact_id])).content.decode()
    assert reverse("admin:feedback_report_change", args=[report.pk]) in story


def test_a_bounce_of_somebody_who_was_erased_claims_no_suppression(admin_page: Client, message: Message) -> None:
    actor = User.objects.create_user("ada", is_superuser=True)
    assert erasure.erase(erasure.subject_at(ANN), actor, NOW).is_done
    mail(bounce(message))
    process()
    report = Report.objects.get()

    pages = [
        admin_page.get(reverse(f"admin:feedback_report_{name}", args=args)).content.decode()
        for name, args in (("changelist", []), ("change", [report.pk]))
    ]

    assert "Counted" in pages[0]
    assert "Counted. The person was erased, so nothing was done to an address." in pages[1]
    for page in pages:
        assert "is suppressed: it gets" not in page
        assert "Address suppressed" not in page


def test_what_was_not_understood_is_found_by_its_state_alone(admin_page: Client) -> None:
    mail(b"From: someone@else.example\r\nTo: bounces@shop.example\r\nSubject: Hello\r\n\r\nJust a note.\r\n")
    process()
    page = reverse("admin:feedback_report_changelist")
    Report.objects.create(source="webhook", state="noted")  # Understood, and without any meaning for a message.

    listed = admin_page.get(page, {"state__exact": "unread"})

    assert listed.context["cl"].result_count == 1
    assert [str(row.get_state_display()) for row in listed.context["cl"].result_list] == ["Not understood"]
    words = admin_page.get(page).content.decode()
    filters = admin_page.get(page).context["cl"].filter_specs
    choices = [str(choice["display"]) for spec in filters for choice in spec.choices(listed.context["cl"])]
    assert choices.count("Not understood") == 1
    assert ">Other</span>" in words
    assert admin_page.get(page, {"kind__exact": "hard"}).context["cl"].result_count == 0


def test_nothing_of_a_raw_mail_runs(admin_page: Client) -> None:
    content = (
        b"From: <script>alert(1)</script>@x.example\r\nSubject: <img src=x onerror=alert(2)>\r\n"
        b'Content-Type: multipart/alternative; boundary="B"\r\n\r\n'
        b"--B\r\nContent-Type: text/plain\r\n\r\n<script>alert(3)</script> hello\r\n"
        b"--B\r\nContent-Type: text/html\r\n\r\n<script>alert(4)</script><b>bold</b>\r\n--B--\r\n"
    )
    raw_id = take(RawReport.Source.MAILBOX, content, now=NOW).raw_id
    page = admin_page.get(reverse("admin:feedback_rawreport_change", args=[raw_id])).content.decode()
    assert "&lt;script&gt;alert(3)&lt;/script&gt; hello" in page
    assert "alert(4)" not in page
    for harmful in ("<script>alert", "<img src=x"):
        assert harmful not in page
    file = admin_page.get(reverse("admin:feedback_rawreport_download", args=[raw_id]))
    assert file.content == content
    assert file["Content-Type"] == "application/octet-stream"
    assert file["Content-Disposition"].startswith("attachment")
    assert file["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("body", [b'{"RecordType": "Bounce"}', b"\xff\x00 not JSON", b"[" * 100_000])
def test_a_raw_post_is_shown_as_text_whatever_it_holds(admin_page: Client, body: bytes) -> None:
    server = make_server()
    problem = "The signature is wrong."
    packed = json.dumps({"content-type": "application/json"}).encode() + b"\n" + body
    taken = take(RawReport.Source.WEBHOOK, packed, now=NOW, server_id=server.pk, provider="postmark", problem=problem)
    page = admin_page.get(reverse("admin:feedback_rawreport_change", args=[taken.raw_id]))
    assert page.status_code == 200
    assert problem in page.content.decode()
    listed = admin_page.get(reverse("admin:feedback_rawreport_changelist"), {"state__exact": "unproved"})
    assert listed.context["cl"].result_count == 1


def test_lifting_says_that_the_provider_may_still_suppress(admin_page: Client, message: Message) -> None:
    post(message.server, event("Bounce", message, Type="HardBounce", ID=1, Details="550 5.1.1 no such user"))
    process()
    suppression = Suppression.objects.get(email=ANN)
    page = admin_page.get(f"{reverse('admin:contacts_suppression_changelist')}{suppression.pk}/lift")
    if page.status_code == 301:
        page = admin_page.get(page["Location"])
    assert "Postmark may still suppress ann@customer.example." in page.content.decode()


def test_the_scorecard_counts_by_mailbox_provider(admin_page: Client, message: Message) -> None:
    server = message.server
    assert server is not None
    day = NOW.date()
    for provider, kind, number in (
        ("gmail.com", "accepted", 2_000),
        ("gmail.com", "complaint", 3),
        ("shop.example", "accepted", 10),
        ("shop.example", "hard", 4),
    ):
        ScoreCount.objects.create(day=day, server_id=server.pk, provider=provider, kind=kind, number=number)
    ScoreCount.objects.create(day=day, server_id=server.pk + 1, provider="gmail.com", kind="accepted", number=77)
    shown = admin_page.get(reverse("feedback:scorecard", args=[server.pk]), {"days": "90"})
    total = shown.context["total"]
    assert total.numbers == [2_010, 0, 4, 0, 0, 0, 3]
    assert total.complaint_rate == "0.14%"
    assert [row.numbers[0] for row in shown.context["rows"]] == [2_000, 10]


def test_an_auto_reply_is_noted(admin_page: Client, message: Message) -> None:
    content = (
        f"From: {ANN}\r\nTo: {return_path(message)}\r\nDelivered-To: {return_path(message)}\r\n"
        "Subject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday.\r\n"
    ).encode()
    mail(content)
    process()
    page = admin_page.get(reverse("admin:feedback_report_change", args=[Report.objects.get().pk])).content.decode()
    assert "Noted. The mailbox works." in page
