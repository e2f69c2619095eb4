"""The base classes of admin pages. They refuse every query that a page does not allow by name.

A list answers the parameters of its own filters only. Django alone would compare any column of the model in any way:
a person who may see the list could read hidden columns letter by letter, or keep the process busy with a regular
expression.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IS_POPUP_VAR, ShowFacets
from django.contrib.admin.utils import get_fields_from_path, unquote
from django.contrib.admin.views.main import ERROR_FLAG
from django.db import transaction
from django.db.models import Field, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst
from django.utils.translation import get_language
from unfold import admin as unfold_admin

from adminpages import fresh_sign_in, queries
from adminpages.changes import NoticesChanges, RowNoticesChanges
from adminpages.text_fields import RefusesControls


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a page says before something is deleted, in plain words."""

    gone: Sequence[str]  # What is deleted with it.
    stays: Sequence[str] = ()  # What people might fear for, and is kept.


class ModelAdmin(unfold_admin.ModelAdmin):  # type: ignore[misc]  # unfold ships no types.
    """The base class of every registered page; ``tests/adminpages`` visits all of them."""

    show_facets = ShowFacets.NEVER  # Facets count every row once for each choice of each filter.
    change_form_before_template = "adminpages/seen.html"  # For ``NoticesChanges`` and ``AsksFreshSignIn``.
    # The columns that a phone shows of a row: name, state, and one figure or more. Empty: the first three.
    card: Sequence[str] = ()
    empty_hint: Any = ""  # What an empty list is for, as one sentence.
    empty_hint_without_add: Any = ""  # The same for people who may not add to it. Empty: as for all others.
    asks_fresh_sign_in = False  # On: adding, changing and deleting need a fresh sign-in.

    # --- messages

    def message_user(self, request: HttpRequest, message: str, *args: Any, **kwargs: Any) -> None:
        """Show a message without Django's word "successfully", which adds nothing."""
        plain = message.replace(" successfully", "")
        super().message_user(
            request,
            mark_safe(plain) if isinstance(message, SafeString) else plain,  # noqa: S308 - already escaped.
            *args,
            **kwargs,
        )

    # --- rows of a list

    def action_checkbox(self, obj: Any) -> SafeString:
        """Return unfold's checkbox of a row. It is rendered once: a template for each row took a third of the time."""
        return format_html(_checkbox(get_language()), obj.pk)

    action_checkbox.short_description = (  # type: ignore[attr-defined]  # Read by Django's lists.
        unfold_admin.ModelAdmin.action_checkbox.short_description
    )

    # --- queries of a list

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the parameters of the page's own filters, and the row's key."""
        assert self.model._meta.pk is not None
        if lookup == f"{self.model._meta.pk.name}__exact":
            return True
        return request is not None and lookup in self._own_parameters(request)

    def _own_parameters(self, request: HttpRequest) -> set[str | None]:
        return {name for each in self.get_list_filter(request) for name in self._filter(each, request)}

    def _filter(self, each: Any, request: HttpRequest) -> list[str | None]:
        """Return the parameters that a filter reads. The filter is built in the same way as Django's list does."""
        if isinstance(each, type):
            made = each(request, {}, self.model, self)
        else:
            path, kind = each if isinstance(each, tuple | list) else (each, admin.FieldListFilter.create)
            field = path if isinstance(path, Field) else get_fields_from_path(self.model, path)[-1]
            made = kind(field, request, {}, self.model, self, field_path=path)
        parameters: list[str | None] = made.expected_parameters()
        return parameters

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if why := queries.refusal(dict(request.GET.lists())):
            messages.error(request, why)
            return redirect(request.path)
        if ERROR_FLAG in request.GET:  # Django redirects here after a lookup that failed.
            messages.warning(request, queries.UNKNOWN)
        context = dict(extra_context or {})
        if IS_POPUP_VAR not in request.GET:  # A pop-up asks to select a row, as Django's title says.
            context.setdefault("title", capfirst(self.opts.verbose_name_plural))
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if queries.search_refusal(search_term):
            return queryset.none(), False
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
        return found

    # --- rows that others still need

    def what_keeps(self, objs: QuerySet[Any] | Collection[Any]) -> list[str]:
        """Return the names of objects that still need one of the rows. While there are any, nothing is deleted."""
        return []

    def get_deleted_objects(self, objs: QuerySet[Any] | Collection[Any], request: HttpRequest) -> Any:
        """Add the objects of ``what_keeps`` to the protected ones, for one row and for many chosen in the list."""
        named, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return named, counts, lacking, [*protected, *self.what_keeps(objs)]

    # --- the question for a fresh sign-in

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.asks_fresh_sign_in and request.method != "POST" and not fresh_sign_in.is_fresh(request):
            object_id = args[0] if args else kwargs.get("object_id")
            if object_id is None or self._may_open(request, unquote(object_id)):
                return fresh_sign_in.ask(request)
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    def _may_open(self, request: HttpRequest, object_id: str) -> bool:
        """Whether the page would open after the question; others are refused without one."""
        row = self.get_object(request, object_id)
        return row is None or self.has_view_or_change_permission(request, row)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        delete = super().delete_view
        row = self.get_object(request, object_id)
        context = {"deletion": self.deletion(row) if row is not None else None, **(extra_context or {})}
        return (fresh_sign_in.asks_first(delete) if self.asks_fresh_sign_in else delete)(request, object_id, context)

    def deletion(self, obj: Any) -> Deletion | None:
        """Return what the question before deleting says; None for the list of rows that Django finds."""
        return None

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return the actions; deleting asks. Other actions declare it themselves with ``asks_first``."""
        actions: dict[str, Any] = super().get_actions(request)
        if self.asks_fresh_sign_in and "delete_selected" in actions:
            delete, *words = actions["delete_selected"]
            actions["delete_selected"] = (_asking(delete), *words)
        return actions

    # --- edit conflicts

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kwargs: Any) -> Any:
        """Name the stored row in the title: a refused form has put into it what was typed."""
        # A page may show defaults before anything is stored.
        if obj is not None and context["errors"] and self.model._default_manager.filter(pk=obj.pk).exists():
            obj.refresh_from_db()
            context["subtitle"] = str(obj)
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = _with(super().get_form(request, obj, change=change, **kwargs), NoticesChanges, RefusesControls)
        return fresh_sign_in.asking(form, request) if self.asks_fresh_sign_in else form

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        return _with(super().get_changelist_form(request, **kwargs), RowNoticesChanges, RefusesControls)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row. During a save the row is locked first and then read, so that nobody else can change it."""
        found = super().get_object(request, object_id, from_field)
        if found is None or request.method != "POST" or not transaction.get_connection().in_atomic_block:
            return found
        self.hold(found)
        return super().get_object(request, object_id, from_field)

    def hold(self, row: Any) -> None:
        """Lock the row against changes until the transaction ends."""
        held = self.model._base_manager.select_for_update(no_key=True).filter(pk=row.pk).order_by()
        list(held.values_list("pk"))


class TabularInline(unfold_admin.TabularInline):  # type: ignore[misc]  # unfold ships no types.
    """The base class for rows of another model within a page."""

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        formset.form = _with(formset.form, RowNoticesChanges, RefusesControls)
        return formset


@cache
def _checkbox(language: str | None) -> str:
    """Return unfold's checkbox as a template for :func:`format_html`, with a place for the key of the row."""
    rendered = unfold_admin.checkbox.render(ACTION_CHECKBOX_NAME, "KEY")
    return str(rendered).replace("{", "{{").replace("}", "}}").replace("KEY", "{}")


def _with(form: "type[ModelForm[Any]]", *mixins: type[Any]) -> "type[ModelForm[Any]]":
    missing = [mixin for mixin in mixins if not issubclass(form, mixin)]
    return type(form.__name__, (*missing, form), {})


def _asking(action: Any) -> Any:
    return lambda page, request, chosen: fresh_sign_in.asks_first(partial(action, page))(request, chosen)
