"""Pages of the data subject rights: export of everything held about a person, and its erasure."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from adminpages.fresh_sign_in import asks_first
from adminpages.text_fields import RefusesControls
from contacts.forms.contact import checked_address
from contacts.models import Contact
from contacts.privacy import erasure
from mail.addresses import fold

if TYPE_CHECKING:
    from django.contrib.auth.models import User


# The headings of what the rooms hold about a person, which files have in English.
HEADINGS = (
    gettext_noop("agreed to"),
    gettext_noop("answer"),
    gettext_noop("asked for a break until"),
    gettext_noop("at"),
    gettext_noop("attempts"),
    gettext_noop("attributes"),
    gettext_noop("became"),
    gettext_noop("begun"),
    gettext_noop("by"),
    gettext_noop("cause"),
    gettext_noop("change"),
    gettext_noop("changes by users"),
    gettext_noop("choices"),
    gettext_noop("code"),
    gettext_noop("confirmed at"),
    gettext_noop("email"),
    gettext_noop("email"),
    gettext_noop("feedback"),
    gettext_noop("file"),
    gettext_noop("first name"),
    gettext_noop("from all mail"),
    gettext_noop("history of consent"),
    gettext_noop("html"),
    gettext_noop("kind"),
    gettext_noop("known since"),
    gettext_noop("language"),
    gettext_noop("last changed"),
    gettext_noop("last name"),
    gettext_noop("lifted at"),
    gettext_noop("lifted suppressions"),
    gettext_noop("line"),
    gettext_noop("list"),
    gettext_noop("lists"),
    gettext_noop("mailing"),
    gettext_noop("merge"),
    gettext_noop("merge values"),
    gettext_noop("messages"),
    gettext_noop("network"),
    gettext_noop("of"),
    gettext_noop("outcome"),
    gettext_noop("passed on"),
    gettext_noop("person"),
    gettext_noop("reason"),
    gettext_noop("refused rows of imports"),
    gettext_noop("row"),
    gettext_noop("server"),
    gettext_noop("sign-ups"),
    gettext_noop("since"),
    gettext_noop("source"),
    gettext_noop("state"),
    gettext_noop("status"),
    gettext_noop("subject"),
    gettext_noop("suppressions"),
    gettext_noop("taken back at"),
    gettext_noop("text"),
    gettext_noop("through"),
    gettext_noop("time zone"),
    gettext_noop("to"),
    gettext_noop("unsubscribed from everything"),
    gettext_noop("until"),
    gettext_noop("why"),
)


class EraseForm(RefusesControls, forms.Form):
    """The user types the address, to prove that this person is meant."""

    email = forms.CharField(
        max_length=320,
        label=gettext_lazy("Address to erase"),
        widget=UnfoldAdminTextInputWidget(
            attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, contact: Contact, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._contact = contact

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if fold(email) != self._contact.email_key:
            raise forms.ValidationError(
                _("This isn't the person's address. Type %(email)s.") % {"email": self._contact.email}
            )
        return email


class AddressForm(RefusesControls, forms.Form):
    """An address, and its repetition to erase."""

    email = forms.CharField(
        max_length=320, label=gettext_lazy("Address"), widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
    )
    again = forms.CharField(
        max_length=320,
        required=False,
        label=gettext_lazy("Repeat to erase"),
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def clean_email(self) -> str:
        return checked_address(self.cleaned_data["email"])

    def is_repeated(self) -> bool:
        """Return whether the address was typed twice; otherwise add an error."""
        if fold(self.cleaned_data["again"]) == fold(self.cleaned_data["email"]):
            return True
        self.add_error("again", _("Type the same address here as above."))
        return False


class RightsPages:
    """A mix-in of the admin of contacts."""

    def has_erase_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return request.user.has_perm("contacts.delete_contact")

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Stored data"), icon="folder_shared", url_path="personal-data", permissions=["export"]
    )
    @method_decorator(asks_first)
    def personal_data(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Show everything held about a person (GET), or download and log it (POST)."""
        contact = _contact(object_id)
        subject = erasure.subject_of(contact)
        if request.method == "POST":
            return _file(request, subject)
        held = erasure.export(subject)
        context = self._context(request, contact, _("Data stored about %(email)s") % {"email": contact.email})
        context["held"] = [(_(heading), _as_rows(value)) for heading, value in held.items()]
        return TemplateResponse(request, "contacts/personal_data.html", context, headers={"Cache-Control": "no-store"})

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Erase"), icon="person_remove", url_path="erase", permissions=["erase"]
    )
    def erase_person(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Explain the erasure (GET), or erase the person once their address was typed (POST)."""
        if not self.has_erase_permission(request):
            raise PermissionDenied
        contact = _contact(object_id)
        form = EraseForm(contact, request.POST if request.method == "POST" else None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            outcome = erasure.erase(erasure.subject_of(contact), _actor(request), timezone.now())
            if outcome.is_done:
                messages.success(request, outcome.sentence)
                return redirect("admin:contacts_contact_changelist")
            messages.warning(request, outcome.sentence)
        context = self._context(request, contact, _("Erase %(email)s") % {"email": contact.email})
        context["form"] = form
        return TemplateResponse(request, "contacts/erase.html", context)

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Data by address"), icon="person_search", url_path="by-address", permissions=["export"]
    )
    @method_decorator(asks_first)
    def by_address(self, request: HttpRequest) -> HttpResponse:
        """Export or erase what is held under an address, also if no contact has it."""
        form = AddressForm(request.POST if request.method == "POST" else None, label_suffix="")
        if request.method == "POST" and form.is_valid():
            subject = erasure.subject_at(form.cleaned_data["email"])
            if "erase" not in request.POST:
                return _file(request, subject)
            if not self.has_erase_permission(request):
                raise PermissionDenied
            if form.is_repeated():
                outcome = erasure.erase(subject, _actor(request), timezone.now())
                messages.add_message(
                    request, messages.SUCCESS if outcome.is_done else messages.WARNING, outcome.sentence
                )
                if outcome.is_done:
                    return redirect("admin:contacts_contact_changelist")
        site, opts = self.admin_site, self.opts  # type: ignore[attr-defined]  # A mix-in of ModelAdmin.
        context = {**site.each_context(request), "opts": opts, "title": _("Data stored for an address"), "form": form}
        context["may_erase"] = self.has_erase_permission(request)
        return TemplateResponse(request, "contacts/by_address.html", context)

    def _context(self, request: HttpRequest, contact: Contact, title: str) -> dict[str, Any]:
        site, opts = self.admin_site, self.opts  # type: ignore[attr-defined]  # A mix-in of ModelAdmin.
        return {**site.each_context(request), "opts": opts, "original": contact, "title": title}


def _file(request: HttpRequest, subject: erasure.Subject) -> HttpResponse:
    erasure.record_export(_actor(request), subject)
    return HttpResponse(
        erasure.as_json(erasure.export(subject)),
        content_type="application/json",
        headers={
            "Content-Disposition": 'attachment; filename="person.json"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _contact(object_id: Any) -> Contact:
    try:
        return get_object_or_404(Contact, pk=object_id)
    except (TypeError, ValueError, OverflowError) as error:  # The path is not a key.
        raise Http404 from error


def _actor(request: HttpRequest) -> "User":
    actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
    return actor


def _as_rows(value: Any) -> list[list[tuple[str, Any]]]:
    """Return a section of the export as rows of name and value, for people to read."""
    rows = value if isinstance(value, list) else [value]
    return [
        [(_(name), _readable(each)) for name, each in row.items() if each not in (None, "", [], {}) or row is value]
        for row in rows
    ]


def _named(name: str, value: Any) -> str:
    """Return a value with its name, which is ours or that of a merge field."""
    shown = _(name) if name in HEADINGS else name
    return _("%(name)s: %(value)s") % {"name": shown, "value": _readable(value)}


def _readable(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(_named(name, each) for name, each in value.items()) or "–"
    if isinstance(value, list):
        return " · ".join(str(_readable(each)) for each in value) or "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return "–" if value in (None, "") else value
