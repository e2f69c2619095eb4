"""Gmail's figures on the page of a domain's reports: what they mean, beside our own count, and why there are none."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from delivery.models import ScoreCount
from domains.models import PostmasterAccess, PostmasterDay, PostmasterDomain, SendingDomain
from domains.postmaster.answers import Problem
from domains.postmaster.figures import of_domain
from oauth.models import OAuthAccount
from tests.oauth.making import make_account

pytestmark = pytest.mark.django_db
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def domain() -> SendingDomain:
    return SendingDomain.objects.create(name="acme.example")


@pytest.fixture
def account() -> OAuthAccount:
    return make_account("postmaster user", name="Figures", state=OAuthAccount.State.OK)


def today() -> dt.date:
    return timezone.now().astimezone(dt.UTC).date()


def ago(days: int) -> dt.date:
    return today() - dt.timedelta(days=days)


def say(domain: SendingDomain, days: int = 1, **values: Any) -> None:
    PostmasterDay.objects.create(domain=domain, day=ago(days), **values)


def read(domain: SendingDomain, account: OAuthAccount, **values: Any) -> None:
    now = timezone.now()
    PostmasterAccess.objects.update_or_create(account=account, defaults={"next_at": now, "asked_at": now})
    PostmasterDomain.objects.create(domain=domain, account=account, asked_at=now, **{"read_at": now, **values})


def page(domain: SendingDomain, role: str = "marketer", days: int = 30) -> str:
    user = User.objects.create_user(f"{role}-person", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    answer = client.get(reverse("admin:domains_sendingdomain_reports", args=[domain.pk]), {"days": days})
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize(
    ("share", "state", "said"),
    [
        (0.0, "good", "marked at most 0.00% of your mail"),
        (0.00099, "good", "marked at most 0.09% of your mail"),
        (0.001, "look", "marked 0.10% of your mail as spam"),
        (0.00299, "look", "Stay below 0.1%:"),
        (0.003, "broken", "From 0.3% on, Gmail rejects or hides it"),
        (0.5, "broken", "marked 50.00% of your mail as spam"),
    ],
)
def test_the_highest_spam_rate_of_the_last_days_decides(
    domain: SendingDomain, share: float, state: str, said: str
) -> None:
    for days in range(2, 7):
        say(domain, days, spam_rate=0.0)
    say(domain, 7, spam_rate=share)
    say(domain, 1, spam_rate=None, dkim_rate=1.0)

    figures = of_domain(domain, today(), 7)

    assert figures.state == state
    assert said in str(figures.sentence)


def test_a_bad_day_is_over_after_seven_better_ones(domain: SendingDomain) -> None:
    say(domain, 8, spam_rate=0.01)
    for days in range(1, 8):
        say(domain, days, spam_rate=0.0)

    assert of_domain(domain, today(), 30).state == "good"


def test_figures_stand_beside_our_own_count(domain: SendingDomain, account: OAuthAccount) -> None:
    read(domain, account, requirements={"SPF": True, "HONOR_UNSUBSCRIBE": False, "LATER": True})
    say(
        domain,
        2,
        spam_rate=0.0042,
        **{"spf_rate": 0.991, "dkim_rate": 1.0, "dmarc_rate": 0.98, "tls_rate": 0.97},
        **{"rejected_rate": 0.021, "deferred_rate": 0.0},
        reasons={"reject__spammy_content": 0.02, "reject__low_domain_reputation": 0.001, "later": 0.5},
    )
    for from_domain, provider, kind, number in (
        ("acme.example", "Gmail", "accepted", 1200),
        ("news.acme.example", "Gmail", "accepted", 34),
        ("acme.example", "Gmail", "complaint", 2),
        ("acme.example", "Yahoo", "complaint", 40),
        ("notacme.example", "Gmail", "complaint", 7),
    ):
        ScoreCount.objects.create(day=ago(2), from_domain=from_domain, provider=provider, kind=kind, number=number)

    shown_page = page(domain)

    assert "Complaints that reached Brilliance: 2 of 1,234 messages to Gmail (0.16%)." in shown_page
    assert "Gmail users marked 0.42% of your mail as spam" in shown_page
    cells = ["0.42%", "99.10%", "100%", "98.00%", "97.00%", "2.10%", "0.00%", "1,234", "2"]
    assert "".join(f'<td class="domain-number">{cell}</td>' for cell in cells) in shown_page
    assert '<th scope="row">Content looks like spam</th><td class="domain-number">2.00%</td>' in shown_page
    assert "Gmail distrusts the domain" in shown_page
    assert "Met</span> SPF" in shown_page
    assert "Needs work</span> Unsubscribes are honoured" in shown_page
    assert "later" not in shown_page.lower()
    assert "reputation" not in shown_page.lower()


def test_only_the_chosen_period_is_in_the_table(domain: SendingDomain, account: OAuthAccount) -> None:
    say(domain, 7, spam_rate=0.0123)
    say(domain, 6, spam_rate=0.0)

    assert [line.spam for line in of_domain(domain, today(), 7).days] == ["0.00%"]
    assert len(of_domain(domain, today(), 30).days) == 2


@pytest.mark.parametrize(("role", "said"), [("ops", "Add OAuth account</a>"), ("marketer", "Ask an administrator")])
def test_without_an_account_the_page_says_what_it_is_for(domain: SendingDomain, role: str, said: str) -> None:
    shown_page = page(domain, role)

    assert "Gmail sends no complaints, so this is the only way to know." in shown_page
    assert said in shown_page


def test_the_feedback_loops_of_others_have_their_days(domain: SendingDomain) -> None:
    SendingDomain.objects.update(yahoo_loop_on=dt.date(2025, 3, 9))

    shown_page = page(domain)

    assert "Yahoo feedback loop: registered on 9 Mar 2025" in shown_page
    assert "Microsoft JMRP: not joined" in shown_page


def test_a_refused_permission_is_said_in_words(domain: SendingDomain, account: OAuthAccount) -> None:
    read(domain, account, problem=Problem.DENIED.value, replied=f"The caller does not have permission {HOSTILE}")
    say(domain, 3, spam_rate=0.0)

    shown_page = page(domain)

    assert "The Google user of Figures may not read this domain." in shown_page
    assert "have its owner add the user there." in shown_page
    assert 'Google replied:</p><pre translate="no">The caller does not have permission &lt;img' in shown_page
    assert HOSTILE not in shown_page
    assert "Gmail users marked at most 0.00%" in shown_page


@pytest.mark.parametrize(
    ("of_access", "of_account", "said"),
    [
        ({"problem": "api off"}, {}, "Enable the Gmail Postmaster Tools API in the Google Cloud project of Figures."),
        ({"problem": "scope"}, {}, "Figures has no permission for Postmaster Tools."),
        ({"problem": "busy"}, {}, "It is asked again."),
        ({}, {"state": "refused"}, "Figures can't sign in. Its page says why."),
        ({}, {"state": "new"}, "Figures can't sign in. Its page says why."),
        ({}, {}, "The Google user of Figures doesn't see this domain. Add and verify it in Postmaster Tools."),
        ({"asked_at": None}, {}, "Google is asked within a few minutes."),
    ],
)
def test_what_is_wrong_with_the_account_is_said(
    domain: SendingDomain, account: OAuthAccount, of_access: dict[str, Any], of_account: dict[str, Any], said: str
) -> None:
    now = timezone.now()
    PostmasterAccess.objects.create(account=account, next_at=now, **{"asked_at": now, **of_access})
    OAuthAccount.objects.update(**of_account)

    assert said.replace("'", "&#x27;") in page(domain)
