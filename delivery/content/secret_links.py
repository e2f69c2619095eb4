"""Links that let somebody in: a mail has a place for one, and the link is made as the mail is composed.

Nothing stores the link: not the mailing, no task, no log, no journal. So a page can show the content of such a mail
without giving the link away. Only a mail of the product itself, a notice, may have one. It is never sent through a
server whose mail ends in the test inbox, because pages show that.
"""

import datetime as dt
from collections.abc import Callable

from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Mailing
from registry import Registry
from smtpservers.models import SmtpServer

REFERENCE = "secret-link"  # Of a mailing that has one.
IN_TEST_INBOX = "Its link would be readable in the Test inbox."

# By merge field. A maker gets the mailing and the server that is about to carry it. It is called in a thread that may
# use the database, and returns what makes the link at the time of composing. It raises ValueError if the mailing must
# have no link any more, or not through this server.
SECRET_LINKS: Registry[Callable[[Mailing, SmtpServer], Callable[[dt.datetime], str]]] = Registry()


def has_secret_link(mailing: Mailing) -> bool:
    return mailing.stream == Mailing.Stream.NOTICE and mailing.reference == REFERENCE


def makers(mailing: Mailing, server: SmtpServer) -> dict[str, Callable[[dt.datetime], str]]:
    """Return what makes the links of the mailing, by merge field.

    :raises ValueError: if the mailing must not be sent, or not through this server.
    """
    if not has_secret_link(mailing):
        return {}
    if leads_to_test_inbox(server):
        raise ValueError(IN_TEST_INBOX)
    return {name: make(mailing, server) for name, make in SECRET_LINKS.items()}
