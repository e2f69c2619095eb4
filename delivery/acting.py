"""What an answer asks for beyond its own message: addresses suppressed, servers and mailings paused.

Called by :mod:`delivery.recording` with a group of results, inside its transaction, and by nobody else.
"""

import contextlib
import datetime as dt
import re
from collections.abc import Iterable, Sequence

from contacts import consent
from contacts.models import Suppression
from delivery.models import Mailing
from delivery.outgoing import Result
from mail.addresses import AddressInvalid, ascii_address
from smtpservers import breaker


def act(results: Sequence[Result], now: dt.datetime) -> None:
    """Do what a group of results asks for about addresses, servers and mailings."""
    _act_on_addresses(results, now)
    _act_on_servers(results, now)
    _act_on_mailings(results)


def _act_on_addresses(results: Iterable[Result], now: dt.datetime) -> None:
    for result in results:
        # The bounce of a copy says nothing about a contact's consent, but the address is dead all the same. That of
        # a redirected message is not about its recipient, and those of tests and notices are only in the account.
        is_about_recipient = result.stream not in (Mailing.Stream.TEST, Mailing.Stream.NOTICE)
        if result.judgement.suppresses and is_about_recipient and not result.message.redirected_to:
            consent.suppress(result.message.email, Suppression.Reason.HARD_BOUNCE, result.judgement.reason, now)


def _act_on_servers(results: Iterable[Result], now: dt.datetime) -> None:
    well = {result.server_id for result in results if result.judgement.is_accepted}
    for server_id in sorted(well):
        breaker.note_success(server_id, now)
    at_fault = [r for r in results if r.judgement.pauses_server or r.judgement.server_failed]
    reasons = {r.server_id: _about_the_server(r) for r in at_fault}
    for server_id, judgement in {r.server_id: r.judgement for r in at_fault if r.judgement.pauses_server}.items():
        until = None if judgement.server_pause is None else now + judgement.server_pause
        breaker.pause(server_id, reasons[server_id], until, now)
    failed = {r.server_id: reasons[r.server_id] for r in results if r.judgement.server_failed}
    for server_id, why in failed.items():
        breaker.note_failure(server_id, why, now)


def _about_the_server(result: Result) -> str:
    """Return the reason without the recipient's address: who looks after servers may not see who is written to."""
    message = result.message
    spellings = {message.email, message.redirected_to}
    for address in tuple(spellings):
        with contextlib.suppress(AddressInvalid):  # Of a redirected message, it may be anything.
            spellings.add(ascii_address(address))
    pattern = "|".join(re.escape(address) for address in spellings if address)
    if not pattern:
        return result.judgement.reason
    return re.sub(pattern, "(the recipient)", result.judgement.reason, flags=re.IGNORECASE)


def _act_on_mailings(results: Iterable[Result]) -> None:
    for mailing_id, why in {r.mailing_id: r.judgement.reason for r in results if r.judgement.pauses_mailing}.items():
        Mailing.objects.filter(pk=mailing_id, state="open").update(
            state="paused", waiting_reason=f"The sender was refused: {why} Mend it, then resume."[:500]
        )
