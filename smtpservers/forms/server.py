"""The form of a server. :mod:`smtpservers.forms.validators` has the checks; secrets are never shown again."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from crispy_forms.helper import FormHelper
from django import forms
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils.html import escape, format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordToggleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from adminpages.instants import stamp, today
from adminpages.text_fields import RefusesControls
from encryption.keys import SecretUnreadable
from encryption.secret_field import Secret
from encryption.secret_states import SecretState, say, state_of
from installation.site import site
from mail.addresses import (
    AddressInvalid,
    check_address,
    check_domain_name,
    check_host,
    parse_mailbox,
    parse_mailboxes,
    readable_domain,
)
from mail.links import utm
from oauth.models import OAuthAccount
from smtpservers import presets
from smtpservers.forms import validators
from smtpservers.forms.tabs import server_form_helper
from smtpservers.forms.validators import FieldInvalid
from smtpservers.mechanisms import PREFERRED
from smtpservers.models import SECRETS, SmtpServer
from smtpservers.provider_headers import takes_configuration
from words import time_zones
from words.reasons import SENTENCES
from words.texts import translated

if TYPE_CHECKING:
    _ServerModelForm = forms.ModelForm[SmtpServer]
else:  # Django's own class takes no parameter.
    _ServerModelForm = forms.ModelForm

# A switch that is on needs the value next to it.
SWITCHES = {
    "use_precedence": "precedence",
    "use_return_path": "return_path",
    "use_spam_address": "spam_address",
    "use_abuse_address": "abuse_address",
    **{utm.switch_of(name): name for name in utm.PER_LINK},
}
# Switched on when a value is first typed; the person sees it and may switch it off again.
TURNED_ON_BY_VALUE = ("return_path", "spam_address", "abuse_address")

SHORT_TEXTAREAS = {"mail_cc": 2, "mail_bcc": 2, "trusted_certificate": 4, "notes": 16}
STAYS_IF_LEFT_OUT = ("dkim",)
MISSING = {"mail_from": _("Mail from address")}  # What is missing, where it is more than the label.
SECRET_WORDS = {"password": _("password"), "api_key": _("API key")}
NO_LIMIT_AT_ZERO = ("max_per_month", "max_per_day", "max_per_hour", "rate_limit")


def _mailbox(text: str) -> str:
    return str(parse_mailbox(text))


def _mailboxes(text: str) -> str:
    return "\n".join(str(mailbox) for mailbox in parse_mailboxes(text))


# The checks of filled fields; ``blank`` decides about empty ones.
CHECKS: dict[str, Callable[[str], str]] = {
    "name": validators.check_line,
    "username": validators.check_username,
    "mail_from": _mailbox,
    "mail_to": _mailbox,
    "mail_to_unknown": _mailbox,
    "mail_cc": _mailboxes,
    "mail_bcc": _mailboxes,
    "trusted_certificate": validators.check_certificate,
    "domain_name": check_domain_name,
    "time_zone": validators.check_time_zone,
    "precedence": validators.check_precedence,
    "return_path": check_address,
    "provider_configuration": validators.check_provider_configuration,
    "spam_address": validators.check_report_address,
    "abuse_address": validators.check_report_address,
    "unknown_first_name": validators.check_placeholder_name,
    "unknown_last_name": validators.check_placeholder_name,
    **dict.fromkeys(utm.NAMES, validators.check_utm),
}


CREDENTIALS = ("username", "password", "api_key")  # What each provider calls by its own name.


class ServerForm(RefusesControls, _ServerModelForm):
    """All settings of a server. ``password`` and ``api_key`` are write-only: empty means unchanged."""

    is_short = False  # On: shows what the provider's preset does not know, and folds all else.

    password = forms.CharField(
        label=_("Password"), required=False, strip=False, max_length=1000, widget=UnfoldAdminPasswordToggleWidget
    )
    remove_password = forms.BooleanField(
        label=_("Remove stored password"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Takes effect when you save."),
    )
    api_key = forms.CharField(
        label=_("API key"), required=False, strip=False, max_length=1000, widget=UnfoldAdminPasswordToggleWidget
    )
    remove_api_key = forms.BooleanField(
        label=_("Remove stored API key"),
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text=_("Takes effect when you save."),
    )

    class Meta:
        model = SmtpServer
        exclude = SECRETS  # The form has fields of its own for the plain text.
        widgets: ClassVar = {
            name: UnfoldAdminTextareaWidget({"rows": rows}) for name, rows in SHORT_TEXTAREAS.items()
        } | dict.fromkeys(("language", "preset", "mechanism"), UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._destination_before = self.instance.destination
        for name in ("host", "domain_name"):  # Stored as A-labels, shown in their own script.
            if stored := getattr(self.instance, name):
                self.initial[name] = readable_domain(stored)
        for name, field in self.fields.items():
            _set_range(name, field)
        for name in SECRETS:
            self._describe_secret(name)
        for name in SWITCHES.values():
            if name in self.fields and getattr(self.instance, name) and not self._is_switched_on(name):
                self.fields[name].help_text += " " + gettext("Saved, but not used while the switch is off.")
        if "unsubscribe_url" in self.fields:
            self.fields["unsubscribe_url"].help_text += one_click_state(self.instance)
        if self.is_short:
            self._require_sign_in()
        self._decorate()

    @property
    def helper(self) -> FormHelper:
        """The layout for ``{% crispy form %}``."""
        first = self._first_names() if self.is_short else ()
        return server_form_helper(self.fields, first, is_open=bool(set(self.errors) - {*first, "__all__"}))

    def _require_sign_in(self) -> None:
        """Require, and mark, what the chosen provider signs in with."""
        preset = presets.PRESETS.get(self["preset"].value() or "")
        if preset is not None and preset.needs_sign_in:
            either = ("oauth_account", "username", "password") if preset.takes_oauth else ()
            for name in self._first_names():
                self.fields[name].required = name not in either

    def _first_names(self) -> list[str]:
        """Return the fields that nobody but the user knows; the chosen provider's preset fills in the others."""
        preset = presets.PRESETS.get(self["preset"].value() or "")
        if preset is None:
            return ["name", "host", "port", "username", "password", "mail_from"]
        for name, text in _credential_help(preset).items():
            self.fields[name].help_text = text
        if preset.takes_oauth:
            return ["oauth_account", "username", "password", "mail_from"]
        if preset.is_key_username:
            return ["api_key", "mail_from"]
        names = ["password", "mail_from"] if preset.constant_username else ["username", "password", "mail_from"]
        return names if preset.host else ["host", *names]

    @property
    def suggestions(self) -> dict[str, list[str]]:
        """The suggestions for fields that also accept other values, by the id of their datalist."""
        return {
            "time-zones": list(time_zones.names()),
            "precedences": list(validators.PRECEDENCES),
        }

    @property
    def provider_facts(self) -> dict[str, Any]:
        """The presets for the script of the page: values to fill in, warnings and hints."""
        described = {
            key: {
                "name": preset.name,
                "values": preset.values,
                "hosts": [
                    (preset.host, "" if preset.host else gettext("Choose your region")),
                    *((host, translated(purpose)) for host, purpose in preset.other_hosts),
                ],
                "warnings": [translated(each) for each in self._warnings(preset, preset.host)],
                "warnings_elsewhere": [translated(each) for each in self._warnings(preset, "")],
                "hints": [translated(each) for each in preset.facts],
                "source": translated(preset.source),
                "help": _credential_help(preset) if self.is_short else {},
            }
            for key, preset in presets.PRESETS.items()
        }
        return {
            "usual": presets.DEFAULTS,
            "initial": {"time_zone": str(site().time_zone)},
            "help": {name: field_help(name) for name in CREDENTIALS} if self.is_short else {},
            "presets": described,
        }

    # Display

    def _warnings(self, preset: presets.Preset, host: str) -> list[str]:
        ending = "" if self.instance.oauth_account_id else preset.password_warning(today())
        return [*preset.warnings(host), *([ending] if ending else [])]

    def _is_switched_on(self, value_name: str) -> bool:
        switch = next(switch for switch, name in SWITCHES.items() if name == value_name)
        return bool(getattr(self.instance, switch))

    def _describe_secret(self, name: str) -> None:
        """Say whether the secret is set; without one, remove the checkbox that deletes it."""
        field = self.fields[name]
        field.help_text = f"{secret_state(self.instance, name)} {field_help(name)}"
        # Otherwise browsers fill in the password of the signed-in user.
        field.widget.attrs["autocomplete"] = "new-password"
        if not getattr(self.instance, name):
            del self.fields[f"remove_{name}"]
        else:
            field.help_text += " " + gettext(
                "Enter it again when you change the server, port, encryption, trusted certificate or username."
                " Leave empty to keep the current value."
            )

    def _decorate(self) -> None:
        for name, field in self.fields.items():
            field.required = field.required and name not in STAYS_IF_LEFT_OUT
            if not isinstance(field, forms.IntegerField):
                what = _with_article(str(MISSING.get(name, field.label)))
                field.error_messages["required"] = gettext("Enter %(what)s.") % {"what": what}
        attributes = {
            "time_zone": {"list": "time-zones"},
            "precedence": {"list": "precedences"},
            "username": {"autocomplete": "off"},
            "trusted_certificate": {"spellcheck": "false", "placeholder": "-----BEGIN CERTIFICATE-----"},
        }
        for value_name in TURNED_ON_BY_VALUE:
            attributes[value_name] = {"data-turns-on": f"id_use_{value_name}"}
        for name, extra in attributes.items():
            if name in self.fields:
                self.fields[name].widget.attrs |= extra
        if "language" in self.fields:
            names = dict(settings.LANGUAGES)
            usual = names.get(site().language, site().language)
            default = gettext("Site default (%(language)s)") % {"language": usual}
            self.fields["language"].choices = [("", default), *settings.LANGUAGES]  # type: ignore[attr-defined]
        if "oauth_account" in self.fields:
            self.fields["oauth_account"].empty_label = gettext("None")  # type: ignore[attr-defined]
            self.fields["oauth_account"].queryset = OAuthAccount.for_mail()  # type: ignore[attr-defined]
            # An account is added in steps, on its own page.
            for button in ("add", "change", "delete", "view"):
                setattr(self.fields["oauth_account"].widget, f"can_{button}_related", False)
        if "mechanism" in self.fields:
            self.fields["mechanism"].choices = [("", gettext("Automatic")), *((name, name) for name in PREFERRED)]  # type: ignore[attr-defined]
        if "preset" in self.fields:
            self.fields["preset"].choices = [("", gettext("Other / custom server")), *presets.CHOICES]  # type: ignore[attr-defined]
        if self.instance.pk is None and "time_zone" in self.fields:
            self.fields["time_zone"].initial = str(site().time_zone)

    # Validation

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, check in CHECKS.items():
            if cleaned.get(name):
                with self._errors_at(name):
                    cleaned[name] = check(cleaned[name])
        self._clean_host(cleaned)
        self._clean_secrets(cleaned)
        self._clean_switches(cleaned)
        cleaned.update({name: None for name in NO_LIMIT_AT_ZERO if cleaned.get(name) == 0})
        if (url := cleaned.get("unsubscribe_url")) is not None:
            is_used, is_relayed = (bool(cleaned.get(name)) for name in ("use_unsubscribe_link", "relays_unsubscribes"))
            with self._errors_at("unsubscribe_url"):
                validators.check_unsubscribe_url(url, is_used, is_relayed, settings.IS_LOOPBACK)
        if cleaned.get("provider_configuration") and not takes_configuration(cleaned.get("preset", "")):
            self.add_error("provider_configuration", gettext("Only Amazon SES and Postmark use this. Clear it."))
        if cleaned.get("dkim") == SmtpServer.Signer.BRILLIANCE:
            with self._errors_at("dkim"):
                validators.check_own_signature(cleaned.get("preset", ""))
        if cleaned.get("mail_from") and cleaned.get("host"):
            with self._errors_at("mail_from"):
                validators.check_own_sender(cleaned["mail_from"], cleaned["host"])
        return cleaned

    def _errors_at(self, name: str) -> "_ErrorsAt":
        return _ErrorsAt(self, name)

    def _clean_host(self, cleaned: dict[str, Any]) -> None:
        """Split a pasted host:port, and check the port against the encryption switch."""
        if cleaned.get("host"):
            with self._errors_at("host"):
                host, port = check_host(cleaned["host"])
                cleaned["host"] = host
                if port is not None:
                    self._take_pasted_port(cleaned, port)
        if cleaned.get("port") and "use_tls" in cleaned:
            try:
                validators.check_encryption(cleaned["port"], cleaned["use_tls"])
            except FieldInvalid as error:
                fix = '{} <button type="button" class="server-fix" data-turn-on="id_use_tls">{}</button>'
                self.add_error(
                    "use_tls", forms.ValidationError(format_html(fix, translated(error), gettext("Turn it on")))
                )
        if cleaned.get("use_tls") and cleaned.get("never_tls"):
            self.add_error(
                "never_tls", gettext("This and Use SSL/TLS connection can't both be on. Turn one of them off.")
            )

    def _take_pasted_port(self, cleaned: dict[str, Any], port: int) -> None:
        if "port" in self.changed_data and cleaned.get("port") not in (None, port):
            raise FieldInvalid(
                gettext("The server names port %(port)s, but Port is %(typed)s. Remove the wrong one.")
                % {"port": port, "typed": cleaned["port"]}
            )
        self.errors.pop("port", None)
        cleaned["port"] = port

    def _clean_secrets(self, cleaned: dict[str, Any]) -> None:
        for name in SECRETS:
            if cleaned.get(name) and cleaned.get(f"remove_{name}"):
                self.add_error(name, gettext("Enter a new value or remove the stored one, not both."))
            if cleaned.get(name):
                with self._errors_at(name):
                    validators.check_line(cleaned[name])
        has_password, has_api_key = (self._will_have(name) for name in SECRETS)
        if account := cleaned.get("oauth_account"):
            with self._errors_at("oauth_account"):
                validators.check_oauth_account(account, cleaned, has_secret=has_password or has_api_key)
            return
        username, has_secret = cleaned.get("username", ""), has_password or has_api_key
        preset = presets.PRESETS.get(cleaned.get("preset", ""))
        if self.is_short and preset and preset.takes_oauth and preset.needs_sign_in and not (username and has_secret):
            self.add_error("oauth_account", gettext("Choose an OAuth account, or enter a username and its password."))
            return
        with self._errors_at("password"):
            validators.check_credentials(username, has_password, has_api_key, cleaned.get("preset", ""))

    def _will_have(self, name: str) -> bool:
        """Tell whether the secret is set after saving this form."""
        kept = bool(getattr(self.instance, name)) and not self.cleaned_data.get(f"remove_{name}")
        return kept or bool(self.cleaned_data.get(name))

    def _clean_switches(self, cleaned: dict[str, Any]) -> None:
        for switch, name in SWITCHES.items():
            if cleaned.get(switch) and not cleaned.get(name) and name not in self.errors:
                self.add_error(
                    name,
                    gettext("Enter %(what)s, or turn off the switch.")
                    % {"what": _with_article(str(self.fields[name].label))},
                )

    def _post_clean(self) -> None:
        """Require each kept secret again if the edited server is not the destination it was entered for."""
        super()._post_clean()  # type: ignore[misc]  # Django's own step after clean(), missing in the stubs.
        if self.errors:
            return
        for name in SECRETS:
            is_kept = not self.cleaned_data.get(name) and not self.cleaned_data.get(f"remove_{name}")
            if is_kept and self._is_elsewhere(name):
                self.add_error(
                    name, gettext("The server changed: enter the %(name)s again.") % {"name": SECRET_WORDS[name]}
                )

    def _is_elsewhere(self, name: str) -> bool:
        state = state_of(getattr(self.instance, name), self.instance.destination)
        if state is SecretState.UNREADABLE:  # Its destination cannot be read either.
            return self.instance.destination != self._destination_before
        return state is SecretState.ELSEWHERE

    def save(self, commit: bool = True) -> SmtpServer:
        """Store the server; a typed secret replaces the stored one, a ticked checkbox removes it."""
        for name in () if self.errors else SECRETS:
            if self.cleaned_data.get(name):
                setattr(self.instance, name, Secret.seal(self.cleaned_data[name], self.instance.destination))
            elif self.cleaned_data.get(f"remove_{name}"):
                setattr(self.instance, name, Secret(""))
        return super().save(commit)


class OrderForm(RefusesControls, _ServerModelForm):
    """One server's row in the list, with nothing but its display order."""

    class Meta:
        model = SmtpServer
        fields = ("display_order",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["display_order"]
        field.required = True
        _set_range("display_order", field)
        field.widget.attrs["aria-label"] = gettext("Display order of %(server)s") % {"server": self.instance.name}
        field.widget.attrs["class"] += " server-order"


class _ErrorsAt:
    """Turns a validation error inside a ``with`` block into an error of one field."""

    def __init__(self, form: ServerForm, name: str) -> None:
        self.form = form
        self.name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, FieldInvalid | AddressInvalid):
            self.form.add_error(self.name, translated(error))
            return True
        return False


def secret_state(server: SmtpServer, name: str) -> str:
    """Return a sentence on whether a secret is set and usable; it reveals nothing of the secret."""
    state = state_of(getattr(server, name), server.destination)
    return say(state, elsewhere=gettext("Set, but for a different server. Enter it again."))


def one_click_state(server: SmtpServer) -> str:
    """Return the result of the one-click probe, as sentences to append; escaped."""
    if not server.has_unsubscribe_page:
        return ""
    if server.unsubscribe_probed_at is None:
        return " " + gettext(
            "The test call hasn't finished yet. Reload this page to see the result, or save to repeat it."
        )
    at, why = stamp(server.unsubscribe_probed_at), escape(SENTENCES.known(server.unsubscribe_problem))
    if server.relays_unsubscribes:
        if why:
            return " " + gettext(
                "The test call on %(at)s failed: %(why)s No unsubscribe was lost. Save to try again."
            ) % {
                "at": at,
                "why": why,
            }
        return " " + gettext("The last test call succeeded on %(at)s.") % {"at": at}
    if why:
        return " " + gettext(
            "One-click unsubscribe failed on %(at)s: %(why)s Fix the page, then save to test it again."
        ) % {
            "at": at,
            "why": why,
        }
    return " " + gettext("Supports one-click unsubscribe, tested on %(at)s.") % {"at": at}


def unreadable(server: SmtpServer, name: str) -> str:
    """Return why a stored secret cannot be used, as a sentence for the person who can fix it; empty if it can."""
    try:
        getattr(server, name).reveal(server.destination)
    except (SecretUnreadable, ImproperlyConfigured) as error:
        return translated(error)
    return ""


def _credential_help(preset: presets.Preset) -> dict[str, str]:
    """Return what the provider calls the username, the password and the key, by field."""
    named = {"username": _sentence(preset.signs_in_as), "password": _sentence(preset.signs_in_with)}
    return {**named, "api_key": _sentence(preset.signs_in_as)} if preset.is_key_username else named


def field_help(name: str) -> str:
    """Return the help text of a model field."""
    return str(SmtpServer._meta.get_field(name).help_text)  # type: ignore[union-attr]


def _set_range(name: str, field: forms.Field) -> None:
    """Name the range of a number field in its messages and in the attributes for the browser."""
    if not isinstance(field, forms.IntegerField):
        return
    low, high = 0, 0
    for validator in SmtpServer._meta.get_field(name).validators:  # type: ignore[union-attr]
        if isinstance(validator, MinValueValidator):
            low = int(validator.limit_value)
        if isinstance(validator, MaxValueValidator):
            high = int(validator.limit_value)
    span = {"low": low, "high": f"{high:,}"}
    sentence = gettext("Enter a whole number from %(low)s to %(high)s.") % span
    field.error_messages |= dict.fromkeys(("min_value", "max_value", "required"), sentence)
    plain = gettext("Enter a whole number from %(low)s to %(high)s, without dots or commas.")
    field.error_messages["invalid"] = plain % span
    field.widget.attrs |= {"min": low, "max": high}


def within_sentence(label: str) -> str:
    """Return a label in the form for use within a sentence: Domain name becomes domain name."""
    return label if label.split()[0].isupper() else label[0].lower() + label[1:]


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _with_article(label: str) -> str:
    return f"{'an' if label[0] in 'AEIO' else 'a'} {within_sentence(label)}"
