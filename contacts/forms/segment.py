"""The form of a segment: its name, and the conditions that a script builds."""

import json
from typing import TYPE_CHECKING, Any

from django import forms
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from adminpages.text_fields import RefusesControls
from adminpages.texts import read_json
from contacts.models import Segment
from contacts.segments import query
from contacts.segments.conditions import MATCHES, MOST_DEPTH, ROOT_MATCH, ConditionsInvalid
from words.texts import translated

if TYPE_CHECKING:
    SegmentModelForm = forms.ModelForm[Segment]
else:
    SegmentModelForm = forms.ModelForm

MOST_WRITTEN = 200_000  # Characters; a hundred conditions need far fewer.


class ConditionsWidget(forms.Textarea):
    """A hidden text area with the script's condition builder."""

    template_name = "contacts/segment_builder.html"

    class Media:
        js = ("contacts/segments.js",)
        css = {"all": ("contacts/segments.css",)}

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        return {
            **context,
            "asked": build_vocabulary(),
            "preview_url": reverse("admin:contacts_segment_preview"),
        }

    def _render(self, template_name: str, context: dict[str, Any], renderer: Any = None) -> SafeString:
        # Django's own widget renderer searches app folders only; the project's templates are in one folder.
        return render_to_string(template_name, context)


def build_vocabulary() -> dict[str, Any]:
    """Return the vocabulary of conditions, for the script."""
    return {
        "texts": _texts(),
        "matches": [[name, translated(label)] for name, label in MATCHES.items()],
        "most_depth": MOST_DEPTH,
        "fields": [
            {
                "name": field.name,
                "label": translated(field.label),
                "group": translated(field.group),
                "operators": [
                    {
                        "name": operator.name,
                        "label": translated(operator.label),
                        "parameters": [
                            {
                                "name": parameter.name,
                                "kind": parameter.kind,
                                "label": translated(parameter.label),
                                "options": [[value, translated(label)] for value, label in parameter.options],
                                "is_optional": parameter.is_optional,
                                "empty_words": translated(parameter.empty_words),
                            }
                            for parameter in operator.parameters
                        ],
                    }
                    for operator in field.operators
                ],
            }
            for field in query.vocabulary().values()
        ],
    }


def _texts() -> dict[str, str]:
    """Return the script's own texts; words in braces are filled in by it."""
    return {
        "match": _("How many conditions must match"),
        "people_who_meet": _("People who meet"),
        "who_meet": _("who meet"),
        "conditions": _("Conditions"),
        "group": _("Group of conditions"),
        "condition": _("Condition"),
        "about": _("Field"),
        "comparison": _("Comparison"),
        "add_condition": _("Add condition"),
        "add_group": _("Add group"),
        "remove_condition": _("Remove condition"),
        "remove_group": _("Remove group"),
        "any_time": _("any time"),
        "days": _("days"),
        "choose": _("choose…"),
        "none_yet": _("None yet."),
        "and_more": _("{labels} and {count} more"),
        "find": _("Find"),
        "find_label": _("Find in this list"),
        "gone": _("deleted"),
        "gone_field": _("{name} (deleted)"),
        "signed_out": _("You've been logged out. Log in in a new tab, then continue here."),
        "not_counted": _("These people couldn't be counted. Change a condition to try again."),
        "no_answer": _("The server isn't answering. Change a condition to try again."),
    }


def read(written: str) -> Any:
    """Parse JSON; None if it is invalid, too long or nested too deeply."""
    return read_json(written, MOST_WRITTEN)


class ConditionsField(forms.CharField):
    """Conditions as JSON, validated."""

    widget = ConditionsWidget

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value or {})

    def clean(self, value: Any) -> Any:
        conditions = read(value) if value else {"match": ROOT_MATCH}
        try:
            query.check(conditions)
        except ConditionsInvalid as error:
            raise forms.ValidationError(
                list(dict.fromkeys(translated(problem.text) for problem in error.problems))
            ) from None
        return conditions

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(read(data or "") != initial)


class SegmentForm(RefusesControls, SegmentModelForm):
    conditions = ConditionsField(label=gettext_lazy("Conditions"))

    class Meta:
        model = Segment
        fields = ["name", "description", "conditions"]
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "description": UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        }
