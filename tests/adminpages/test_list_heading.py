"""The heading of a list: it counts results only where somebody searched or filtered."""

import lxml.html
from django.contrib import admin
from django.urls import reverse

from adminpages.pages import ModelAdmin
from domains.models import SendingDomain
from feedback.models import RawReport
from tests.adminpages.conftest import SignIn

LIST = "/admin/domains/sendingdomain/"


def test_a_list_counts_results_once_it_is_narrowed_down(signed_in: SignIn) -> None:
    client = signed_in("admin")
    for name in ("shop.example", "news.example"):
        SendingDomain.objects.create(name=name)

    whole, searched = (client.get(LIST + query).content.decode() for query in ("", "?q=shop"))

    assert "Show all" not in whole
    assert "1 result" in searched
    assert "Show all" in searched


def test_every_list_is_named_after_its_rows(signed_in: SignIn) -> None:
    client = signed_in("admin")

    headings = {}
    for model, page in admin.site._registry.items():
        answer = client.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
        if answer.status_code == 200:
            assert isinstance(page, ModelAdmin)
            [heading] = lxml.html.fromstring(answer.content).xpath("//h1")
            headings[model] = " ".join(heading.text_content().split())

    assert headings[RawReport] == "Raw reports"
    assert len(headings) > 15
    assert [heading for heading in headings.values() if heading.startswith("Select")] == []


def test_a_pop_up_still_asks_to_select(signed_in: SignIn) -> None:
    page = signed_in("admin").get(LIST, {"_popup": "1"})

    assert page.context["title"] == "Select domain"
