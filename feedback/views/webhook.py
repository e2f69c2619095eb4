"""The page of a server's webhook: its address, the keys that prove posts, and a probe."""

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.views.decorators import staff_member_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from adminpages.access import needs
from adminpages.fresh_sign_in import asks_anew, asks_first
from delivery import clock, hints, tasks
from delivery.models import Message, Trial
from delivery.operators import trials
from encryption.keys import SecretUnreadable
from feedback.hooks import addresses, probes, receive
from feedback.hooks import keys as hook_keys
from feedback.hooks.forms import KeysForm, ProbeForm
from feedback.models import Hook, RawReport
from feedback.webhooks.adapters import adapter_of
from smtpservers.models import SmtpServer
from words.texts import translated


@staff_member_required
@needs("smtpservers.change_smtpserver")
@sensitive_post_parameters()
@asks_anew
@never_cache
@require_http_methods(["GET", "POST"])
def webhook(request: HttpRequest, server_id: int) -> HttpResponse:
    """Show a server's webhook with its secret address (GET), or store its keys (POST)."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    hook = Hook.objects.select_related("server").filter(server=server).first()
    trouble, stored, address = "", {}, ""
    if hook is not None:
        try:
            stored, address = hook_keys.keys_of(hook), addresses.url_of(hook)
        except SecretUnreadable as error:
            trouble = str(error)
    form = KeysForm(adapter_of(server.preset), stored, request.POST or None)
    if request.method == "POST" and hook is not None and form.is_valid():
        hook_keys.store(hook, form.cleaned_data)
        changed = [str(form.fields[name].label) for name in form.changed_data]
        if changed:
            _log(request, server, f"Webhook: changed {', '.join(changed)}.")
        messages.success(request, _saved(receive.prove_again(hook, clock.now())))
        return redirect("feedback:webhook", server.pk)
    return _page(request, server, hook, form, address=address, trouble=trouble)


@staff_member_required
@needs("smtpservers.change_smtpserver")
@asks_first
@require_POST
def new_address(request: HttpRequest, server_id: int) -> HttpResponse:
    """Give a server's webhook its first address, or another one."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    had_one = Hook.objects.filter(server=server).exists()
    addresses.renew(server, clock.now())
    _log(request, server, "Webhook: new address.")
    if had_one:
        text = _("New address created. The old one works for 7 days: paste the new one at the provider before that.")
    else:
        text = _("Address created. Paste it at the provider.")
    messages.success(request, text)
    return redirect("feedback:webhook", server.pk)


@staff_member_required
@needs("smtpservers.send_test")
@require_POST
def send_probe(request: HttpRequest, server_id: int) -> HttpResponse:
    """Queue a message through the server, and lead to the page that shows what comes back of it."""
    server = get_object_or_404(SmtpServer, pk=server_id)
    form = ProbeForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("feedback:webhook", server.pk)
    now = clock.now()
    trial = trials.ask(server, form.cleaned_data["recipient"], request.user, with_copies=False, now=now)
    transaction.on_commit(partial(hints.ring, tasks.make_trials))
    return redirect("feedback:probe", server.pk, trial.pk)


@staff_member_required
@needs("smtpservers.send_test")
@never_cache
@require_GET
def follow_probe(request: HttpRequest, server_id: int, trial_id: int) -> HttpResponse:
    """Show what came back of a probe. The page's script fetches only the changing part."""
    trial = get_object_or_404(Trial.objects.select_related("server", "message"), pk=trial_id, server=server_id)
    events = probes.came_back(trial)
    has_failed = trial.message is not None and trial.message.status == Message.Status.FAILED
    context = {
        "server": trial.server,
        "trial": trial,
        "events": events,
        "is_under_way": probes.is_waiting(trial, events, clock.now()) and not has_failed,
        "has_failed": has_failed,
        "minutes": int(probes.WAITS_FOR.total_seconds() // 60),
    }
    if "part" in request.GET:
        return TemplateResponse(request, "feedback/probe_result.html", context)
    context |= {"title": _("Probe through %(server)s") % {"server": trial.server}, "opts": SmtpServer._meta}
    return TemplateResponse(request, "feedback/probe.html", admin.site.each_context(request) | context)


def _saved(count: int) -> str:
    """Say that the keys are saved, and how many posts they prove that came before."""
    if not count:
        return _("Webhook saved.")
    text = ngettext(
        "Webhook saved. %(count)d post that came before is proved now and read.",
        "Webhook saved. %(count)d posts that came before are proved now and read.",
        count,
    )
    return text % {"count": count}


def _page(
    request: HttpRequest, server: SmtpServer, hook: Hook | None, form: KeysForm, *, address: str, trouble: str
) -> HttpResponse:
    adapter = adapter_of(server.preset)
    has_problem = hook is not None and hook.last_problem_at is not None
    if hook is not None and hook.last_problem_at and hook.last_event_at:
        has_problem = hook.last_problem_at > hook.last_event_at
    unproved = RawReport.objects.filter(server=server, source="webhook", state=RawReport.State.UNPROVED)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Webhook of %(server)s") % {"server": server},
        "opts": SmtpServer._meta,
        "object": server,
        "server": server,
        "hook": hook,
        "form": form,
        "probe_form": ProbeForm(initial={"recipient": adapter.simulator or server.mail_to}),
        "adapter": adapter,
        "is_any_relay": adapter.key == "signed",
        "guide": [translated(step) for step in adapter.guide],
        "events_to_tick": translated(adapter.events_to_tick),
        "address": address,
        "trouble": trouble,
        "is_https": settings.IS_HTTPS,
        "has_problem": has_problem,
        "unproved_count": unproved.count(),
        "may_see_raw": request.user.has_perm("feedback.view_rawreport"),
        "old_works_until": hook.previous_until
        if hook and hook.previous_until and hook.previous_until > clock.now()
        else None,
        "may_probe": request.user.has_perm("smtpservers.send_test"),
    }
    return TemplateResponse(request, "feedback/webhook.html", context)


def _log(request: HttpRequest, server: SmtpServer, said: str) -> None:
    assert request.user.pk is not None
    LogEntry.objects.log_actions(request.user.pk, [server], CHANGE, said, single_object=True)
