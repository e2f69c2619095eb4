"""Which ways in the templates may offer."""

from django.conf import settings
from django.http import HttpRequest


def ways_in(request: HttpRequest) -> dict[str, bool]:
    return {"has_single_sign_on": bool(settings.OIDC_ISSUER), "has_passwords": not settings.OIDC_ONLY}
