"""The page of a server's webhook: who sees the address, what is stored, and what a probe shows."""

import base64
import datetime as dt
import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from adminpages.fresh_sign_in import PROVED_AT
from delivery.models import Mailing, Message, Trial
from feedback.admin.reports import shown
from feedback.hooks import addresses, probes
from feedback.hooks import keys as hook_keys
from feedback.intake.store import content_of, take
from feedback.models import Hook, RawReport, Report
from feedback.webhooks.adapters import ADAPTERS
from smtpservers.models import SmtpServer
from smtpservers.presets import PRESETS

pytestmark = pytest.mark.django_db

CANARY = "CANARYq7Zt0aaaaaaaa"


def make_server(preset: str = "mailgun") -> SmtpServer:
    return SmtpServer.objects.create(
        name="One", host="relay.example.com", mail_from="a@example.com", mail_to="ops@example.com", preset=preset
    )


def signed_in(*codenames: str, is_fresh: bool = True) -> Client:
    user = User.objects.create_user("pat", is_staff=True)
    for codename in codenames or ("view_smtpserver", "change_smtpserver", "send_test"):
        user.user_permissions.add(Permission.objects.get(content_type__app_label="smtpservers", codename=codename))
    client = Client()
    client.force_login(user)
    session = client.session
    session[PROVED_AT] = timezone.now().timestamp() if is_fresh else 0
    session.save()
    return client


def page_of(server: SmtpServer, more: str = "") -> str:
    return f"/servers/{server.pk}/webhook/{more}"


def test_an_address_is_made_shown_and_replaced_and_each_is_logged() -> None:
    server, client = make_server(), signed_in()
    assert "Create address" in client.get(page_of(server)).content.decode()

    page = client.post(page_of(server, "address/"), follow=True).content.decode()

    shown = re.search(r"http://localhost:8000/hooks/mailgun/[\w-]{32}", page)
    assert shown
    assert shown[0] == addresses.url_of(Hook.objects.get())
    page = client.post(page_of(server, "address/"), follow=True).content.decode()
    assert shown[0] not in page
    assert "The old address works until" in page
    said = list(LogEntry.objects.values_list("change_message", flat=True))
    assert len(said) == 2
    assert shown[0].rpartition("/")[2] not in "".join(said)


def test_the_address_is_shown_after_a_fresh_sign_in_alone_and_to_nobody_who_may_not_change_the_server() -> None:
    server = make_server()
    secret = addresses.url_of(addresses.renew(server, timezone.now())).rpartition("/")[2]
    stale = signed_in(is_fresh=False)

    for answer in (stale.get(page_of(server)), stale.post(page_of(server), {"signing_key": CANARY})):
        assert answer.status_code == 302
        assert "/accounts/confirm/" in answer["Location"]
    assert stale.post(page_of(server, "address/")).status_code == 200  # It asks on the way.
    assert addresses.find("mailgun", secret, timezone.now())
    assert not Hook.objects.get().keys
    User.objects.all().delete()
    viewer = signed_in("view_smtpserver")
    assert [viewer.get(page_of(server)).status_code, viewer.post(page_of(server, "address/")).status_code] == [403, 403]
    assert secret not in viewer.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()


def test_a_key_is_stored_encrypted_kept_when_left_empty_and_shown_never_again() -> None:
    server, client = make_server(), signed_in()
    addresses.renew(server, timezone.now())

    saved = client.post(page_of(server), {"signing_key": CANARY}, follow=True)
    again = client.post(page_of(server), {"signing_key": ""}, follow=True)

    hook = Hook.objects.get()
    assert hook_keys.keys_of(hook) == {"signing_key": CANARY}
    assert CANARY not in hook.keys.ciphertext
    assert CANARY not in (saved.content + again.content).decode()
    assert "Leave empty to keep the current value." in again.content.decode()
    assert LogEntry.objects.get().change_message == "Webhook: changed Webhook signing key."


@pytest.mark.parametrize(
    ("preset", "typed", "error"),
    [
        ("ses", {"topics": "not an arn"}, "Enter one ARN a line"),
        ("ses", {"topics": "arn:aws:sns:eu-central-1:1:a\narn:aws:sns:eu-west-1:1:b"}, ""),
        ("scaleway", {"topics": "arn:scw:sns:fr-par:project-1:topic"}, ""),
        ("sendgrid", {"public_key": "nonsense"}, "The verification key can&#x27;t be read."),
        ("resend", {"signing_key": "whsec_%%%"}, "This is no signing secret of Resend."),
        ("resend", {"signing_key": "whsec_aGVsbG8="}, ""),
        ("postal", {"host": "https://Postal.Example.com/"}, ""),
        ("postal", {"host": "no host"}, "no host"),
        ("postmark", {"username": "u", "password": "p"}, ""),
        ("", {"signing_key": "k"}, ""),
    ],
)
def test_a_key_that_cannot_be_one_is_refused(preset: str, typed: dict[str, str], error: str) -> None:
    server, client = make_server(preset), signed_in()
    addresses.renew(server, timezone.now())

    response = client.post(page_of(server), typed)

    assert (response.status_code, error in response.content.decode()) == (200 if error else 302, True)
    assert bool(Hook.objects.get().keys) == (not error)


@pytest.mark.parametrize("preset", ["", *sorted(set(ADAPTERS) & set(PRESETS))])
def test_each_provider_has_a_page_that_says_what_to_do(preset: str) -> None:
    server, client = make_server(preset), signed_in()
    addresses.renew(server, timezone.now())

    page = client.get(page_of(server)).content.decode()

    assert "Events to tick" in page
    assert page.count("<li>") >= 2
    assert not set(ADAPTERS) - set(PRESETS) - {"signed"}


def test_the_servers_page_says_when_the_last_event_came_in() -> None:
    server, client = make_server(), signed_in()

    def said() -> str:
        return client.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()

    assert "Mailgun can tell about bounces and complaints by webhook." in said()
    addresses.renew(server, timezone.now())
    assert "webhook is set up. No event yet." in said()
    Hook.objects.update(last_event_at=dt.datetime(2026, 11, 9, 14, 5, tzinfo=dt.UTC))
    assert "Last event: 9 Nov" in said()


def test_the_last_problem_is_shown_until_a_proved_post_comes_in() -> None:
    server, client = make_server(), signed_in()
    addresses.renew(server, timezone.now())
    now = timezone.now()
    Hook.objects.update(last_problem="The signature is wrong.", last_problem_at=now)

    assert "The signature is wrong." in client.get(page_of(server)).content.decode()
    Hook.objects.update(last_event_at=now + dt.timedelta(seconds=1))
    assert "The signature is wrong." not in client.get(page_of(server)).content.decode()


def test_posts_that_were_not_proved_are_counted_and_found() -> None:
    server, client = make_server(), signed_in()
    addresses.renew(server, timezone.now())
    assert "Posts not proved" not in client.get(page_of(server)).content.decode()
    source = RawReport.Source.WEBHOOK
    take(
        source, b"{}\n1", now=timezone.now(), server_id=server.pk, provider="mailgun", problem="The signature is wrong."
    )
    Hook.objects.update(last_event_at=timezone.now())

    page = client.get(page_of(server)).content.decode()

    assert "Posts not proved" in page
    assert "View raw reports" not in page  # This user may not see them.
    client.force_login(User.objects.create_superuser("root", "root@shop.example", "x"))
    listed = client.get(f"/admin/feedback/rawreport/?state__exact=unproved&server__id__exact={server.pk}")
    assert listed.context["cl"].result_count == 1


def test_a_probe_is_a_test_message_and_its_page_shows_what_came_back() -> None:
    server, client = make_server("ses"), signed_in()
    addresses.renew(server, timezone.now())
    assert "bounce@simulator.amazonses.com" in client.get(page_of(server)).content.decode()

    asked = client.post(page_of(server, "probe/"), {"recipient": "bounce@simulator.amazonses.com"})

    trial = Trial.objects.get()
    assert asked["Location"] == page_of(server, f"probe/{trial.pk}/")
    assert trial.recipient == "bounce@simulator.amazonses.com"
    assert "data-under-way" in client.get(asked["Location"] + "?part").content.decode()
    message = _sent(trial)
    assert "Waiting for the provider." in client.get(asked["Location"]).content.decode()
    Report.objects.create(
        source=RawReport.Source.WEBHOOK, server=server, state="noted", kind="hard", message=message,
        text="550 5.1.1 user unknown <b>",
    )  # fmt: skip
    page = client.get(asked["Location"] + "?part").content.decode()
    assert "data-under-way" not in page
    assert "Hard bounce" in page
    assert "550 5.1.1 user unknown &lt;b&gt;" in page


def _sent(trial: Trial) -> Message:
    mailing = Mailing.objects.create(stream="test", name="Test", subject="Test")
    message = Message.objects.create(
        mailing=mailing, email=trial.recipient, email_key=trial.recipient, status="accepted", server=trial.server
    )
    Trial.objects.filter(pk=trial.pk).update(message=message, ended_at=timezone.now())
    return message


def test_a_probe_waits_a_quarter_of_an_hour_and_not_for_what_was_never_sent() -> None:
    server = make_server()
    now = timezone.now()
    trial = Trial.objects.create(server=server, recipient="a@example.com", created_at=now)

    assert probes.is_waiting(trial, [], now + probes.WAITS_FOR - dt.timedelta(seconds=1))
    assert not probes.is_waiting(trial, [], now + probes.WAITS_FOR)
    trial.refusal = "No quota is left."
    assert not probes.is_waiting(trial, [], now)
    client = signed_in()
    Trial.objects.update(refusal="No quota is left.")
    assert "No quota is left." in client.get(page_of(server, f"probe/{trial.pk}/")).content.decode()
    assert client.post(page_of(server, "probe/"), {"recipient": "nobody"}).status_code == 302
    assert Trial.objects.count() == 1


def test_saving_the_right_key_reads_what_waited_and_shows_no_would_be_proof() -> None:
    server, client = make_server("postmark"), signed_in()
    hook = addresses.renew(server, timezone.now())
    path = addresses.url_of(hook).removeprefix("http://localhost:8000")
    login = {"authorization": f"Basic {base64.b64encode(f'me:{CANARY}'.encode()).decode()}"}
    Client().post(path, b'{"RecordType": "Delivery"}', "application/json", headers=login)
    raw = RawReport.objects.get(state="unproved")
    assert [name for name, _ in shown(raw, content_of(raw)).headers] == []

    response = client.post(page_of(server), {"username": "me", "password": CANARY}, follow=True)

    assert "Webhook saved. 1 post that came before is proved now and read." in response.content.decode()
    assert RawReport.objects.get().state == "waiting"


def test_two_people_who_make_the_first_address_at_once_both_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    server = make_server()

    def looked_too_early(self: "QuerySet[Hook]", **conditions: object) -> Hook:
        monkeypatch.undo()
        addresses.renew(server, timezone.now())  # The other one is faster.
        raise Hook.DoesNotExist

    monkeypatch.setattr(QuerySet, "get", looked_too_early)
    hook = addresses.renew(server, timezone.now())

    assert Hook.objects.get().digest == hook.digest
    assert hook.previous_digest
