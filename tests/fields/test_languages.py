"""The language of what recipients see: the contact's, else the server's, else the site's; all eight of them."""

import re

import pytest
from django.test import Client, override_settings

from tests.fields.bench import Bench, Mail
from tests.fields.rows import unsubscribe_link

# The footer's link, the unsubscribe page, a copy's page and the built-in test's subject.
WORDS = {
    "en": ("Unsubscribe", "Unsubscribe", "This is a copy.", "Test message"),
    "de": ("Abmelden", "Abmelden", "Das ist eine Kopie.", "Testnachricht"),
    "fr": ("Se désabonner", "Se désabonner", "Ceci est une copie.", "Message de test"),
    "es": ("Darse de baja", "Darse de baja", "Esto es una copia.", "Mensaje de prueba"),
    "pt": ("Cancelar a subscrição", "Cancelar a subscrição", "Isto é uma cópia.", "Mensagem de teste"),
    "nl": ("Afmelden", "Afmelden", "Dit is een kopie.", "Testbericht"),
    "it": ("Annulla l'iscrizione", "Annulla l’iscrizione", "Questa è una copia.", "Messaggio di prova"),
    "ja": ("配信停止", "配信停止", "これはコピーです。", "テストメッセージ"),
}


def footer(mail: Mail) -> tuple[str, str, str]:
    """Return the footer's language, as its markup names it, and its link's words in both parts."""
    html = mail.part("html").replace("&#x27;", "'")
    found = re.search(r'<div lang="(\w+)" dir="ltr".*?">([^<]*)</a>', html, re.DOTALL)
    assert found
    in_text = re.search(rf"([^\n]*): {re.escape(unsubscribe_link(mail))}", mail.part("plain"))
    assert in_text
    return found[1], found[2], in_text[1]


def page(mail: Mail) -> tuple[str, str]:
    """Return the language and the heading of the page behind a message's link."""
    html = Client().get(unsubscribe_link(mail)).content.decode()
    found = re.search(r'<html lang="(\w+)" dir="ltr">.*<h1>(.*?)</h1>', html, re.DOTALL)
    assert found
    return found[1], found[2]


def test_each_contact_reads_their_own_language_whatever_the_servers(bench: Bench) -> None:
    bench.save(language="ja", mail_bcc="archive@shop.example")
    for language in WORDS:
        bench.people(f"{language}@customer.example", language=language)

    arrived = bench.campaign("nobody@customer.example")

    by_recipient = {mail.rcpt_to.partition("@")[0]: mail for mail in arrived}
    for language, (link, title, _, _) in WORDS.items():
        assert footer(by_recipient[language]) == (language, link, link)
        assert page(by_recipient[language]) == (language, title)
    assert footer(by_recipient["nobody"])[0] == page(by_recipient["nobody"])[0] == "ja"
    copies = [mail for mail in arrived if mail.rcpt_to == "archive@shop.example"]
    assert len(copies) == len(WORDS) + 1
    for copy in copies:
        language, _, _ = footer(copy)
        assert page(copy) == (language, WORDS[language][2])


@pytest.mark.parametrize("language", WORDS)
def test_a_contact_without_language_reads_the_servers(bench: Bench, language: str) -> None:
    link, title, _, subject = WORDS[language]
    bench.save(language=language)

    tested, mail = bench.tested(), bench.first()

    assert subject in str(tested.headers["Subject"])
    assert footer(mail) == (language, link, link)
    assert page(mail) == (language, title)


def test_without_either_the_site_decides(bench: Bench) -> None:
    with override_settings(SITE_LANGUAGE="fr"):
        bench.save()

        tested, mail = bench.tested(), bench.first()

        assert "Message de test" in str(tested.headers["Subject"])
        assert footer(mail)[0] == page(mail)[0] == "fr"


def test_a_language_without_words_falls_to_the_next_and_a_region_to_its_main_one(bench: Bench) -> None:
    with override_settings(SITE_LANGUAGE="nl-BE"):
        bench.save()
        bench.people("bob@customer.example", language="de-AT")
        by_recipient = {mail.rcpt_to: mail for mail in bench.campaign(contact={"language": "sv"})}
        bench.edit(bench.server, language="it")
        (later,) = bench.campaign("eve@customer.example", list_name="Later", contact={"language": "sv"})

        for mail, language in [
            (by_recipient["ann@customer.example"], "nl"),
            (by_recipient["bob@customer.example"], "de"),
            (later, "it"),
        ]:
            # The page follows the server that sent; Ann's was Dutch then, and is Italian now.
            assert footer(mail)[0] == language
        assert page(by_recipient["bob@customer.example"])[0] == "de"
        assert page(later)[0] == "it"
