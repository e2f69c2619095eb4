"""The content in a campaign's form, and the comparison of its values with stored ones."""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldBooleanSwitchWidget,
)

from adminpages.text_fields import RefusesControls
from campaigns.models import Campaign, Layout, MediaFile
from campaigns.preflight.refusals import STANDARD_FIELDS
from contacts.models import Attribute
from mail.markup import TooMuch, check_bounds
from mail.merge_fields import MergeError, parse
from words.texts import translated

ACE = "django_ace/ace/"
PERSONAL_NAMES = ("first_name", "last_name", "full_name")


Values = dict[str, list[str]]  # By field, in the form in which a browser sends them.


def values_of(form: "WritingForm") -> Values:
    """Return the form's initial values as a browser would send them."""
    found: Values = {}
    for name in form.fields:
        bound = form[name]
        widget, value = bound.field.widget, bound.value()
        if isinstance(widget, forms.MultiWidget) or name == "version":
            continue
        if isinstance(widget, forms.CheckboxInput):
            found[name] = ["on"] if value else []
        else:
            shown = widget.format_value(value)
            found[name] = [str(each) for each in shown] if isinstance(shown, list | tuple) else [str(shown or "")]
    return found


def same(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two values of a field are equal, except for line ends (browsers differ) and outer space (forms strip)."""
    return _bare(one) == _bare(other)


def _bare(values: Iterable[str]) -> list[str]:
    bare = (value.replace("\r\n", "\n").replace("\r", "\n").strip() for value in values)
    return sorted(value for value in bare if value)


def posted(values: Values) -> QueryDict:
    """Return values as a form receives them from a request."""
    data = QueryDict(mutable=True)
    for name, several in values.items():
        data.setlist(name, several)
    return data


def differing(form: "WritingForm", campaign: Campaign) -> dict[str, tuple[list[str], list[str]]]:
    """Return the fields of a bound form that differ from the stored campaign: typed and stored value by field."""
    stored = values_of(type(form)(instance=campaign))
    sent: Any = form.data
    typed = {name: sent.getlist(name) for name in stored}
    return {name: (typed[name], stored[name]) for name in stored if not same(typed[name], stored[name])}


class CodeWidget(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """A text area that a script turns into an editor with completion of merge fields. It works without the script."""

    def __init__(self, mode: str, rows: int) -> None:
        super().__init__(
            attrs={"rows": rows, "spellcheck": "false", "class": "campaign-source", "data-code": mode, "wrap": "soft"}
        )

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        fields = json.dumps(merge_fields())
        rendered: SafeString = super().render(name, value, {**(attrs or {}), "data-fields": fields}, renderer)
        return rendered

    @property
    def media(self) -> forms.Media:
        names = ("ace", "ext-language_tools", "mode-html", "mode-markdown", "mode-xml")
        themes = ("theme-github", "theme-github_dark")
        return forms.Media(js=[*(f"{ACE}{name}.js" for name in (*names, *themes)), "campaigns/editor.js"])


class FileChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Files of the media library, each with its size."""

    def label_from_instance(self, file: Any) -> str:
        size = f"{file.size_bytes / 1e6:,.1f} MB" if file.size_bytes >= 100_000 else f"{file.size_bytes / 1e3:,.0f} kB"
        return f"{file.name} – {size}"


class WritingForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    """Content, layout, files. The form for autosave validates less: see :attr:`is_draft`."""

    conflicts: Mapping[str, tuple[list[str], list[str]]] = MappingProxyType({})  # By field: typed and stored value.
    prose = frozenset({"subject", "preheader"})
    is_draft = False  # True for autosave, where incomplete content is valid.
    attachments = FileChoice(
        queryset=MediaFile.objects.none(),
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label=_("Attachments"),
        help_text=_("Sent with every message."),
    )
    # The latest version that the page knows; see campaigns.forms.autosave.
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Campaign
        fields = [
            *("subject", "preheader", "markup", *Campaign.Markup.values, "text"),
            *("layout", "embeds_images", "attachments"),
        ]
        widgets = {
            "markup": UnfoldAdminRadioSelectWidget(),
            **{name: CodeWidget(name, 20) for name in Campaign.Markup.values},
            "text": UnfoldAdminTextareaWidget(attrs={"rows": 10, "class": "campaign-source"}),
            "layout": UnfoldAdminSelectWidget(),
            "embeds_images": UnfoldBooleanSwitchWidget(),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "attachments" in self.fields:
            files: Any = self.fields["attachments"]
            files.queryset = MediaFile.objects.order_by("name", "pk")
            if not files.queryset.exists():
                files.help_text = format_html(
                    '{} <a href="{}">{}</a>',
                    gettext("The media library is empty."),
                    reverse("admin:campaigns_mediafile_add"),
                    gettext("Upload file"),
                )
        if "layout" in self.fields:
            self.fields["layout"].required = False
            if self.instance.pk is None and not self.is_bound and "layout" not in self.initial:
                default = Layout.objects.filter(is_default=True).first()
                self.initial["layout"] = default.pk if default else None
        if "markup" in self.fields:
            self.fields["markup"].required = False
        if self.instance.pk is not None:
            self.initial["version"] = self.instance.version

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        known = self.cleaned_data.get("version")
        if self.instance.pk is not None and known is not None and not self.is_draft:
            stored = Campaign.objects.get(pk=self.instance.pk)
            if stored.version != known and (conflicts := differing(self, stored)):
                self.conflicts = conflicts
                raise ValidationError(
                    gettext("Someone else changed this draft while you were editing. Choose which version to keep.")
                )
        return cleaned

    def clean_markup(self) -> str:
        return str(self.cleaned_data["markup"] or self.instance.markup)

    def clean_subject(self) -> str:
        return self._template("subject")

    def clean_preheader(self) -> str:
        return self._template("preheader")

    def clean_html(self) -> str:
        return self._template("html")

    def clean_markdown(self) -> str:
        return self._template("markdown")

    def clean_mjml(self) -> str:
        return self._template("mjml")

    def clean_text(self) -> str:
        return self._template("text")

    def _template(self, name: str) -> str:
        source = str(self.cleaned_data[name])
        unused = {*Campaign.Markup.values} - {self.data.get("markup", Campaign.Markup.HTML)}
        if self.is_draft or name in unused:
            return source
        try:
            parse(source)
            check_bounds(source)
        except (MergeError, TooMuch) as error:
            raise ValidationError(translated(error)) from error
        return source


def merge_fields() -> dict[str, str]:
    """Return the merge fields as they are inserted, by name: the standard ones and the defined attributes.

    A name has a default, because many people give none.
    """
    greeted = gettext("friend").replace("'", "’")
    own: Iterable[str] = Attribute.objects.values_list("name", flat=True)
    return {
        name: f"{{{{ {name} | default: '{greeted}' }}}}" if name in PERSONAL_NAMES else f"{{{{ {name} }}}}"
        for name in (*STANDARD_FIELDS, *own)
    }
