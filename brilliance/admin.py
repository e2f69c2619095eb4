"""Admin pages of users and roles. At least one user who can manage users always remains."""

import copy
from collections.abc import Collection
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.paginator import InvalidPage
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from adminpages.fresh_sign_in import asks_anew
from adminpages.pages import ModelAdmin
from brilliance.roles import ROLES
from delivery.operators.notices import ADMINISTRATORS, administrators, hold_administrators

LAST_ADMIN = _("This is the last active person who can manage people. Make somebody else an admin first.")


def admins() -> QuerySet[User]:
    """Return the active users who can manage users."""
    return administrators().filter(is_staff=True)


class PersonForm(UserChangeForm):  # type: ignore[misc]  # unfold has no types
    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        is_admin = self.instance.is_superuser or any(group.name == ADMINISTRATORS for group in values.get("groups", ()))
        if not (is_admin and values.get("is_active")) and is_last_admin(self.instance):
            raise forms.ValidationError(LAST_ADMIN)
        return values


def is_last_admin(person: User | None) -> bool:
    return person is not None and list(admins()[:2]) == [person]


_search = admin.site.search  # type: ignore[attr-defined]  # unfold's.


def search(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Search the names of pages; an invalid page of results gives 404."""
    try:
        found: HttpResponse = _search(request, extra_context)
    except (InvalidPage, ValueError):
        raise Http404("There is no such page of results.") from None
    return found


admin.site.search = search  # type: ignore[attr-defined]
admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = PersonForm
    add_form = UserCreationForm
    asks_fresh_sign_in = True
    actions_list = ("invite",)
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "roles", "is_active", "last_login")
    list_filter = ("is_active", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email")}),
        (_("What they may do"), {"fields": ("is_active", "groups")}),
        (_("Signing in"), {"fields": ("sign_in",)}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("sign_in", "last_login", "date_joined")

    @method_decorator(asks_anew)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response: HttpResponse = super().user_change_password(request, id, form_url)
        return response

    def has_invite_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_invitation") and not settings.OIDC_ONLY

    @action(description=_("Invite by email"), icon="mail", url_path="invite", permissions=["invite"])  # type: ignore[untyped-decorator]
    def invite(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:accounts_invitation_add")

    @admin.display(description=_("Sessions and second factors"))
    def sign_in(self, person: User) -> str:
        where = reverse("user_sign_in", args=[person.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', where, gettext("View, end or reset"))

    @admin.display(description=_("roles"))
    def roles(self, person: User) -> str:
        return ", ".join(sorted(group.name for group in person.groups.all()))

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        found: QuerySet[User] = super().get_queryset(request).prefetch_related("groups")
        return found

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        obj.is_staff = True  # All users sign in here; their role decides what they see.
        super().save_model(request, obj, form, change)

    def hold(self, row: User) -> None:
        hold_administrators()
        super().hold(row)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not is_last_admin(obj)

    def what_keeps(self, objs: QuerySet[User] | Collection[User]) -> list[str]:
        """Keep users with log entries: deleting them would delete these entries."""
        people = User.objects.filter(pk__in=[person.pk for person in objs]).annotate(entries=Count("logentry"))
        return [
            ngettext(
                "%(n)s entry of %(person)s in the history. Switch “Active” off instead: then this user can't log in",
                "%(n)s entries of %(person)s in the history. Switch “Active” off instead: then this user can't log in",
                person.entries,
            )
            % {"n": f"{person.entries:,}", "person": person}
            for person in people.filter(entries__gt=0).order_by("username")
        ]

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        with transaction.atomic():
            hold_administrators()
            if admins().exclude(pk__in=queryset).exists():
                super().delete_queryset(request, queryset)
            else:
                self.message_user(request, f"{gettext('Nobody was deleted.')} {LAST_ADMIN}", "error")


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """The roles. Built-in roles keep their names, and admin its permissions, so that somebody can always fix things."""

    asks_fresh_sign_in = True
    list_display = ("name",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.opts = copy.copy(self.opts)  # Django's own must keep its name, or its migrations would change.
        self.opts.verbose_name, self.opts.verbose_name_plural = _("role"), _("roles")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        found.opts = self.opts
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        if obj is None or obj.name not in ROLES:
            return ()
        return ("name", "what_they_may_do") if obj.name == "admin" else ("name",)

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        return ("name", "what_they_may_do") if obj is not None and obj.name == "admin" else ("name", "permissions")

    @admin.display(description=_("What they may do"))
    def what_they_may_do(self, role: Group) -> str:
        return gettext("Everything.")

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and (obj is None or obj.name not in ROLES)
