"""How much CPU it costs to compose and to sign one message: everything from Outgoing to Composed.

    .venv/bin/python -m bench.composing [--messages 1000] [--profile]

The standard message, 14 KB as it is sent: text and HTML, five merge fields, ten links with UTM codes, all headers, a
personal token to unsubscribe, and a return path that names the message; then the same with conditions, a loop and
filters, which are paid for out of the budget of a message (``mail.budget``). Printed are microseconds of this process's
CPU time; the best of forty short rounds counts, because the others show the machine's other work.
"""

import argparse
import cProfile
import datetime as dt
import os
import pstats
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import django
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
os.environ.setdefault("BASE_URL", "https://mail.example.com")
django.setup()

from django.conf import settings  # noqa: E402  # Django first.

from bench.standard_message import NOW, outgoing, standard_mailing, standard_server  # noqa: E402
from delivery.content.composer import Composer  # noqa: E402
from delivery.content.message import Outgoing  # noqa: E402
from delivery.content.targets import Codes, Targets  # noqa: E402
from delivery.models import Mailing  # noqa: E402
from mail.links.tracking import new_code, token_of_group  # noqa: E402
from mail.message.dkim import Key, Signer  # noqa: E402

ROUNDS = 40
# What makes a newsletter need Liquid: a condition, a loop, filters.
OFFERS = """
{% if company != blank %}<p>For {{ company }}, your prices are without VAT.</p>{% endif %}
{% assign names = "Coat,Scarf,Boots,Gloves,Hat,Blanket" | split: "," %}
<table>{% for name in names %}<tr><td>{{ forloop.index }}. {{ name | upcase }}</td>
<td>{% if forloop.first %}<b>new</b>{% else %}from {{ forloop.index | times: 20 }} EUR{% endif %}</td></tr>{% endfor %}
</table>
<p>{{ city | default: "town" | capitalize }}, {% case code %}{% when "W-1" %}hello{% else %}good day{% endcase %}</p>
"""


def measure(compose: Callable[[Outgoing, dt.datetime], Any], messages: list[Outgoing], rounds: int = ROUNDS) -> float:
    """Return the microseconds of CPU a message costs."""
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        for number, message in enumerate(messages):
            compose(message, NOW + dt.timedelta(microseconds=60 * number))
        best = min(best, time.process_time() - started)
    return best / len(messages) * 1e6


def compared(mailing: Mailing, messages: list[Outgoing]) -> str:
    """Return what it adds to count opens and clicks by person, measured in turns with the same mail uncounted."""
    mailing.tracking = "personal"
    composer = Composer(mailing, standard_server(), list_id=7, list_name="Example news")
    links = [link for link in composer.links() if not link.why_not]
    codes: Codes = {(link.part, link.position, link.url): new_code() for link in links}
    composer.count(Targets(token_of_group(7, settings.TOKEN_KEYS), codes))
    for message in messages:
        assert message.contact is not None
        message.contact.open_tracking = message.contact.click_tracking = "yes"
    counted = partial(composer.compose, tracking="personal")
    sizes = [len(each(messages[0], NOW).content) for each in (composer.compose, counted)]
    costs = [(measure(composer.compose, messages, 1), measure(counted, messages, 1)) for _ in range(ROUNDS)]
    plain, added = min(cost for cost, _ in costs), median(cost - before for before, cost in costs)
    return (
        f"{added:+6.1f} us  ({added / plain:+.1%}) with opens and {len(codes)} links counted by person,"
        f" {sizes[1] - sizes[0]:+,} bytes"
    )


def _sign(sign: Signer, content: bytes, message: Outgoing, date: dt.datetime) -> bytes:
    return sign(content)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000)
    parser.add_argument("--profile", action="store_true", help="show where the time goes")
    options = parser.parse_args()
    messages = [outgoing(number) for number in range(options.messages)]
    others = [outgoing(number, "Müller", "Müller & Söhne") for number in range(options.messages)]
    composer = Composer(standard_mailing(), standard_server(), list_id=7, list_name="Example news")
    composed = composer.compose(messages[0], NOW)  # Compiles; this is done once for a mailing.
    print(f"{len(composed.content):,} bytes, from {composed.envelope_from}")
    print(f"{measure(composer.compose, messages):6.1f} us  composed, values in plain letters")
    print(
        f"{measure(composer.compose, others):6.1f} us  composed, two of five values with umlauts, one with an ampersand"
    )
    print(compared(standard_mailing(), messages))
    mailing = standard_mailing()
    mailing.html = mailing.html.replace("<table", f"{OFFERS}<table", 1)
    with_offers = Composer(mailing, standard_server(), list_id=7, list_name="Example news")
    with_offers.compose(messages[0], NOW)
    print(
        f"{measure(with_offers.compose, messages[:100]):6.1f} us  composed, with conditions and a loop over six things"
    )
    print(compared(mailing, messages[:100]))
    for name, private in (("Ed25519", Ed25519PrivateKey.generate()), ("RSA-2048", generate_private_key(65537, 2048))):
        sign = Signer("example.com", [Key("s1", private)])
        cost = measure(partial(_sign, sign, composed.content), messages[:100])
        print(f"{cost:6.1f} us  signed with {name}")
    if options.profile:
        profile = cProfile.Profile()
        profile.runcall(measure, composer.compose, messages)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
