"""Django's SMTP backend: one connection for batches of 500 messages, or one for each message.

python -m bench.peers.django_backend MESSAGE_FILE PORT MESSAGES (batches | each)
"""

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from bench.peers.finished_message import FROM, Finished, recipient
from bench.processes import Stopwatch

BATCH = 500


def main() -> None:
    """Send, and print what it took."""
    finished, how = Finished.read(sys.argv[1]).filled(1), sys.argv[4]
    port, messages = int(sys.argv[2]), int(sys.argv[3])
    settings.configure(EMAIL_HOST="127.0.0.1", EMAIL_PORT=port, USE_TZ=True)
    django.setup()
    watch = Stopwatch()
    connection = get_connection()
    for first in range(0, messages, BATCH):
        numbers = range(first, min(first + BATCH, messages))
        if how == "batches":
            connection.send_messages([message(finished, number, connection) for number in numbers])
        else:
            for number in numbers:
                message(finished, number).send()
    print(json.dumps({"messages": messages, **watch.read()}))


def message(finished: Finished, number: int, connection: Any = None) -> EmailMultiAlternatives:
    """Return the message to one recipient."""
    made = EmailMultiAlternatives(
        finished.subject,
        finished.text,
        FROM,
        [recipient(number)],
        headers=finished.headers,
        connection=connection,
    )
    made.attach_alternative(finished.html, "text/html")
    return made


if __name__ == "__main__":
    main()
