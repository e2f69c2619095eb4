"""The standard message of the measurements of composing: 14 KB as it is sent, with every header of a server."""

import datetime as dt

from django.conf import settings

from delivery.content.message import Outgoing, Person
from delivery.models import Mailing
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 23, 9, 15, 2, tzinfo=dt.UTC)
WORDS = "Winter is here, and with it the warm things that everybody in town was waiting for. "
SUBJECT = "{{ first_name | default: 'Friend' }}, the winter sale begins"
ROW = (
    '<tr><td style="padding:12px 24px;font:16px/1.5 Arial,Helvetica,sans-serif;color:#222222">'
    '<h2 style="margin:0 0 8px">Offer {number}</h2>'
    '<p style="margin:0 0 12px">{words}</p>'
    '<a href="https://shop.example.com/offers/{number}?from=mail" style="color:#0055aa">See the offer</a></td></tr>\n'
)


def standard_content() -> tuple[str, str]:
    """Return the standard message's HTML and text."""
    rows = "".join(ROW.format(number=number, words=WORDS * 7) for number in range(1, 11))
    html = (
        "<!doctype html>\n<html><head><meta charset='utf-8'><title>Winter sale</title></head>\n<body>\n"
        '<p>Dear {{ first_name | default: "friend" }} {{ last_name }},</p>\n'
        "<p>the shop in {{ city }} is open for {{ company }}. Your code is {{ code }}.</p>\n"
        f'<table role="presentation" width="600">\n{rows}</table>\n</body></html>\n'
    )
    text = (
        'Dear {{ first_name | default: "friend" }} {{ last_name }},\n\n'
        "the shop in {{ city }} is open for {{ company }}. Your code is {{ code }}.\n\n"
        + "".join(f"{WORDS}\nhttps://shop.example.com/offers/{number}\n\n" for number in range(1, 11))
    )
    return html, text


def standard_server() -> SmtpServer:
    """Return a server with every field on that gives a message another header."""
    return SmtpServer(
        pk=1,
        name="Standard",
        host="smtp.example.com",
        mail_from="Example Shop <news@shop.example.com>",
        domain_name="mail.example.com",
        return_path="bounces@shop.example.com",
        use_return_path=True,
        use_verp=True,
        use_unsubscribe_link=True,
        use_precedence=True,
        precedence="bulk",
        use_spam_address=True,
        spam_address="fbl@example.com",
        use_abuse_address=True,
        abuse_address="abuse@example.com",
        unknown_first_name="Friend",
        utm_source="brilliance",
        utm_medium="email",
        utm_campaign="winter",
    )


def standard_mailing() -> Mailing:
    """Return the mailing of the standard message."""
    html, text = standard_content()
    return Mailing(
        pk=1042,
        stream=Mailing.Stream.CAMPAIGN,
        name="Winter sale",
        subject=SUBJECT,
        html=html,
        text=text,
        reply_to="help@shop.example.com",
        reference="c1042",
        slug="winter-sale",
        organisation=settings.ORGANISATION_NAME,
        created_at=NOW,
    )


def outgoing(number: int, last_name: str = "Lee", company: str = "Lee and Sons") -> Outgoing:
    """Return one message of the mailing, as a claim holds it."""
    email = f"ann.lee{number}@customers{number % 97}.example.com"
    return Outgoing(
        pk=1_000_000 + number,
        mailing_id=1042,
        email=email,
        email_key=email,
        contact=Person(
            email=email,
            first_name=f"Ann{number % 1000}",
            last_name=f"{last_name} {number % 777}",
            attributes={"city": f"Berlin {number % 50}", "company": f"{company} {number}", "code": f"W-{number:06}"},
        ),
        message_id=f"<1042.{number}.{number:012x}@mail.example.com>",
    )
