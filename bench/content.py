"""The message that everybody sends: multipart/alternative, 1.7 KB of text, 10 KB of HTML with ten links.

For Brilliance it is a campaign with five merge fields, which come from the contact. The others get it finished, as
Brilliance composed it for one person: they need not personalise, tag links or make tokens, and that is not held
against them.
"""

import re

WORDS = "Winter is here, and with it the warm things that everybody in town was waiting for. "
LINKS = 10
SUBJECT = "{{ first_name }}, the winter sale begins"
OPENING = "the shop in {{ city }} is open for {{ company }}. Your code is {{ code }}."
OFFER = (
    "<tr><td><h2>Offer {number}</h2>\n<p>{words}</p>\n"
    '<p><a href="https://shop.example.com/offers/{number}">See the offer</a></p></td></tr>\n'
)
HTML = (
    '<!doctype html>\n<html><head><meta charset="utf-8"><title>Winter sale</title></head>\n<body>\n'
    f"<p>Dear {{{{ first_name }}}} {{{{ last_name }}}},</p>\n<p>{OPENING}</p>\n"
    "<table>\n"
    + "".join(OFFER.format(number=number, words=WORDS * 9) for number in range(1, LINKS + 1))
    + "</table>\n</body></html>\n"
)
TEXT = (
    f"Dear {{{{ first_name }}}} {{{{ last_name }}}},\n\n{OPENING}\n\n"
    + "".join(f"Offer {number}\n{WORDS}\n{WORDS[:36]}\n\n" for number in range(1, LINKS + 1))
    + "https://shop.example.com/offers/\n"
)
FIELDS = ("first_name", "last_name", "city", "company", "code")


def person(number: int) -> dict[str, str]:
    """Return the merge values of one recipient, and the address."""
    return {
        "first_name": f"Ann{number % 1000}",
        "last_name": f"O'Neil {number % 777}",
        "city": f"Berlin {number % 50}",
        "company": f"Lee & Sons {number % 5000}",
        "code": f"W-{number:07}",
        "email": f"ann.lee{number}@customers{number % 97}.example.com",
    }


def filled(template: str, values: dict[str, str]) -> str:
    """Return ``template`` with its merge fields replaced."""
    return re.sub(r"\{\{ (\w+) \}\}", lambda tag: values[tag[1]], template)
