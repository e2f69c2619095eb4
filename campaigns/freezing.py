"""What a mailing of a campaign says: its content, sender and options as they are now."""

from typing import Any

from django.utils.text import slugify

from campaigns.audience import audience_of
from campaigns.content import build
from campaigns.models import Campaign
from contacts.models import ContactList

UTM_FIELDS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


def frozen_content(campaign: Campaign) -> dict[str, Any]:
    """Return what a mailing of this campaign says; a test says exactly the same.

    :raises ContentInvalid: if no mail can be made of what is written.
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
        "lists": list(ContactList.objects.filter(pk__in=audience_of(campaign).all_lists)),
        "reference": f"c{campaign.pk}",
        "slug": slugify(campaign.name)[:100],
    }
