"""Admin pages of the sandbox: the list of received mail, one mail with its parts, its raw bytes."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import format_lazy, slugify
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.decorators import action, display
from unfold.enums import ActionVariant

from adminpages.instants import stamp_exactly
from adminpages.pages import ModelAdmin
from installation.site import site
from mail.links.levels import OFF
from sandbox import visitors
from sandbox.late_delivery import is_listening, near
from sandbox.mail_view import read
from sandbox.models import AUTH, PLAIN, STARTTLS, SandboxMail
from sandbox.specials import LATE_SECONDS, SLOW_SECONDS, Special, special
from sandbox.store import KEPT
from sandbox.visitors import Counted, Guise

# Mail is foreign content: no script, no form, nothing of our own origin but the media library. Pictures are part of
# what it shows.
FRAME_POLICY = (
    f"sandbox; default-src 'none'; img-src data: https: {settings.BASE_URL}/media/;"
    " style-src 'unsafe-inline'; frame-ancestors 'self'"
)
NO_PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
RAW_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

EFFECTS = {
    Special.SLOW: format_lazy(_("Addresses that begin with slow get a reply after {} seconds."), SLOW_SECONDS),
    Special.GREYLIST: _("Addresses that begin with greylist are rejected at the first try. This is a later one."),
    Special.DROP: _(
        "Addresses that begin with drop lose the connection before the reply. The message arrived, but its sender"
        " was never told, so it's unconfirmed there."
    ),
    Special.LATE_BOUNCE: format_lazy(_("This address returns mail as undeliverable after {} seconds."), LATE_SECONDS),
    Special.COMPLAIN: format_lazy(_("This address reports mail as spam after {} seconds."), LATE_SECONDS),
    Special.OUT_OF_OFFICE: format_lazy(_("This address answers automatically after {} seconds."), LATE_SECONDS),
    Special.UNSUBSCRIBE: format_lazy(
        _("This address unsubscribes by mail after {} seconds, if the message offers that."), LATE_SECONDS
    ),
    Special.READS: _("This address opens mail and clicks a link, if they are counted."),
    Special.APPLE_PRIVACY: _("Apple’s privacy proxy loads the pixel of mail to this address, if opens are counted."),
    Special.GMAIL_PROXY: _("Gmail’s proxy loads the pixel of mail to this address, if opens are counted."),
    Special.LINK_SCANNER: _("A scanner follows every link of mail to this address, if clicks are counted."),
}
PORTS = {PLAIN: _("Unencrypted"), STARTTLS: "STARTTLS", AUTH: _("With sign-in")}

GUISES = {
    Guise.PERSON: _("A person"),
    Guise.APPLE_PRIVACY: _("Apple’s privacy proxy"),
    Guise.SCANNER: _("A link scanner"),
}


@admin.register(SandboxMail)
class SandboxMailAdmin(ModelAdmin):
    list_display = ("subject_or_none", "recipient", "listener_label", "received")
    card = ("subject_or_none", "recipient", "received")
    list_filter = ("listener",)
    search_fields = ("rcpt_to", "subject")
    search_help_text = _("Recipient or subject")
    list_per_page = 50
    actions = None
    actions_list = ("delete_all",)
    list_before_template = "sandbox/introduction.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SandboxMail]:
        mails: QuerySet[SandboxMail] = super().get_queryset(request)
        return mails.defer("content")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SandboxMail | None = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        views = (
            *(("html", self.html_view), ("raw", self.raw_view), ("download", self.download_view)),
            ("visit", require_POST(self.visit_view)),
        )
        own = [
            path(f"<int:mail_id>/{name}/", self.admin_site.admin_view(view), name=f"sandbox_sandboxmail_{name}")
            for name, view in views
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        ports = {
            "plain_port": settings.SANDBOX_PLAIN_PORT,
            "starttls_port": settings.SANDBOX_STARTTLS_PORT,
            "auth_port": settings.SANDBOX_AUTH_PORT,
            "kept": f"{KEPT:,}",
            "late_seconds": LATE_SECONDS,
            "intake_port": settings.INTAKE_PORT,
            "is_listening": is_listening(settings.INTAKE_PORT, near(settings.INTAKE_HOST)),
        }
        response: HttpResponse = super().changelist_view(request, {**ports, **(extra_context or {})})
        return response

    @display(description=_("Subject"), ordering="subject")  # type: ignore[untyped-decorator]
    def subject_or_none(self, mail: SandboxMail) -> str:
        return mail.subject or gettext("(no subject)")

    @display(description=_("Port"), ordering="listener", label={PLAIN: "warning", STARTTLS: "success", AUTH: "info"})  # type: ignore[untyped-decorator]
    def listener_label(self, mail: SandboxMail) -> tuple[str, str]:
        return mail.listener, str(PORTS.get(mail.listener, mail.listener))

    @display(description=_("To"), ordering="rcpt_to")  # type: ignore[untyped-decorator]
    def recipient(self, mail: SandboxMail) -> str:
        return mail.rcpt_to

    @display(description=_("Received"), ordering="id")  # type: ignore[untyped-decorator]
    def received(self, mail: SandboxMail) -> str:
        return stamp_exactly(mail.received_at)

    # --- one mail

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        mail = self._mail(request, object_id)
        content = bytes(mail.content)
        reading = read(content)
        is_counted = any(visitors.counted_in(content))
        context = {
            **self.admin_site.each_context(request),
            "title": mail.subject or gettext("(no subject)"),
            "opts": self.opts,
            "object": mail,
            "mail": mail,
            "port": PORTS.get(mail.listener, mail.listener),
            "reading": reading,
            "guises": GUISES if is_counted else {},
            "why_no_guises": "" if is_counted else _why_uncounted(),
            "size": len(mail.content),
            "fate": EFFECTS.get(special(mail.rcpt_to)),  # type: ignore[arg-type]  # None is in no dictionary
            "has_attachments": any(part.name for part in reading.parts),
        }
        return TemplateResponse(request, "sandbox/mail.html", context)

    def visit_view(self, request: HttpRequest, mail_id: int) -> HttpResponse:
        """Open the mail and click its links as one of ``GUISES``, in the background."""
        mail = self._mail(request, mail_id)
        counted = visitors.counted_in(bytes(mail.content))
        guise = request.POST.get("as", "")
        requests = visitors.requests_of(Guise(guise), counted, mail.rcpt_to) if guise in GUISES else []
        if not requests:
            messages.warning(request, gettext("This message has nothing that such a visitor would ask for."))
        elif visitors.visit(requests):
            messages.success(request, _said(Guise(guise), counted))
        else:
            messages.warning(request, gettext("Too many visitors are at work. Try again in a minute."))
        return redirect("admin:sandbox_sandboxmail_change", mail.pk)

    def html_view(self, request: HttpRequest, mail_id: int) -> HttpResponse:
        """Return the HTML part for the sandboxed frame."""
        content = bytes(self._mail(request, mail_id).content)
        page = read(content).html_with_pictures()
        if pixel := visitors.counted_in(content).pixel:  # A look from here is no open.
            page = page.replace(pixel, NO_PIXEL)
        response = HttpResponse(page.encode("utf-8", "replace"), content_type="text/html; charset=utf-8")
        return _with_policy(response, FRAME_POLICY)

    def raw_view(self, request: HttpRequest, mail_id: int) -> HttpResponse:
        content = bytes(self._mail(request, mail_id).content)
        return _with_policy(HttpResponse(content, content_type="text/plain; charset=utf-8"), RAW_POLICY)

    def download_view(self, request: HttpRequest, mail_id: int) -> HttpResponse:
        mail = self._mail(request, mail_id)
        response = HttpResponse(bytes(mail.content), content_type="message/rfc822")
        response["Content-Disposition"] = f'attachment; filename="{slugify(mail.subject)[:60] or "mail"}.eml"'
        return _with_policy(response, RAW_POLICY)

    def _mail(self, request: HttpRequest, mail_id: int | str) -> SandboxMail:
        if not self.has_view_permission(request):
            raise PermissionDenied
        mail = SandboxMail.objects.filter(pk=mail_id).first() if str(mail_id).isdecimal() else None
        if mail is None:
            raise Http404(gettext("This message is no longer in the test inbox."))
        return mail

    # --- all mails

    @action(description=_("Delete all"), permissions=["delete"], icon="delete", variant=ActionVariant.DEFAULT)  # type: ignore[untyped-decorator]
    def delete_all(self, request: HttpRequest) -> HttpResponse:
        """Ask (GET), then delete all received mail (POST)."""
        mails = SandboxMail.objects.all()
        changelist = reverse("admin:sandbox_sandboxmail_changelist")
        if request.method == "POST":
            count, _ = mails.delete()
            text = ngettext("%(n)s message deleted.", "%(n)s messages deleted.", count)
            messages.success(request, text % {"n": f"{count:,}"})
            return redirect(changelist)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Empty the test inbox"),
            "opts": self.opts,
            "count": mails.count(),
            "changelist": changelist,
        }
        return TemplateResponse(request, "sandbox/delete_all.html", context)


def _why_uncounted() -> str:
    """Say why nobody can open and click a mail that has neither a pixel nor a counted link."""
    if site().tracking == OFF:
        return gettext(
            "“Open and click as” is missing: this installation counts no opens and clicks. An administrator can change"
            " that in Settings, for mail sent from then on."
        )
    return gettext(
        "“Open and click as” is missing: nothing in this message is counted. Campaigns count if they, their lists and"
        " the recipient allow it. Tests, copies and notices never count."
    )


def _said(guise: Guise, counted: Counted) -> str:
    """Say what a visitor does, and when reports show it."""
    number = len(counted.links)
    if guise is Guise.SCANNER:
        done = ngettext("A scanner follows %(n)s link.", "A scanner follows %(n)s links at once.", number)
        text = done % {"n": number}
    elif guise is Guise.APPLE_PRIVACY:
        text = gettext("Apple’s privacy proxy loads the pixel.")
    elif not number:
        text = gettext("A person opens the message.")
    else:
        seconds = {"seconds": visitors.READING_SECONDS}
        text = gettext("A person opens the message and clicks a link in %(seconds)s seconds.") % seconds
    return f"{text} {gettext('Reports show it within seven minutes.')}"


def _with_policy(response: HttpResponse, policy: str) -> HttpResponse:
    response["Content-Security-Policy"] = policy
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    return response
