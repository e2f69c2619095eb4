"""What goes over the wire: 7 bits where they do, dots as typed, and no header or command that somebody smuggled in.

A line break is refused twice: where it is typed, and again where the message is built, as if it had come into the
database in another way.
"""

import io
from typing import Any
from urllib.parse import urlencode

import pytest
from django import forms
from django.http import QueryDict

from campaigns.forms.campaign import CampaignForm, CampaignTestForm
from contacts.forms.contact import ContactForm
from contacts.forms.suppression import SuppressionForm
from contacts.transfer.contact_row import RowParser, RowRefusal
from contacts.transfer.csv_file import Rows, look
from delivery.forms import SendTestForm
from delivery.models import Mailing, Message
from delivery.outbox.transactional import SingleRefused
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.fields.bench import Bench, Mail
from tests.smtpservers.pages.conftest import filled

EVE = "\r\nBcc: eve@evil.example"
BREAKS = [EVE, "\nX: y", "\rX: y", "\0", "\x85X", "\u2028X"]
UMLAUT = "jörg@shop.example"  # Before the @, where no A-label helps.


def smuggled(mail: Mail) -> bool:
    """Tell whether a header, or a command, came of a value."""
    return "Bcc" in mail.headers or "eve@" in mail.mail_from + mail.rcpt_to


# --- refused where it is typed


@pytest.mark.django_db
@pytest.mark.parametrize("break_", BREAKS, ids=repr)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Primary{}s"),
        ("host", "smtp.brilliance{}.example"),
        ("username", "ann{}x"),
        ("password", "secret{}x"),
        ("api_key", "key{}x"),
        ("mail_from", "News{} <news@brilliance.example>"),
        ("mail_from", "news{}@brilliance.example"),
        ("mail_to", "ops{}@brilliance.example"),
        ("mail_to_unknown", "lost{}@brilliance.example"),
        ("mail_cc", "boss{}@brilliance.example"),
        ("mail_bcc", "archive{}@brilliance.example"),
        ("domain_name", "mail{}.brilliance.example"),
        ("language", "de{}x"),
        ("time_zone", "UTC{}x"),
        ("unsubscribe_url", "https://brilliance.example/{}x"),
        ("precedence", "bulk{}x"),
        ("return_path", "bounces{}@brilliance.example"),
        ("spam_address", "fbl{}@brilliance.example"),
        ("abuse_address", "abuse{}@brilliance.example"),
        ("unknown_first_name", "Friend{}x"),
        ("unknown_last_name", "Customer{}x"),
        *((f"utm_{name}", "value{}x") for name in ("source", "medium", "campaign", "term", "content")),
    ],
)
def test_no_field_of_a_server_takes_a_line_break(name: str, value: str, break_: str) -> None:
    form = ServerForm(filled(**{"username": "ann", "password": "secret", name: value.replace("{}", break_)}))

    assert name in form.errors, form.cleaned_data.get(name)


def campaign_form(**changes: str) -> forms.BaseForm:
    return CampaignForm({"name": "Winter", "subject": "Sale", "text": "Hello", "is_tagged": "on"} | changes)


def contact_form(**changes: str) -> forms.BaseForm:
    return ContactForm(QueryDict(urlencode({"email": "ann@customer.example"} | changes)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        (campaign_form, "name", "Winter{}x"),
        (campaign_form, "subject", "Sale{}x"),
        (campaign_form, "mail_from", "News{} <news@brilliance.example>"),
        (campaign_form, "reply_to", "help{}@brilliance.example"),
        *((campaign_form, f"utm_{name}", "value{}x") for name in ("source", "medium", "campaign", "term", "content")),
        (contact_form, "email", "ann{}@customer.example"),
        (contact_form, "first_name", "Ann{}x"),
        (contact_form, "last_name", "Lee{}x"),
        (contact_form, "language", "de{}x"),
        (lambda **typed: SuppressionForm({"reason": "manual"} | typed), "email", "ann{}@customer.example"),
        (CampaignTestForm, "recipient", "ann{}@customer.example"),
        (SendTestForm, "recipient", "ann{}@customer.example"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_other_form_takes_one(form: Any, name: str, value: str) -> None:
    typed = {name: value.replace("{}", EVE)}
    bound = form(typed) if form in (CampaignTestForm, SendTestForm) else form(**typed)

    assert name in bound.errors


@pytest.mark.parametrize("cell", [f"ann{EVE}@customer.example", f"ann@customer.example{EVE}", "a\0@customer.example"])
def test_no_imported_address_holds_one(cell: str) -> None:
    file = io.BytesIO(f'email\n"{cell}"\n'.encode())

    (row,) = Rows(file, look(file))

    assert isinstance(RowParser(["email"], {}, ())(row)[1], RowRefusal)


@pytest.mark.parametrize("name", ["mail_from", "reply_to"])
def test_no_single_message_is_queued_with_one(bench: Bench, name: str) -> None:
    with pytest.raises(SingleRefused):
        bench.single(**{name: f"A{EVE} <news@shop.example>"})

    assert not Mailing.objects.exists()


# --- refused where the message is built


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mail_cc", f"boss{EVE}@shop.example"),
        ("mail_bcc", f"boss{EVE}@shop.example"),
        ("precedence", f"bulk{EVE}"),
        ("return_path", f"bounces{EVE}@shop.example"),
        ("return_path", f"bounces@shop.example>{EVE}"),
        ("spam_address", f"fbl{EVE}@shop.example"),
        ("abuse_address", f"abuse{EVE}@shop.example"),
    ],
)
@pytest.mark.parametrize("use_verp", [True, False])
def test_a_server_that_holds_one_sends_nothing(bench: Bench, name: str, value: str, use_verp: bool) -> None:
    switches = {"use_return_path": "on", "use_spam_address": "on", "use_abuse_address": "on"}
    addresses = dict.fromkeys(("return_path", "spam_address", "abuse_address"), "desk@shop.example")
    bench.save(**switches, **addresses, use_verp="on" if use_verp else None)
    SmtpServer.objects.update(**{name: value})

    assert bench.campaign() == []

    assert bench.said("mail") == []
    message = Message.objects.get()
    assert message.status == "failed"
    assert message.reason.startswith("The message could not be composed: ")


def test_a_server_whose_own_name_holds_one_waits_for_a_person(bench: Bench) -> None:
    bench.save()
    SmtpServer.objects.update(domain_name=f"shop.example{EVE}")

    assert bench.campaign() == []

    assert bench.said("mail") == []
    assert Message.objects.get().status == "deferred"
    server = SmtpServer.objects.get()
    assert (server.paused_until, "holds no line break" in server.paused_reason) == (None, True)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("unknown_first_name", f"Friend{EVE}"),
        ("utm_source", f"news{EVE}"),
        ("utm_campaign", f"{{{{campaign.slug}}}}{EVE}"),
        ("unsubscribe_url", f"https://shop.example/leave{EVE}"),
        ("language", "de\r\nBcc: e@x.de"),  # As long as the column is.
    ],
)
def test_words_that_hold_one_stay_words(bench: Bench, where: str, value: str) -> None:
    bench.save()
    SmtpServer.objects.update(**{where: value})

    assert not smuggled(bench.first(subject="{{ first_name }}"))


@pytest.mark.parametrize("where", ["first_name", "last_name", "attributes"])
def test_values_of_people_stay_values(bench: Bench, where: str) -> None:
    bench.save()
    value: Any = {"city": f"Rome{EVE}"} if where == "attributes" else f"Ann{EVE}"

    mail = bench.first(subject="{{ full_name }} {{ city }}", contact={where: value})

    assert not smuggled(mail)
    assert "Bcc: eve@evil.example" in str(mail.headers["Subject"])


@pytest.mark.parametrize("where", ["reply_to", "subject", "slug", "reference", "name"])
def test_a_mailing_smuggles_nothing_in(bench: Bench, where: str) -> None:
    bench.save(utm_campaign="{{campaign.slug}}", unsubscribe_url="https://shop.example/{campaign}")
    bench.queue()
    Mailing.objects.update(**{where: f"help{EVE}"})

    assert not any(smuggled(mail) for mail in bench.drain())


@pytest.mark.parametrize("address", [f"ann{EVE}@customer.example", f"ann@customer.example>{EVE}"])
def test_a_recipient_that_holds_one_gets_nothing(bench: Bench, address: str) -> None:
    bench.save()
    bench.queue()
    Message.objects.update(email=address)

    assert bench.drain() == []

    assert bench.said("rcpt") == []
    assert Message.objects.get().status == "failed"


# --- 7 bits where they do


@pytest.mark.parametrize(
    ("changes", "reply_to"),
    [
        ({"mail_from": f"Jörg <{UMLAUT}>"}, ""),
        ({"mail_from": UMLAUT, "return_path": "bounces@shop.example", "use_return_path": "on"}, ""),
        ({"mail_cc": UMLAUT}, ""),
        ({"return_path": UMLAUT, "use_return_path": "on"}, ""),
        ({}, UMLAUT),
    ],
)
def test_smtputf8_is_asked_for_wherever_an_address_needs_it(
    bench: Bench, changes: dict[str, str], reply_to: str
) -> None:
    bench.save(**changes)

    bench.campaign(reply_to=reply_to)

    assert bench.said("mail")
    assert all(line.endswith(" SMTPUTF8") for line in bench.said("mail"))


def test_a_server_without_smtputf8_is_not_told_of_such_a_message(bench: Bench) -> None:
    bench.peer = bench.start_peer(extensions=("PIPELINING", "8BITMIME"))
    bench.save(mail_cc=UMLAUT)

    assert bench.campaign() == []

    assert bench.said("mail") == []
    assert "SMTPUTF8" in Message.objects.get().reason


def test_everything_else_is_7_bit_and_needs_no_extension(bench: Bench) -> None:
    bench.peer = bench.start_peer(extensions=())
    bench.save(mail_from="Größe 🎿 <news@größe.example>", unknown_first_name="Freund für immer")

    mail = bench.first(subject="Größe {{ first_name }}", html="<p>Maß – 冬</p>", text="Maß – 冬")

    assert mail.content.isascii()
    assert bench.said("mail") == ["MAIL FROM:<news@xn--gre-6ka8i.example>"]
    assert str(mail.headers["Subject"]) == "Größe Freund für immer"
    assert mail.part("plain").startswith("Maß – 冬")


@pytest.mark.parametrize("text", [".", "..\n.\n.hidden", "one\n.\ntwo\n..\n", "From ann\n.From bob"])
def test_dots_and_froms_arrive_as_typed_and_end_nothing(bench: Bench, text: str) -> None:
    bench.save(use_unsubscribe_link=None)

    mail = bench.first(html="", text=text)

    assert mail.part("plain").replace("\r\n", "\n").rstrip("\n") == text.rstrip("\n")
    assert bench.said("unknown") == []
