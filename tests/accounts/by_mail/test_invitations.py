"""Invitations: who may send them, what the link does, and how one ends."""

import logging
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from accounts.by_mail import tokens
from accounts.models import Invitation, SignInNotice
from brilliance.roles import ROLES
from delivery.models import Message
from smtpservers.models import SmtpServer
from tests.accounts.by_mail.conftest import Inbox, link_in
from tests.accounts.conftest import PASSWORD, signed_in
from tests.accounts.sign_in.test_signing_in import database_dump, is_signed_in
from tests.accounts.test_fresh_sign_in import asks, grow_old

LIST, ADD, ACCEPT = "/admin/accounts/invitation/", "/admin/accounts/invitation/add/", "/accounts/invitation/"
BOB = "bob@customer.internal"  # No reserved domain: those are refused.
OVER = "expired, was used or was revoked"


def invite(client: Client | None = None, **given: Any) -> Any:
    role = Group.objects.get(name="marketer").pk
    bob = {"first_name": "Bob", "last_name": "Ray", "email": BOB, "role": role}
    return (client or signed_in()).post(ADD, bob | given, follow=True)


def accept(token: str, client: Client | None = None, **given: str) -> Any:
    filled = {"token": token, "username": "bob", "password": PASSWORD} | given
    return (client or Client()).post(ACCEPT, filled, follow=True)


def invited(inbox: Inbox) -> str:
    """Return the token that a person finds in the mail."""
    invite()
    path, token = link_in(inbox()[-1])
    assert path == ACCEPT
    return token


def test_who_is_invited_chooses_name_and_password_and_is_signed_in(ann: User, inbox: Inbox) -> None:
    token, client = invited(inbox), Client()
    page = client.post(ACCEPT, {"token": token}).content.decode()

    accept(token, client)

    assert f"You were invited as {BOB}, with the role <strong>marketer</strong>." in page
    assert f'value="{BOB}"' in page
    bob = User.objects.get(username="bob")
    assert (bob.email, bob.get_full_name(), bob.is_staff, bob.is_superuser) == (BOB, "Bob Ray", True, False)
    assert [group.name for group in bob.groups.all()] == ["marketer"]
    assert is_signed_in(client)
    assert "Invited by ann." in LogEntry.objects.get(object_id=str(bob.pk), user=bob).change_message
    assert not SignInNotice.objects.exists()  # Nobody else knows the password.
    assert not Invitation.objects.exists()


def test_the_link_works_once(ann: User, inbox: Inbox) -> None:
    token = invited(inbox)
    accept(token)

    assert OVER in accept(token, username="eve").content.decode()
    assert not User.objects.filter(username="eve").exists()


def test_the_mail_says_who_invites_to_what_and_nothing_else_holds_its_link(
    ann: User, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = invited(inbox)
    text = inbox()[-1]

    assert "ann invited you to send email with Brilliance" in text
    page = signed_in().get(LIST).content.decode()
    assert BOB in page
    assert token.split(":")[0][-40:] not in page + database_dump() + caplog.text


@pytest.mark.parametrize(
    "end",
    [
        lambda client, pk: client.post(f"{LIST}{pk}/delete/", {"post": "yes"}),
        lambda client, pk: client.post(LIST, {"action": "send_again", "_selected_action": pk}),
        lambda client, pk: Invitation.objects.update(email="other@customer.example"),
        lambda client, pk: User.objects.filter(username="ann").update(is_active=False),
        lambda client, pk: User.objects.get(username="ann").groups.clear(),
        lambda client, pk: Group.objects.filter(name="marketer").delete(),
    ],
    ids=["revoked", "sent again", "another address", "inviter switched off", "inviter no admin", "role deleted"],
)
def test_a_link_is_void_when_its_invitation_ended(ann: User, inbox: Inbox, end: Any) -> None:
    token = invited(inbox)

    end(signed_in(), Invitation.objects.get().pk)

    assert OVER in accept(token).content.decode()
    assert not User.objects.filter(username="bob").exists()


def test_sent_again_it_has_a_new_link(ann: User, inbox: Inbox) -> None:
    first = invited(inbox)

    said = signed_in().post(
        LIST, {"action": "send_again", "_selected_action": Invitation.objects.get().pk}, follow=True
    )

    assert "1 invitation sent again." in said.content.decode()
    second = link_in(inbox()[-1])[1]
    assert second != first
    accept(second)
    assert User.objects.filter(username="bob").exists()


def test_the_page_says_what_became_of_the_mail_and_home_of_one_that_did_not_arrive(
    ann: User, inbox: Inbox, server: SmtpServer
) -> None:
    SmtpServer.objects.update(handles_email_validation=False)
    waiting = invite().content.decode()
    Message.objects.update(email="bob@customer.example")
    inbox()
    failed = signed_in().get(LIST).content.decode()
    home = signed_in().get("/admin/").content.decode()

    reason = "The domain customer.example is reserved and receives no mail."
    assert 'data-status="queued"' in waiting
    assert 'data-status="failed"' in failed
    assert reason in failed
    assert f"The invitation didn&#x27;t arrive. {reason}" in home
    assert f'href="{LIST}"' in home

    SmtpServer.objects.update(handles_email_validation=True)
    chosen = Invitation.objects.get().pk
    signed_in().post(LIST, {"action": "send_again", "_selected_action": chosen})
    inbox()
    assert 'data-status="failed"' not in signed_in().get(LIST).content.decode()
    assert "The invitation didn" not in signed_in().get("/admin/").content.decode()


def test_home_groups_what_did_not_arrive_by_its_reason(ann: User, inbox: Inbox, server: SmtpServer) -> None:
    SmtpServer.objects.update(handles_email_validation=False)
    for name, domain in (("bob", "one.example"), ("carl", "other.example"), ("dora", "one.example")):
        invite(email=f"{name}@customer.internal")
        Message.objects.filter(email=f"{name}@customer.internal").update(email=f"{name}@{domain}")
    inbox()

    home = re.sub(r"<[^>]+>", " ", signed_in().get("/admin/").content.decode())

    rows = [" ".join(row.split()) for row in re.findall(r"\S+@customer[^·]*·[^.]*\.[^.]*\.[^.]*\.", home)]
    told = {row.partition("The domain ")[2].split()[0]: row.partition(" ·")[0] for row in rows}
    assert told == {"one.example": "dora@customer.internal and 1 more", "other.example": "carl@customer.internal"}


@pytest.mark.parametrize("domain", ["example.org", "shop.test", "nowhere.invalid", "customer.example"])
def test_an_address_that_can_get_no_mail_is_refused_with_the_reason(ann: User, server: SmtpServer, domain: str) -> None:
    page = invite(email=f"bob@{domain}").content.decode()

    assert f"{domain} is reserved for examples and gets no mail." in page
    assert not Invitation.objects.exists()


def test_the_form_says_what_each_role_may_do_and_has_one_button(ann: User, server: SmtpServer) -> None:
    form = signed_in().get(ADD).content.decode()

    assert "ops – servers and their tests, no contacts" in form
    assert "Send invitation" in form
    assert not re.search(r'name="_(continue|addanother)"', form)
    assert form.count('name="_save"') == 1


def test_it_expires_after_seven_days(ann: User, inbox: Inbox) -> None:
    invited(inbox)
    invitation, now = Invitation.objects.get(), timezone.now()

    token = tokens.make(invitation, now - tokens.INVITED_FOR)

    assert tokens.INVITED_FOR.days == 7
    assert tokens.read_invitation(token, now) is None


def test_the_list_marks_what_has_expired(ann: User, server: SmtpServer) -> None:
    invite()
    assert "Expired" not in signed_in().get(LIST).content.decode()

    Invitation.objects.update(invited_at=timezone.now() - tokens.INVITED_FOR)

    assert 'data-status="expired"' in signed_in().get(LIST).content.decode()


def test_a_taken_name_and_an_easy_password_are_refused_and_the_link_still_works(ann: User, inbox: Inbox) -> None:
    token = invited(inbox)

    for taken in ("ANN", "\uff21nn"):  # The second begins with a full-width letter.
        assert "already exists" in accept(token, username=taken).content.decode()
    assert "too short" in accept(token, password="short").content.decode()
    accept(token, is_superuser="on", groups="1", email="eve@example.com", is_staff="")

    bob = User.objects.get(username="bob")
    assert (bob.email, bob.is_superuser) == (BOB, False)


def test_a_revoked_invitation_that_was_not_sent_yet_never_is(ann: User, inbox: Inbox) -> None:
    invite()
    Invitation.objects.all().delete()

    assert inbox() == []
    assert "is over" in Message.objects.get().reason


def test_users_and_who_is_invited_already_are_not_invited(ann: User, server: SmtpServer) -> None:
    User.objects.create_user("carl", email="Carl@customer.internal")

    assert "is a user already" in invite(email="carl@customer.internal").content.decode()
    assert "Invitation on its way to" in invite().content.decode()
    assert "was invited already" in invite(email=BOB.upper()).content.decode()
    assert Invitation.objects.count() == 1


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
def test_administrators_alone_invite(ann: User, server: SmtpServer, role: str) -> None:
    user = User.objects.create_user("eve", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    eve = signed_in("eve")

    assert [eve.get(path).status_code for path in (LIST, ADD)] == [403, 403]
    assert invite(eve).status_code == 403
    assert not Invitation.objects.exists()


def test_inviting_asks_for_a_fresh_sign_in(ann: User, server: SmtpServer) -> None:
    client = signed_in()
    invite(client)
    grow_old(client)

    assert asks(client.get(ADD))
    invite(client, email="carl@customer.internal")
    assert asks(client.post(LIST, {"action": "send_again", "_selected_action": Invitation.objects.get().pk}))
    assert (Invitation.objects.count(), Invitation.objects.get().round) == (1, 1)


def test_without_a_working_server_nobody_is_invited(ann: User, server: SmtpServer) -> None:
    SmtpServer.objects.update(is_active=False)

    assert "No server can send an invitation right now." in invite().content.decode()
    assert not Invitation.objects.exists()


def test_where_passwords_are_closed_nobody_is_invited(ann: User, inbox: Inbox, settings: Any) -> None:
    token = invited(inbox)
    client = signed_in()
    settings.OIDC_ONLY = True

    assert client.get(ADD).status_code == 403
    assert OVER in accept(token).content.decode()
