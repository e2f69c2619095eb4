"""Publishes a finished campaign in the public archive, without personal data, and withdraws it.

The published copy is composed for nobody, so it contains no name, address or token. Of links that are personal to each
recipient only the words are kept.
"""

import datetime as dt
import html as html_entities
import re
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from campaigns.models import ArchivedCampaign, ArchiveSettings, Campaign, Experiment
from campaigns.models.archive import MOST_SLUG
from campaigns.schedule import mailings
from delivery.content.attachments import shown_by_address
from delivery.content.composer import Composer
from delivery.models import Mailing
from installation.site import site
from smtpservers.models import SmtpServer
from words.texts import translated

# Placeholders for the personal link and address while the content is composed; they are removed afterwards. Domains
# below ``invalid`` belong to nobody (RFC 2606 section 2).
OWN_LINK = "https://nobody.archive.invalid/link-of-their-own"
ADDRESS = "nobody@archive.invalid"
_ANCHOR = re.compile(
    r"""(?P<tag><a\b(?:"[^"]*+"|'[^']*+'|[^<>"'])*+>)(?P<words>(?:(?!<a\b).)*?)</a\s*>""", re.IGNORECASE | re.DOTALL
)
_OWN_LINE = re.compile(rf"^.*{re.escape(OWN_LINK)}.*\n?", re.MULTILINE)


def publish(campaign_id: int, actor: Any, now: dt.datetime) -> str:
    """Publish a finished campaign, or publish it again; return the reason to refuse, or an empty text.

    :param actor: the user who publishes; the name is stored.
    """
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.status != Campaign.Status.FINISHED:
        return _("Only sent campaigns can be published to the archive.")
    mailing = _mailing(campaign)
    if mailing is None:
        return _("This campaign sent nothing, so there's nothing to show.")
    try:
        subject, html, text = render_without_recipient(mailing)
    except ValueError as error:
        return _("The content can't be shown without a recipient: %(problem)s") % {"problem": translated(error)}
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
    """Remove a campaign from the archive. False if it is not in it."""
    return bool(ArchivedCampaign.objects.filter(campaign=campaign_id).delete()[0])


def _mailing(campaign: Campaign) -> Mailing | None:
    """Return the mailing that most people got: the rest's, else the winner's, else the first."""
    ids = mailings.mailing_ids(campaign)
    experiment = Experiment.objects.filter(campaign=campaign).select_related("winner").first()
    if campaign.mailing_id is None and experiment is not None and experiment.winner is not None:
        ids = [experiment.winner.mailing_id or ids[0]]
    return Mailing.objects.filter(pk__in=ids[-1:] if campaign.mailing_id is not None else ids[:1]).first()


def render_without_recipient(mailing: Mailing) -> tuple[str, str, str]:
    """Return subject, HTML and text of a mailing without personal data.

    :raises ValueError: if the content cannot be rendered without a recipient.
    """
    # Never saved. UTM codes would count readers of the archive as readers of the mail.
    mailing.is_tagged = False
    server = SmtpServer(mail_from="anybody@example.com", host="localhost")
    rendered = Composer(mailing, server, list_id=None, list_name="").render(None, OWN_LINK, email=ADDRESS)
    html = _without_address(without_own_link(rendered.html))
    text = _without_address(_OWN_LINE.sub("", rendered.text))
    return _without_address(rendered.subject), shown_by_address(html, tuple(mailing.files)), text


def without_own_link(html: str) -> str:
    """Return HTML in which only the words are left of personal links."""
    bare = _ANCHOR.sub(lambda found: found["words"] if OWN_LINK in found["tag"] else found[0], html)
    return bare.replace(OWN_LINK, "")


def _without_address(text: str) -> str:
    return text.replace(ADDRESS, "").replace(html_entities.escape(ADDRESS), "")


def settings_now() -> ArchiveSettings:
    """Return the settings of the archive. Without a stored row it is off."""
    return ArchiveSettings.objects.filter(pk=1).first() or ArchiveSettings(pk=1)


def title_of(archive: ArchiveSettings) -> str:
    """Return the title of the archive: its own, or the organisation's name."""
    return archive.title or site().organisation
