"""The audience in a campaign's form: lists and segments, included and excluded."""

from typing import Any

from django import forms
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from adminpages.text_fields import RefusesControls
from campaigns.audience.audience import LISTS, SEGMENTS
from contacts.models import ContactList, Segment, Subscription

AUDIENCE_FIELDS = ("lists", "segments", "consent_lists", "excluded_lists", "excluded_segments")


class CheckboxGroup(UnfoldAdminCheckboxSelectMultipleWidget):  # type: ignore[misc]  # unfold ships no types.
    """Checkboxes with an accessible name for the group, because several groups contain the same lists."""

    def __init__(self, group: Any, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        self._group = group

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        boxes = super().render(name, value, attrs, renderer)
        return format_html('<div role="group" aria-label="{}">{}</div>', self._group, boxes)


class ListChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """The lists, each with the number of its subscribers."""

    def label_from_instance(self, contact_list: Any) -> str:
        number = contact_list.subscribed
        words = ngettext("%(list)s – %(n)s subscriber", "%(list)s – %(n)s subscribers", number)
        return words % {"list": contact_list.name, "n": f"{number:,}"}


class IdsField(forms.TypedMultipleChoiceField):
    """Several lists or segments by id. A row that was deleted meanwhile is refused as a choice."""

    def __init__(self, label: Any, help_text: Any) -> None:
        widget = CheckboxGroup(label)
        super().__init__(coerce=int, required=False, widget=widget, label=label, help_text=help_text)


class AudienceForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    """The fields of the audience. The other fields are in the forms that derive from this one."""

    lists = ListChoice(
        queryset=ContactList.objects.none(),
        required=False,
        label=_("Lists"),
        widget=CheckboxGroup(_("Lists")),
        help_text=_(
            "Everyone subscribed to at least one of these lists gets one message. Suppressed and paused people are"
            " subscribers too, but get none. The count below leaves them out."
        ),
    )
    segments = IdsField(
        _("Segments"), _("Adds people from these segments who are subscribed to one of the lists you choose next.")
    )
    consent_lists = IdsField(
        _("Consent lists"),
        _(
            "Only people subscribed to one of these lists are reached through a segment. They unsubscribe from these"
            " lists. To reach part of a list, choose its segment above and the list here, and no list at the top."
        ),
    )
    excluded_lists = IdsField(_("Excluded lists"), _("Leaves out everyone subscribed to one of these lists."))
    excluded_segments = IdsField(_("Excluded segments"), _("Leaves out everyone in one of these segments."))

    class Media:
        js = ("campaigns/audience.js",)
        css = {"all": ("campaigns/audience.css",)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "lists" not in self.fields:
            return
        lists = list(ContactList.objects.order_by("name").values_list("pk", "name"))
        segments = list(Segment.objects.order_by("name").values_list("pk", "name"))
        for name in (*LISTS, *SEGMENTS):
            field: Any = self.fields[name]
            field.choices = lists if name in LISTS else segments
            field.initial = self.instance.audience.get(name, [])
        if not segments:
            build = format_html(
                '{} <a href="{}">{}</a>',
                gettext("No segments yet."),
                reverse("admin:contacts_segment_add"),
                gettext("Create segment"),
            )
            self.fields["segments"].help_text = self.fields["excluded_segments"].help_text = build
        choice: Any = self.fields["lists"]
        choice.queryset = subscribed_lists()
        choice.help_text = format_html(
            '{} <a class="text-link" href="{}" data-new-list="{}" data-audience-url="{}"'
            ' data-says-uncounted="{}">{}</a>',
            choice.help_text,
            reverse("admin:contacts_contactlist_add"),
            reverse("campaigns:create_list"),
            reverse("campaigns:audience"),
            gettext("Couldn't count the recipients. Change a tick to try again."),
            gettext("Create list"),
        )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if "lists" in self.fields:
            if cleaned.get("segments") and not cleaned.get("consent_lists"):
                self.add_error("consent_lists", gettext("Choose at least one consent list for the segments."))
            chosen = {name: cleaned.get(name, []) for name in (*LISTS, *SEGMENTS)}
            if not chosen["segments"]:
                chosen["consent_lists"] = []
            self.instance.audience = {name: values for name, values in chosen.items() if values}
        return cleaned


class NewListForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    """A list that is created while somebody writes a campaign."""

    class Meta:
        model = ContactList
        fields = ["name"]
        error_messages = {"name": {"unique": _("A list with this name already exists.")}}


def subscribed_lists() -> QuerySet[ContactList]:
    """Return the lists with the number of their subscribers. Each number is counted through the index."""
    of_list = Subscription.objects.filter(list=OuterRef("pk"), status=Subscription.Status.SUBSCRIBED)
    number = of_list.order_by().values("list").annotate(people=Count("pk")).values("people")
    subscribed = Coalesce(Subquery(number), 0, output_field=IntegerField())
    return ContactList.objects.annotate(subscribed=subscribed).order_by("name")
