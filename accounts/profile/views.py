"""The page of one's own account: who the user is, and where password, second factor and sessions are found."""

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import factors
from accounts.pages import signed_in_user
from accounts.profile.forms import ProfileForm
from accounts.sessions.store import sessions_of
from accounts.single_sign_on.identities import is_known_to_issuer
from adminpages.fresh_sign_in import ask_on_the_way, is_proved
from installation.site import site


@login_required
@never_cache
@require_http_methods(["GET", "POST"])
def account(request: HttpRequest) -> HttpResponseBase:
    """Show the page (GET), or save name, e-mail address and time zone (POST).

    A new address asks for a fresh sign-in: a forgotten password is reset through it.
    """
    # Read anew: the user of the request names the menu, and keeps its name if the form is refused.
    user = User.objects.get(pk=signed_in_user(request).pk)
    form = ProfileForm(request.POST if request.method == "POST" else None, instance=user)
    if form.is_bound and form.is_valid():
        if "email" in form.changed_data and not is_proved(request):
            return ask_on_the_way(request)
        form.save()
        if form.changed_data:
            changed = [{"changed": {"fields": [str(form.fields[name].label) for name in form.changed_data]}}]
            admin.site.get_model_admin(User).log_change(request, user, changed)
        messages.success(request, _("Account saved."))
        return redirect("account")
    return TemplateResponse(request, "accounts/account.html", {**admin.site.each_context(request), **_context(form)})


def _context(form: ProfileForm) -> dict[str, object]:
    user = form.instance
    return {
        "title": _("Your account"),
        "form": form,
        "site_zone": str(site().time_zone),
        "has_own_password": user.has_usable_password() and not settings.OIDC_ONLY,
        "is_known_to_issuer": is_known_to_issuer(user),
        "factor_count": factors.of(user).filter(type__in=factors.FACTORS).count(),
        "recovery_codes_left": factors.recovery_codes_left(user),
        "session_count": len(sessions_of(user, timezone.now())),
    }
