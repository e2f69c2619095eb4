"""A role that may change users, roles or invitations gives nobody more than it has, and touches nobody who has more."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from accounts import factors, powers
from accounts.by_mail import mails, tokens
from accounts.models import Invitation
from tests.brilliance.test_refusals import signed_in

USERS, ROLES, INVITATIONS = "/admin/auth/user/", "/admin/auth/group/", "/admin/accounts/invitation/"
PASSWORD = "a long enough passphrase"
MAY = [
    *("add_user", "change_user", "delete_user", "view_user"),
    *("add_group", "change_group", "delete_group", "view_group"),
    *("add_invitation", "view_invitation", "delete_invitation"),
    *("view_fleet", "view_progress"),
]


@pytest.fixture
def manager(db: None) -> Client:
    """Return the browser of a user who may manage users and see what viewers see, and nothing else."""
    Group.objects.create(name="people").permissions.set(Permission.objects.filter(codename__in=MAY))
    return signed_in("people", "manager")


@pytest.fixture
def admin_role(db: None) -> Group:
    return Group.objects.get(name="admin")


@pytest.fixture(params=["admin", "inactive admin", "superuser", "ops", "own permission"])
def above(request: pytest.FixtureRequest, db: None) -> User:
    """Return a user who may do something that the manager may not."""
    kind = request.param
    user = User.objects.create_user("boss", "boss@example.com", PASSWORD, is_staff=True)
    if kind == "own permission":
        user.user_permissions.add(Permission.objects.get(codename="add_contact"))
    elif kind != "superuser":
        user.groups.add(Group.objects.get(name=kind.split()[-1]))
    user.is_superuser, user.is_active = kind == "superuser", not kind.startswith("inactive")
    user.save()
    return user


def test_nobody_gives_a_role_that_may_do_more(manager: Client, admin_role: Group) -> None:
    me, viewer = User.objects.get(username="manager"), Group.objects.get(name="viewer")
    own = Group.objects.get(name="people")
    named = {"username": "manager", "is_active": "on"}

    page = manager.get(f"{USERS}{me.pk}/change/").content.decode()
    manager.post(f"{USERS}{me.pk}/change/", named | {"groups": [own.pk, admin_role.pk]})
    given = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}
    manager.post(f"{USERS}add/", given | {"groups": [admin_role.pk]})

    assert "viewer – " in page
    assert "admin – " not in page
    assert list(me.groups.all()) == [own]
    assert not User.objects.filter(username="eve").exists()

    manager.post(f"{USERS}add/", given | {"groups": [viewer.pk]})

    assert list(User.objects.get(username="eve").groups.all()) == [viewer]


def test_who_may_do_more_can_be_viewed_and_nothing_else(manager: Client, above: User) -> None:
    factors.add_totp(above, "secret", step=0)
    page, sign_in = f"{USERS}{above.pk}/change/", f"/accounts/users/{above.pk}/"
    before = User.objects.filter(pk=above.pk).values().get()
    changed = {"username": "boss", "email": "manager@example.com"}
    password = {"password1": "another long passphrase", "password2": "another long passphrase"}

    seen = manager.get(page)
    answers = [
        manager.post(page, changed),
        manager.get(f"{USERS}{above.pk}/password/"),
        manager.post(f"{USERS}{above.pk}/password/", password),
        manager.post(f"{USERS}{above.pk}/delete/", {"post": "yes"}),
        manager.post(USERS, {"action": "delete_selected", "_selected_action": above.pk, "post": "yes"}),
        *(manager.post(sign_in, {"do": do}) for do in ("end", "reset", "unlink")),
        *(manager.get(f"{sign_in}?do={do}") for do in ("end", "reset", "unlink")),
    ]

    assert "boss may do more than you." in seen.content.decode()
    assert "boss@example.com" in seen.content.decode()
    assert "/password/" not in seen.content.decode()
    assert "Groups" not in seen.content.decode()
    assert manager.get(sign_in).status_code == 200
    assert "Reset second factors" not in manager.get(sign_in).content.decode()
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert User.objects.filter(pk=above.pk).values().get() == before
    assert factors.of(above).exists()


def test_who_may_do_no_more_is_changed(manager: Client) -> None:
    bob = User.objects.create_user("bob", "bob@example.com", PASSWORD, is_staff=True)
    bob.groups.add(Group.objects.get(name="viewer"))

    manager.post(f"{USERS}{bob.pk}/change/", {"username": "bob", "email": "new@example.com"})
    manager.post(f"/accounts/users/{bob.pk}/", {"do": "end"})

    bob.refresh_from_db()
    assert (bob.email, bob.is_active) == ("new@example.com", False)
    assert manager.post(f"{USERS}{bob.pk}/delete/", {"post": "yes"}).status_code == 302


def test_administrators_change_each_other_and_superusers(db: None) -> None:
    boss = User.objects.create_user("boss", is_staff=True, is_superuser=True)
    admin, other = signed_in("admin"), Group.objects.get(name="admin")
    other.user_set.add(User.objects.create_user("other", is_staff=True))

    for user in (boss, User.objects.get(username="other")):
        admin.post(f"{USERS}{user.pk}/change/", {"username": user.username, "email": "new@example.com"})

    assert User.objects.filter(email="new@example.com").count() == 2


def test_nobody_puts_a_permission_into_a_role_that_they_lack(manager: Client) -> None:
    own, viewer = Group.objects.get(name="people"), Group.objects.get(name="viewer")
    held, lacked = Permission.objects.get(codename="view_fleet"), Permission.objects.get(codename="add_contact")
    had = set(own.permissions.all())

    page = manager.get(f"{ROLES}{own.pk}/change/").content.decode()
    for path in (f"{ROLES}add/", f"{ROLES}{own.pk}/change/", f"{ROLES}{viewer.pk}/change/"):
        manager.post(path, {"name": "taken", "permissions": [held.pk, lacked.pk]})

    assert f'value="{held.pk}"' in page
    assert f'value="{lacked.pk}"' not in page
    assert set(own.permissions.all()) == had
    assert not Group.objects.filter(permissions=lacked, name__in=["taken", "viewer"]).exists()

    manager.post(f"{ROLES}add/", {"name": "made", "permissions": [held.pk]})

    assert list(Group.objects.get(name="made").permissions.all()) == [held]


def test_a_role_that_may_do_more_can_be_viewed_and_nothing_else(manager: Client) -> None:
    more = Group.objects.create(name="more")
    more.permissions.add(Permission.objects.get(codename="add_contact"))

    seen = manager.get(f"{ROLES}{more.pk}/change/").content.decode()
    answers = [
        manager.post(f"{ROLES}{more.pk}/change/", {"name": "taken"}),
        manager.post(f"{ROLES}{more.pk}/delete/", {"post": "yes"}),
        manager.post(ROLES, {"action": "delete_selected", "_selected_action": more.pk, "post": "yes"}),
    ]

    assert "more may do more than you." in seen
    assert [answer.status_code for answer in answers] == [403] * 3
    assert Group.objects.get(name="more").permissions.count() == 1


def test_nobody_invites_to_a_role_that_may_do_more(
    manager: Client, admin_role: Group, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mails, "can_be_sent", lambda now: True)
    me, viewer, now = User.objects.get(username="manager"), Group.objects.get(name="viewer"), timezone.now()
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(admin_role)
    theirs = Invitation.objects.create(email="a@example.com", role=admin_role, invited_by=boss, invited_at=now)

    def invite(email: str, role: Group) -> Any:
        return manager.post(f"{INVITATIONS}add/", {"email": email, "role": role.pk})

    page = manager.get(f"{INVITATIONS}add/").content.decode()
    invite("eve@customer.internal", admin_role)
    invite("bob@customer.internal", viewer)
    again = {"action": "send_again", "_selected_action": theirs.pk}
    said = manager.post(INVITATIONS, again, follow=True).content.decode()

    assert f'<option value="{admin_role.pk}"' not in page
    assert [each.email for each in Invitation.objects.filter(invited_by=me)] == ["bob@customer.internal"]
    theirs.refresh_from_db()
    assert (theirs.round, theirs.invited_by) == (1, boss)
    assert "a role that may do more than you" in said


def test_an_invitation_gives_nothing_that_its_inviter_does_not_hold_any_more(admin_role: Group) -> None:
    now = timezone.now()
    boss = User.objects.create_user("boss", is_staff=True)
    boss.groups.add(admin_role)
    invitation = Invitation.objects.create(email="a@example.com", role=admin_role, invited_by=boss, invited_at=now)
    token = tokens.make(invitation, now)
    assert tokens.read_invitation(token, now) == invitation

    Group.objects.create(name="inviter").permissions.add(Permission.objects.get(codename="add_invitation"))
    boss.groups.set(Group.objects.filter(name="inviter"))

    assert tokens.read_invitation(token, now) is None


def test_who_is_inactive_reaches_nobody(db: None) -> None:
    boss = User.objects.create_user("boss", is_superuser=True, is_active=False)

    assert not powers.reaches(boss, boss)
    assert powers.roles_within(boss).filter(permissions__isnull=False).count() == 0
