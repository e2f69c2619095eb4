"""The page that providers send people back to after a sign-in."""

from django.contrib import messages
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET

from oauth import sign_in
from words.texts import translated


@never_cache
@require_GET
@permission_required("oauth.change_oauthaccount", raise_exception=True)
@sensitive_variables()
def done(request: HttpRequest) -> HttpResponse:
    """Exchange the code that the provider gave, and go back to the account."""
    now = timezone.now()
    found = sign_in.pending_account(request.GET.get("state", ""), request.session, now)
    if found is None:
        messages.error(request, _("This sign-in has expired, began in another browser, or the account was changed."))
        return redirect("admin:oauth_oauthaccount_changelist")
    account, verifier = found
    code = request.GET.get("code", "")
    if not code:
        messages.error(request, _as_before(sign_in.why_sent_back(account, request.GET, verifier)))
        return redirect("admin:oauth_oauthaccount_change", account.pk)
    try:
        sign_in.finish(account, code, verifier, now)
    except sign_in.SignInFailed as error:
        messages.error(request, _as_before(error))
    else:
        messages.success(request, _("%(account)s is connected.") % {"account": account})
    return redirect("admin:oauth_oauthaccount_change", account.pk)


def _as_before(why: str | sign_in.SignInFailed) -> str:
    return f"{translated(why)} {_('The account is as it was before.')}"
