"""One Celery task for each message: what one writes first, with templates, a row for each letter, and save().

    python -m bench.peers.one_task_each MESSAGE_FILE DATABASE_URL BROKER_URL PORT MESSAGES

Rows and tasks are made beforehand and not measured: the time is from the first task's start to the last one's end.
"""

import json
import os
import subprocess
import sys
import time
from typing import Any, ClassVar

import django
from celery import Celery
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import connection, models
from django.template import Context, Template

from bench import content
from bench.peers.finished_message import FROM, Finished
from bench.peers.post_office_queue import database
from bench.processes import Failed, Stopwatch

PROCESSES = 2
VARIABLES = ("BENCH_PEER_MESSAGE", "BENCH_PEER_DATABASE", "BENCH_PEER_BROKER", "BENCH_PEER_PORT")
if __name__ == "__main__":
    # Under its own name, so that worker and sender speak of the same task.
    os.environ.update(zip(VARIABLES, sys.argv[1:5], strict=True))
    from bench.peers import one_task_each

    one_task_each.main()
    raise SystemExit

# The worker is a process of its own, and learns from its environment where to go.
_file, _database, _broker, _port = (dict(os.environ)[name] for name in VARIABLES)
if not settings.configured:  # The type checker has Django running.
    settings.configure(
        DATABASES={"default": database(_database)},
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=int(_port),
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    django.setup()
finished = Finished.read(_file)
app = Celery("one_task_each", broker=_broker)
app.conf.update(task_ignore_result=True, task_default_queue="bench-one-task-each", worker_hijack_root_logger=False)


class Letter(models.Model):
    """One message to one person."""

    email = models.CharField(max_length=320)
    values = models.JSONField()
    status = models.CharField(max_length=12, default="queued")
    began = models.FloatField(null=True)
    ended = models.FloatField(null=True)
    cpu_seconds = models.FloatField(null=True)

    objects: ClassVar["models.Manager[Letter]"] = models.Manager()

    class Meta:
        app_label = "bench"

    def __str__(self) -> str:
        return self.email


@app.task  # type: ignore[untyped-decorator]  # Celery has no types.
def send(letter_id: int) -> None:
    """Send one letter and save that it was sent."""
    began, cpu = time.time(), time.process_time()
    letter = Letter.objects.get(pk=letter_id)
    context = Context(letter.values)
    subject, text, html = (Template(part).render(context) for part in (finished.subject, finished.text, finished.html))
    message = EmailMultiAlternatives(subject, text, FROM, [letter.email], headers=finished.headers)
    message.attach_alternative(html, "text/html")
    message.send()
    letter.status, letter.began = "sent", began
    letter.ended, letter.cpu_seconds = time.time(), time.process_time() - cpu
    letter.save()


def main() -> None:
    """Make the rows and the tasks, let a worker do them, and print what it took."""
    messages = int(sys.argv[5])
    with connection.schema_editor() as editor:
        if Letter._meta.db_table in connection.introspection.table_names():
            editor.delete_model(Letter)
        editor.create_model(Letter)
    people = (content.person(number) for number in range(messages))
    letters = Letter.objects.bulk_create(Letter(email=values["email"], values=values) for values in people)
    for letter in letters:
        send.delay(letter.pk)
    worker = subprocess.Popen(
        [*(sys.executable, "-m", "celery", "-A", "bench.peers.one_task_each", "worker"), "-c", str(PROCESSES)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for_all(Stopwatch())
    finally:
        worker.terminate()
        worker.wait(30)
    spans = Letter.objects.aggregate(models.Min("began"), models.Max("ended"), models.Sum("cpu_seconds"))
    told: dict[str, Any] = {
        "messages": messages,
        "seconds": spans["ended__max"] - spans["began__min"],
        "cpu_seconds": spans["cpu_seconds__sum"],
    }
    print(json.dumps(told))


def _wait_for_all(watch: Stopwatch) -> None:
    while left := Letter.objects.filter(status="queued").count():
        if watch.read()["seconds"] > 300:
            raise Failed(f"{left} letters were not sent within five minutes")
        time.sleep(0.2)
