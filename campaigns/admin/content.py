"""Admin pages for writing: edit conflicts of drafts, layouts, and the media library."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from adminpages.pages import Deletion, ModelAdmin
from adminpages.text_fields import RefusesControls
from campaigns.content import media_library
from campaigns.forms.content import WritingForm, posted, values_of
from campaigns.markup.file_types import ACCEPTED, FileRefused, safe_name
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign, Layout, MediaFile
from mail.markup import TooMuch, check_bounds
from mail.merge_fields import MergeError, parse
from words.texts import translated

KEEP = "keep-"  # Prefix of inputs on the conflict page; the rest is the field, and the value says whose text stays.


class WritingAdmin(ModelAdmin):
    """The start of a new draft from a template, and the page for conflicting edits by two people."""

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "GET" and "form" not in request.GET and self.has_add_permission(request):
            context = {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": gettext("New campaign"),
                "starters": starters(),
            }
            return TemplateResponse(request, "campaigns/begin.html", context)
        answer: HttpResponse = super().add_view(request, form_url, extra_context)
        return answer

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        kept = {name[len(KEEP) :]: whose for name, whose in request.POST.items() if name.startswith(KEEP)}
        chosen = {name for name, whose in kept.items() if whose == "theirs"}
        if chosen and obj is not None and request.method == "POST":
            stored = values_of(form(instance=Campaign.objects.get(pk=obj.pk)))
            data = request.POST.copy()
            for name in chosen & set(stored):
                data.setlist(name, stored[name])
            request.POST = data  # type: ignore[assignment]
        return form

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        form = context["adminform"].form
        if isinstance(form, WritingForm) and form.conflicts:
            return self._conflict(request, form)
        answer: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return answer

    def _conflict(self, request: HttpRequest, form: WritingForm) -> HttpResponse:
        """Show both versions and let the user choose. Nothing was saved."""
        stored = Campaign.objects.get(pk=form.instance.pk)
        unchosen = posted({})
        for name, values in request.POST.lists():
            if name not in ("version", "csrfmiddlewaretoken") and not name.startswith(KEEP):
                unchosen.setlist(name, values)
        rows = [
            {
                "name": name,
                "label": form[name].label,
                "mine": _shown(form, name, one),
                "theirs": _shown(form, name, other),
            }
            for name, (one, other) in form.conflicts.items()
        ]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": stored,
            "title": gettext("Two versions of %(campaign)s") % {"campaign": stored},
            "rows": rows,
            "hidden": [(name, value) for name, values in unchosen.lists() for value in values],
            "version": stored.version,
        }
        return TemplateResponse(request, "campaigns/conflict.html", context, status=409)


def _shown(form: WritingForm, name: str, values: list[str]) -> str:
    """Return a field's value in words."""
    choices = getattr(form.fields[name], "choices", None)
    if choices is not None:
        words = {str(value): str(label) for value, label in choices}
        values = [words.get(value, value) for value in values if value]
    elif isinstance(form.fields[name], forms.BooleanField):
        return gettext("yes") if values else gettext("no")
    return ", ".join(values) or "–"


class LayoutForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    home_url = forms.URLField(
        label=_("Home page"),
        required=False,
        max_length=300,
        assume_scheme="https",
        widget=UnfoldAdminURLInputWidget,
        help_text=Layout._meta.get_field("home_url").help_text,
    )

    class Meta:
        model = Layout
        fields = [
            *("name", "is_default", "organisation", "accent", "logo", "logo_width", "home_url", "header", "footer"),
            *("postal_address", "links"),
        ]
        widgets = {
            "accent": UnfoldAdminTextInputWidget(attrs={"type": "color", "class": "writing-colour"}),
            "footer": UnfoldAdminTextareaWidget(attrs={"rows": 4}),
            "postal_address": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
            "links": UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        }

    def _get_validation_exclusions(self) -> set[str]:
        # The model allows one default; saving this one removes the mark of the other.
        return {*super()._get_validation_exclusions(), "is_default"}  # type: ignore[misc]

    def clean_footer(self) -> str:
        return self._template("footer")

    def clean_header(self) -> str:
        return self._template("header")

    def _template(self, name: str) -> str:
        source = str(self.cleaned_data[name])
        try:
            parse(source)
            check_bounds(source)
        except (MergeError, TooMuch) as error:
            raise ValidationError(translated(error)) from error
        return source

    def clean_links(self) -> str:
        for number, line in enumerate(self.cleaned_data["links"].splitlines(), start=1):
            address = line.rpartition(" ")[2]
            if line.strip() and not address.startswith(("https://", "http://")):
                sentence = gettext("Line %(number)s needs an address at its end, e.g. https://example.social/@shop.")
                raise ValidationError(sentence % {"number": number})
        return str(self.cleaned_data["links"])

    def clean_logo_width(self) -> int:
        width = int(self.cleaned_data["logo_width"])
        if not 16 <= width <= 560:
            raise ValidationError(gettext("Enter a width of 16 to 560 pixels."))
        return width


@admin.register(Layout)
class LayoutAdmin(ModelAdmin):
    form = LayoutForm
    list_display = ["name", "organisation", "is_default"]
    search_fields = ["name", "organisation"]
    actions = None
    fieldsets = [
        (None, {"fields": ["name", "is_default", "organisation", "accent"]}),
        (_("Header"), {"fields": ["logo", "logo_width", "home_url", "header"]}),
        (_("Footer"), {"fields": ["footer", "postal_address", "links"]}),
    ]

    class Media:
        css = {"all": ["campaigns/campaigns.css", "campaigns/writing.css"]}

    def deletion(self, obj: Layout) -> Deletion:
        kept = [gettext("Its logo, in the media library"), gettext("Messages that were sent with it")]
        return Deletion([gettext("The layout with its header and footer")], kept)

    def save_model(self, request: HttpRequest, obj: Layout, form: Any, change: bool) -> None:
        if obj.is_default:
            Layout.objects.exclude(pk=obj.pk).filter(is_default=True).update(is_default=False)
        super().save_model(request, obj, form, change)


class MediaUploadForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    """The upload of a file, or name and description of a stored one. A stored file's content never changes."""

    file = forms.FileField(
        label=_("File"),
        widget=UnfoldAdminFileFieldWidget,
        help_text=format_lazy(
            _("{kinds}. Up to {most} MB."), kinds=ACCEPTED, most=settings.MEDIA_MAX_BYTES // 1_000_000
        ),
    )

    class Meta:
        model = MediaFile
        fields = ["name", "alt"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields.pop("file", None)
        elif "name" in self.fields:
            self.fields.pop("name")  # A new file keeps its own name.

    def clean_file(self) -> Any:
        given = self.cleaned_data["file"]
        if given.size > settings.MEDIA_MAX_BYTES:
            most = settings.MEDIA_MAX_BYTES / 1e6
            raise ValidationError(
                _("The file is larger than %(most)s MB. Make it smaller or link to it.") % {"most": f"{most:,.0f}"}
            )
        return given

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        given = cleaned.get("file")
        if given is not None and not self.errors:
            try:
                self.instance = media_library.store(given.read(), given.name, cleaned.get("alt", ""), None)
            except FileRefused as refusal:
                self.add_error("file", translated(refusal))
        return cleaned

    def clean_name(self) -> str:
        name, ending = str(self.cleaned_data["name"]), self.instance.stored_name.rpartition(".")[2]
        return safe_name(name, ending)


@admin.register(MediaFile)
class MediaFileAdmin(ModelAdmin):
    form = MediaUploadForm
    list_display = ["shown", "name", "described", "size", "used", "created_at"]
    list_display_links = ["name"]
    card = ["name", "shown", "size"]
    list_filter = ["kind"]
    list_per_page = 24
    search_fields = ["name", "alt"]
    actions = None  # Files are deleted one at a time, because mails that were sent long ago may still show them.
    readonly_fields = ["large", "address", "size", "used"]

    class Media:
        css = {"all": ["campaigns/campaigns.css", "campaigns/media.css"]}

    def get_fieldsets(self, request: HttpRequest, obj: MediaFile | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["file", "alt"]})]
        return [(None, {"fields": ["large", "name", "alt", "address", "size", "used"]})]

    def save_model(self, request: HttpRequest, obj: MediaFile, form: Any, change: bool) -> None:
        if not change:
            obj.created_by = request.user  # type: ignore[assignment]
        obj.save()

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        file = self.get_object(request, object_id)
        if file is not None and (users := media_library.used_by(file)):
            sentence = gettext("“%(file)s” is used by %(users)s. Remove it there first.")
            messages.error(request, sentence % {"file": file, "users": _some(users, 5)})
            return redirect("admin:campaigns_mediafile_change", object_id)
        answer: HttpResponse = super().delete_view(request, object_id, extra_context)
        return answer

    def deletion(self, obj: MediaFile) -> Deletion:
        return Deletion([gettext("The file. Links to it stop working.")])

    def delete_model(self, request: HttpRequest, obj: MediaFile) -> None:
        media_library.delete([obj.pk])

    @display(description="")  # type: ignore[untyped-decorator]
    def shown(self, file: MediaFile) -> SafeString:
        if file.kind != MediaFile.Kind.IMAGE:
            ending = file.stored_name.rpartition(".")[2].upper()
            return format_html('<span class="media-thumb media-document">{}</span>', ending)
        url = reverse("media:file", args=[file.stored_name])
        return format_html('<img class="media-thumb" src="{}" alt="{}" loading="lazy">', url, file.alt)

    @admin.display(description=_("Image"))
    def large(self, file: MediaFile) -> SafeString | str:
        if file.kind != MediaFile.Kind.IMAGE:
            return gettext("This file is a document.")
        url = reverse("media:file", args=[file.stored_name])
        return format_html('<img class="media-large" src="{}" alt="{}">', url, file.alt)

    @admin.display(description=_("Alt text"), ordering="alt")
    def described(self, file: MediaFile) -> str:
        return file.alt or (gettext("None (decorative)") if file.kind == MediaFile.Kind.IMAGE else "–")

    @admin.display(description=_("Address"))
    def address(self, file: MediaFile) -> SafeString:
        return format_html('<code class="media-address">{}</code>', media_library.url_of(file))

    @admin.display(description=_("Size"), ordering="size_bytes")
    def size(self, file: MediaFile) -> str:
        pixels = f" · {file.width:,} × {file.height:,} px" if file.width else ""
        return f"{filesizeformat(file.size_bytes)}{pixels}"

    @admin.display(description=_("Used by"))
    def used(self, file: MediaFile) -> str:
        users = media_library.used_by(file)
        if not users:
            return gettext("Nothing")
        return _some(users, 3)


def _some(names: list[str], most: int) -> str:
    """Return the first names, and the number of the others."""
    shown, more = ", ".join(names[:most]), len(names[most:])
    if not more:
        return shown
    return ngettext("%(names)s and %(n)s more", "%(names)s and %(n)s more", more) % {"names": shown, "n": more}
