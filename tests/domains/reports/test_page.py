"""The page of a domain's reports, and its upload."""

import gzip
import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from domains.models import DmarcCount, DomainReport, SendingDomain
from tests.mail.aggregates.samples import Record, Sample, tls_report
from words.texts import TRANSLATOR

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)>"


def client(role: str) -> Client:
    user = User.objects.create_user(f"{role}-person", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    signed_in = Client()
    signed_in.force_login(user)
    return signed_in


@pytest.fixture
def domain() -> SendingDomain:
    return SendingDomain.objects.create(name="acme.example")


def address(domain: SendingDomain) -> str:
    return reverse("admin:domains_sendingdomain_reports", args=[domain.pk])


def recent(**changes: object) -> bytes:
    now = int(timezone.now().timestamp())
    return Sample(begin=str(now - 86_400), end=str(now), **changes).xml().encode()  # type: ignore[arg-type]


def upload(signed_in: Client, domain: SendingDomain, content: bytes, name: str = "report.xml.gz"):  # type: ignore[no-untyped-def]
    return signed_in.post(address(domain), {"file": SimpleUploadedFile(name, content)}, follow=True)


def test_an_uploaded_report_is_counted_once_and_shown(domain: SendingDomain) -> None:
    ops = client("ops")

    first, page = (upload(ops, domain, gzip.compress(recent())).content.decode() for _ in range(2))

    told = "Report counted.", "This report was counted before."
    assert [[words in shown for words in told] for shown in (first, page)] == [[True, False], [False, True]]
    assert DmarcCount.objects.get().messages == 3
    assert "Signed by acme.example (s1)" in page
    assert "Receiver Inc." in page
    assert f"dmarc+{domain.report_tag}@acme.example" in page


def test_a_tls_report_is_counted(domain: SendingDomain) -> None:
    page = upload(client("ops"), domain, gzip.compress(json.dumps(tls_report()).encode()), "r.json.gz")

    assert page.status_code == 200
    assert DomainReport.objects.get().kind == "tls"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "The file is no DMARC or TLS report."),
        (gzip.compress(b"<feedback>" + b" " * 60_000_000), "times its size"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><feedback/>', "declares a document type"),
        (recent(domain="other.example", records=(Record(author="other.example"),)), "which is none of your domains"),
    ],
)
def test_what_cannot_be_counted_says_why(domain: SendingDomain, content: bytes, said: str) -> None:
    page = upload(client("ops"), domain, content)

    assert page.status_code == 400
    assert said in page.content.decode()
    assert not DomainReport.objects.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "⟦The file is no DMARC or TLS report.⟧"),
        (b"<feedback>\n<a></feedback>", "⟦The XML is broken in line 2.⟧"),
        (b'{"policies": [', "⟦The JSON is broken.⟧"),
    ],
)
def test_why_a_report_cannot_be_read_is_said_in_the_readers_language(
    domain: SendingDomain, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: f"⟦{text}⟧")

    page = upload(client("ops"), domain, content)

    assert said in page.content.decode()


def test_names_of_strangers_are_text(domain: SendingDomain) -> None:
    escaped = HOSTILE.replace("<", "&lt;").replace(">", "&gt;")

    page = upload(client("ops"), domain, recent(organisation=escaped)).content.decode()

    assert HOSTILE not in page
    assert escaped in page


def test_a_marketer_reads_and_uploads_nothing(domain: SendingDomain) -> None:
    marketer = client("marketer")

    assert marketer.get(address(domain)).status_code == 200
    assert upload(marketer, domain, recent()).status_code == 403
    assert not DomainReport.objects.exists()


def test_others_see_nothing(domain: SendingDomain) -> None:
    assert client("viewer").get(address(domain)).status_code == 403
    assert Client().get(address(domain)).status_code == 302


def test_a_period_that_is_none_is_thirty_days(domain: SendingDomain) -> None:
    assert 'aria-current="page">30 days' in client("ops").get(address(domain) + "?days=9e9").content.decode()
