"""The pages of delivery: send test, mail held back by a server, a restored copy, and a search in the outbox.

Views are thin: they check the permission, call one use case with ids and the time, and show the result.
"""

import datetime as dt
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from adminpages.access import needs
from adminpages.fresh_sign_in import asks_first
from adminpages.instants import today
from delivery import clock, hints, tasks
from delivery.content.copies import copy_addresses
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.forms import MessageSearch, SendTestForm
from delivery.models import TODAY, Incident, Message, Trial
from delivery.operators import restored_copy, trials
from delivery.operators import send_test as operators_send_test
from delivery.operators import server_health as operators_server_health
from delivery.operators.receipts import receipt_of
from delivery.operators.return_path_check import MEANS, has_return_path
from delivery.outcomes import provider_holds
from delivery.records import figures
from delivery.records import search as outbox_search
from installation.site import site
from mail.addresses import AddressInvalid, parse_mailbox
from smtpservers.admin import list_row, states
from smtpservers.limits import refused_senders
from smtpservers.models import SmtpServer
from smtpservers.presets import password_warning
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import FAILURES, FIELDS_TO_FIX
from words.texts import translated

# In the order of a conversation. With STARTTLS, EHLO comes twice.
STEPS = {
    "DNS": gettext_lazy("look up the server's name"),
    "connect": gettext_lazy("open the connection"),
    "banner": gettext_lazy("the server's greeting"),
    "EHLO": gettext_lazy("our greeting, and what the server offers"),
    "HELO": gettext_lazy("our greeting, for a server that doesn't know EHLO"),
    "TLS": gettext_lazy("encryption"),
    "AUTH": gettext_lazy("signing in"),
    "MAIL": gettext_lazy("the sender"),
    "RCPT": gettext_lazy("the recipient"),
    "DATA": gettext_lazy("announcing the message"),
    "message": gettext_lazy("the message, and the final reply"),
    "DKIM": gettext_lazy("our signatures, as the Test inbox got them"),
    "bounces": gettext_lazy("the address that bounces go to"),
}
# The details of steps, by their names in Step.details.
DETAILS = {
    "extensions": gettext_lazy("extensions"),
    "older server": gettext_lazy("older server"),
    "version": gettext_lazy("version"),
    "cipher": gettext_lazy("cipher"),
    "certificate for": gettext_lazy("certificate for"),
    "issued by": gettext_lazy("issued by"),
    "valid until": gettext_lazy("valid until"),
    "mechanism": gettext_lazy("mechanism"),
    "passed over": gettext_lazy("passed over"),
    "provider says": gettext_lazy("provider says"),
    "not sent": gettext_lazy("not sent"),
    "asked": gettext_lazy("asked"),
    "means": gettext_lazy("means"),
}
MESSAGES_PER_PAGE = outbox_search.PAGE
SERVERS_PER_PAGE = 25
ARRIVED = (Message.Status.ACCEPTED, Message.Status.UNCONFIRMED)


# --- a test through one server


@dataclass(frozen=True, slots=True)
class ResultWords:
    """The result of a test in words."""

    kind: str  # fine, failed, unsure or waiting; sets the colour.
    icon: str
    headline: str
    advice: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of the conversation as a page shows it."""

    step: Step
    meaning: str
    reply: str

    @property
    def is_skipped(self) -> bool:
        return any(said.startswith("Not checked") for said in (self.step.reply, self.step.details.get(MEANS, "")))

    @property
    def details(self) -> list[tuple[str, str]]:
        """The names and values of the details, for a page."""
        return [(str(DETAILS.get(name, name)), translated(value)) for name, value in self.step.details.items()]

    @property
    def verdict(self) -> str:
        if self.is_skipped:
            return _("not checked")
        return _("done") if self.step.is_ok else _("failed")


@staff_member_required
@needs("smtpservers.send_test")
@never_cache
@require_http_methods(["GET", "POST"])
def send_test(request: HttpRequest, server_id: int) -> HttpResponse:
    """Ask for a recipient (GET), or queue the test for a worker and redirect to the page that follows it (POST)."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    form = _test_form(server, request.POST or None)
    if request.method == "POST" and form.is_valid():
        recipient, with_copies = form.cleaned_data["recipient"], bool(form.cleaned_data.get("with_copies"))
        trial = trials.ask(server, recipient, request.user, with_copies=with_copies, now=clock.now())
        transaction.on_commit(partial(hints.ring, tasks.make_trials))
        return redirect("delivery:follow_test", server.pk, trial.pk)
    return _test_page(request, server, form, {})


def begin_test(request: HttpRequest, server: SmtpServer) -> HttpResponse:
    """Queue a test to the server's Mail to; without one, redirect to the page that asks for a recipient."""
    recipient = default_recipient(server)
    if not recipient:
        messages.info(request, _("Server saved. Enter an address for the test message."))
        return redirect("delivery:send_test", server.pk)
    trial = trials.ask(server, recipient, request.user, with_copies=False, now=clock.now())
    transaction.on_commit(partial(hints.ring, tasks.make_trials))
    return redirect("delivery:follow_test", server.pk, trial.pk)


@staff_member_required
@needs("smtpservers.send_test")
@never_cache
@require_GET
def follow_test(request: HttpRequest, server_id: int, trial_id: int) -> HttpResponse:
    """Show the progress of a test. The page's script fetches only the changing part."""
    trial = get_object_or_404(Trial.objects.select_related("server", "message"), pk=trial_id, server=server_id)
    shown = _test_so_far(trial)
    if "part" in request.GET:
        return TemplateResponse(request, "delivery/test_part.html", {"server": trial.server, **shown})
    form = _test_form(trial.server, None, recipient=trial.recipient)
    return _test_page(request, trial.server, form, shown)


def _test_form(server: SmtpServer, posted: Any, recipient: str = "") -> SendTestForm:
    copies = [address for _, address in copy_addresses(server)]
    proposed = default_recipient(server)
    return SendTestForm(posted, copies=copies, proposed=proposed, initial={"recipient": recipient or proposed})


def _test_page(request: HttpRequest, server: SmtpServer, form: SendTestForm, shown: dict[str, Any]) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Send test through %(server)s") % {"server": server},
        "opts": SmtpServer._meta,
        "object": server,
        "server": server,
        "form": form,
        "ending": password_warning(server.preset, server.oauth_account_id is not None, today()),
        "action": reverse("delivery:send_test", args=[server.pk]),
        **shown,
    }
    return TemplateResponse(request, "delivery/send_test.html", context)


def _test_so_far(trial: Trial) -> dict[str, Any]:
    now = clock.now()
    conversation = trials.conversation_of(trial)
    if trial.refusal:
        return {"outcome": ResultWords("failed", "block", _("Test not sent."), trial.refusal_text)}
    if trial.ended_at is None:
        steps = [line_of(said.step) for said in conversation.steps] if conversation else []
        return {"outcome": _under_way(trial, now), "steps": steps, "is_under_way": not trials.is_lost(trial, now)}
    if conversation is None:  # The message was deleted in the meantime.
        return {"outcome": ResultWords("unsure", "help", _("This test was deleted."), _("Send another one."))}
    receipt = receipt_of(trial.recipient, conversation.message_id) if conversation.is_accepted else None
    return {
        "outcome": outcome_of(conversation),
        "field_to_fix": _field_to_fix(conversation),
        "receipt": receipt,
        "is_receipt_followed": receipt is not None and receipt.is_followed(trial.ended_at, now),
        "steps": [line_of(said.step) for said in conversation.steps],
        "not_reached": not_reached(conversation, checks_bounces=has_return_path(trial.server)),
        "mailbox_query": trial.recipient
        if conversation.status in ARRIVED and leads_to_test_inbox(trial.server)
        else "",
    }


def _under_way(trial: Trial, now: dt.datetime) -> ResultWords:
    if trials.is_lost(trial, now):
        return ResultWords("unsure", "help", *trials.under_way(trial, now))
    return ResultWords("waiting", "hourglass_empty", *trials.under_way(trial, now))


def default_recipient(server: SmtpServer) -> str:
    """Return the bare address of the server's Mail to; empty if it has none."""
    try:
        return parse_mailbox(server.mail_to).address
    except AddressInvalid:
        return ""


def outcome_of(conversation: operators_send_test.Conversation) -> ResultWords:
    failed = next((said for said in conversation.steps if not said.step.is_ok), None)
    if conversation.is_accepted and failed is not None and failed.step.name == "bounces":
        headline = _("The server accepted the message, but bounces would be lost.")
        return ResultWords("unsure", "warning", headline, failed.explanation)
    if conversation.is_accepted and failed is not None and failed.step.name == "DKIM":
        headline = _("The server accepted the message, but its signature is wrong.")
        return ResultWords("unsure", "warning", headline, failed.step.reply)
    if conversation.is_accepted:
        return ResultWords(
            "fine",
            "check_circle",
            _("The server accepted the message."),
            _("Check the mailbox of %(recipient)s, and its spam folder after a few minutes.")
            % {"recipient": conversation.recipient},
        )
    advice = failed.explanation if failed else conversation.reason
    if conversation.status == Message.Status.UNCONFIRMED:
        is_silent = failed is not None and "silent" in failed.step.reply
        headline = _("Sent in full, no reply yet.") if is_silent else _("The message was sent, but the reply was lost.")
        return ResultWords("unsure", "help", headline, advice)
    headline = _("Test not sent.")
    if failed:
        headline = f"{_('Test failed.')} {translated(FAILURES.get(failed.step.name, ''))}".strip()
    return ResultWords("failed", "cancel", headline, advice)


def _field_to_fix(conversation: operators_send_test.Conversation) -> str:
    """Return the field on the server's page that a failed test speaks of; empty: the test did not fail, or of none."""
    failed = next((said.step.name for said in conversation.steps if not said.step.is_ok), "")
    return FIELDS_TO_FIX.get(failed, "")


def line_of(step: Step) -> StepLine:
    """Return a step for the page. The extensions of a greeting are shown as a list, and not again as lines."""
    reply = step.reply.partition("\n")[0] if "extensions" in step.details else translated(step.reply)
    return StepLine(step, str(STEPS[step.name]), reply)


def not_reached(conversation: operators_send_test.Conversation, *, checks_bounces: bool) -> list[str]:
    """Return the steps that a failed conversation did not reach, without the optional ones."""
    if not conversation.steps or conversation.steps[-1].step.is_ok:
        return []
    names = list(STEPS)
    reached = max(names.index(said.step.name) for said in conversation.steps)
    optional = ("HELO", "TLS", "AUTH", "DKIM", *(() if checks_bounces else ("bounces",)))
    return [name for name in names[reached + 1 :] if name not in optional]


# --- mail held back by a server


@staff_member_required
@needs("smtpservers.view_smtpserver")
@never_cache
@require_http_methods(["GET", "POST"])
def held_back(request: HttpRequest, server_id: int) -> HttpResponse:
    """Show the provider holds and refused senders of a server (GET), or end one of them (POST)."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    may_end = request.user.has_perm("smtpservers.pause_smtpserver") or request.user.has_perm(
        "smtpservers.change_smtpserver"
    )
    if request.method == "POST":
        if not may_end:
            raise PermissionDenied
        _end_held_back(request, server)
        return redirect("delivery:held_back", server.pk)
    now = timezone.now()
    context = {
        **admin.site.each_context(request),
        "title": _("Mail on hold for %(server)s") % {"server": server},
        "opts": SmtpServer._meta,
        "object": server,
        "server": server,
        "holds": provider_holds.of_server(server.pk, now),
        "senders": refused_senders.of_server(server, now),
        "limit": server.learned_messages_per_connection,
        "incidents": Incident.objects.filter(server=server, seen_at__gt=now - Incident.SHOWN_FOR)[:20],
        "may_end": may_end,
    }
    return TemplateResponse(request, "delivery/held_back.html", context)


@staff_member_required
@needs("smtpservers.view_smtpserver")
@never_cache
@require_GET
def server_health(request: HttpRequest) -> HttpResponse:
    """Show the state of each server, its last replies, what it holds back, and its incidents; the worst first."""
    now = timezone.now()
    page = Paginator(list_row.with_current_period(list_row.worst_first(now), now), SERVERS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    shown = [
        (health, states.state_of(health.server, now), list_row.last_success(health.server, now))
        for health in operators_server_health.of(list(page.object_list), now)
    ]
    context = {
        **admin.site.each_context(request),
        "title": _("Health"),
        "shown": shown,
        "page": page,
        "may_send_test": request.user.has_perm("smtpservers.send_test"),
    }
    return TemplateResponse(request, "delivery/health.html", context)


def _end_held_back(request: HttpRequest, server: SmtpServer) -> None:
    sender, hold = request.POST.get("sender", ""), request.POST.get("hold", "")
    done = ""
    if hold.isdecimal() and len(hold) < 19 and (provider := provider_holds.lift(server.pk, int(hold))):
        done = _("Sending to %(provider)s resumed.") % {"provider": provider}
    elif sender and refused_senders.forget(server.pk, sender):
        done = _("%(sender)s will be tried again.") % {"sender": sender}
    if done:
        assert request.user.pk is not None
        LogEntry.objects.log_actions(request.user.pk, [server], CHANGE, done, single_object=True)
        messages.success(request, done)
    else:
        messages.info(request, _("This was already resumed."))


# --- a restored copy


@staff_member_required
@needs("delivery.release_copy")
@asks_first
@never_cache
@require_http_methods(["GET", "POST"])
def restored(request: HttpRequest) -> HttpResponse:
    """Show the mail that was under way when this copy was made (GET), or store the answer about the original (POST)."""
    if request.method == "POST":
        if problem := restored_copy.answer(request.POST.get("answer", "")):
            messages.error(request, problem)
        else:
            log_answer(request.user.pk, request.POST["answer"])
        return redirect("delivery:restored")
    context = {
        **admin.site.each_context(request),
        "title": _("Restored copy"),
        "copy": restored_copy.held(),
        "under_way": restored_copy.under_way(timezone.now()),
        "answers": restored_copy.Answer,
    }
    return TemplateResponse(request, "delivery/restored.html", context)


def log_answer(user_id: int | None, given: str) -> None:
    """Log who let a copy send, and with which answer."""
    if user_id is not None and (copy := restored_copy.held()) is not None:
        said = f"Said of a restored copy: {restored_copy.Answer(given).label}."
        LogEntry.objects.log_actions(user_id, [copy], CHANGE, said, single_object=True)


# --- the outbox


@staff_member_required
@needs("delivery.view_message")
@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """Show messages of all mailings by address, status, server and last change, newest first, with their attempts."""
    form = MessageSearch(request.GET)
    messages = Message.objects.select_related("mailing", "server")
    if request.user.has_perm("delivery.view_attempt"):
        messages = messages.prefetch_related("attempts__batch")
    given = request.GET.get("before", "")
    before = int(given) if given.isdecimal() and len(given) < 19 else None
    wanted = form.cleaned_data if form.is_valid() else {}
    server = wanted.get("server")
    since = figures.midnight(clock.now(), site().time_zone) if wanted.get("changed") == TODAY else None
    found = outbox_search.search(
        messages, wanted.get("address", ""), wanted.get("status", ""), server.pk if server else None, before, since
    )
    figures.show_claimed(found.messages)
    query = request.GET.copy()
    query.pop("before", None)
    is_filtered = any(query.values())
    context = {
        **admin.site.each_context(request),
        "title": _("Messages"),
        "form": form,
        "messages_found": found.messages,
        "next_page": _before(query, found.older),
        "further_back": _before(query, found.unsearched),
        "window": outbox_search.WINDOW,
        "is_first_page": before is None,
        "is_filtered": is_filtered,
    }
    return TemplateResponse(request, "delivery/messages.html", context)


def _before(query: QueryDict, number: int | None) -> str:
    """Return the query string of the page before a message's number; empty if there is no such page."""
    if number is None:
        return ""
    further = query.copy()
    further["before"] = str(number)
    return further.urlencode()
