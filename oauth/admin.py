"""Admin pages of OAuth accounts: the list, the choice of a flow, the form with its steps, and connecting."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST
from simple_history.admin import SimpleHistoryAdmin

from adminpages.fresh_sign_in import asks_first
from adminpages.instants import stamp
from adminpages.pages import Deletion, ModelAdmin
from oauth import grants, sign_in, tokens
from oauth.forms import FIELDS, AccountForm
from oauth.models import SECRETS, STATE, TOKENS, OAuthAccount
from oauth.steps import set_up
from words.reasons import SENTENCES
from words.texts import translated

Flow, State = OAuthAccount.Flow, OAuthAccount.State
COLOURS = {State.NEW: "grey", State.OK: "green", State.TROUBLE: "orange", State.REFUSED: "red"}
ABOUT = {
    Flow.MICROSOFT_APP: _("An app sends as the mailbox. Nobody signs in, and nothing expires but the app's secret."),
    Flow.MICROSOFT_USER: _("A person signs in once in the browser. A changed password ends it."),
    Flow.GOOGLE_SERVICE: _("A service account sends as the mailbox. Your Google administrator allows it once."),
    Flow.GOOGLE_USER: _("A person signs in once in the browser. Best with an Internal app of your organisation."),
    Flow.POSTMASTER_USER: _("Reads Gmail's spam rate and errors for your domains. A person signs in once."),
    Flow.POSTMASTER_SERVICE: _("The same without a sign-in. Your Google Workspace administrator allows it once."),
}
# A page there could begin a sign-in that nobody asked for.
OTHER_SITES = ("cross-site", "same-site")


@admin.register(OAuthAccount)
class OAuthAccountAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]  # Both ship no types.
    """The accounts."""

    form = AccountForm
    asks_fresh_sign_in = True
    list_display = ("name", "state_badge", "flow", "mailbox")
    card = ("name", "state_badge", "mailbox")
    search_fields = ("name", "mailbox", "client_id", "tenant")
    ordering = ("name",)
    actions = ()
    empty_hint = _("Sign in to Microsoft 365 or Google with tokens instead of a password, or read Postmaster Tools.")
    change_form_outer_before_template = "oauth/state.html"
    change_form_outer_after_template = "oauth/set_up.html"
    object_history_template = "admin/smtpservers/smtpserver/history.html"
    object_history_list_template = "admin/smtpservers/smtpserver/history_list.html"

    class Media:
        css = {"all": ("oauth/accounts.css",)}

    @admin.display(description=_("State"), ordering="state")
    def state_badge(self, account: OAuthAccount) -> SafeString:
        colour, word = COLOURS[State(account.state)], state_word(account)
        return format_html('<span class="state-badge state-badge-{}">{}</span>', colour, word)

    # --- one account

    def get_urls(self) -> list[Any]:
        view, name = self.admin_site.admin_view, "oauth_oauthaccount"
        own = [
            path("<int:account_id>/connect/", view(require_POST(self.connect)), name=f"{name}_connect"),
            path("<int:account_id>/sign-in/", view(require_GET(self.sign_in)), name=f"{name}_sign_in"),
        ]
        return [*own, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for the flow first: the other fields depend on it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.GET.get("flow") in FIELDS:
            response: HttpResponse = super().add_view(request, form_url, extra_context)
            return response
        flows = [
            {"link": f"{reverse('admin:oauth_oauthaccount_add')}?flow={flow.value}", "name": flow.label, "about": about}
            for flow, about in ABOUT.items()
        ]
        context = {**self.admin_site.each_context(request), "title": gettext("Add OAuth account"), "flows": flows}
        return TemplateResponse(request, "oauth/flows.html", {**context, "opts": self.opts})

    @method_decorator(sensitive_post_parameters(*SECRETS, "key_file"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    def get_fieldsets(self, request: HttpRequest, obj: OAuthAccount | None = None) -> Any:
        names = FIELDS[Flow(obj.flow if obj else request.GET["flow"])]
        if obj is not None and not self.has_change_permission(request, obj):
            names = tuple(name for name in names if name not in (*SECRETS, "key_file"))
        return [(None, {"fields": names})]

    def get_form(
        self, request: HttpRequest, obj: OAuthAccount | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change=change, **{**kwargs, "fields": None})
        if obj is not None:
            return form

        class NewAccountForm(form):  # type: ignore[misc, valid-type]
            """The form of the flow that the address names."""

            def __init__(self, *args: Any, instance: Any = None, **kwargs: Any) -> None:
                super().__init__(*args, instance=instance or OAuthAccount(flow=request.GET["flow"]), **kwargs)

        return NewAccountForm

    def get_exclude(self, request: HttpRequest, obj: OAuthAccount | None = None) -> tuple[str, ...]:
        return (*SECRETS, *TOKENS, *STATE)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        account = context.get("original") or OAuthAccount(flow=request.GET.get("flow", ""))
        context["account"] = account
        context["flow_name"] = account.get_flow_display()
        context["set_up"] = set_up(
            account.flow,
            cloud=account.cloud,
            tenant=account.tenant,
            client_id=account.client_id,
            mailbox=account.mailbox,
            redirect_uri=grants.redirect_uri(),
        )
        if account.pk:
            context |= {
                "state_word": state_word(account),
                "colour": COLOURS[State(account.state)],
                "sentence": _sentence(account),
                "may_connect": self.has_change_permission(request, account),
                "has_sign_in": bool(account.refresh_token),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(
        self, request: HttpRequest, obj: OAuthAccount, form: "ModelForm[OAuthAccount]", change: bool
    ) -> None:
        secret = (*SECRETS, "key_file")
        named = [str(form.fields[name].label) for name in form.changed_data if name in secret]
        if named:
            obj._change_reason = f"Changed: {', '.join(named)}."  # type: ignore[attr-defined]  # The value is in no history.
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: OAuthAccount, *args: Any, **kwargs: Any) -> HttpResponse:
        self.message_user(request, gettext("%(account)s added. Connect it now.") % {"account": obj})
        return redirect("admin:oauth_oauthaccount_change", obj.pk)

    def deletion(self, obj: OAuthAccount) -> Deletion:
        return Deletion([gettext("The account with its secrets and tokens")])

    # --- connecting

    def connect(self, request: HttpRequest, account_id: int) -> HttpResponseBase:
        """Ask the provider for tokens now, and say what it answered."""
        account = self._changeable(request, account_id)
        now = timezone.now()
        if tokens.renew(account.pk, now, is_asked=True):
            self.message_user(request, gettext("%(account)s is connected.") % {"account": account})
            self.log_change(request, account, "Connected.")
        else:
            account.refresh_from_db()
            why = (
                tokens.why_held(now)
                or translated(SENTENCES.known(account.last_error))
                or gettext("Another process is asking the provider. Reload this page in a moment.")
            )
            self.message_user(request, why, messages.ERROR)
        return redirect("admin:oauth_oauthaccount_change", account.pk)

    def sign_in(self, request: HttpRequest, account_id: int) -> HttpResponseBase:
        """Lead to the provider's page, where a person signs in as the mailbox."""
        account = self._changeable(request, account_id)
        if not account.needs_sign_in:
            raise Http404("Nobody signs in for this account.")
        if request.headers.get("Sec-Fetch-Site") in OTHER_SITES:
            return redirect("admin:oauth_oauthaccount_change", account.pk)
        if why := tokens.why_held(timezone.now()):
            self.message_user(request, why, messages.ERROR)
            return redirect("admin:oauth_oauthaccount_change", account.pk)
        return _lead_to_provider(request, account)

    def _changeable(self, request: HttpRequest, account_id: int) -> OAuthAccount:
        account = get_object_or_404(OAuthAccount, pk=account_id)
        if not self.has_change_permission(request, account):
            raise PermissionDenied
        return account

    # --- history: read-only, as that of servers

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        raise Http404

    def revert_disabled(self, request: HttpRequest, obj: OAuthAccount | None = None) -> bool:
        return True


@never_cache
@asks_first
def _lead_to_provider(request: HttpRequest, account: OAuthAccount) -> HttpResponseBase:
    return redirect(sign_in.begin(account, request.session, timezone.now()))


def state_word(account: OAuthAccount) -> str:
    """Return the state's label; an app that is refused has nobody who could sign in again."""
    if account.state == State.REFUSED and not account.needs_sign_in:
        return gettext("Refused")
    return str(account.get_state_display())


def _sentence(account: OAuthAccount) -> str:
    if account.state == State.OK and account.expires_at:
        return gettext("Connected. The token is renewed by itself and ends at %(time)s.") % {
            "time": stamp(account.expires_at)
        }
    if account.state == State.TROUBLE and account.retry_at:
        return gettext("The provider can't be reached. Tried again at %(time)s.") % {"time": stamp(account.retry_at)}
    if account.state == State.REFUSED and not account.is_for_mail:
        return gettext("The provider refused it. Postmaster Tools isn't read until it works again.")
    if account.state == State.REFUSED:
        return gettext("The provider refused it. Servers that use this account are paused until it works again.")
    if account.needs_sign_in:
        return gettext("Follow the steps below, then sign in.")
    return gettext("Follow the steps below, then connect.")
