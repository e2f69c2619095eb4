"""The address that providers post to: what is kept, what is answered, and what nobody finds out."""

import base64
import datetime as dt
import hashlib
import hmac
import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.db.models import F
from django.test import Client
from django.utils import timezone

from delivery import identity
from delivery.models import Incident
from encryption.keys import seal_bytes
from feedback.hooks import addresses, documents, receive, unproved
from feedback.hooks import keys as hook_keys
from feedback.intake.store import content_of
from feedback.models import Hook, HookToken, RawReport
from feedback.views import posts
from feedback.webhooks.adapter import Post
from feedback.webhooks.adapters import ADAPTERS, mailersend, mandrill
from feedback.webhooks.frame import unpack
from smtpservers.models import SmtpServer
from tests.feedback.webhooks.posts import CERTIFICATE_URL
from tests.feedback.webhooks.signers import NOW, PROVIDERS, certificate, jwks, keys_of, rsa_key, signed_envelope

pytestmark = pytest.mark.django_db

SAMPLES = {
    file.stem: json.loads(file.read_text())[0]["post"]
    for file in (Path(__file__).parent.parent / "webhooks" / "samples").glob("*.json")
}
CONFIRM_URL = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&Token=y"


class Provider:
    """A server with a webhook, and the provider that posts to it."""

    def __init__(self, key: str, *, has_keys: bool = True) -> None:
        self.key = key
        self.server = SmtpServer.objects.create(
            name=key, host="relay.example.com", mail_from="a@example.com", preset=key if key != "signed" else ""
        )
        self.hook = addresses.renew(self.server, timezone.now())
        if has_keys:
            hook_keys.store(self.hook, keys_of(key) if key in PROVIDERS else {})
        self.path = addresses.url_of(self.hook).removeprefix("http://localhost:8000")

    def post(self, sample: Any = None, path: str = "", at: dt.datetime | None = None) -> Any:
        return self.send(self.made(sample, at), path)

    def made(self, sample: Any = None, at: dt.datetime | None = None) -> Any:
        return PROVIDERS[self.key].sign(sample or SAMPLES[self.key], at or timezone.now())

    def send(self, post: Any, path: str = "") -> Any:
        content_type = post.headers.get("content-type", "application/json")
        headers = {name: value for name, value in post.headers.items() if name != "content-type"}
        return Client(enforce_csrf_checks=True).post(path or self.path, post.body, content_type, headers=headers)


@pytest.fixture(autouse=True)
def remembered(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[float, bytes]]:
    """Documents that the process fetched before."""
    known = {url: (float("inf"), document) for url, document in _documents().items()}
    monkeypatch.setattr(documents, "_known", known)
    return known


def _documents() -> dict[str, bytes]:
    return {
        CERTIFICATE_URL: certificate(rsa_key(), until=timezone.now() + dt.timedelta(days=300)),
        "https://postal.example.org/.well-known/jwks.json": jwks(),
        CONFIRM_URL: b"<ConfirmSubscriptionResponse/>",
    }


@pytest.mark.parametrize("key", sorted(set(PROVIDERS) - {"mandrill"}))
def test_a_genuine_post_is_kept_sealed_and_its_events_can_be_read(key: str) -> None:
    provider = Provider(key)

    response = provider.post()

    assert (response.status_code, response.content) == (200, b"")
    raw = RawReport.objects.get()
    assert (raw.source, raw.provider, raw.server, raw.state, raw.problem) == (
        "webhook", key, provider.server, "waiting", ""
    )  # fmt: skip
    assert b"ann@example.com" not in bytes(raw.sealed)
    headers, body = unpack(content_of(raw))
    assert ADAPTERS[key].events(body, headers)[0].recipient == "ann@example.com"
    assert "authorization" not in headers
    assert Hook.objects.get().last_event_at is not None


def test_mandrill_signs_the_address_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider("mandrill")
    monkeypatch.setattr("tests.feedback.webhooks.signers.URL", addresses.url_of(provider.hook))

    assert provider.post().status_code == 200

    assert RawReport.objects.get().state == "waiting"


def test_what_nothing_proves_is_kept_without_effect_and_answered_200() -> None:
    provider = Provider("sendgrid", has_keys=False)

    assert provider.post().status_code == 200

    raw, hook = RawReport.objects.get(), Hook.objects.get()
    assert raw.state == "unproved"
    assert raw.problem == hook.last_problem == "The key is missing here. Copy it from the provider's page."
    assert hook.last_event_at is None


@pytest.mark.parametrize("key", sorted(set(PROVIDERS) - {"mandrill"}))
def test_a_post_is_proved_again_once_the_right_key_is_entered(key: str) -> None:
    provider = Provider(key, has_keys=False)
    assert provider.post().status_code == 200
    forged = provider.made()
    provider.send(type(forged)(forged.body.replace(b"ann", b"bob").replace(b"token", b"nekot"), {}))
    assert [raw.state for raw in RawReport.objects.all()] == ["unproved", "unproved"]
    RawReport.objects.update(received_at=F("received_at") + dt.timedelta(seconds=20))
    later = timezone.now() + dt.timedelta(days=1)

    assert receive.prove_again(provider.hook, later) == 0
    hook_keys.store(provider.hook, keys_of(key))
    assert receive.prove_again(provider.hook, later) == 1
    assert receive.prove_again(provider.hook, later) == 0

    raw = RawReport.objects.get(state="waiting")
    headers, body = unpack(content_of(raw))
    assert ADAPTERS[key].events(body, headers)[0].recipient == "ann@example.com"
    assert set(headers) <= set(ADAPTERS[key].kept_headers)  # The would-be proof is gone.
    assert RawReport.objects.filter(state="unproved").count() == 1


def test_a_post_that_was_repeated_with_a_proof_is_not_read_twice() -> None:
    provider = Provider("sendgrid", has_keys=False)
    made = provider.made()
    provider.send(made)
    hook_keys.store(provider.hook, keys_of("sendgrid"))

    provider.send(made)
    assert receive.prove_again(provider.hook, timezone.now()) == 0

    raw = RawReport.objects.get()
    assert (raw.state, unpack(content_of(raw))[0]) == ("waiting", {})


def test_a_topic_is_confirmed_once_it_is_entered() -> None:
    provider = Provider("ses", has_keys=False)
    provider.send(_asks_to_confirm())
    assert RawReport.objects.get().state == "unproved"
    hook_keys.store(provider.hook, keys_of("ses"))

    assert receive.prove_again(provider.hook, timezone.now()) == 0

    assert not RawReport.objects.exists()


def test_a_mandrill_post_is_proved_again_by_the_present_address(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider("mandrill", has_keys=False)
    monkeypatch.setattr("tests.feedback.webhooks.signers.URL", addresses.url_of(provider.hook))
    provider.post()
    hook_keys.store(provider.hook, keys_of("mandrill"))

    assert receive.prove_again(provider.hook, timezone.now()) == 1


def test_posts_that_nothing_proves_are_few_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unproved, "MOST", 3)
    provider, other = Provider("sendgrid", has_keys=False), Provider("mailgun", has_keys=False)
    other.post()

    def post(number: int, size: int = 0) -> None:
        body = json.dumps([number, " " * size]).encode()
        assert Client().post(provider.path, body, "application/json").status_code == 200

    for number in range(5):
        post(number)
    post(5, unproved.MOST_BYTES)
    post(6, unproved.MOST_BYTES - 100)

    mine = RawReport.objects.filter(server=provider.server).order_by("pk")
    assert [json.loads(unpack(content_of(raw))[1])[0] for raw in mine] == [3, 4, 6]
    assert RawReport.objects.filter(server=other.server).count() == 1


@pytest.mark.parametrize("key", ["mailersend", "mandrill"])
def test_a_trial_that_everybody_can_sign_is_answered_and_not_kept(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(key, has_keys=False)
    if key == "mailersend":
        body = json.dumps({"type": mailersend.PING}).encode()
        headers = {"signature": hmac.new(mailersend.PING_KEY.encode(), body, hashlib.sha256).hexdigest()}
    else:
        body, signed = b"mandrill_events=%5B%5D", f"{addresses.url_of(provider.hook)}mandrill_events[]".encode()
        signature = base64.b64encode(hmac.new(mandrill.TEST_KEY.encode(), signed, hashlib.sha1).digest()).decode()
        headers = {"x-mandrill-signature": signature, "content-type": "application/x-www-form-urlencoded"}

    assert provider.send(Post(body, headers)).status_code == 200

    assert not RawReport.objects.exists()


def test_event_grid_proves_itself_by_a_secret_header_where_one_is_entered() -> None:
    provider = Provider("azure", has_keys=False)
    hook_keys.store(provider.hook, {"secret": "long-and-random"})

    def post(number: int, **headers: str) -> str:
        sample = json.dumps([{**SAMPLES["azure"], "id": number} if isinstance(SAMPLES["azure"], dict) else number])
        assert Client().post(provider.path, sample, "application/json", headers=headers).status_code == 200
        return str(RawReport.objects.order_by("-pk")[0].state)

    assert post(1) == "unproved"
    assert post(2, **{"X-Brilliance-Secret": "long-and-randon"}) == "unproved"
    assert post(3, **{"X-Brilliance-Secret": "long-and-random"}) == "waiting"
    asked = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}]
    assert Client().post(provider.path, json.dumps(asked), "application/json").json()


def test_a_token_that_two_requests_use_at_once_proves_one(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider("mailgun")
    made = provider.made()
    changed = type(made)(made.body.replace(b"ann@", b"bob@"), made.headers)
    monkeypatch.setattr(receive, "_is_unused", lambda hook_id, tokens, token: tokens.append(token) or True)

    assert [provider.send(post).status_code for post in (made, changed)] == [200, 200]

    assert sorted(RawReport.objects.values_list("state", flat=True)) == ["unproved", "waiting"]


def test_a_post_that_is_repeated_counts_once_and_a_used_token_proves_no_other_body() -> None:
    provider = Provider("mailgun")
    made = provider.made()
    changed = type(made)(made.body.replace(b"ann@", b"bob@"), made.headers)

    assert [provider.send(post).status_code for post in (made, made, changed)] == [200, 200, 200]

    assert sorted(RawReport.objects.values_list("state", flat=True)) == ["unproved", "waiting"]
    assert "used before" in RawReport.objects.get(state="unproved").problem


def test_tokens_are_forgotten_after_a_day() -> None:
    assert settings.CELERY_BEAT_SCHEDULE["forget-tokens"] == {
        "task": "feedback.tasks.forget_tokens",
        "schedule": 600.0,
    }
    provider = Provider("mailgun")
    provider.post()

    receive.forget_tokens(timezone.now() + HookToken.KEPT_FOR - dt.timedelta(minutes=1))
    assert HookToken.objects.count() == 1
    receive.forget_tokens(timezone.now() + HookToken.KEPT_FOR + dt.timedelta(minutes=1))
    assert HookToken.objects.count() == 0


def test_only_the_right_secret_of_the_right_provider_finds_anything() -> None:
    provider = Provider("mailgun")
    start, _slash, secret = provider.path.rpartition("/")
    wrong = [f"{start}/{secret[:-1]}", f"{start}/{'x' * 32}", f"/hooks/ses/{secret}", f"/hooks/none/{secret}"]

    responses = [provider.post(path=path) for path in wrong]

    assert {(response.status_code, response.content) for response in responses} == {(401, b"This address is unknown.")}
    assert not RawReport.objects.exists()


def test_the_address_before_a_new_one_works_for_a_week() -> None:
    provider = Provider("mailgun")
    now = timezone.now()
    secret = provider.path.rpartition("/")[2]

    addresses.renew(provider.server, now)

    assert provider.post().status_code == 200
    assert addresses.find("mailgun", secret, now + Hook.OLD_LASTS - dt.timedelta(seconds=1)) is not None
    assert addresses.find("mailgun", secret, now + Hook.OLD_LASTS) is None
    new = addresses.url_of(Hook.objects.get())
    assert addresses.find("mailgun", new.rpartition("/")[2], now + dt.timedelta(days=400)) is not None
    addresses.renew(provider.server, now)
    assert provider.post().status_code == 401  # Two addresses ago.


def test_keys_of_another_provider_prove_nothing_after_the_preset_changed() -> None:
    provider = Provider("brevo")
    SmtpServer.objects.update(preset="postmark")
    path = addresses.url_of(Hook.objects.get()).removeprefix("http://localhost:8000")

    assert provider.post(path=path).status_code == 200

    assert RawReport.objects.get().problem.startswith("The password is missing here.")


@pytest.mark.parametrize("method", ["head", "options"])
def test_providers_may_ask_whether_somebody_is_here(method: str, db: None) -> None:
    for path in (Provider("ses").path, "/hooks/ses/unknown"):
        response = getattr(Client(), method)(path)

        assert (response.status_code, response.content) == (200, b"")
    assert Client().get("/hooks/ses/unknown").status_code == 405


def test_event_grid_may_post_and_no_other_origin() -> None:
    path = Provider("azure").path
    asked = {"WebHook-Request-Origin": "eventgrid.azure.net"}

    allowed = Client().options(path, headers=asked)
    other = Client().options(path, headers={"WebHook-Request-Origin": "evil.example"})
    of_another = Client().options(path.replace("azure", "ses"), headers=asked)

    assert allowed["WebHook-Allowed-Origin"] == "eventgrid.azure.net"
    assert not any(response.has_header("WebHook-Allowed-Origin") for response in (other, of_another))


def test_event_grid_gets_its_code_back_and_nothing_is_kept() -> None:
    provider = Provider("azure")
    asked = [{"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}]

    response = Client().post(provider.path, json.dumps(asked), "application/json")

    assert response.json() == {"validationResponse": "512d38b6"}
    assert not RawReport.objects.exists()


def _asks_to_confirm(url: str = CONFIRM_URL) -> Any:
    message = "You have chosen to subscribe"
    body = signed_envelope(message, Type="SubscriptionConfirmation", Token="y", SubscribeURL=url)
    return type("Post", (), {"body": body, "headers": {}})


def test_a_topic_of_the_server_is_confirmed_and_its_token_is_kept_nowhere() -> None:
    provider = Provider("ses")

    assert provider.send(_asks_to_confirm()).status_code == 200

    assert not RawReport.objects.exists()


def test_a_restored_copy_that_waits_confirms_no_topic(
    monkeypatch: pytest.MonkeyPatch, remembered: dict[str, tuple[float, bytes]]
) -> None:
    provider = Provider("ses")
    monkeypatch.setattr(identity, "why_held", lambda now: "This is a copy.")
    del remembered[CONFIRM_URL]  # To fetch it would fail with another status.

    response = provider.send(_asks_to_confirm())

    assert (response.status_code, response["Retry-After"]) == (503, "60")
    assert provider.post().status_code == 200  # What comes in is kept all the same.


def test_a_certificate_that_is_not_to_be_had_is_no_reason_to_lose_a_post(
    remembered: dict[str, tuple[float, bytes]],
) -> None:
    provider = Provider("ses")
    remembered.clear()  # No test leaves this machine: the fetch fails.

    assert provider.post().status_code == 503

    assert not RawReport.objects.exists()


def test_a_database_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider("mailgun")

    def broken(*args: Any, **kwargs: Any) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(receive, "take", broken)
    assert provider.post().status_code == 503
    assert not HookToken.objects.exists()  # The provider may repeat the same post.
    monkeypatch.undo()
    assert provider.post().status_code == 200


def test_a_key_that_was_lost_is_no_reason_to_lose_a_post() -> None:
    provider = Provider("mailgun")
    Hook.objects.update(keys=type(provider.hook.keys)("gAAAAA-sealed-elsewhere"))

    assert provider.post().status_code == 503


def test_ten_mebibytes_are_taken_and_a_byte_more_is_told_to_a_person_once() -> None:
    provider = Provider("brevo")
    login = provider.made().headers

    def send(size: int) -> int:
        body = b"[" + b" " * (size - 2) + b"]"
        return Client().post(provider.path, body, "application/json", headers=login).status_code

    assert send(posts.MOST_BYTES) == 200
    assert [send(posts.MOST_BYTES + 1), send(posts.MOST_BYTES + 1)] == [413, 413]
    assert RawReport.objects.get().size_bytes == posts.MOST_BYTES + 3  # With the line of its headers.
    assert "10 MiB" in Incident.objects.get().reason
    assert Client().post("/hooks/brevo/unknown", b"x" * (posts.MOST_BYTES + 1), "text/plain").status_code == 401


def test_a_body_in_chunks_is_read_to_its_end_by_a_server_that_ends_it() -> None:
    provider = Provider("mailgun")
    body = provider.made().body
    environ = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}

    response = Client().post(provider.path, content_type="application/json", CONTENT_LENGTH="", **environ)

    assert response.status_code == 200
    assert RawReport.objects.get().state == "waiting"


@pytest.mark.parametrize("key", sorted(set(PROVIDERS) - {"mandrill"}))
def test_the_same_post_again_is_taken_and_kept_once(key: str) -> None:
    provider = Provider(key)
    made = provider.made()

    assert [provider.send(made).status_code for _ in range(2)] == [200, 200]

    assert RawReport.objects.get().state == "waiting"


def test_an_address_is_stored_encrypted_and_shows_nowhere() -> None:
    hook = Provider("mailgun").hook
    secret = hook.secret.reveal(hook.destination)

    stored = " ".join(map(str, Hook.objects.values_list().get()))

    assert len(secret) == 32
    assert secret not in stored + str(hook) + repr(hook) + repr(hook.secret)
    assert seal_bytes(b"")  # Sealed with the keys of FIELD_ENCRYPTION_KEYS.


def test_an_old_signature_is_no_proof_by_our_clock() -> None:
    assert Provider("mailgun").post(at=NOW - dt.timedelta(days=9)).status_code == 200

    assert "too old" in RawReport.objects.get().problem
