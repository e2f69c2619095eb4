"""The form of one contact: address, names, and a suitable widget for each custom attribute."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.functional import lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop
from unfold.widgets import (
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from adminpages.changes import RowNoticesChanges
from adminpages.text_fields import RefusesControls
from contacts.attributes.rules import (
    LONGEST_VALUE,
    NameInvalid,
    Value,
    check_name,
    parse_value,
    too_long_together,
    value_text,
)
from contacts.consent import decisions
from contacts.consent.tracking import FIELDS, NONE, YES, Wishes
from contacts.models import Attribute, ConsentEvent, Contact, ContactList, Subscription
from contacts.privacy import erasure
from mail.addresses import JOINERS, AddressInvalid, fold, read_address
from words import time_zones
from words.texts import translated

if TYPE_CHECKING:
    ContactModelForm = forms.ModelForm[Contact]
    SubscriptionModelForm = forms.ModelForm[Subscription]
else:
    ContactModelForm = SubscriptionModelForm = forms.ModelForm

Pairs = list[tuple[str, str]]

PREFIX = "attribute_"  # For the form fields of defined attributes.
DECIDED_SINCE = gettext_lazy(
    "This person's consents changed while you had the page open. Open the page again and choose again."
)


class AttributesWidget(forms.Widget):
    """Rows of name and value, with two empty rows at the end; a script adds more."""

    template_name = "contacts/attributes_widget.html"
    empty_rows = 2

    class Media:
        js = ("contacts/attributes.js",)
        css = {"all": ("contacts/contacts.css",)}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        pairs = sorted(value.items()) if isinstance(value, dict) else list(value or [])
        shown = [(key, value_text(each)) for key, each in pairs]
        context["widget"]["rows"] = [*shown, *[("", "")] * self.empty_rows]
        context["widget"]["input_class"] = UnfoldAdminTextInputWidget().attrs["class"]
        return context

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        # Django's own widget renderer searches app folders only; the project's templates are in one folder.
        return render_to_string(template_name, context)

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> Pairs:
        assert isinstance(data, MultiValueDict)
        pairs = zip(data.getlist(f"{name}-name"), data.getlist(f"{name}-value"), strict=False)
        return [(key, value) for key, value in pairs if key.strip() or value.strip()]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return f"{name}-name" not in data

    def id_for_label(self, id_: str) -> str:
        return f"{id_}-0"


class AttributesField(forms.Field):
    """Custom attributes without a definition, as a dictionary. Unchanged values keep their type."""

    widget = AttributesWidget
    known: Collection[str] = ()  # Names under which the contact already has values.

    def clean(self, value: Pairs | None) -> dict[str, str]:
        attributes: dict[str, str] = {}
        errors = []
        for name, text in value or []:
            name, text = name.strip(), text.strip()
            if not name:
                errors.append(
                    _("The value “%(value)s” has no name. Enter a name or clear the row.") % {"value": text[:40]}
                )
                continue
            try:
                check_name(name, self.known)
            except NameInvalid as error:
                errors.append(translated(error))
                continue
            if name in attributes:
                errors.append(_("The name “%(name)s” is used twice. Remove one of them.") % {"name": name})
            elif len(text) > LONGEST_VALUE or "\0" in text:
                errors.append(
                    _("The value of “%(name)s” can have at most %(most)s characters and no NUL.")
                    % {"name": name, "most": f"{LONGEST_VALUE:,}"}
                )
            attributes[name] = text
        if errors:
            raise forms.ValidationError(errors)
        return attributes

    def has_changed(self, initial: dict[str, Any] | None, data: Pairs | None) -> bool:
        before = {name: value_text(value) for name, value in (initial or {}).items()}
        return before != {name.strip(): text.strip() for name, text in data or []}


class AttributeField(forms.CharField):
    """The value of one defined attribute, in the widget of its kind."""

    def __init__(self, definition: Attribute) -> None:
        self.definition = definition
        super().__init__(
            required=False, label=definition.label or definition.name, max_length=LONGEST_VALUE, widget=self._widget()
        )

    def _widget(self) -> Any:  # unfold ships no types.
        match self.definition.kind:
            case Attribute.Kind.NUMBER:
                return UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "autocomplete": "off"})
            case Attribute.Kind.DATE:
                return UnfoldAdminTextInputWidget(attrs={"type": "date", "autocomplete": "off"})
            case Attribute.Kind.BOOLEAN:
                return UnfoldAdminSelectWidget(
                    choices=[("", gettext_lazy("Unknown")), ("yes", gettext_lazy("Yes")), ("no", gettext_lazy("No"))]
                )
            case Attribute.Kind.CHOICE:
                choices = [(choice, choice) for choice in self.definition.choices]
                return UnfoldAdminSelectWidget(choices=[("", gettext_lazy("Unknown")), *choices])
            case _:
                return UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})

    def show(self, value: object) -> None:
        """Set the initial value. A value that does not fit the kind, because it is older, is shown as it is."""
        self.initial = text = value_text(value)
        if not text or self._fits(text):
            return
        kind = self.definition.get_kind_display()
        self.help_text = format_html(_("The stored value “{}” doesn't fit the kind “{}”."), text[:60], kind)
        if isinstance(self.widget, UnfoldAdminSelectWidget):
            self.widget.choices = [*self.widget.choices, (text, text)]
        elif "type" in self.widget.attrs:
            self.widget = UnfoldAdminTextInputWidget()  # A date input cannot show other text.

    def _fits(self, text: str) -> bool:
        try:
            return parse_value(self.definition.kind, self.definition.choices, text) is not None
        except ValueError:
            return False

    def read(self, text: str) -> Value | None:
        try:
            return parse_value(self.definition.kind, self.definition.choices, text)
        except ValueError as error:
            raise forms.ValidationError(translated(error)) from None


def _zones() -> list[tuple[str, str]]:
    return [("", _("Unknown")), *((name, name.replace("_", " ")) for name in ("UTC", *time_zones.inhabited()))]


class TrackingChoice(forms.ChoiceField):
    """What a user records of a person's consent about opens or clicks. Nothing is chosen until the user does."""

    def __init__(self, topic: ConsentEvent.Topic, label: Any) -> None:
        super().__init__(required=False, label=label, widget=UnfoldAdminSelectWidget)
        self.topic = topic
        self.stored = ""

    def show(self, stored: str) -> None:
        """Offer what may be recorded about a person with this consent."""
        self.stored = stored
        self.choices = [
            ("", Contact.TrackingConsent(stored).label),
            *((each.value, _(change)) for each, change in _CHANGES.items() if each != stored),
        ]

    def valid_value(self, value: Any) -> bool:
        """Take what is stored by now as well, which an older page offered: it changes nothing."""
        return value in _CHANGES


_CHANGES = {YES: gettext_noop("Record that they agreed"), NONE: gettext_noop("Record that they don't agree")}


class ContactForm(RefusesControls, ContactModelForm):
    """The form of a contact. :func:`contact_form` adds the fields of the defined attributes."""

    definitions: tuple[Attribute, ...] = ()

    time_zone = forms.ChoiceField(
        choices=lazy(_zones, list),
        required=False,
        widget=UnfoldAdminSelect2Widget,
        label=gettext_lazy("Time zone"),
        help_text=gettext_lazy("Leave empty to use the campaign's time zone."),
    )
    attributes = AttributesField(
        required=False,
        label=gettext_lazy("Other attributes"),
        help_text=gettext_lazy("Each one is a merge field, e.g. {{ city }}. Use lower-case names such as shoe_size."),
    )
    add_to_lists = forms.ModelMultipleChoiceField(
        queryset=ContactList.objects.none(),
        required=False,
        label=gettext_lazy("Add to lists"),
        help_text=gettext_lazy(
            "Only add people to lists they agreed to. The consent is saved with your name and the time."
        ),
        widget=UnfoldAdminSelect2MultipleWidget,
    )
    new_list = forms.CharField(
        required=False,
        max_length=150,
        label=gettext_lazy("New list"),
        help_text=gettext_lazy("Creates a list with this name and adds the person."),
        widget=UnfoldAdminTextInputWidget,
    )
    count_opens = TrackingChoice(ConsentEvent.Topic.OPENS, gettext_lazy("Count opens"))
    count_clicks = TrackingChoice(ConsentEvent.Topic.CLICKS, gettext_lazy("Count clicks"))
    agreed_how = forms.CharField(
        required=False,
        max_length=300,
        label=gettext_lazy("How they agreed"),
        help_text=gettext_lazy("E.g. “Ticked it on the order form, 3 March”. Saved with your name as proof."),
        widget=UnfoldAdminTextInputWidget,
    )
    why_again = forms.CharField(
        required=False,
        max_length=300,
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Why they are added again, e.g. “Asked by phone on 3 March”. Saved with your name."),
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = Contact
        fields = ["email", "first_name", "last_name", "language", "time_zone", "paused_until", "attributes"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lists = self.fields.get("add_to_lists")
        if isinstance(lists, forms.ModelMultipleChoiceField):
            known = Subscription.objects.filter(contact=self.instance.pk).values("list")
            lists.queryset = ContactList.objects.exclude(pk__in=known)
        self.decision = self.data.get(decisions.FIELD, "")  # A refused page stays as old as it is.
        if not self.is_bound and self.instance.pk:
            self.decision = decisions.stamp_of(self.instance.pk)
            self.instance.refresh_from_db(fields=list(FIELDS.values()))  # What is shown must not be older.
        for choice in self.fields.values():
            if isinstance(choice, TrackingChoice):
                choice.show(getattr(self.instance, FIELDS[choice.topic]))
        held = self.instance.attributes
        for definition in self.definitions:
            field = self.fields.get(PREFIX + definition.name)
            if isinstance(field, AttributeField):
                field.show(held.get(definition.name))
        defined = {definition.name for definition in self.definitions}
        others = self.fields.get("attributes")
        if isinstance(others, AttributesField):
            others.known = held.keys()
        self.initial["attributes"] = {name: value for name, value in held.items() if name not in defined}
        zone, field = self.instance.time_zone, self.fields.get("time_zone")
        if isinstance(field, forms.ChoiceField) and zone and zone not in dict(_zones()):
            field.choices = [*_zones(), (zone, zone)]  # An older name of a zone, or a removed zone.

    def clean_email(self) -> str:
        email = checked_address(self.cleaned_data["email"])
        if Contact.objects.filter(email_key=fold(email)).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                _("%(email)s is already a contact. Search for it to edit it.") % {"email": email}
            )
        return email

    def clean_first_name(self) -> str:
        return _on_one_line(self.cleaned_data["first_name"])

    def clean_last_name(self) -> str:
        return _on_one_line(self.cleaned_data["last_name"])

    def clean_new_list(self) -> str:
        return checked_new_list(self.cleaned_data["new_list"])

    def clean_attributes(self) -> dict[str, Any]:
        before = self.instance.attributes
        typed: dict[str, str] = self.cleaned_data["attributes"]
        for definition in self.definitions:
            if definition.name in typed:
                raise forms.ValidationError(
                    _("“%(name)s” has its own field: %(label)s. Use that one.")
                    % {"name": definition.name, "label": definition}
                )
        return {name: before[name] if value_text(before.get(name)) == text else text for name, text in typed.items()}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        attributes = dict(cleaned.get("attributes", {}))
        for definition in self.definitions:
            name = PREFIX + definition.name
            field = self.fields.get(name)
            if isinstance(field, AttributeField) and name in cleaned:
                value = self._read(name, field, cleaned[name].strip())
            else:
                value = self.instance.attributes.get(definition.name)
            if value is not None:
                attributes[definition.name] = value
        if attributes != self.instance.attributes and (why := too_long_together(attributes)):
            self.add_error(None, why)
        cleaned["attributes"] = attributes
        self._ask_why_again(cleaned)
        self._refuse_old_agreements(cleaned)
        if any(self.tracking_wishes().values()) and not cleaned.get("agreed_how", "").strip():
            self.add_error("agreed_how", _("Say how they agreed. Nobody is counted by name without proof."))
        return cleaned

    def tracking_wishes(self) -> Wishes:
        """Return the consents about opens and clicks that the user recorded, by what they are about."""
        return {
            field.topic: chosen == YES
            for name, field in self.fields.items()
            if isinstance(field, TrackingChoice) and (chosen := self.cleaned_data.get(name))
        }

    def _read(self, name: str, field: AttributeField, text: str) -> Value | None:
        if text == field.initial:  # Unchanged, valid or not.
            held: Value | None = self.instance.attributes.get(field.definition.name)
            return held
        try:
            return field.read(text)
        except forms.ValidationError as error:
            self.add_error(name, error)
            return None

    def _refuse_old_agreements(self, cleaned: Mapping[str, Any]) -> None:
        """Agree to nothing for a person who decided something since the page was opened."""
        agreeing = [
            name
            for name, field in self.fields.items()
            if (isinstance(field, TrackingChoice) and cleaned.get(name) == YES != field.stored)
            or (name in ("add_to_lists", "new_list") and cleaned.get(name))
        ]
        if agreeing and self.instance.pk and not decisions.is_newest(self.decision, self.instance.pk):
            for name in agreeing:
                self.add_error(name, DECIDED_SINCE)

    def _ask_why_again(self, cleaned: Mapping[str, Any]) -> None:
        """Require a reason before an erased person is added again."""
        email = cleaned.get("email", "")
        is_changed = email and fold(email) != self.instance.email_key
        if is_changed and not cleaned.get("why_again", "").strip() and erasure.is_erased([email]):
            self.add_error(
                "email",
                _("This person was erased. Add them again only if they asked for it, and enter the reason below."),
            )


class SubscriptionForm(RefusesControls, RowNoticesChanges, SubscriptionModelForm):
    """A row of the lists that a person is or was on."""

    instance: Subscription

    def clean(self) -> Any:
        chosen = self.cleaned_data.get("status")
        if chosen in (Subscription.Status.UNSUBSCRIBED, self.initial.get("status")):
            return super(RowNoticesChanges, self).clean()  # A withdrawal counts, however old the page is.
        cleaned = super().clean()
        joins = "status" in self.changed_data and chosen == Subscription.Status.SUBSCRIBED and not self.errors
        if joins and not decisions.is_newest(self.data.get(decisions.FIELD, ""), self.instance.contact_id):
            self.add_error("status", DECIDED_SINCE)
        return cleaned


def contact_form(definitions: Sequence[Attribute]) -> type[ContactForm]:
    """Return the form class with a field for each defined attribute."""
    fields: dict[str, Any] = {PREFIX + definition.name: AttributeField(definition) for definition in definitions}
    return type("ContactForm", (ContactForm,), {**fields, "definitions": tuple(definitions)})


def checked_address(email: str) -> str:
    """Return the address.

    :raises ValidationError: with a sentence that says what to do.
    """
    try:
        return read_address(email)
    except AddressInvalid as error:
        raise forms.ValidationError(translated(error)) from None


def checked_new_list(name: str) -> str:
    """Return the name of a list to create; it may be empty.

    :raises ValidationError: if a list has it.
    """
    if name and ContactList.objects.filter(name=name).exists():
        raise forms.ValidationError(_("A list named “%(name)s” already exists. Select it above.") % {"name": name})
    return name


def _on_one_line(name: str) -> str:
    name = name.replace("\N{NO-BREAK SPACE}", " ")
    if not all(character.isprintable() or character in JOINERS for character in name):
        raise forms.ValidationError(_("The name contains a line break or invisible character. Remove it."))
    return name
