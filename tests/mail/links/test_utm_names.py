"""UTM names stand once: forms, pages, mailings and links take them from ``mail.links.utm``."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib import admin

from brilliance.demo import seed
from campaigns.forms.campaign import CampaignForm
from campaigns.models import Campaign
from docs.write_fields import ACCEPTS, page
from mail.links import merge_tags, utm
from smtpservers.admin.servers import READ_ONLY_FIELDSETS
from smtpservers.forms import validators
from smtpservers.forms.server import CHECKS, SWITCHES
from smtpservers.forms.tabs import server_form_helper
from smtpservers.models import SmtpServer

ROOT = Path(__file__).parents[3]
# What a new parameter needs: its place among the others, two columns and a sentence. The demo only has values.
SPELLED_IN = {sys.modules[each.__module__].__file__ for each in (SmtpServer, Campaign, page, utm.label_of)}
SPELLED_FOR_THEIR_OWN_SAKE = {
    *(
        str(ROOT / "bench" / name) for name in ("ours.py", "standard_message.py", "visits.py")
    ),  # Values of measurements.
    seed.__file__,  # Values of a demo.
    validators.__file__,  # Hints about source and medium alone.
}


@pytest.mark.parametrize("name", utm.NAMES)
def test_a_parameter_is_spelled_in_few_modules(name: str) -> None:
    spelled = re.compile(rf"\b(always_)?{name}\b")
    found = {str(path) for path in _sources() if spelled.search(path.read_text())}

    assert found - SPELLED_FOR_THEIR_OWN_SAKE == SPELLED_IN


@pytest.mark.parametrize("name", utm.NAMES)
def test_servers_and_campaigns_have_a_field_of_each_name(name: str) -> None:
    labels = {model._meta.get_field(name).verbose_name for model in (SmtpServer, Campaign)}

    assert labels == {utm.label_of(name)}
    assert name in CHECKS
    assert name in ACCEPTS
    assert name in CampaignForm.base_fields
    assert name in _names_of_campaigns_page()


def test_a_parameter_per_link_has_a_switch_and_an_attribute() -> None:
    switches = {utm.switch_of(name): name for name in utm.PER_LINK}

    assert switches.items() >= {"always_utm_term": "utm_term", "always_utm_content": "utm_content"}.items()
    assert switches.items() <= SWITCHES.items()
    assert utm.OWN_VALUES.items() >= {"data-utm-term": "utm_term", "data-utm-content": "utm_content"}.items()
    for switch in switches:
        assert SmtpServer._meta.get_field(switch).get_internal_type() == "BooleanField"


def test_the_servers_pages_show_every_parameter_and_switch() -> None:
    expected = {*utm.NAMES, *map(utm.switch_of, utm.PER_LINK)}
    helper = server_form_helper(())
    laid_out = {pointer.name for pointer in helper.layout.get_field_names()}
    [(_, tab)] = [each for each in READ_ONLY_FIELDSETS if each[0] == "UTM"]

    assert expected <= laid_out
    assert expected <= {name for row in tab["fields"] for name in row}


def test_a_links_own_values_reach_the_filter_in_the_order_of_the_names() -> None:
    attributes = " ".join(f'{attribute}="my-{name}"' for attribute, name in reversed(utm.OWN_VALUES.items()))
    arguments = ", ".join(f"'my-{name}'" for name in utm.PER_LINK)
    filters = merge_tags.filters({"utm_source": "s", "utm_content": "servers"}, "fill", ())

    marked = merge_tags.mark_html(f'<a href="{{{{ url }}}}" {attributes}>x</a>')

    assert f"{{{{ url | with_utm: {arguments} }}}}" in marked
    assert filters[merge_tags.FILTER]("https://a.example/", "t", "c") == (
        "https://a.example/?utm_source=s&utm_term=t&utm_content=c"
    )
    assert filters[merge_tags.FILTER]("https://a.example/", "", "").endswith("?utm_source=s&utm_content=servers")


def _names_of_campaigns_page() -> set[str]:
    fieldsets = admin.site.get_model_admin(Campaign).fieldsets or []
    return {str(name) for _, options in fieldsets for name in options["fields"]}


def _sources() -> Iterator[Path]:
    for folder in ROOT.iterdir():
        if folder.name in ("static", "templates") or (folder.name != "tests" and (folder / "__init__.py").is_file()):
            found = (path for path in folder.rglob("*.*") if path.suffix in (".py", ".html", ".js"))
            yield from (path for path in found if path.parent.name != "migrations")
    yield ROOT / "docs/write_fields.py"
