"""What the form of a server refuses, field by field: the sentence beside the field, and that nothing is stored."""

import html
from typing import Any

import pytest
from django.test import Client

from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.fields.bench import LIST_PAGE, Bench, FormRefused
from tests.smtpservers.pages.conftest import filled

LONG = "Shorten this to {} characters; it has {}."
NOT_LISTED = "Choose something from the list; this is not in it, or not any more."
BREAK = "line break or control character"
ALLOWED = "{{campaign.slug}}, {{campaign.id}}, {{server.domain}}, {{date}}"
LOGIN = {"username": "ann", "password": "secret"}
ELEVEN = ", ".join(f"c{number}@x.test" for number in range(11))


def whole(low: int, high: str) -> str:
    return f"Enter a whole number from {low} to {high}"  # What follows names the marks that are too many, if any.


# Typed, and what is then said; the first name is the field that says it.
REFUSED: list[tuple[dict[str, str | None], str]] = [
    ({"name": ""}, "Enter a name."),
    ({"name": "a\x07b"}, BREAK),
    ({"name": "x" * 101}, LONG.format(100, 101)),
    ({"preset": "nobody"}, NOT_LISTED),
    # 1
    ({"host": ""}, "Enter a server."),
    (
        {"host": "https://smtp.example.com"},
        "https://smtp.example.com starts with https://. Enter only the name, such as example.com.",
    ),
    ({"host": "smtp.example.com/in"}, "smtp.example.com/in contains a path. Enter only the name, such as example.com."),
    ({"host": "ann@example.com"}, "ann@example.com contains an @. Enter only the name, such as example.com."),
    ({"host": "smtp example"}, "smtp example contains a space. Enter only the name, such as example.com."),
    ({"host": "-x-"}, "-x- is not a host name. Enter one such as smtp.example.com."),
    ({"host": "192.0.2.999"}, "192.0.2.999 is not an IP address. Check its numbers."),
    (
        {"host": "169.254.169.254"},
        "169.254.169.254 is a link-local address, which is never a mail server. Enter another.",
    ),
    ({"host": "[fe80::1]"}, "fe80::1 is a link-local address, which is never a mail server. Enter another."),
    ({"host": "::ffff:169.254.1.1"}, "::ffff:169.254.1.1 is a link-local address, which is never a mail server. Enter"),
    ({"host": "smtp.example.com:0"}, "“0” is not a port. Enter a number from 1 to 65535, usually 587."),
    (
        {"host": "smtp.example.com:587", "port": "2525"},
        "names port 587, but Port is 2525",
    ),
    # 2, 3
    *(({"port": port}, whole(1, "65,535")) for port in ("", "0", "65536", "smtp", "5.5", "1.000")),
    *(({"timeout_seconds": seconds}, whole(5, "600")) for seconds in ("", "4", "601", "1e2")),
    # 4, 5
    ({"oauth_account": "999"}, NOT_LISTED),
    ({"username": "ann\r\nx", "password": "secret"}, BREAK),
    ({"username": "x" * 256, "password": "secret"}, LONG.format(255, 256)),
    (
        {"password": "", "username": "ann"},
        "Enter a password or API key",
    ),
    ({"password": "secret\n1"}, BREAK),
    ({"password": "x" * 1_001}, LONG.format(1000, 1001)),
    # 6
    ({"mail_from": ""}, "Enter a mail from address."),
    ({"mail_from": "nobody"}, "nobody has no @ sign. Write it as name@example.com."),
    ({"mail_from": "a@x.test, b@x.test"}, "a@x.test, b@x.test holds several addresses. Enter exactly one."),
    ({"mail_from": "A <a@x.test"}, "A <a@x.test has a bracket without its partner. Write it as Name <name@"),
    (
        {"mail_from": "a@[192.0.2.1]"},
        "a@[192.0.2.1] names a computer by number. Write a domain, as in name@example.com",
    ),
    ({"mail_from": f"{'x' * 65}@x.test"}, "has more than 64 characters before the @. Shorten it."),
    ({"mail_from": f"{'x' * 151} <a@x.test>"}, "is longer than 150 characters. Shorten it."),
    (
        {"mail_from": "me@gmail.com"},
        "Use an address on your own domain, or the SMTP server of gmail.com.",
    ),
    # 7 to 10
    ({"mail_to": "a@x.test, b@x.test"}, "a@x.test, b@x.test holds several addresses. Enter exactly one."),
    ({"mail_to_unknown": "lost"}, "lost has no @ sign. Write it as name@example.com."),
    ({"mail_cc": ELEVEN}, "There are 11 addresses, but at most 10 are allowed. Remove some."),
    ({"mail_cc": "a@x.test, nobody"}, "nobody has no @ sign. Write it as name@example.com."),
    ({"mail_bcc": ELEVEN}, "There are 11 addresses, but at most 10 are allowed. Remove some."),
    ({"mail_bcc": "a b@x.test"}, "a b@x.test contains a space. Remove it."),
    # 12
    *(
        (
            {"use_tls": None, "port": port},
            f"Port {port} needs TLS.",
        )
        for port in ("465", "2465", "8465", "443")
    ),
    ({"trusted_certificate": "hello"}, "Paste everything from -----BEGIN CERT"),
    (
        {"trusted_certificate": "-----BEGIN PRIVATE KEY-----"},
        "Paste only the certificate.",
    ),
    # 14
    ({"notes": "x" * 20_001}, LONG.format(20000, 20001)),
    # 15
    ({"domain_name": "localhost"}, "localhost has no dot. Enter the whole domain, such as mail.example.com."),
    ({"domain_name": "co.uk"}, "Anyone can register names below"),
    (
        {"domain_name": "https://x.test"},
        "https://x.test starts with https://. Enter only the name, such as example.com.",
    ),
    ({"domain_name": "192.0.2.1"}, "192.0.2.1 is not a domain name. Enter one such as example.com."),
    ({"domain_name": "x_y.test"}, "x_y.test is not a domain name. Write it as example.com."),
    # 16 to 19
    ({"api_key": "key\n1"}, BREAK),
    ({"api_key": "x" * 1_001}, LONG.format(1000, 1001)),
    ({"language": "xx"}, NOT_LISTED),
    *(({"max_per_month": most}, whole(0, "2,000,000,000")) for most in ("-1", "2000000001", "many", "1.000", "10.000")),
    *(({"month_start_day": day}, whole(1, "31")) for day in ("", "0", "32", "1.5")),
    ({"time_zone": ""}, "Enter a time zone."),
    (
        {"time_zone": "Mars/Base"},
        "“Mars/Base” isn't a time zone.",
    ),
    *(({"max_connections": number}, whole(1, "100")) for number in ("0", "101")),
    *(({"messages_per_connection": number}, whole(1, "100,000")) for number in ("0", "100001")),
    # 20, 21
    (
        {"unsubscribe_url": "http://x.test/u"},
        "needs https",
    ),
    *(
        ({"unsubscribe_url": url, "relays_unsubscribes": "on", "use_unsubscribe_link": link}, sentence)
        for link in ("on", None)
        for url, sentence in (
            ("", "Enter an email unsubscribe URL, or turn off Relay unsubscribes."),
            ("http://x.test/u", "Relaying needs an address with https://"),
            ("mailto:leave@x.test", "Relaying needs an address with https://"),
            ("https://ann:secret@x.test/", "Remove the username and password"),
        )
    ),
    ({"unsubscribe_url": "ftp://x.test/u"}, "Enter the full address"),
    ({"unsubscribe_url": "https://x.test/a b"}, "Remove the spaces"),
    (
        {"unsubscribe_url": "https://x.test/{name}"},
        "Use {token}, {email}, {campaign} or {list}.",
    ),
    ({"unsubscribe_url": "https://x.test/{token"}, "Unmatched { or }."),
    (
        {"unsubscribe_url": "https://x.test:99999/u"},
        "isn't a web address",
    ),
    ({"unsubscribe_url": "https://a..b/u"}, "a..b is not a host name. Enter one such as smtp.example.com."),
    *(
        (
            {"unsubscribe_url": f"https://{literal}/u"},
            f"{literal.strip('[]')} isn't a public address",
        )
        for literal in ("10.0.0.7", "100.64.0.1", "[fd00::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]")
    ),
    (
        {"unsubscribe_url": "https://169.254.169.254/u"},
        "169.254.169.254 is a link-local address",
    ),
    (
        {"unsubscribe_url": "https://ann:secret@x.test/"},
        "Remove the username and password",
    ),
    ({"unsubscribe_url": "mailto:nobody"}, "nobody has no @ sign."),
    ({"unsubscribe_url": f"https://x.test/{'x' * 500}"}, LONG.format(500, 515)),
    # Limits
    *(
        ({name: number}, whole(0, "2,000,000,000"))
        for name in ("max_per_hour", "max_per_day")
        for number in ("-1", "2000000001", "many", "1.000", "10.000")
    ),
    *(({"rate_limit": number}, whole(0, "1,000,000")) for number in ("-1", "1000001", "0.5", "2.0")),
    ({"rate_unit": "week"}, NOT_LISTED),
    ({"mechanism": "XOAUTH2"}, NOT_LISTED),
    (
        {"never_tls": "on", "use_tls": "on", "port": "587"},
        "This and Use SSL/TLS connection can't both be on.",
    ),
    ({"pipelining": "warp"}, NOT_LISTED),
    ({"dkim": "nobody"}, NOT_LISTED),
    *(
        (
            {"dkim": "brilliance", "preset": preset},
            f"{name} replaces Message-ID and Date, which would break your signature. Choose “Provider signs”.",
        )
        for preset, name in (("ses", "Amazon SES"), ("emailit", "Emailit"))
    ),
    *(({"weight": weight}, whole(1, "1,000")) for weight in ("0", "1001", "", "heavy")),
    # 22, 23
    ({"precedence": "bulk mail"}, "Enter one word of letters, digits and hyphens"),
    ({"precedence": "x" * 41}, LONG.format(40, 41)),
    ({"precedence": "", "use_precedence": "on"}, "Enter an email precedence, or turn off the switch."),
    ({"provider_configuration": "a b", "preset": "ses"}, "Use letters, digits, hyphens and underscores only."),
    ({"provider_configuration": "a"}, "Only Amazon SES and Postmark use this. Clear it."),
    ({"provider_configuration": "x" * 65}, LONG.format(64, 65)),
    # 24 to 29
    ({"return_path": "A <a@x.test>"}, "A <a@x.test> contains a space. Remove it."),
    ({"return_path": "<>"}, "<> has no @ sign. Write it as name@example.com."),
    ({"return_path": "", "use_return_path": "on"}, "Enter an email return path, or turn off the switch."),
    ({"spam_address": "a@@x.test"}, "a@@x.test has two @ signs. Write it as name@example.com."),
    (
        {"spam_address": "jörg@x.test"},
        "plain letters (a–z) before the @",
    ),
    ({"spam_address": "", "use_spam_address": "on"}, "Enter an email spam, or turn off the switch."),
    ({"abuse_address": "a@localhost"}, "a@localhost has no dot after the @. Write the whole domain, as in name@"),
    (
        {"abuse_address": "jörg@x.test"},
        "plain letters (a–z) before the @",
    ),
    ({"abuse_address": "", "use_abuse_address": "on"}, "Enter an email abuse, or turn off the switch."),
    # 30
    *(({"display_order": place}, whole(0, "9,999")) for place in ("-1", "10000", "first")),
    # 31, 32
    *(
        case
        for name in ("unknown_first_name", "unknown_last_name")
        for case in (
            ({name: "{{ name }}"}, "Merge tags don't work"),
            ({name: "{% if x %}"}, "Merge tags don't work"),
            ({name: "x\ty"}, BREAK),
            ({name: "x" * 61}, LONG.format(60, 61)),
        )
    ),
    # 33 to 37
    *(
        case
        for name in ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
        for case in (
            ({name: "{{ email }}"}, f"{{{{email}}}} would put personal data into web addresses. Use only {ALLOWED}."),
            ({name: "{{ secret }}"}, f"{{{{secret}}}} isn't known here. Use only {ALLOWED}."),
            ({name: "{{ date | upcase }}"}, "{{date}} can't have a filter here."),
            ({name: "{{ date"}, "A merge tag is incomplete."),
            ({name: "x" * 151}, LONG.format(150, 151)),
        )
    ),
    # 38, 39
    ({"utm_term": "", "always_utm_term": "on"}, "Enter a UTM term, or turn off the switch."),
    ({"utm_content": "", "always_utm_content": "on"}, "Enter a UTM content, or turn off the switch."),
]
# Whatever stands in these can be meant: a switch without a value beside it.
NEVER_WRONG = {
    "relays_unsubscribes",  # The address beside it is wrong then.
    "is_own_relay",
    "requires_dkim",
    "replaces_utm",
    "tags_text_links",
    "is_active",
    "handles_email_validation",
    "use_unsubscribe_link",
    "use_verp",
}


@pytest.mark.django_db
@pytest.mark.parametrize(("typed", "sentence"), REFUSED, ids=lambda value: str(value)[:40])
def test_a_wrong_value_is_refused_beside_its_field(typed: dict[str, Any], sentence: str) -> None:
    field = next(iter(typed))

    errors = ServerForm(filled(**typed)).errors

    assert list(errors) == [field]
    assert sentence in " ".join(map(str, errors.as_data()[field][0].messages))


# One of each tab, and one that the browser would have kept back.
@pytest.mark.parametrize("field", ["host", "notes", "return_path", "utm_source", "port"])
def test_the_page_shows_the_sentence_and_nothing_is_stored(admin_client: Client, field: str) -> None:
    typed, sentence = next((typed, sentence) for typed, sentence in REFUSED if next(iter(typed)) == field)

    response = admin_client.post(f"{LIST_PAGE}add/", filled(**typed))

    assert response.status_code == 200
    assert sentence in html.unescape(response.content.decode())
    assert not SmtpServer.objects.exists()


def test_a_refused_change_leaves_the_server_as_it_was(bench: Bench) -> None:
    server = bench.save(**LOGIN)

    with pytest.raises(FormRefused, match="Enter a whole number"):
        bench.edit(server, name="Other", port="0", password="other")

    again = SmtpServer.objects.get()
    assert (again.name, again.port, again.version) == (server.name, server.port, server.version)
    assert again.password.reveal(again.destination) == "secret"


def test_every_field_that_can_be_wrong_has_a_refused_value() -> None:
    tried = {name for typed, _ in REFUSED for name in typed}

    assert set(ServerForm.base_fields) - tried - NEVER_WRONG == {"remove_password", "remove_api_key"}
