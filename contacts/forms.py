"""What people type about people: contacts with their attributes, suppressions, uploads and exports."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from contacts.attributes import LONGEST_VALUE, NameInvalid, check_name
from contacts.csvfiles import MOST_BYTES, FileRefused, check
from contacts.models import Contact, ContactImport, ContactList, Subscription, Suppression
from mail.addresses import AddressInvalid, check_address, fold

if TYPE_CHECKING:
    ContactModelForm = forms.ModelForm[Contact]
    SuppressionModelForm = forms.ModelForm[Suppression]
    ImportModelForm = forms.ModelForm[ContactImport]
else:
    ContactModelForm = SuppressionModelForm = ImportModelForm = forms.ModelForm

Pairs = list[tuple[str, str]]


class AttributesWidget(forms.Widget):
    """Rows of name and value, with two empty ones at the end; a script adds more."""

    template_name = "contacts/attributes_widget.html"
    empty_rows = 2

    class Media:
        js = ("contacts/attributes.js",)
        css = {"all": ("contacts/contacts.css",)}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        pairs = sorted(value.items()) if isinstance(value, dict) else list(value or [])
        context["widget"]["rows"] = [*pairs, *[("", "")] * self.empty_rows]
        context["widget"]["input_class"] = UnfoldAdminTextInputWidget().attrs["class"]
        return context

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        # Django's own renderer of widgets looks into apps only, and the project's templates are in one folder.
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
    """Custom attributes as a dictionary. A value nobody changed keeps its type."""

    widget = AttributesWidget

    def clean(self, value: Pairs | None) -> dict[str, str]:
        attributes: dict[str, str] = {}
        errors = []
        for name, text in value or []:
            name, text = name.strip(), text.strip()
            if not name:
                errors.append(f"The value “{text[:40]}” has no name; name it, or empty the row.")
                continue
            try:
                check_name(name)
            except NameInvalid as error:
                errors.append(str(error))
                continue
            if name in attributes:
                errors.append(f"The name “{name}” stands in two rows; remove one of them.")
            elif len(text) > LONGEST_VALUE or "\0" in text:
                errors.append(f"The value of “{name}” must have at most {LONGEST_VALUE:,} characters, and no NUL.")
            attributes[name] = text
        if errors:
            raise forms.ValidationError(errors)
        return attributes

    def has_changed(self, initial: dict[str, Any] | None, data: Pairs | None) -> bool:
        before = {name: str(value) for name, value in (initial or {}).items()}
        return before != {name.strip(): text.strip() for name, text in data or []}


class ContactForm(ContactModelForm):
    attributes = AttributesField(
        required=False,
        label="Custom attributes",
        help_text="Each is a merge field of its name, for example {{ city }}. Names are lower case, like shoe_size.",
    )
    add_to_lists = forms.ModelMultipleChoiceField(
        queryset=ContactList.objects.none(),
        required=False,
        label="Add to lists",
        help_text="Add people only to lists they agreed to. Consent is recorded with your name and the time.",
        widget=UnfoldAdminSelect2MultipleWidget,
    )

    class Meta:
        model = Contact
        fields = ["email", "first_name", "last_name", "language", "attributes"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        lists = self.fields.get("add_to_lists")
        if isinstance(lists, forms.ModelMultipleChoiceField):
            known = Subscription.objects.filter(contact=self.instance.pk).values("list")
            lists.queryset = ContactList.objects.exclude(pk__in=known)

    def clean_email(self) -> str:
        email = _checked_address(self.cleaned_data["email"])
        if Contact.objects.filter(email_key=fold(email)).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(f"{email} is among the contacts already; search for it to change it.")
        return email

    def clean_first_name(self) -> str:
        return _on_one_line(self.cleaned_data["first_name"])

    def clean_last_name(self) -> str:
        return _on_one_line(self.cleaned_data["last_name"])

    def clean_attributes(self) -> dict[str, Any]:
        before = self.instance.attributes
        typed: dict[str, str] = self.cleaned_data["attributes"]
        return {name: before[name] if str(before.get(name)) == text else text for name, text in typed.items()}


class SuppressionForm(SuppressionModelForm):
    class Meta:
        model = Suppression
        fields = ["email", "reason", "source"]

    def clean_email(self) -> str:
        email = _checked_address(self.cleaned_data["email"])
        known = Suppression.objects.filter(email_key=fold(email)).first()
        if known:
            raise forms.ValidationError(
                f"{email} has been suppressed since {known.created_at:%d %B %Y}; nothing is sent to it."
            )
        return email


class ImportForm(ImportModelForm):
    """A file, and the list its people go to: one that is there, or a new one."""

    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text="The first row names the columns. A column called email is needed; first_name, last_name and"
        " language are understood, and every other column becomes a custom attribute.",
    )
    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="Add to list",
        empty_label="Select a list",
        widget=UnfoldAdminSelectWidget,
    )
    new_list = forms.CharField(
        required=False,
        max_length=150,
        label="Or to a new list named",
        widget=UnfoldAdminTextInputWidget,
        help_text="Import only people who agreed to get this mail. People who unsubscribed stay unsubscribed.",
    )

    class Meta:
        model = ContactImport
        fields = ["list"]

    def clean_file(self) -> "UploadedFile[bytes]":
        upload: UploadedFile[bytes] = self.cleaned_data["file"]
        if (upload.size or 0) > MOST_BYTES:
            raise forms.ValidationError(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB; split it.")
        try:
            check(upload.file)  # type: ignore[arg-type]  # Django's uploads are binary files.
        except FileRefused as error:
            raise forms.ValidationError(str(error)) from None
        return upload

    def clean_new_list(self) -> str:
        name: str = self.cleaned_data["new_list"]
        if name and ContactList.objects.filter(name=name).exists():
            raise forms.ValidationError(f"There is a list named “{name}” already; select it above.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "new_list" in cleaned and bool(cleaned.get("list")) == bool(cleaned["new_list"]):
            self.add_error("list", "Select a list, or name a new one: one of the two.")
        return cleaned


class ExportForm(forms.Form):
    """Whose rows the exported file has."""

    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="Of which list",
        empty_label="Everyone, with or without a list",
        widget=UnfoldAdminSelectWidget,
    )
    only_mailable = forms.BooleanField(required=False, label="Leave out who unsubscribed or is suppressed")


def _checked_address(email: str) -> str:
    try:
        return check_address(email)
    except AddressInvalid as error:
        raise forms.ValidationError(str(error)) from None


def _on_one_line(name: str) -> str:
    if not all(character.isprintable() for character in name):
        raise forms.ValidationError("The name holds a line break or an invisible character; remove it.")
    return name
