"""The pages of the first run. Each saves its step and leads to the next one; whatever it makes can be changed later."""

from functools import partial, wraps
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Profile
from adminpages.access import View, way_back
from adminpages.fresh_sign_in import asks_first
from adminpages.one_row import THE_ONE
from brilliance.demo import removable
from brilliance.demo.seed import ways_back
from brilliance.web.first_run import people
from brilliance.web.first_run.forms import TAKEN, OrganisationForm, PeopleForm
from brilliance.web.first_run.steps import RIGHTS, is_hidden, may_take_all, steps
from contacts.models import ContactList
from contacts.transfer import uploads
from delivery import clock, hints, tasks
from delivery.operators import trials
from installation.models import DemoData, SiteSettings
from installation.site import site
from mail.addresses import AddressInvalid, parse_mailbox
from smtpservers import presets
from smtpservers.models import SmtpServer

NAMED = 5  # Left out entries in one sentence.
SHOWN_FIRST = ("ses", "brevo", "mailgun", "mailjet", "m365", "postmark", "resend", "sendgrid", "workspace-relay")


def _for_set_up(view: View) -> View:
    """Let in who may take all steps."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(way_back(request))
        if not request.user.has_perms(RIGHTS):
            raise PermissionDenied(", ".join(RIGHTS))
        return view(request, *args, **kwargs)

    return never_cache(answer)


@_for_set_up
@require_http_methods(["GET", "POST"])
def organisation(request: HttpRequest) -> HttpResponse:
    saved = SiteSettings.objects.filter(pk=THE_ONE).first() or SiteSettings(pk=THE_ONE)
    form = OrganisationForm(request.POST if request.method == "POST" else None, instance=saved)
    if form.is_bound and form.is_valid():
        form.save()
        _log(request, saved)
        return redirect("set_up_server" if not SmtpServer.objects.exists() else "admin:index")
    return _page(request, "organisation.html", _("Your organisation"), {"form": form, "site_zone": site().time_zone})


@_for_set_up
@require_http_methods(["GET", "POST"])
@asks_first
def server(request: HttpRequest) -> HttpResponse:
    """Offer the providers (GET), or connect the test inbox and send it a test (POST). Others have a form to fill in."""
    if request.method == "POST":
        if not settings.SANDBOX_ENABLED:
            raise PermissionDenied("the test inbox is switched off")
        now = clock.now()
        with transaction.atomic():
            made = _connect_test_inbox(request)
            trials.ask(made, made.mail_to, request.user, with_copies=False, now=now)
            transaction.on_commit(partial(hints.ring, tasks.make_trials))
        messages.success(request, _("Test inbox connected. A test is on its way there."))
        return redirect("set_up_people" if not ContactList.objects.exists() else "admin:index")
    known = [presets.PRESETS[key] for key in SHOWN_FIRST if key in presets.PRESETS]
    context = {"providers": known, "has_test_inbox": settings.SANDBOX_ENABLED}
    return _page(request, "server.html", _("Connect a server"), context)


def _connect_test_inbox(request: HttpRequest) -> SmtpServer:
    name = _("Test inbox")
    found = SmtpServer.objects.filter(name=name, host="127.0.0.1", port=settings.SANDBOX_PLAIN_PORT).first()
    if found is not None:  # The button was pressed twice.
        return found
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    domain = host if "." in host and not host.replace(".", "").isdigit() else "example.com"
    made = SmtpServer.objects.create(
        name=name,
        host="127.0.0.1",
        port=settings.SANDBOX_PLAIN_PORT,
        use_tls=False,
        mail_from=f"news@{domain}",
        mail_to=_own_address(request) or f"test@{domain}",
        domain_name=domain,
        handles_email_validation=True,
        time_zone=str(site().time_zone),
        notes=_("Delivers to the Test inbox on this machine. Nobody else gets this mail."),
        **ways_back(domain),
    )
    _log(request, made)
    return made


@_for_set_up
@require_http_methods(["GET", "POST"])
def first_people(request: HttpRequest) -> HttpResponse:
    """Ask for a list and its people (GET); make it, and import them or subscribe the user alone (POST)."""
    only_me = "only_me" in request.POST
    form = PeopleForm(request.POST if request.method == "POST" else None, request.FILES or None, only_me=only_me)
    if only_me and not _own_address(request):
        messages.error(request, _("Your account has no email address. Enter one under Your account first."))
    elif form.is_bound and form.is_valid():
        try:
            return _add_people(request, form, only_me=only_me)
        except IntegrityError:  # Pressed twice at once.
            form.add_error("name", TAKEN)
    return _page(request, "people.html", _("Your first people"), {"form": form, "own": _own_address(request)})


@transaction.atomic
def _add_people(request: HttpRequest, form: PeopleForm, *, only_me: bool) -> HttpResponse:
    given, user = form.cleaned_data, _user(request)
    if given["file"] and not only_me:
        draft = uploads.store(given["file"], form.layout, user)
        kept = {"new_list": [given["name"]], "consent": [given["consent"]]}
        uploads.keep_choices(draft, form.layout.headings, kept)
        return redirect("admin:contacts_contactimport_columns", draft.pk)
    made = ContactList.objects.create(name=given["name"])
    _log(request, made)
    if only_me:
        people.subscribe_only(user, made, clock.now())
        messages.success(request, _("List created, with you on it. Add others at any time."))
    else:
        people.import_pasted(form.rows, made, given["consent"], user)
        messages.success(request, _("Import started. Write your first campaign meanwhile."))
        if left_out := people.unusable(form.rows):
            messages.warning(request, _left_out(left_out))
    return redirect("admin:campaigns_campaign_add")


def _left_out(entries: list[str]) -> str:
    """Return a sentence that names what was pasted and is no address, the first few of it."""
    named = ", ".join(f"“{entry[:60]}”" for entry in entries[:NAMED])
    more = len(entries) - NAMED
    if more > 0:
        named = _("%(named)s and %(n)s more") % {"named": named, "n": f"{more:,}"}
    said = ngettext(
        "%(n)s line of what you pasted is left out, because it's no email address: %(named)s.",
        "%(n)s lines of what you pasted are left out, because they're no email addresses: %(named)s.",
        len(entries),
    )
    return said % {"n": f"{len(entries):,}", "named": named}


@_for_set_up
@require_POST
def hide(request: HttpRequest) -> HttpResponse:
    """Take the steps from the user's Home, or put them back."""
    hides = request.POST.get("hide") == "on"
    Profile.objects.update_or_create(user=_user(request), defaults={"hides_set_up": hides})
    if hides:
        messages.info(request, _("Steps hidden. Your account shows them again."))
    return redirect("admin:index")


@_for_set_up
@require_POST
@asks_first
def make_demo(request: HttpRequest) -> HttpResponse:
    if removable.make(_user(request), clock.now()):
        transaction.on_commit(partial(hints.ring, tasks.dispatch))
        messages.success(request, _("Demo data added. Its first campaign is on its way to the Test inbox."))
    else:
        messages.error(request, _("This installation isn't empty, so no demo data was added."))
    return redirect("admin:index")


@_for_set_up
@require_http_methods(["GET", "POST"])
@asks_first
def remove_demo(request: HttpRequest) -> HttpResponse:
    """Say what goes (GET), or take it away (POST)."""
    if request.method != "POST":
        return _page(request, "remove_demo.html", _("Remove demo data?"), {})
    try:
        kept = removable.remove(clock.now())
    except removable.InUse as refusal:
        text = _("Demo data wasn't removed, because something of yours uses it: %(users)s. Change that first.")
        messages.error(request, text % {"users": ", ".join(refusal.users)})
        return redirect("demo_remove")
    except removable.StillSending:
        messages.warning(request, _("A worker is still sending some of it. Try again in a few seconds."))
        return redirect("demo_remove")
    if kept is None:
        messages.info(request, _("There is no demo data to remove."))
    elif kept:
        text = ngettext(
            "Demo data removed. %(n)s item stays, because you changed or use it.",
            "Demo data removed. %(n)s items stay, because you changed or use them.",
            kept,
        )
        messages.success(request, text % {"n": f"{kept:,}"})
    else:
        messages.success(request, _("Demo data removed."))
    return redirect("admin:index")


def address_in_use(request: HttpRequest) -> str:
    """Return the address that the site was opened at, if it is not ``BASE_URL``; else an empty text."""
    base, own = urlsplit(settings.BASE_URL), f"{request.scheme}://{request.get_host()}"
    opened = urlsplit(own)
    loopback = ("localhost", "127.0.0.1", "::1")
    is_same_host = opened.hostname == base.hostname or {opened.hostname, base.hostname} <= set(loopback)
    ports = [each.port or {"https": 443}.get(each.scheme, 80) for each in (opened, base)]
    return "" if is_same_host and opened.scheme == base.scheme and ports[0] == ports[1] else own


def set_up_context(request: HttpRequest) -> dict[str, Any]:
    """Return what the card of the steps shows on Home."""
    found = steps(request.user)
    user = request.user
    shown = found if not is_hidden(user) else []
    is_without_server = bool(shown) and shown[1].link == reverse("set_up_server")
    return {
        "set_up": shown,
        "set_up_done": sum(step.is_done for step in shown),
        "set_up_next": next((step for step in shown if not step.is_done), None),
        "address_in_use": address_in_use(request) if found else "",
        "base_url": settings.BASE_URL,
        "may_make_demo": is_without_server and removable.may_make(),
        "has_demo": may_take_all(user) and DemoData.objects.exists(),
    }


def _page(request: HttpRequest, template: str, title: str, context: dict[str, Any]) -> HttpResponse:
    whole = {**admin.site.each_context(request), "title": title, **context, "home": reverse("admin:index")}
    return TemplateResponse(request, f"brilliance/first_run/{template}", whole)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _own_address(request: HttpRequest) -> str:
    try:
        return parse_mailbox(_user(request).email).address
    except AddressInvalid:
        return ""


def _log(request: HttpRequest, made: Model) -> None:
    said = _("Made by the set-up steps.")
    LogEntry.objects.log_actions(_user(request).pk, [made], ADDITION, said, single_object=True)
