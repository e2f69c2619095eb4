"""Admin pages of users and roles. At least one user who can manage users always remains."""

import copy
from collections.abc import Collection
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import UsernameField
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.password_validation import validate_password
from django.core.paginator import InvalidPage
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminPasswordWidget

from accounts import powers
from accounts.sign_in import rules
from accounts.sign_in.usernames import RefusesTakenUsername
from adminpages.fresh_sign_in import asks_anew
from adminpages.instants import stamp
from adminpages.pages import ModelAdmin
from adminpages.text_fields import RefusesControls
from brilliance.rights import RightsField, RightsWidget, action_of, has_effect, listed
from brilliance.roles import ROLES, WITHOUT_A_PAGE
from delivery.operators.notices import ADMINISTRATORS, administrators, hold_administrators

BEYOND = _("%(name)s may do more than you. So you can't change anything here.")
LAST_ADMIN = _("This is the last active person who can manage people. Make somebody else an admin first.")


def admins() -> QuerySet[User]:
    """Return the active users who can manage users."""
    return administrators().filter(is_staff=True)


class _Roles(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]
    """Roles to choose from, each built-in one with what it is for."""

    def label_from_instance(self, obj: Group) -> str:
        return powers.role_in_words(obj)


class _UserForm(RefusesControls, RefusesTakenUsername):
    """What an administrator says of a user. No role is chosen until somebody chooses one.

    Nobody gives a role that may do more than they may.
    """

    request: HttpRequest  # Of the page, see AsksFreshSignIn.

    groups = _Roles(
        label=_("Roles"),
        queryset=Group.objects.order_by("name"),
        required=False,
        help_text=_("Without a role, a user can log in and sees nothing."),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = User
        fields = ["username", "first_name", "last_name", "email", "is_active", "groups"]
        field_classes = {"username": UsernameField}
        labels = {
            "username": _("Username"),
            "first_name": _("First name"),
            "last_name": _("Last name"),
            "email": _("Email"),
            "is_active": _("Active"),
        }
        help_texts = {
            "username": _("The user logs in with it. Letters, digits and @ . + - _ only."),
            "email": _("Gets alerts, and a link if the user forgets the password."),
            "is_active": _("When off, this user can't log in. Better than deleting: the history stays."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        groups = self.fields["groups"]
        assert isinstance(groups, _Roles)
        groups.queryset = powers.roles_within(self.request.user)


class PersonForm(_UserForm):
    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        is_admin = self.instance.is_superuser or any(group.name == ADMINISTRATORS for group in values.get("groups", ()))
        if not (is_admin and values.get("is_active")) and is_last_admin(self.instance):
            raise forms.ValidationError(LAST_ADMIN)
        return values


class AddPersonForm(_UserForm):
    """A new user. The first password is changed at the first login; with single sign-on it may stay empty."""

    password1 = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=4096,
        help_text=rules.PASSWORD,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )
    password2 = forms.CharField(
        label=_("Repeat password"),
        strip=False,
        max_length=4096,
        help_text=_("Tell it to the user, who chooses another one at the first login."),
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.OIDC_ONLY:
            del self.fields["password1"], self.fields["password2"]
        elif settings.OIDC_ISSUER:
            for name in ("password1", "password2"):
                self.fields[name].required = False
            self.fields["password2"].help_text = _("Leave both empty for single sign-on only.")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        password = values.get("password1")
        if not self.has_error("password1") and values.get("password2") != password and not self.has_error("password2"):
            self.add_error("password2", _("The two passwords differ."))
        elif password:
            given = {name: values.get(name, "") for name in ("username", "first_name", "last_name", "email")}
            try:
                validate_password(password, User(**given))
            except forms.ValidationError as error:
                self.add_error("password1", error)
        return values

    def save(self, commit: bool = True) -> User:
        self.instance.set_password(self.cleaned_data.get("password1") or None)  # None: no password can be it.
        user: User = super().save(commit)
        return user


class NewPasswordForm(RefusesControls, AdminPasswordChangeForm):  # type: ignore[misc]  # unfold has no types
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password1"].label = _("New password")
        self.fields["password1"].help_text = rules.PASSWORD
        self.fields["password2"].label = _("Repeat new password")
        self.fields["password2"].help_text = _("Tell it to the user, who chooses another one at the next login.")

    def validate_password_for_user(self, user: User, **kwargs: Any) -> None:
        """Say what is wrong with it beside the field that states the rules, and not beside the repetition."""
        super().validate_password_for_user(user, password_field_name="password1")  # noqa: S106  # A field's name.


def _only_to_view(fieldsets: Any) -> Any:
    """Return the rows of a page without a choice of roles and the link to set a password."""
    shown = {"groups": "roles", "password_set": None}
    rows = [(title, of, [shown.get(each, each) for each in of["fields"]]) for title, of in fieldsets]
    return [(title, {**of, "fields": [each for each in names if each]}) for title, of, names in rows]


def is_last_admin(person: User | None) -> bool:
    return person is not None and list(admins()[:2]) == [person]


class RoleFilter(admin.RelatedFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("role")


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


class _WithinOwnPowers:
    """A mixin of the pages of users and roles: those that may do more than the reader can only be viewed."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and self._reaches(request, obj)  # type: ignore[misc]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and self._reaches(request, obj)  # type: ignore[misc]

    @staticmethod
    def _reaches(request: HttpRequest, obj: User | Group | None) -> bool:
        return obj is None or powers.reaches(request.user, obj)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, obj: Any = None, **kwargs: Any) -> Any:
        if self.has_change_permission(request) and not self.has_change_permission(request, obj):
            messages.info(request, BEYOND % {"name": obj})
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)  # type: ignore[misc]


@admin.register(User)
class UserAdmin(_WithinOwnPowers, DjangoUserAdmin, ModelAdmin):  # type: ignore[misc, type-arg]
    form = PersonForm
    add_form = AddPersonForm
    add_form_template = None  # Django's says that there is more to fill in afterwards.
    asks_fresh_sign_in = True
    actions_list = ("invite",)
    change_password_form = NewPasswordForm
    list_display = ("username", "address", "roles", "is_active", "seen")
    list_filter = ("is_active", ("groups", RoleFilter))
    fieldsets = (
        (None, {"fields": ("username", ("first_name", "last_name"), "email", "groups", "is_active")}),
        (_("Login"), {"fields": ("password_set", "sign_in", "last_login", "date_joined")}),
    )
    readonly_fields = ("password_set", "sign_in", "last_login", "date_joined")

    @method_decorator(asks_anew)
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        response: HttpResponse = super().user_change_password(request, id, form_url)
        return response

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        if obj is not None:
            found = super().get_fieldsets(request, obj)
            return found if self.has_change_permission(request, obj) else _only_to_view(found)
        passwords = () if settings.OIDC_ONLY else ("password1", "password2")
        return ((None, {"fields": ("username", ("first_name", "last_name"), "email", "groups", *passwords)}),)

    def response_add(self, request: HttpRequest, obj: User, post_url_continue: str | None = None) -> HttpResponse:
        """Lead back to the list. Django's own would open the new user, for all that its form for adding lacks."""
        response: HttpResponse = super(DjangoUserAdmin, self).response_add(request, obj, post_url_continue)
        return response

    def has_invite_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.add_invitation") and not settings.OIDC_ONLY

    @action(description=_("Invite by email"), icon="mail", url_path="invite", permissions=["invite"])  # type: ignore[untyped-decorator]
    def invite(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:accounts_invitation_add")

    @admin.display(description=_("Last login"), ordering="last_login", empty_value="–")
    def seen(self, person: User) -> str:
        return stamp(person.last_login)

    @admin.display(description=_("email"), ordering="email")
    def address(self, person: User) -> str:
        return person.email

    @admin.display(description=_("Password"))
    def password_set(self, person: User) -> str:
        if settings.OIDC_ONLY:
            return gettext("None. All users log in with single sign-on.")
        where = reverse("admin:auth_user_password_change", args=[person.pk])
        has_one = person.has_usable_password()
        link = gettext("Set a new password") if has_one else gettext("Set a password")
        return format_html(
            '{} · <a class="text-link" href="{}">{}</a>', gettext("Set") if has_one else gettext("None"), where, link
        )

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


class RoleForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    """A role. Two names that differ in case alone would be mistaken for each other."""

    class Meta:
        model = Group
        fields = ["name", "permissions"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        same = Group.objects.filter(name__iexact=name).exclude(pk=self.instance.pk).first()
        if same is not None:
            said = gettext("There is a role “%(name)s” already. Choose a name that differs in more than case.")
            raise forms.ValidationError(said % {"name": same.name})
        return name


@admin.register(Group)
class GroupAdmin(_WithinOwnPowers, DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """The roles. Built-in roles keep their names, and admin its permissions, so that somebody can always fix things."""

    form = RoleForm
    asks_fresh_sign_in = True
    list_display = ("name", "in_short")
    filter_horizontal = ()  # Django's two boxes; the rights are checkboxes, by place.

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.opts = copy.copy(self.opts)  # Django's own must keep its name, or its migrations would change.
        self.opts.verbose_name, self.opts.verbose_name_plural = _("role"), _("roles")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        found = super().get_changelist_instance(request)
        found.opts = self.opts
        return found

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        own = tuple(each for each in ("in_short", "what_they_may_do") if each in self.get_fields(request, obj))
        return own if obj is None or obj.name not in ROLES else ("name", *own)

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> tuple[str, ...]:
        is_to_read = obj is not None and (obj.name == "admin" or not self.has_change_permission(request, obj))
        head = ("name", "in_short") if obj is not None and obj.name in powers.IN_SHORT else ("name",)
        return (*head, "what_they_may_do" if is_to_read else "permissions")

    @admin.display(description=_("Purpose"))
    def in_short(self, role: Group) -> str:
        """What a built-in role is for."""
        return capfirst(str(powers.IN_SHORT.get(role.name, ""))) or "–"

    @admin.display(description=_("What they may do"))
    def what_they_may_do(self, role: Group) -> str:
        if role.name == "admin":
            return gettext("Everything.")
        held = [each for each in role.permissions.select_related("content_type") if self._is_asked(each)]
        return listed(held) if held else gettext("Nothing yet.")

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any) -> Any:
        """Offer the permissions that a page asks for and the reader holds, and not those on internal tables."""
        if db_field.name == "permissions":
            assert request is not None
            known = powers.permissions_within(request.user).select_related("content_type")
            asked = [each.pk for each in known if self._is_asked(each)]
            kwargs |= {"queryset": known.filter(pk__in=asked), "form_class": RightsField, "widget": RightsWidget()}
            kwargs |= {"label": _("What they may do")}
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def _is_asked(self, permission: Permission) -> bool:
        kind = permission.content_type
        name = f"{kind.app_label}.{permission.codename}"
        has_a_page = name in WITHOUT_A_PAGE or kind.model_class() in self.admin_site._registry
        return has_effect(permission) and (not action_of(permission) or has_a_page)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and (obj is None or obj.name not in ROLES)
