"""What the pages of accounts have in common: the narrow look, and who opens them."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import Promise


def narrow_page(request: HttpRequest, template: str, title: str | Promise, context: dict[str, Any]) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": title, **context}
    return TemplateResponse(request, f"accounts/{template}", whole, headers={"Cache-Control": "no-store"})


def signed_in_user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # ``login_required`` lets nobody else in.
    return request.user
