"""Whom a user may change and which roles they may give: only users and roles that may do no more than they may.

Otherwise the right to change users or roles, or to invite, would be every right there is. A superuser counts as holding
every permission. Viewing is left to the pages.
"""

from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

# What the built-in roles may do; brilliance.roles has their permissions.
IN_SHORT = {
    "admin": _("everything"),
    "marketer": _("contacts, campaigns and their results"),
    "ops": _("servers and their tests, no contacts"),
    "viewer": _("quotas and campaign figures"),
}


def role_in_words(role: Group) -> str:
    """Return the name of a role, and of a built-in one what it is for."""
    return f"{role.name} – {IN_SHORT[role.name]}" if role.name in IN_SHORT else role.name


def permissions_of(holder: User | Group) -> QuerySet[Permission]:
    """Return the permissions of a role, or of a user, active or not."""
    if isinstance(holder, Group):
        return holder.permissions.all()
    if holder.is_superuser:
        return Permission.objects.all()
    return Permission.objects.filter(Q(user=holder) | Q(group__user=holder)).distinct()


def reaches(actor: User | AnonymousUser, other: User | Group) -> bool:
    """Whether the actor holds every permission of another user or of a role, and so may change or give it."""
    return not permissions_of(other).exclude(pk__in=_held_by(actor)).exists()


def roles_within(actor: User | AnonymousUser) -> QuerySet[Group]:
    """Return the roles that the actor may give, by name."""
    beyond = Permission.objects.exclude(pk__in=_held_by(actor))
    return Group.objects.exclude(permissions__in=beyond).order_by("name")


def permissions_within(actor: User | AnonymousUser) -> QuerySet[Permission]:
    """Return the permissions that the actor may put into a role."""
    return Permission.objects.filter(pk__in=_held_by(actor))


def _held_by(actor: User | AnonymousUser) -> QuerySet[Permission, int]:
    if isinstance(actor, AnonymousUser) or not actor.is_active:
        return Permission.objects.none().values_list("pk", flat=True)
    return permissions_of(actor).values_list("pk", flat=True)
