"""What a user is told at the next sign-in, and a password that somebody else chose, which has to be changed first."""

from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest

from accounts.models import SignInNotice

MUST_CHANGE = "must_change_password"  # In the session.


def leave_notice(user: User, kind: SignInNotice.Kind) -> None:
    SignInNotice.objects.get_or_create(user=user, kind=kind)


def forget_notice(request: HttpRequest, user: User, kind: SignInNotice.Kind) -> None:
    SignInNotice.objects.filter(user=user, kind=kind).delete()
    request.session.pop(MUST_CHANGE, None)


def tell_notices(request: HttpRequest, user: User) -> None:
    """Show each notice once. The one about the password stands on the page that changes it, until that is done."""
    records = request.session.get(AUTHENTICATION_METHODS_SESSION_KEY, ())
    is_by_password = any(record["method"] == "password" for record in records)
    for notice in SignInNotice.objects.filter(user=user).order_by("pk"):
        if notice.kind != SignInNotice.Kind.PASSWORD_SET:
            messages.warning(request, str(notice), fail_silently=True)
            notice.delete()
        elif is_by_password:
            request.session[MUST_CHANGE] = True
