"""``manage.py check_domain``: what it prints, its exit status, and names that are none."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.test import override_settings

from domains.models import SendingDomain
from mail.records.finding import Line
from tests.domains.zones import DOMAIN, SPF, WITHOUT_FILES
from tests.peers.name_server import Nameserver, running_nameserver

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    broken = {"xn--bcher-kva.example": {"MX": ["10 mx.acme.example."], "SOA": ["a. b. 1 2 3 4 5"]}}
    with running_nameserver({**WITHOUT_FILES, **broken}) as running:
        yield running


@pytest.fixture(autouse=True)
def _asked(nameserver: Nameserver) -> Iterator[None]:
    with override_settings(DNS_RESOLVERS=[nameserver.address]):
        yield


def run(*arguments: str) -> tuple[str, int]:
    said, status = io.StringIO(), 0
    try:
        call_command("check_domain", *arguments, stdout=said)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return said.getvalue(), status


def test_a_sound_domain_is_a_list_of_twelve_findings_and_success() -> None:
    printed, status = run(DOMAIN, "--json", "--selector", "s1")

    found = json.loads(printed)
    assert status == 0
    assert [each["line"] for each in found] == [line.value for line in Line]
    assert all(set(each) == {"line", "state", "fault", "sentence", "seen", "record"} for each in found)
    assert {each["line"]: each["state"] for each in found} | {"ptr": "", "tracking": ""} == {
        **dict.fromkeys((line.value for line in Line), "good"),
        **{"alignment": "unknown", "block_lists": "unknown", "ptr": "", "tracking": ""},
    }
    assert found[0]["seen"].startswith(SPF)
    assert not SendingDomain.objects.exists()  # Nothing is stored.


@pytest.mark.parametrize("name", ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example"])
def test_a_broken_domain_ends_with_one_and_names_the_record_to_publish(name: str) -> None:
    printed, status = run(name, "--json")

    dmarc = next(each for each in json.loads(printed) if each["line"] == "dmarc")
    assert status == 1
    assert (dmarc["state"], dmarc["fault"]) == ("broken", "dmarc-missing")
    assert dmarc["record"] == (
        '_dmarc.xn--bcher-kva.example. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@xn--bcher-kva.example"'
    )


def test_without_json_it_is_read_by_people() -> None:
    printed, status = run("bücher.example", "--no-color")

    assert status == 1
    assert printed.startswith("bücher.example (xn--bcher-kva.example)\n")
    assert "BROKEN   SPF: xn--bcher-kva.example has no SPF record." in printed
    assert '         publish: xn--bcher-kva.example. IN TXT "v=spf1 mx ~all"' in printed


@pytest.mark.parametrize("address", ["sqlite:////{folder}/empty.sqlite3", "postgres://nobody@127.0.0.1:1/none"])
def test_it_works_without_a_database(nameserver: Nameserver, tmp_path: Path, address: str) -> None:
    surroundings = {**os.environ, "DATABASE_URL": address.format(folder=tmp_path), "DNS_RESOLVERS": nameserver.address}

    ended = subprocess.run(
        [sys.executable, "manage.py", "check_domain", DOMAIN, "--json", "--selector", "s1"],
        cwd=settings.BASE_DIR,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0
    assert [each["line"] for each in json.loads(ended.stdout)] == [line.value for line in Line]
    assert ended.stderr.endswith("The database can't be read, so what your servers need isn't checked.\n")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-x..example"], "domain name"),
        (["localhost"], "no dot"),
        (["192.0.2.1"], "not a domain name"),
        (["https://acme.example/"], "acme.example"),
        (["co.uk"], "Anyone can register"),
        ([""], "empty"),
        (["a\nb.example"], ""),
        ([DOMAIN, "--selector", "a b"], "not a DKIM selector"),
    ],
)
def test_what_is_no_domain_is_refused_with_a_sentence(arguments: list[str], why: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("check_domain", *(["--", *arguments] if arguments[0].startswith("-") else arguments))

    assert why in str(refused.value)
    assert refused.value.returncode == 2
