"""Invitations. The admin's own ways in are closed or limited, and so are the library's pages, which show secrets."""

from functools import partial
from typing import Any

import allauth.account.admin
import allauth.mfa.admin  # noqa: F401  # Registers the page that is closed here.
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts import powers
from accounts.by_mail import mails, servers, tokens
from accounts.by_mail.invitation_form import InvitationForm, RoleField
from accounts.by_mail.server_form import AccountServerForm
from accounts.factors import ASKED_FOR
from accounts.forms import OwnPasswordForm
from accounts.models import AccountServer, Invitation, SignInNotice, destination_of
from accounts.notices import MUST_CHANGE
from adminpages.fresh_sign_in import asks_first
from adminpages.pages import Deletion, ModelAdmin
from delivery import hints, tasks
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Message
from delivery.templatetags.reasons import sentence


def log_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect to the sign-in. The admin's own form would take a password alone, from signed-in users too."""
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied("staff")
    return redirect_to_login(request.GET.get("next", ""))


def change_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """Show the admin's page to change one's own password. Guesses at the old one count like those at the sign-in."""
    view = _OwnPassword.as_view(extra_context={**admin.site.each_context(request), **(extra_context or {})})
    return view(request)


class _OwnPassword(PasswordChangeView):
    form_class = OwnPasswordForm
    title = _("Change password")

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if MUST_CHANGE in self.request.session:
            messages.warning(self.request, SignInNotice.Kind.PASSWORD_SET.label)
        return super().render_to_response(context, **kwargs)

    def get_success_url(self) -> str:
        """Lead on to the page that was asked for before the password had to be changed, or to the account."""
        next_url: str = self.request.session.pop(ASKED_FOR, "")
        messages.success(self.request, gettext("Password changed."))
        return next_url or reverse("account")


admin.site.login = log_in  # type: ignore[method-assign]
admin.site.password_change = change_password  # type: ignore[method-assign, assignment]
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)


@admin.register(Invitation)
class InvitationAdmin(ModelAdmin):
    """Whoever is invited and has not accepted yet. An invitation is not changed: it is revoked and made again."""

    form = InvitationForm
    asks_fresh_sign_in = True
    list_display = ("email", "name", "role", "invited_by", "delivery", "expires_at")
    card = ("email", "delivery", "expires_at", "role")
    list_select_related = ("role", "invited_by")
    fields = ("first_name", "last_name", "email", "role")
    ordering = ("-invited_at",)
    actions = ("send_again",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(super().has_add_permission(request)) and not settings.OIDC_ONLY

    def has_change_permission(self, request: HttpRequest, obj: Invitation | None = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the roles that may do no more than the inviter."""
        if db_field.name == "role":
            kwargs |= {"queryset": powers.roles_within(request.user), "form_class": RoleField}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Draw one button, *Send invitation*."""
        context |= {"show_save": False, "show_save_and_continue": False, "show_save_and_add_another": False}
        return super().render_change_form(request, context, *args, **kwargs)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        if self.has_add_permission(request) and not mails.can_be_sent(timezone.now()):
            said = gettext(
                "No server can send an invitation right now. It needs a working server other than the Test inbox."
                ' <a href="{servers}" class="text-link">Check the servers</a>, or'
                ' <a href="{user}" class="text-link">add a user by hand</a>.'
            )
            servers, user = reverse("admin:smtpservers_smtpserver_changelist"), reverse("admin:auth_user_add")
            messages.error(request, format_html(said, servers=servers, user=user))
            return redirect("admin:accounts_invitation_changelist")
        response: HttpResponse = super().add_view(request, form_url, extra_context)
        return response

    @admin.display(description=_("name"))
    def name(self, invitation: Invitation) -> str:
        return f"{invitation.first_name} {invitation.last_name}".strip() or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Invitation]:
        return mails.with_delivery(super().get_queryset(request))

    @admin.display(description=_("mail"), ordering="invited_at")
    def delivery(self, invitation: Any) -> SafeString:
        """Return what became of the mail, with the last reason why not."""
        asked_at = date_format(timezone.localtime(invitation.invited_at), "DATETIME_FORMAT")
        status = invitation.mail_status or Message.Status.QUEUED
        if status == Message.Status.ACCEPTED:
            return format_html("{}", gettext("Sent %(time)s") % {"time": asked_at})
        word = gettext("Waiting") if status in Message.PENDING else Message.Status(status).label
        chip = '<span class="status-chip" data-status="{}" title="{}">{}</span> {}'
        return format_html(chip, status, asked_at, word, sentence(invitation.mail_reason or ""))

    @admin.display(description=_("expires"), ordering="invited_at")
    def expires_at(self, invitation: Invitation) -> SafeString:
        at = invitation.invited_at + tokens.INVITED_FOR
        day = date_format(timezone.localtime(at), "DATETIME_FORMAT")
        if at > timezone.now():
            return format_html("{}", day)
        chip = '<span class="status-chip" data-status="expired" title="{}">{}</span>'
        return format_html(chip, day, gettext("Expired"))

    def save_model(self, request: HttpRequest, obj: Invitation, form: Any, change: bool) -> None:
        assert not request.user.is_anonymous
        obj.invited_by, obj.invited_at = request.user, timezone.now()
        super().save_model(request, obj, form, change)
        _send(obj)

    def response_add(self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None) -> HttpResponse:
        said = gettext(
            "Invitation on its way to %(email)s. It expires in %(days)s days. This page says when a server took it."
        )
        messages.success(request, said % {"email": obj.email, "days": tokens.INVITED_FOR.days})
        return redirect("admin:accounts_invitation_changelist")

    @admin.action(description=_("Send again"), permissions=["add"])
    @method_decorator(asks_first)
    def send_again(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> None:
        """Send new links, which last anew. Earlier ones stop working."""
        now = timezone.now()
        if not mails.can_be_sent(now):
            messages.error(request, gettext("No server can send invitations right now. Check the servers."))
            return
        with transaction.atomic():
            chosen = [each.pk for each in queryset if powers.reaches(request.user, each.role)]
            Invitation.objects.filter(pk__in=chosen).update(
                round=F("round") + 1, invited_at=now, invited_by=request.user.pk
            )
            found = list(Invitation.objects.filter(pk__in=chosen).select_related("invited_by"))
            for invitation in found:
                self.log_change(request, invitation, gettext("Sent again."))
                _send(invitation)
        if len(chosen) < len(queryset):
            messages.error(request, gettext("You can't invite people with a role that may do more than you."))
        if found:
            said = ngettext("%(n)s invitation sent again.", "%(n)s invitations sent again.", len(found))
            messages.success(request, said % {"n": f"{len(found):,}"})


@admin.register(AccountServer)
class AccountServerAdmin(ModelAdmin):
    """The servers that may carry account mail. Without any, every working server may."""

    form = AccountServerForm
    asks_fresh_sign_in = True
    list_display = ("name", "leads", "state")
    list_select_related = ("server",)
    fields = ("server",)
    ordering = ("server__name",)
    actions = ("confirm",)
    empty_hint = _(
        "Every working server may carry invitations and links to reset a password, so whoever may add servers can read"
        " them. Add the servers that you trust, and no other carries them."
    )

    def has_change_permission(self, request: HttpRequest, obj: AccountServer | None = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountServer]:
        found: QuerySet[AccountServer] = super().get_queryset(request).select_related("server")
        return found

    @admin.display(description=_("server"), ordering="server__name")
    def name(self, chosen: AccountServer) -> str:
        return servers.named(chosen.server)

    @admin.display(description=_("settings"))
    def leads(self, chosen: AccountServer) -> SafeString:
        return servers.described(chosen.server)

    @admin.display(description=_("state"))
    def state(self, chosen: AccountServer) -> str:
        if not (changed := servers.changes(chosen)):
            return gettext("Carries account mail")
        return gettext("Changed since: %(changes)s. Confirm it to use it again.") % {"changes": changed}

    def action_checkbox(self, obj: AccountServer) -> SafeString:
        """Return the checkbox of a row, with what the row shows, for :meth:`confirm`."""
        shown = '{}<input type="hidden" name="shown" value="{}.{}">'
        return format_html(shown, super().action_checkbox(obj), obj.pk, servers.version_of(obj.server))

    action_checkbox.short_description = ModelAdmin.action_checkbox.short_description  # type: ignore[attr-defined]

    def deletion(self, obj: AccountServer) -> Deletion:
        is_last = not AccountServer.objects.exclude(pk=obj.pk).exists()
        gone = gettext("Its right to carry invitations and links to reset a password")
        return Deletion([gone, gettext("Then every working server may carry them")] if is_last else [gone])

    @admin.action(description=_("Confirm after a change"), permissions=["add"])
    @method_decorator(asks_first)
    def confirm(self, request: HttpRequest, queryset: QuerySet[AccountServer]) -> None:
        """Let the chosen servers carry account mail as the page shows them."""
        shown = dict(each.split(".", 1) for each in request.POST.getlist("shown") if "." in each)
        for chosen in queryset:
            named = self.name(chosen)
            if leads_to_test_inbox(chosen.server):
                said = gettext("%(server)s leads to the Test inbox, which shows links.") % {"server": named}
                messages.error(request, said)
            elif not servers.is_version(shown.get(str(chosen.pk), ""), chosen.server):
                messages.error(request, f"{named}: {servers.STALE}")
            else:
                chosen.destination = destination_of(chosen.server)
                chosen.save(update_fields=["destination"])
                said = gettext("Confirmed: %(server)s.") % {"server": named}
                self.log_change(request, chosen, said)
                messages.success(request, said)


def _send(invitation: Invitation) -> None:
    mails.send_invitation(invitation, timezone.now())
    transaction.on_commit(partial(hints.ring, tasks.dispatch))
