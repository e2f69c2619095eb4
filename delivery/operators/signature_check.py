"""The signatures of a send test that went to the Test inbox: whether both verify in the message as it was received.

The keys are compared with those on record. DNS is not asked: the Test inbox is there before anything is published.
"""

import time
from collections.abc import Sequence

from delivery.content.test_inbox import leads_to_test_inbox
from domains.keys.signers import published_records
from mail.message.dkim_verification import Verdict, verify
from sandbox.models import SandboxMail
from smtpservers.models import SmtpServer
from smtpservers.smtp.conversation import Step, since
from words.texts import joined
from words.texts import text as _

STEP = "DKIM"


def check(server: SmtpServer, message_id: str) -> list[Step]:
    """Return the step about the signatures of a received message; none if we don't sign, or it went elsewhere."""
    if server.dkim != SmtpServer.Signer.BRILLIANCE or not leads_to_test_inbox(server):
        return []
    began = time.perf_counter()
    received = SandboxMail.objects.filter(message_id=message_id).order_by("-pk").first()
    if received is None:
        return []
    verdicts = verify(bytes(received.content), published_records)
    is_fine = all(not verdict.problem for verdict in verdicts) and (bool(verdicts) or not server.requires_dkim)
    return [Step(STEP, "", None, _said(verdicts), since(began), is_fine)]


def _said(verdicts: Sequence[Verdict]) -> str:
    if not verdicts:
        return _("The message isn't signed: its domain has no key that signs.")
    return joined((_said_of(verdict) for verdict in verdicts), _("%(one)s\n%(other)s"))


def _said_of(verdict: Verdict) -> str:
    name = f"{verdict.selector}._domainkey.{verdict.domain}"
    if verdict.problem:
        return _("%(name)s (%(algorithm)s): %(why)s", name=name, algorithm=verdict.algorithm, why=verdict.problem)
    return _("%(name)s (%(algorithm)s): verified.", name=name, algorithm=verdict.algorithm)
