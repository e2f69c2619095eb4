"""What all admin pages share."""

import pytest
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client

pytestmark = pytest.mark.django_db


def test_all_models_are_listed_only_where_a_page_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[str | None] = []
    build = AdminSite._build_app_dict

    def note(site: AdminSite, request: HttpRequest, label: str | None = None) -> object:
        listed.append(label)
        return build(site, request, label)

    monkeypatch.setattr(AdminSite, "_build_app_dict", note)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))

    for address in ("/admin/", "/admin/contacts/contact/", "/admin/contacts/contact/add/"):
        assert client.get(address).status_code == 200
    assert listed == []
    assert "Suppressions" in client.get("/admin/contacts/").content.decode()
    assert listed == ["contacts"]
