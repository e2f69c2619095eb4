"""Signals: a changed password, factor or role ends the user's other sessions, whoever changes it and by which way.

The session in which users change something of their own stays, with a new key.
"""

from typing import Any

from allauth.core import context
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete, pre_save
from django.dispatch import receiver

from accounts.models import SignInNotice
from accounts.notices import forget_notice, leave_notice
from accounts.sessions.store import end_sessions

WATCHED = ("password", "is_active", "is_staff", "is_superuser")


def is_own_change(user: User) -> bool:
    """Whether the request that is being answered is the user's own."""
    return context.request is not None and context.request.user == user


def end_other_sessions(user: User) -> None:
    """End the user's sessions, except the one of this request, which gets a new key."""
    if not is_own_change(user):
        end_sessions(user)
        return
    context.request.session.cycle_key()
    end_sessions(user, keep=context.request.session)


@receiver(pre_save, sender=User)
def _compare(instance: User, raw: bool, update_fields: frozenset[str] | None, **kwargs: Any) -> None:
    """Note what the save is about to change."""
    is_unwatched = update_fields is not None and not update_fields & frozenset(WATCHED)
    stored = None
    if not (raw or is_unwatched):
        stored = User.objects.filter(pk=instance.pk).values(*WATCHED).first()
    changed = {name for name in WATCHED if stored and stored[name] != getattr(instance, name)}
    instance._changed_sign_in = changed  # type: ignore[attr-defined]


@receiver(post_save, sender=User)
def _user_changed(instance: User, created: bool, **kwargs: Any) -> None:
    changed = instance._changed_sign_in  # type: ignore[attr-defined]
    if changed:
        end_other_sessions(instance)
    if (created or "password" in changed) and context.request is not None and instance.has_usable_password():
        _note_who_chose_the_password(instance)


def _note_who_chose_the_password(user: User) -> None:
    if is_own_change(user):
        forget_notice(context.request, user, SignInNotice.Kind.PASSWORD_SET)
    elif context.request.user.is_authenticated:
        leave_notice(user, SignInNotice.Kind.PASSWORD_SET)


@receiver(m2m_changed, sender=User.groups.through)
def _roles_changed(instance: User | Group, action: str, reverse: bool, pk_set: set[int] | None, **kwargs: Any) -> None:
    if action not in ("post_add", "post_remove", "pre_clear") or pk_set == set():
        return
    if isinstance(instance, User):
        end_other_sessions(instance)
        return
    members = instance.user_set.all() if pk_set is None else User.objects.filter(pk__in=pk_set)
    for user in members:
        end_other_sessions(user)


@receiver(pre_delete, sender=Group)
def _role_deleted(instance: Group, **kwargs: Any) -> None:
    for user in instance.user_set.all():
        end_other_sessions(user)


@receiver(post_save, sender=Authenticator)
def _factor_added(instance: Authenticator, created: bool, **kwargs: Any) -> None:
    if created:  # Else a use was noted in it.
        end_other_sessions(instance.user)


@receiver(post_delete, sender=Authenticator)
def _factor_removed(instance: Authenticator, **kwargs: Any) -> None:
    end_other_sessions(instance.user)
