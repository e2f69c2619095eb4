"""Making and revoking the DKIM keys of a domain: the two views of its page. They ask for a fresh sign-in."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from adminpages.fresh_sign_in import asks_first
from adminpages.pages import ModelAdmin
from domains.keys import lifecycle, panel
from domains.lookups import is_example
from domains.models import DkimKey, SendingDomain

PERMISSION = "domains.manage_dkim_keys"


class DkimKeyPages(ModelAdmin):
    """The part of a domain's admin page that is about its keys."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:domain_id>/keys/", view(require_POST(asks_first(self.make_keys))), name="domains_keys_make"),
            path("<int:domain_id>/keys/revoke/", view(asks_first(self.revoke_keys)), name="domains_keys_revoke"),
            *super().get_urls(),
        ]

    def delete_model(self, request: HttpRequest, obj: SendingDomain) -> None:
        with transaction.atomic():
            super().delete_model(request, obj)
            lifecycle.forget_keys()

    def wake_keys(self) -> None:
        """Tell a worker; without a broker it notices by itself within a minute."""
        raise NotImplementedError

    def make_keys(self, request: HttpRequest, domain_id: int) -> HttpResponseBase:
        """Make a pair of keys, and return to the page, which shows its records."""
        domain = _domain(request, domain_id)
        if is_example(domain.name):
            messages.error(request, _("This domain is reserved for examples, so its keys could never start to sign."))
            return _back(domain)
        try:
            is_made = lifecycle.make_pair(domain.pk, timezone.now())
        except lifecycle.KeysHeld as error:
            messages.error(request, str(error))
            return _back(domain)
        if is_made:
            self.log_change(request, domain, _("Made DKIM keys."))
            messages.success(request, _("Keys made. Publish their records. Signing starts when DNS has them."))
            self.wake_keys()
        else:
            messages.warning(request, _("Keys are waiting for DNS already. Publish their records."))
        return _back(domain)

    def revoke_keys(self, request: HttpRequest, domain_id: int) -> HttpResponse:
        """Ask whether the keys should be revoked, and revoke them at once."""
        domain = _domain(request, domain_id)
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Revoke keys"),
                "domain": domain,
                "count": domain.dkim_keys.exclude(state=DkimKey.State.REVOKED).count(),
                "opts": self.opts,
                "original": domain,
            }
            return TemplateResponse(request, "domains/revoke_keys.html", context)
        try:
            is_done = lifecycle.revoke_all(domain.pk, timezone.now())
        except lifecycle.KeysHeld as error:
            messages.error(request, str(error))
            return _back(domain)
        if is_done:
            self.log_change(request, domain, _("Revoked all DKIM keys and made new ones."))
            messages.success(request, _("Keys revoked. Publish the new records. Mail that must be signed waits."))
            self.wake_keys()
        return _back(domain)

    def shown_keys(self, request: HttpRequest, domain: SendingDomain) -> dict[str, Any]:
        """Return what the page shows of the keys."""
        now = timezone.now()
        pairs = panel.pairs_of(domain)
        states = {shown.key.state for shown_pair in pairs for shown in shown_pair.keys}
        return {
            "key_pairs": pairs,
            "may_make_keys": request.user.has_perm(PERMISSION),
            "has_unstarted_keys": bool(states & {DkimKey.State.MADE, DkimKey.State.SEEN}),
            "has_live_keys": bool(states - {DkimKey.State.REVOKED}),
            "keys_held": lifecycle.why_held(now),
        }


def _domain(request: HttpRequest, domain_id: int) -> SendingDomain:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied
    return get_object_or_404(SendingDomain, pk=domain_id)


def _back(domain: SendingDomain) -> HttpResponse:
    return redirect("admin:domains_sendingdomain_change", domain.pk)
