"""The links in mail and what is behind them: each for one purpose, a web version that gives nothing away, the looks."""

import io
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from contacts.models import Contact, ContactList
from delivery.content import tokens as links
from mail import tokens
from publicpages.models import Appearance, SignUp
from publicpages.subscriptions import subscribe
from tests.publicpages.conftest import path_of

pytestmark = pytest.mark.django_db

PAGES = {
    "unsubscribe": "/u/",
    "preferences": "/p/",
    "choice of tracking": "/t/",
    "web version": "/v/",
    "confirm": "/confirm/",
}


@pytest.fixture
def ann() -> Contact:
    return Contact.objects.create(email="ann@example.com", first_name="Ann <b>")


@pytest.mark.parametrize("purpose", [*PAGES, "form opened", "feedback"])
def test_a_token_opens_the_page_of_its_own_purpose_and_no_other(
    ann: Contact, club: ContactList, sent: Any, purpose: str
) -> None:
    message = sent(ann, club)
    SignUp.objects.create(
        pk=message.pk, email=ann.email, language="en", channel="page", contact=ann, received_at="2999-01-01T00:00Z"
    )
    token = tokens.make(purpose, message.pk, settings.TOKEN_KEYS)

    opened = {
        name
        for name, path in PAGES.items()
        if Client().get(path + token).status_code == 200 and Client().get(f"{path}{token[:-1]}").status_code == 404
    }

    assert opened == {purpose} & set(PAGES)


@pytest.mark.parametrize("page", PAGES.values())
def test_forged_tokens_all_get_the_same_answer(page: str) -> None:
    forged = ["A" * 32, "x", "%01", "é", tokens.make("unsubscribe", 1, ["somebody else's key"]), "A" * 5000]

    answers = [Client().get(page + token) for token in forged]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


@pytest.mark.parametrize("page", PAGES.values())
def test_a_nul_in_place_of_a_token_is_answered_with_400(page: str) -> None:
    assert Client().get(f"{page}%00").status_code == 400


@pytest.mark.parametrize("page", ["/u/", "/p/", "/t/", "/v/"])
def test_a_link_of_nobody_says_so(page: str) -> None:
    purpose = next(name for name, path in PAGES.items() if path == page)

    answer = Client().get(page + tokens.make(purpose, links.NOBODY, settings.TOKEN_KEYS))

    assert answer.status_code == 200
    assert "This link belongs to nobody." in answer.content.decode()


# --- the web version


HTML = """<html><body><p>Hello {{ first_name }} of {{ city }}.</p><script>alert(1)</script>
<a href="{{ unsubscribe_url }}">out</a> <a href="{{ preferences_url }}">settings</a>
<a href="{{ tracking_url }}">counting</a></body></html>"""


def test_the_web_version_is_the_persons_own_in_a_sandbox_with_links_of_nobody(
    ann: Contact, club: ContactList, sent: Any
) -> None:
    ann.attributes = {"city": "Bonn"}
    ann.save()
    message = sent(ann, club, html=HTML)

    answer = Client().get(path_of(links.web_version_url(message.pk)))
    page = answer.content.decode()
    policy = answer["Content-Security-Policy"]

    assert "Hello Ann &lt;b&gt; of Bonn." in page
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Robots-Tag"] == "noindex"
    assert not answer.cookies
    assert page.count(links.unsubscribe_url(links.NOBODY)) >= 2
    assert links.unsubscribe_url(message.pk) not in page
    assert links.preferences_url(message.pk) not in page
    assert links.tracking_url(message.pk) not in page


def test_a_message_of_text_is_shown_as_text_with_its_own_values(sent: Any) -> None:
    message = sent(None, text="<b>{{ code }}", stream="single", merge={"code": "4711"})

    page = Client().get(path_of(links.web_version_url(message.pk))).content.decode()

    assert "&lt;b&gt;4711" in page


# --- headers and limits


def test_no_public_page_takes_large_bodies_other_methods_or_sets_cookies(ann: Contact, sent: Any) -> None:
    token = path_of(links.preferences_url(sent(ann).pk))
    large = {"do": "leave", "x": "x" * 10_240}

    for path in (token, "/subscribe", "/subscribe.json", "/confirm/x"):
        answer = Client().post(path, large)
        assert answer.status_code == 413
        assert "no-store" in answer["Cache-Control"]
        assert Client().put(path).status_code == 405
        assert Client().options(path).status_code == 204
    assert Client().post("/v/x").status_code == 405
    assert Client().get("/subscribe.json").status_code == 405
    assert not Client().get("/subscribe").cookies


def test_a_length_that_is_no_number_is_no_error() -> None:
    assert Client().post("/subscribe", CONTENT_LENGTH="many").status_code == 400


# --- the looks


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size, "red").save(written, kind)
    return written.getvalue()


@pytest.fixture
def admin(admin_user: User) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


def choose(admin: Client, logo: bytes | None = None, **fields: str) -> Any:
    content: dict[str, Any] = {"accent": "#0b5", "name": "The Club"} | fields
    if logo is not None:
        upload = io.BytesIO(logo)
        upload.name = "logo.svg.png"
        content["new_logo"] = upload
    return admin.post("/admin/publicpages/appearance/1/change/", content)


def test_administrators_give_the_pages_name_colour_logo_and_links(admin: Client, club: ContactList) -> None:
    fields = {
        "accent": "#0A5C36",
        "postal_address": "1 High Street\nLondon",
        "imprint_url": "https://example.com/imprint",
        "privacy_url": "https://example.com/privacy",
    }

    answers = [choose(admin, logo, **fields) for logo in (picture(), picture("WEBP"))]
    page = Client().get(f"/subscribe/{club.pk}").content.decode()
    names = [part.partition('"')[0] for part in page.split("/looks/")[1:]]
    logo_answer, style = (Client().get(f"/looks/{names[0]}"), Client().get(f"/looks/{names[1]}"))

    assert [answer.status_code for answer in answers] == [302, 302]
    assert Appearance.objects.count() == 1
    assert 'alt="The Club"' in page
    assert "1 High Street<br>London" in page
    assert 'href="https://example.com/privacy"' in page
    assert b"--accent:#0a5c36" in style.content
    assert logo_answer["Content-Type"] == "image/webp"
    assert logo_answer["X-Content-Type-Options"] == "nosniff"
    assert logo_answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert f'src="/looks/{names[0]}"' in admin.get("/admin/publicpages/appearance/1/change/").content.decode()
    choose(admin, without_logo="on", **fields)
    assert Client().get(f"/looks/{names[0]}").status_code == 404


@pytest.mark.parametrize(
    ("logo", "fields", "sentence"),
    [
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', {}, "Choose a PNG, JPEG or WebP"),
        (picture("GIF"), {}, "Choose a PNG, JPEG or WebP"),
        (picture()[:-30], {}, "Choose a PNG, JPEG or WebP"),
        (b"x" * 300_000, {}, "Make it smaller than 256 KB"),
        (picture(size=(2001, 1)), {}, "Make each side 2000 or less"),
        (None, {"accent": "#ffd700"}, "choose a darker colour"),
        (None, {"accent": "red;}"}, "Write the colour as"),
        (None, {"privacy_url": "javascript:alert(1)"}, "Enter the full address"),
    ],
)
def test_looks_that_would_do_harm_are_refused_with_a_reason(
    admin: Client, logo: bytes | None, fields: dict[str, str], sentence: str
) -> None:
    answer = choose(admin, logo, **({"accent": "#0a5c36"} | fields))

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Appearance.objects.exists()


def test_the_form_of_a_list_can_be_copied(admin: Client, club: ContactList) -> None:
    page = admin.get(f"/audience/lists/{club.pk}/form?language=fr").content.decode()

    assert f"action=&quot;{settings.BASE_URL}/subscribe/{club.pk}&quot;" in page
    assert "Je souhaite recevoir « Club » par e-mail." in page
    assert f"{settings.BASE_URL}/subscribe.json" in page
    assert subscribe.public_lists().count() == 1
