"""The question for a fresh sign-in: pages that give away or change much ask again who is there.

A view declares it with :func:`asks_first`, an admin page with ``asks_fresh_sign_in``. The question comes before the
page opens. If the sign-in gets too old while a page is open, the page's button asks for the password on its way, and a
form comes back with what was typed, except secrets. What was sent is written into that answer and stored nowhere.
Where a script sent the form, the page is still there, and its secrets too.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminpages.access import way_back

FRESH_FOR = dt.timedelta(minutes=10)
DRIFT_SECONDS = 60  # Between our machines' clocks. What is dated later comes from a clock that was set back since.
PROVED_AT = "proved_at"  # In the session: when the user last proved who they are.
PASSWORD = "fresh_password"  # noqa: S105  # The name of the input.
SENT_BY_SCRIPT = "X-Sent-By-Script"  # The header of static/adminpages/form.js.
ASKED = "fresh_asked"  # The name of the hidden input of the page that asks on the way.
QUESTION = "fresh_sign_in"  # The URL name of the page that asks.
WRONG = gettext_lazy("That's not your password.")
NOT_YET = gettext_lazy("Nothing is confirmed yet. Do that first, then continue.")
AGAIN = gettext_lazy("You typed a new one before. Type it again.")
AGAIN_OR_KEEP = gettext_lazy(
    "You typed a new one before. Type it again, or open the page again to keep the stored one."
)

View = Callable[..., HttpResponseBase]


def note_proof(request: HttpRequest) -> None:
    """Remember in the session, which gets a new key, that the user has just proved who they are."""
    request.session.cycle_key()
    request.session[PROVED_AT] = timezone.now().timestamp()


def is_fresh(request: HttpRequest) -> bool:
    age: float = timezone.now().timestamp() - request.session.get(PROVED_AT, 0)
    return -DRIFT_SECONDS < age < FRESH_FOR.total_seconds()


def is_proved(request: HttpRequest) -> bool:
    """Whether the sign-in is fresh, or made fresh by a password that the request brings along."""
    if is_fresh(request):
        return True
    password = request.POST.get(PASSWORD, "")
    if not password or not is_password(request, password):
        return False
    note_proof(request)
    return True


def is_password(request: HttpRequest, password: str) -> bool:
    """Whether this is the signed-in user's password. A failure counts like one of signing in."""
    with transaction.atomic():  # The limit on failures counts one request at a time.
        return authenticate(request, username=request.user.get_username(), password=password) == request.user


def ask(request: HttpRequest) -> HttpResponse:
    """Redirect to the question, and from there back to this page."""
    return redirect(f"{reverse(QUESTION)}?{urlencode({'next': request.get_full_path()})}")


def ask_on_the_way(request: HttpRequest) -> HttpResponse:
    """Return a page that asks for the password and sends the same request again. Nothing is stored meanwhile."""
    sent = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in (PASSWORD, ASKED, "csrfmiddlewaretoken")
    ]
    context = {
        **admin.site.each_context(request),
        "title": _("Confirm it's you"),
        "sent": sent,
        "error": WRONG if request.POST.get(PASSWORD) else NOT_YET if ASKED in request.POST else "",
        # The second time this page itself is the one that refers.
        "back": way_back(request) if ASKED not in request.POST else reverse("admin:index"),
    }
    return TemplateResponse(request, "adminpages/confirm.html", context, headers={"Cache-Control": "no-store"})


def asks_first(view: View) -> View:
    """Make a view for signed-in users ask for a fresh sign-in. None of its inputs may be a secret."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if is_proved(request):
            return view(request, *args, **kwargs)
        return ask_on_the_way(request) if request.method == "POST" else ask(request)

    return answer


def asks_anew(view: View) -> View:
    """Make a view ask for a fresh sign-in and begin again with its empty page, because its inputs are secrets."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return view(request, *args, **kwargs) if is_fresh(request) else ask(request)

    return answer


class AsksFreshSignIn:
    """A mixin of forms that refuses to save for an old sign-in; the page then shows a field for the password.

    A refused form comes back without the secrets that were typed, and an empty secret means "unchanged". So the page
    has a hidden input for each typed one, from ``typed_secrets``, and none of them may stay empty.
    """

    request: HttpRequest
    is_bound: bool
    fields: dict[str, forms.Field]
    data: Mapping[str, Any]
    lacks_proof = False
    keeps_secrets = False  # Whether the page still has the typed ones.
    typed_secrets: tuple[str, ...] = ()  # The names of the hidden inputs.

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]  # A mixin of forms.
        if not self.is_bound:
            return
        self.keeps_secrets = SENT_BY_SCRIPT in self.request.headers
        if not is_proved(self.request):
            self.lacks_proof = True
            wrong = [str(WRONG)] if self.request.POST.get(PASSWORD) else []
            sentences = [*wrong, _("Nothing was saved yet. Confirm it's you above, and save.")]
            self.add_error(None, " ".join(sentences))  # type: ignore[attr-defined]
        if not self.keeps_secrets:
            self._ask_for_secrets_again()

    def _ask_for_secrets_again(self) -> None:
        hidden = {name: self.add_prefix(f"typed_{name}") for name in self.fields if self._is_secret(name)}  # type: ignore[attr-defined]
        lost = [name for name, marker in hidden.items() if marker in self.data and not self._is_typed(name)]
        is_refused = bool(lost or self.errors)  # type: ignore[attr-defined]
        again = [name for name in hidden if name in lost or (is_refused and self._is_typed(name))]
        for name in again:
            repeats = name.endswith("2") and f"{name[:-1]}1" in again  # Its first field says it for both.
            if name not in self.errors and not repeats:  # type: ignore[attr-defined]
                self.add_error(name, AGAIN_OR_KEEP if self._has_stored(name) else AGAIN)  # type: ignore[attr-defined]
        self.typed_secrets = tuple(hidden[name] for name in again)

    def _has_stored(self, name: str) -> bool:
        """Whether the field may stay empty to keep what is stored."""
        instance = getattr(self, "instance", None)
        return instance is not None and instance.pk is not None and not self.fields[name].required

    def _is_secret(self, name: str) -> bool:
        widget = self.fields[name].widget
        return isinstance(widget, forms.PasswordInput) and not widget.render_value

    def _is_typed(self, name: str) -> bool:
        return bool(self.data.get(self.add_prefix(name)))  # type: ignore[attr-defined]


def asking(form: "type[forms.ModelForm[Any]]", request: HttpRequest) -> "type[forms.ModelForm[Any]]":
    """Return the form class with the question."""
    return type(form.__name__, (AsksFreshSignIn, form), {"request": request})
