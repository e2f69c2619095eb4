"""The form by which administrators define a custom attribute."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldBooleanSwitchWidget

from adminpages.text_fields import RefusesControls
from contacts.attributes.retype import holders
from contacts.attributes.rules import NameInvalid, check_name, propose_name
from contacts.models import Attribute
from words.texts import translated

if TYPE_CHECKING:
    AttributeModelForm = forms.ModelForm[Attribute]
else:
    AttributeModelForm = forms.ModelForm

MOST_CHOICES = 200
LONGEST_CHOICE = 150


class ChoicesField(forms.CharField):
    """A list of texts, one per line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 6})

    def prepare_value(self, value: Any) -> str:
        return value if isinstance(value, str) else "\n".join(value or [])

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.to_python(data) != (initial or []))

    def to_python(self, value: Any) -> Any:
        lines = (" ".join(line.split()) for line in str(value or "").splitlines())
        return [line for line in lines if line]

    def validate(self, value: Any) -> None:
        seen: set[str] = set()
        for choice in value:
            if len(choice) > LONGEST_CHOICE:
                raise forms.ValidationError(
                    _("“%(choice)s…” is longer than %(most)s characters. Shorten it.")
                    % {"choice": choice[:40], "most": LONGEST_CHOICE}
                )
            if not choice.isprintable():
                raise forms.ValidationError(
                    _("“%(choice)s” contains an invisible character. Remove it.") % {"choice": choice[:40]}
                )
            if choice.casefold() in seen:
                raise forms.ValidationError(_("“%(choice)s” is listed twice. Remove one of them.") % {"choice": choice})
            seen.add(choice.casefold())
        if len(value) > MOST_CHOICES:
            raise forms.ValidationError(
                _("An attribute can have %(most)s choices, and these are %(count)s. Remove some.")
                % {"most": MOST_CHOICES, "count": f"{len(value):,}"}
            )

    def run_validators(self, value: Any) -> None:
        """Skip the validators of a text field."""


class AttributeForm(RefusesControls, AttributeModelForm):
    choices = ChoicesField(
        required=False, label=gettext_lazy("Choices"), help_text=gettext_lazy("One per line, in the order you want.")
    )
    is_sure = forms.BooleanField(
        required=False, label=gettext_lazy("Convert existing values"), widget=UnfoldBooleanSwitchWidget
    )

    class Meta:
        model = Attribute
        fields = ["label", "name", "kind", "choices", "is_column", "position"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:  # Read-only for an existing attribute: the values are stored under the name.
            self.fields["name"].required = False
            self.fields["name"].help_text = _(
                "Used as a merge field: {{ name }}. You can't change it later. Leave empty to use the label."
            )

    def clean_label(self) -> str:
        label: str = " ".join(self.cleaned_data["label"].split())
        if not label.isprintable():
            raise forms.ValidationError(_("The label contains an invisible character. Remove it."))
        return label

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].strip() or propose_name(self.cleaned_data.get("label", ""))
        try:
            check_name(name)
        except NameInvalid as error:
            raise forms.ValidationError(translated(error)) from None
        if Attribute.objects.filter(name=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(
                _("An attribute named %(name)s already exists. Choose another name.") % {"name": name}
            )
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kind = cleaned.get("kind")
        if kind == Attribute.Kind.CHOICE and not cleaned.get("choices") and "choices" not in self.errors:
            self.add_error("choices", _("Enter at least one choice, one per line."))
        if kind and kind != Attribute.Kind.CHOICE:
            cleaned["choices"] = []
        if self.instance.pk and kind and "kind" in self.changed_data and not cleaned.get("is_sure"):
            self._ask(Attribute.Kind(kind))
        return cleaned

    def _ask(self, kind: Attribute.Kind) -> None:
        count = holders(self.instance.name)
        if count:
            self.add_error(
                "kind",
                ngettext(
                    "%(count)s contact already has a value. Values that can be read as “%(kind)s” are converted."
                    " Others stay as they are, and filters won't find them. Turn on Convert existing values to"
                    " continue.",
                    "%(count)s contacts already have a value. Values that can be read as “%(kind)s” are converted."
                    " Others stay as they are, and filters won't find them. Turn on Convert existing values to"
                    " continue.",
                    count,
                )
                % {"count": f"{count:,}", "kind": kind.label},
            )
