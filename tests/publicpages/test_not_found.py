"""An address that leads nowhere."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from publicpages.words.not_found import NOT_FOUND

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("asked", "language"), [("de-AT,de;q=0.9", "de"), ("xx,ja;q=0.5", "ja"), ("", "en"), ("xx", "en")]
)
def test_a_stranger_reads_it_in_the_language_of_their_browser(asked: str, language: str) -> None:
    answer = Client(raise_request_exception=False).get("/nothing-here", headers={"Accept-Language": asked})

    page = answer.content.decode()
    assert answer.status_code == 404
    assert f'<html lang="{language}">' in page
    assert NOT_FOUND[language].title in page
    assert NOT_FOUND[language].text in page


def test_a_user_reads_it_in_english_as_all_other_pages(client: Client) -> None:
    client.force_login(User.objects.create_user("ann", is_staff=True))

    assert "Page not found" in client.get("/nothing-here", headers={"Accept-Language": "de"}).content.decode()
