"""Puts a finished campaign into the public archive, as somebody reads it of whom nothing is known, and takes it out.

What is kept has no name, no address, no token and no link of a person's own: it is composed for nobody, and of
the links that each recipient has of their own only the words are left.
"""

import datetime as dt
import html as html_entities
import re
from typing import Any

from django.conf import settings
from django.utils.text import slugify

from campaigns.models import ArchivedCampaign, ArchiveSettings, Campaign, Experiment
from campaigns.models.archive import MOST_SLUG
from campaigns.schedule import mailings
from delivery.content.attachments import shown_by_address
from delivery.content.composer import Composer
from delivery.models import Mailing
from smtpservers.models import SmtpServer

# They stand for what each recipient has of their own while a content is composed, and are gone afterwards. Domains
# below ``invalid`` belong to nobody.
OWN_LINK = "https://nobody.archive.invalid/link-of-their-own"
ADDRESS = "nobody@archive.invalid"
_OWN_ANCHOR = re.compile(rf"<a\b[^>]*{re.escape(OWN_LINK)}[^>]*>(.*?)</a\s*>", re.IGNORECASE | re.DOTALL)
_OWN_LINE = re.compile(rf"^.*{re.escape(OWN_LINK)}.*\n?", re.MULTILINE)


def publish(campaign_id: int, actor: Any, now: dt.datetime) -> str:
    """Put a finished campaign into the archive, or put it in anew; return why not, or an empty text.

    :param actor: the user who does it, kept by name.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.status != Campaign.Status.FINISHED:
        return "Only a finished campaign can be put into the archive."
    mailing = _mailing(campaign)
    if mailing is None:
        return "Nothing of this campaign was sent, so there is nothing to show."
    try:
        subject, html, text = as_nobody(mailing)
    except ValueError as error:
        return f"The content cannot be shown without a recipient: {error}"
    ArchivedCampaign.objects.update_or_create(
        campaign=campaign,
        defaults={
            "slug": slugify(subject)[:MOST_SLUG].strip("-") or "mail",
            "subject": subject[:500],
            "html": html,
            "text": text,
            "sent_at": mailing.created_at,
            "published_at": now,
            "published_by_name": actor.get_username(),
        },
    )
    return ""


def withdraw(campaign_id: int) -> bool:
    """Take a campaign out of the archive. False if it is not in it."""
    return bool(ArchivedCampaign.objects.filter(campaign=campaign_id).delete()[0])


def _mailing(campaign: Campaign) -> Mailing | None:
    """Return the mailing that most people got: the rest's, or the winner's, or the first there is."""
    ids = mailings.mailing_ids(campaign)
    experiment = Experiment.objects.filter(campaign=campaign).select_related("winner").first()
    if campaign.mailing_id is None and experiment is not None and experiment.winner is not None:
        ids = [experiment.winner.mailing_id or ids[0]]
    return Mailing.objects.filter(pk__in=ids[-1:] if campaign.mailing_id is not None else ids[:1]).first()


def as_nobody(mailing: Mailing) -> tuple[str, str, str]:
    """Return subject, HTML and text of a mailing for nobody in particular.

    :raises ValueError: if the content cannot be filled without a recipient.
    """
    mailing.is_tagged = False  # Its codes would count readers of the archive as readers of the mail. Never saved.
    server = SmtpServer(mail_from="anybody@example.com", host="localhost")
    rendered = Composer(mailing, server, list_id=None, list_name="").render(None, OWN_LINK, email=ADDRESS)
    html = _without_address(_OWN_ANCHOR.sub(r"\1", rendered.html).replace(OWN_LINK, ""))
    text = _without_address(_OWN_LINE.sub("", rendered.text))
    return _without_address(rendered.subject), shown_by_address(html, tuple(mailing.files)), text


def _without_address(text: str) -> str:
    return text.replace(ADDRESS, "").replace(html_entities.escape(ADDRESS), "")


def settings_now() -> ArchiveSettings:
    """Return how the archive is set; one that was never saved is off."""
    return ArchiveSettings.objects.filter(pk=1).first() or ArchiveSettings(pk=1)


def title_of(archive: ArchiveSettings) -> str:
    """Return what stands above the archive."""
    return archive.title or settings.ORGANISATION_NAME
