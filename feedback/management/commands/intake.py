"""``manage.py intake``: takes bounces, complaints and mailto unsubscribes by SMTP or LMTP until a stop signal."""

import asyncio
import logging
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feedback.listener.server import listening, tls_context

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Command(BaseCommand):
    help = "Takes bounces, complaints and unsubscribes by mail, on INTAKE_HOST and INTAKE_PORT."

    def handle(self, *args: Any, **options: Any) -> None:
        # It logs every command of every client, and addresses with it.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        try:
            asyncio.run(self._listen())
        except OSError as error:
            raise CommandError(
                f"The listener cannot start: {error}. Check INTAKE_HOST, INTAKE_PORT and INTAKE_CERTIFICATE."
            ) from None

    async def _listen(self) -> None:
        stopped = asyncio.Event()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        name = settings.INTAKE_NAME or urlsplit(settings.BASE_URL).hostname or "localhost"
        tls = tls_context(settings.INTAKE_CERTIFICATE, Path(settings.DATA_DIR), name)
        is_lmtp = settings.INTAKE_PROTOCOL == "lmtp"
        async with listening(settings.INTAKE_HOST, settings.INTAKE_PORT, name=name, tls=tls, is_lmtp=is_lmtp) as port:
            self.stdout.write(f"Mail is taken by {settings.INTAKE_PROTOCOL.upper()} on {settings.INTAKE_HOST}:{port}.")
            self.stdout.flush()
            await stopped.wait()
