"""django-post_office: finished messages in its queue, sent by its own command, in its own environment.

    python -m bench.peers.post_office_queue MESSAGE_FILE DATABASE_URL PORT MESSAGES (defaults | tuned) PROCESSES

Filling the queue is not measured. "Tuned" is the largest batch that helped, ten connections in all, and no log of what
was sent.
"""

import json
import sys
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command

from bench.peers.finished_message import FROM, Finished, recipient
from bench.processes import Failed, Stopwatch

TUNED = {"BATCH_SIZE": 1000, "LOG_LEVEL": 0}
CONNECTIONS = 10


def main() -> None:
    """Fill the queue, send it, and print what it took."""
    file, url, how = sys.argv[1], sys.argv[2], sys.argv[5]
    port, messages, processes = int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[6])
    tuned = {**TUNED, "THREADS_PER_PROCESS": CONNECTIONS // processes} if how == "tuned" else {}
    settings.configure(
        DATABASES={"default": database(url)},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        EMAIL_BACKEND="post_office.EmailBackend",
        POST_OFFICE={"BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"}, **tuned},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    from post_office.mail import send_queued_mail_until_done
    from post_office.models import STATUS, Email

    fill(Finished.read(file).filled(1), messages)
    watch = Stopwatch()
    send_queued_mail_until_done(processes=processes)
    took = watch.read()
    sent = Email.objects.filter(status=STATUS.sent).count()
    Email.objects.all().delete()
    if sent != messages:
        raise Failed(f"django-post_office sent {sent} of {messages} messages")
    print(json.dumps({"messages": messages, **took}))


def fill(finished: Finished, messages: int) -> None:
    """Queue the messages."""
    from post_office import mail

    for first in range(0, messages, 500):
        mail.send_many(
            [
                {
                    "recipients": [recipient(number)],
                    "sender": FROM,
                    "subject": finished.subject,
                    "message": finished.text,
                    "html_message": finished.html,
                    "headers": finished.headers,
                }
                for number in range(first, min(first + 500, messages))
            ]
        )


def database(url: str) -> dict[str, Any]:
    """Return Django's words for a database URL."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;"
        options = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": pragmas}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path.removeprefix("/"), "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username or "",
        "PASSWORD": parts.password or "",
        "HOST": parts.hostname or "",
        "PORT": parts.port or "",
    }


if __name__ == "__main__":
    main()
