"""The choice whether opens and clicks are counted: on the preference page, and on a page of its own."""

import datetime as dt
import email
import email.policy
import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from contacts.consent import decisions, tracking
from contacts.consent.tracking import CLICKS, OPENS
from contacts.models import ConsentEvent, Contact, ContactList
from contacts.privacy.erasure import subject_at
from delivery.content.composer import composer_for
from delivery.content.message import Outgoing
from delivery.content.tokens import preferences_url, tracking_url
from delivery.models import Message
from installation.models import SiteSettings
from publicpages import tasks
from publicpages.models import SignUp
from publicpages.subscriptions import subscribe
from publicpages.subscriptions.erasure import PART
from publicpages.views.embed import snippet
from publicpages.words.confirmation import CONFIRMATION
from publicpages.words.tracking import TRACKING
from smtpservers.models import SmtpServer
from tests.publicpages.conftest import path_of, stamp_on

pytestmark = pytest.mark.django_db

EN = TRACKING["en"]
NOW = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)


@pytest.fixture
def ann() -> Contact:
    return Contact.objects.create(email="ann@example.com", first_name="Ann")


@pytest.fixture
def message(ann: Contact, shop: ContactList, sent: Any) -> Message:
    return sent(ann, shop)


def consents(contact: Contact) -> tuple[str, str]:
    contact.refresh_from_db()
    return contact.open_tracking, contact.click_tracking


def choose(url: str, count: list[str], page: dict[str, Any] | None = None) -> str:
    """Send the switches of a page, which is opened now or was before."""
    path = path_of(url)
    fields = {"do": "count", "count": count, **(stamp_on(path) if page is None else page)}
    answer = Client(enforce_csrf_checks=True).post(path, fields, follow=True, REMOTE_ADDR="203.0.113.9")
    assert answer.redirect_chain[0][1] == 303
    assert answer.status_code == 200
    assert not answer.cookies
    return unescape(answer.content.decode())


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_opening_the_page_decides_nothing_and_ticks_nothing(message: Message, ann: Contact, url: Any) -> None:
    page = unescape(Client().get(path_of(url(message.pk))).content.decode())

    assert EN.unset in page
    assert 'name="count" value="opens"' in page
    assert 'name="count" value="opens" checked' not in page
    assert consents(ann) == ("unset", "unset")


@pytest.mark.parametrize("agreed", [{}, {"click_tracking": "yes"}])
def test_who_left_everything_is_not_told_that_a_choice_is_missing(
    message: Message, ann: Contact, agreed: dict[str, str]
) -> None:
    Contact.objects.filter(pk=ann.pk).update(**agreed)
    preferences = path_of(preferences_url(message.pk))

    pages = [Client().post(preferences, {"do": "leave"}, follow=True), Client().get(path_of(tracking_url(message.pk)))]
    chosen = message.mailing.lists.get().pk
    sent = {"do": "save", "shown": chosen, "list": chosen, **stamp_on(preferences)}
    back = Client().post(preferences, sent, follow=True)

    assert [EN.unset in unescape(page.content.decode()) for page in [*pages, back]] == [False, False, True]


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_both_choices_are_stored_with_the_words_that_were_shown(message: Message, ann: Contact, url: Any) -> None:
    page = choose(url(message.pk), ["opens"])

    assert consents(ann) == ("yes", "none")
    assert EN.unset not in page
    assert 'name="count" value="opens" checked' in page
    proof = ConsentEvent.objects.get(contact=ann, topic=OPENS)
    assert (proof.status, proof.method, proof.network) == ("yes", "preferences", "203.0.113.0/24")
    assert proof.wording.startswith(f"{EN.opens}: ")
    assert proof.wording.endswith(EN.change)
    assert proof.wording.removeprefix(f"{EN.opens}: ").removesuffix(f" {EN.change}") in page


def test_where_nothing_is_counted_the_preference_page_asks_only_who_decided_before(
    message: Message, ann: Contact
) -> None:
    SiteSettings.objects.get().delete()

    before = Client().get(path_of(preferences_url(message.pk))).content.decode()
    choose(tracking_url(message.pk), ["opens"])  # The page of the link in a mail always asks.
    after = Client().get(path_of(preferences_url(message.pk))).content.decode()

    assert ['name="count"' in page for page in (before, after)] == [False, True]


def test_a_withdrawal_is_stored_at_once_and_proven(message: Message, ann: Contact) -> None:
    choose(tracking_url(message.pk), ["opens", "clicks"])

    choose(tracking_url(message.pk), [])

    assert consents(ann) == ("none", "none")
    assert [event.status for event in ConsentEvent.objects.filter(contact=ann, topic=CLICKS)] == ["none", "yes"]


def test_a_page_left_open_does_not_agree_again_to_what_was_withdrawn_meanwhile(message: Message, ann: Contact) -> None:
    choose(tracking_url(message.pk), ["opens", "clicks"])
    page = stamp_on(path_of(tracking_url(message.pk)))
    choose(preferences_url(message.pk), ["opens"])

    choose(tracking_url(message.pk), ["clicks"], page)

    assert consents(ann) == ("none", "none")


def test_saving_the_rest_of_the_settings_decides_nothing_about_opens(message: Message, ann: Contact) -> None:
    Client().post(path_of(preferences_url(message.pk)), {"do": "save", "first_name": "Anna"})

    assert consents(ann) == ("unset", "unset")
    assert not ConsentEvent.objects.filter(contact=ann, topic__in=[OPENS, CLICKS]).exists()


@pytest.mark.parametrize("fields", [{}, {"do": "leave"}, {"do": "save"}, {"do": ["count", "pause"]}])
def test_the_page_of_this_choice_does_nothing_else(message: Message, ann: Contact, fields: Any) -> None:
    path = path_of(tracking_url(message.pk))
    answer = Client().post(path, {"count": ["opens"], **stamp_on(path), **fields})

    assert answer.status_code == 400
    assert consents(ann) == ("unset", "unset")
    assert ann.paused_until is None


@pytest.mark.parametrize("sent_names", [["list"], ["opens; DROP"], ["OPENS"], ["\0"], ["x" * 5_000]])
def test_unknown_switches_agree_to_nothing(message: Message, ann: Contact, sent_names: list[str]) -> None:
    choose(tracking_url(message.pk), sent_names)

    assert consents(ann) == ("none", "none")


@pytest.mark.parametrize("change", ["gone", "new address", "copy", "test"])
def test_the_link_works_for_nobody_but_the_person(message: Message, ann: Contact, sent: Any, change: str) -> None:
    if change == "gone":
        Message.objects.filter(pk=message.pk).update(contact=None)
    elif change == "new address":
        Contact.objects.filter(pk=ann.pk).update(email="new@example.com", email_key="new@example.com")
    elif change == "copy":
        original = message.pk
        message = sent(None)
        Message.objects.filter(pk=message.pk).update(copy_of=original)
    else:
        type(message.mailing).objects.filter(pk=message.mailing_id).update(stream="test")

    stamp = {"decision": decisions.stamp_of(ann.pk)}
    for url in (tracking_url, preferences_url):
        Client().post(path_of(url(message.pk)), {"do": "count", "count": ["opens", "clicks"], **stamp})

    assert consents(ann) == ("unset", "unset")


def test_an_address_shown_to_strangers_stays_masked(message: Message) -> None:
    assert "ann@example.com" not in Client().get(path_of(tracking_url(message.pk))).content.decode()


def test_the_choice_is_shown_in_the_persons_language(message: Message, ann: Contact) -> None:
    Contact.objects.filter(pk=ann.pk).update(language="de")

    page = choose(tracking_url(message.pk), ["clicks"])

    assert TRACKING["de"].clicks in page
    proof = ConsentEvent.objects.get(contact=ann, topic=CLICKS)
    assert proof.wording.startswith(TRACKING["de"].clicks)


# --- signing up


@pytest.fixture
def by_name(saved_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation allows to count people by name."""
    SiteSettings.objects.create(pk=1, tracking="personal")
    monkeypatch.setattr(tasks, "ring", lambda: None)


@pytest.fixture
def club(by_name: None, club: ContactList) -> ContactList:
    club.tracking = "personal"
    club.save()
    return club


@pytest.fixture
def shop(by_name: None, shop: ContactList) -> ContactList:
    shop.tracking = "personal"
    shop.save()
    return shop


def sign_up(
    contact_list: ContactList, count: list[str], address: str = "eve@example.com", language: str = "en"
) -> SignUp:
    """Enter something on the embedded form, and have the worker take it."""
    fields = {"form": "embedded", "shown_in": language, "email": address, "list": contact_list.pk, "count": count}
    answer = Client(enforce_csrf_checks=True).post("/subscribe", fields, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 200
    subscribe.process_waiting("The Club", timezone.now())
    return SignUp.objects.latest("pk")


def confirm(entry: SignUp, but: str = "") -> tuple[str, str]:
    """Press the button, with what is ticked on the page and not ``but``; return the page and the answer."""
    path = path_of(subscribe.confirm_url(entry.pk))
    shown = unescape(Client().get(path).content.decode())
    ticked = re.findall(r'name="count" value="(\w+)" checked', shown)
    fields = {"count": [name for name in ticked if name != but]}
    done = Client(enforce_csrf_checks=True).post(path, fields, REMOTE_ADDR="198.51.100.7")
    return shown, unescape(done.content.decode())


def text_of(notice: Message) -> str:
    server = SmtpServer.objects.create(name="One", host="relay.example.com", mail_from="Shop <a@example.com>")
    mail = composer_for(notice.mailing, server).compose(replace(Outgoing.of(notice), message_id="<1@a.example>"), NOW)
    part = email.message_from_bytes(mail.content, policy=email.policy.default).get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


def test_the_form_offers_two_switches_that_nobody_has_ticked(club: ContactList) -> None:
    page = Client().get(f"/subscribe/{club.pk}").content.decode()
    html = snippet(club, "de")

    for text in (page, html):
        assert text.count('name="count"') == 2
        assert "checked" not in text
    assert TRACKING["de"].clicks in html


@pytest.mark.parametrize("language", TRACKING)
def test_a_form_says_that_an_unticked_switch_refuses_nothing(club: ContactList, language: str) -> None:
    words = TRACKING[language]
    entry = sign_up(club, ["clicks"], language=language)

    page = Client().get(f"/subscribe/{club.pk}", headers={"accept-language": language}).content.decode()
    confirmation = Client().get(path_of(subscribe.confirm_url(entry.pk))).content.decode()

    for text in (page, snippet(club, language), confirmation):
        assert words.left_open in unescape(text)
        assert words.unticked not in unescape(text)


@pytest.mark.parametrize(
    ("installation", "of_list"),
    [
        *(("off", "personal"), ("anonymous", "personal"), ("", "personal")),
        *(("personal", "off"), ("personal", "anonymous")),
    ],
)
def test_a_form_asks_for_no_consent_that_nobody_needs(club: ContactList, installation: str, of_list: str) -> None:
    SiteSettings.objects.get().delete()
    SiteSettings.objects.create(pk=1, tracking=installation)
    ContactList.objects.filter(pk=club.pk).update(tracking=of_list)
    club.refresh_from_db()

    assert 'name="count"' not in Client().get(f"/subscribe/{club.pk}").content.decode()
    assert 'name="count"' not in snippet(club, "en")
    assert EN.left_open not in Client().get(f"/subscribe/{club.pk}").content.decode()
    assert EN.left_open not in snippet(club, "en")
    assert sign_up(club, ["opens"]).tracking == {}


def test_a_double_opt_in_confirms_what_was_ticked_with_its_words(club: ContactList) -> None:
    entry = sign_up(club, ["clicks"])
    person = Contact.objects.get(email="eve@example.com")
    assert consents(person) == ("unset", "unset")
    [notice] = Message.objects.filter(mailing__stream="notice")
    assert notice.merge["wishes"] == [entry.tracking["clicks"]]
    shown, done = confirm(entry)

    assert EN.also in shown
    assert EN.agreed.format(names=EN.clicks) in done
    assert entry.tracking["clicks"] in shown
    assert f"{EN.also}\n\n- {entry.tracking['clicks']}" in text_of(notice)
    assert consents(person) == ("unset", "yes")
    proof = ConsentEvent.objects.get(contact=person, topic=CLICKS)
    assert (proof.method, proof.wording, proof.network) == (
        "confirmation",
        entry.tracking["clicks"],
        "198.51.100.0/24",
    )


def test_an_entry_without_a_tick_agrees_to_nothing(club: ContactList) -> None:
    confirm(sign_up(club, []))

    assert EN.also not in text_of(Message.objects.get())
    assert consents(Contact.objects.get(email="eve@example.com")) == ("unset", "unset")


def test_a_single_opt_in_subscribes_at_once_and_asks_by_mail_what_may_be_counted(shop: ContactList) -> None:
    entry = sign_up(shop, ["opens", "clicks"])

    person = Contact.objects.get(email="eve@example.com")
    assert person.subscriptions.get().status == "subscribed"
    assert consents(person) == ("unset", "unset")
    [notice] = Message.objects.filter(mailing__stream="notice")
    words = CONFIRMATION["en"]
    assert notice.mailing.subject == words.subject_counting
    mail = text_of(notice)
    assert words.ignore_counting in mail
    assert words.ignore not in mail  # They get mail whatever they do.
    confirm(entry)
    assert consents(person) == ("yes", "yes")
    proof = ConsentEvent.objects.get(contact=person, topic=OPENS)
    assert (proof.method, proof.wording) == ("confirmation", entry.tracking["opens"])


def test_no_entry_of_a_script_agrees_for_the_person(shop: ContactList) -> None:
    body = {"email": "stranger@example.org", "lists": [shop.pk], "count": ["opens", "clicks"]}

    Client().post("/subscribe.json", json.dumps(body), content_type="application/json")
    subscribe.process_waiting("The Club", timezone.now())

    stranger = Contact.objects.get(email="stranger@example.org")
    assert consents(stranger) == ("unset", "unset")
    assert not ConsentEvent.objects.filter(contact=stranger, topic__in=[OPENS, CLICKS]).exists()


@pytest.mark.parametrize(("but", "left"), [("opens", ("unset", "yes")), ("clicks", ("yes", "unset"))])
def test_who_unticks_a_consent_gets_the_mail_all_the_same(club: ContactList, but: str, left: tuple[str, str]) -> None:
    entry = sign_up(club, ["opens", "clicks"])

    _, done = confirm(entry, but)

    person = Contact.objects.get(email="eve@example.com")
    assert person.subscriptions.get().status == "subscribed"
    assert consents(person) == left
    assert getattr(EN, but) not in done


def test_the_page_that_confirms_grants_nothing_that_was_not_ticked_on_the_form(club: ContactList) -> None:
    entry = sign_up(club, ["opens"])

    path = path_of(subscribe.confirm_url(entry.pk))
    Client().post(path, {"count": ["clicks", "opens; DROP", "\0", "lists"]})

    assert consents(Contact.objects.get(email="eve@example.com")) == ("unset", "unset")


@pytest.mark.parametrize("before", ["unset", "none"])
def test_nobody_agrees_for_a_person_whom_we_know(ann: Contact, shop: ContactList, before: str) -> None:
    Contact.objects.filter(pk=ann.pk).update(open_tracking=before)

    entry = sign_up(shop, ["opens"], address=ann.email)

    assert consents(ann) == (before, "unset")
    [notice] = Message.objects.filter(mailing__stream="notice")
    assert notice.email == ann.email
    confirm(entry)
    assert consents(ann) == ("yes", "unset")


def test_an_old_link_does_not_undo_a_refusal_that_came_after_it(ann: Contact, club: ContactList) -> None:
    entry = sign_up(club, ["opens", "clicks"], address=ann.email)
    tracking.decide(ann.pk, {OPENS: False}, method="preferences", source="preference page", now=timezone.now())

    confirm(entry)

    assert consents(ann) == ("none", "yes")


@pytest.mark.parametrize("count", ["opens", ["opens", 7, None, {}], {"opens": True}, True, [["opens"]]])
def test_a_script_agrees_only_by_a_list_of_names(club: ContactList, count: Any) -> None:
    body = {"email": "eve@example.com", "lists": [club.pk], "count": count}

    answer = Client().post("/subscribe.json", json.dumps(body), content_type="application/json")

    assert answer.status_code == 202
    assert set(SignUp.objects.get().tracking) == ({"opens"} if count == ["opens", 7, None, {}] else set())


def test_the_copy_for_a_person_holds_what_they_ticked(club: ContactList) -> None:
    entry = sign_up(club, ["opens"])

    assert PART.export(subject_at("eve@example.com"))["sign-ups"][0]["opens and clicks"] == entry.tracking
