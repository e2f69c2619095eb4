"""The content of a campaign's mailing: of a draft the written content, of a queued campaign the frozen one."""

from collections.abc import Iterable
from typing import Any

from django.utils.text import slugify

from campaigns.audience.audience import audience_of
from campaigns.content.build import Built, build
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign, FrozenContent
from contacts.models import ContactList
from delivery.content.tracking_hosts import present_hosts
from installation.site import site
from mail.links import levels, utm
from mail.links.levels import Level

COUNTING = (
    "tracking",
    "track_text",
    "tracking_hosts",
)  # The values that tests and previews leave out: they are never counted.


def frozen_content(campaign: Campaign) -> dict[str, Any]:
    """Return the content of this campaign's mailing. Test messages and previews use exactly the same.

    :raises ContentInvalid: if the content cannot become a mail, or the A/B test is not the one that was queued.
    """
    queued = queued_content(campaign)
    lists = list(ContactList.objects.filter(pk__in=audience_of(campaign).all_lists))
    return {**(written_content(campaign, build(campaign), lists) if queued is None else queued), "lists": lists}


def queued_content(campaign: Campaign) -> dict[str, Any] | None:
    """Return the frozen content; None for a draft.

    :raises ContentInvalid: if the A/B test is not the one that was queued.
    """
    if campaign.status == Campaign.Status.DRAFT:
        return None
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    if frozen is None:
        return None
    if campaign.letter not in frozen.contents:
        raise ContentInvalid(
            "The A/B test has changed since the campaign was queued. Check it and send the campaign again."
        )
    content: dict[str, Any] = frozen.contents[campaign.letter]
    return content


def written_content(campaign: Campaign, built: Built, lists: Iterable[ContactList]) -> dict[str, Any]:
    """Return the content as it is written now, with the sender as they are called now, in values for JSON.

    :param lists: the lists whose consent lets us write.
    """
    sender, tracking = site(), tracking_level(campaign, lists)
    return {
        "name": campaign.name,
        "subject": built.subject,
        "html": built.html,
        "text": built.text,
        "files": list(built.files),
        "organisation": sender.organisation,
        "postal_address": sender.postal_address,
        "site_language": sender.language,
        "mail_from": campaign.mail_from,
        "reply_to": campaign.reply_to,
        "is_tagged": campaign.is_tagged,
        "sends_copies": campaign.sends_copies,
        "tracking": tracking,
        "track_text": campaign.track_text,
        "tracking_hosts": present_hosts(campaign.mail_from) if tracking != levels.OFF else {},
        "utm": {name: value for name in utm.NAMES if (value := getattr(campaign, name))},
        "reference": f"c{campaign.pk}",
        "slug": slugify(campaign.name)[:100],
    }


def tracking_level(campaign: Campaign, lists: Iterable[ContactList]) -> Level:
    """Return how opens and clicks are counted: the lowest of the installation, the lists and the campaign.

    Without a list nobody was asked for more than anonymous counts.
    """
    asked = [each.tracking for each in lists] or [levels.ANONYMOUS]
    return levels.lowest([site().tracking, *asked, *([campaign.tracking] if campaign.tracking else [])])
