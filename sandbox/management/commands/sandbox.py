"""``manage.py sandbox``: receives mail until a stop signal."""

import asyncio
import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from sandbox.late_delivery import HOST, LateDelivery, near
from sandbox.listeners import PortTaken, receiving
from sandbox.models import AUTH, PLAIN, STARTTLS
from sandbox.store import Store

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Command(BaseCommand):
    help = "Receives mail on three local ports and stores it for the Test inbox. Some recipients answer by mail."

    def handle(self, *args: Any, **options: Any) -> None:
        # It logs every command of every client, and its own deprecation warnings.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        try:
            asyncio.run(self._receive())
        except PortTaken as error:
            setting = f"SANDBOX_{error.listener.upper()}_PORT"
            raise SystemExit(f"{error} Stop it, or choose another port for the sandbox with {setting}.") from None
        except OSError as error:
            raise SystemExit(f"The sandbox cannot start: {error}. Check DATA_DIR and the sandbox's ports.") from None

    async def _receive(self) -> None:
        stopped = asyncio.Event()
        for number in STOP_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        ports = {
            PLAIN: settings.SANDBOX_PLAIN_PORT,
            STARTTLS: settings.SANDBOX_STARTTLS_PORT,
            AUTH: settings.SANDBOX_AUTH_PORT,
        }
        late = LateDelivery(
            settings.INTAKE_PORT, host=near(settings.INTAKE_HOST), is_lmtp=settings.INTAKE_PROTOCOL == "lmtp"
        )
        async with receiving(settings.DATA_DIR, ports, Store(), late) as taken:
            listening = ", ".join(f"{port} ({listener})" for listener, port in taken.items())
            self.stdout.write(f"The Test inbox receives mail on {HOST}, ports {listening}.")
            self.stdout.flush()
            await stopped.wait()
