"""What a mailing of a campaign says: as it is written now while it is a draft, and as it was queued from then on."""

from typing import Any

from django.utils.text import slugify

from campaigns.ab_test.variants import contents_of
from campaigns.audience.audience import audience_of
from campaigns.content.build import build
from campaigns.markup.convert import ContentInvalid
from campaigns.models import Campaign, FrozenContent
from contacts.models import ContactList

UTM_FIELDS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def frozen_content(campaign: Campaign) -> dict[str, Any]:
    """Return what a mailing of this campaign says; a test and a preview say exactly the same.

    :raises ContentInvalid: if no mail can be made of what is written.
    """
    queued = _as_queued(campaign)
    lists = list(ContactList.objects.filter(pk__in=audience_of(campaign).all_lists))
    return {**(written_content(campaign) if queued is None else queued), "lists": lists}


def _as_queued(campaign: Campaign) -> dict[str, Any] | None:
    """Return the content that was frozen; None for a draft."""
    if campaign.status == Campaign.Status.DRAFT:
        return None
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    if frozen is None:
        return None
    if campaign.letter not in frozen.contents:
        raise ContentInvalid("The A/B test is not the one that was queued. Look at it, then queue the campaign again.")
    content: dict[str, Any] = frozen.contents[campaign.letter]
    return content


def written_contents(campaign: Campaign) -> dict[str, dict[str, Any]]:
    """Return what each variant says by its letter, or the campaign by none.

    :raises ContentInvalid: if no mail can be made of one of them.
    """
    return {letter: written_content(each) for letter, each in contents_of(campaign)}


def written_content(campaign: Campaign) -> dict[str, Any]:
    """Return what is written now, in values that JSON can hold.

    :raises ContentInvalid: if no mail can be made of it.
    """
    built = build(campaign)
    return {
        "name": campaign.name,
        "subject": built.subject,
        "html": built.html,
        "text": built.text,
        "files": list(built.files),
        "mail_from": campaign.mail_from,
        "reply_to": campaign.reply_to,
        "is_tagged": campaign.is_tagged,
        "sends_copies": campaign.sends_copies,
        "utm": {name: value for name in UTM_FIELDS if (value := getattr(campaign, name))},
        "reference": f"c{campaign.pk}",
        "slug": slugify(campaign.name)[:100],
    }
