"""What a campaign says, ready to be sent: the one place where what is written becomes subject, HTML, text and parts.

Preview, checks, tests and the frozen mailing all ask :func:`build`, so that they cannot differ.
"""

from dataclasses import dataclass

from campaigns.converting import ContentInvalid as ContentInvalid
from campaigns.models import Campaign


@dataclass(frozen=True, slots=True)
class Built:
    """A content with its merge fields still in it."""

    subject: str
    html: str  # Empty for a mail of text alone.
    text: str  # Empty: made of the HTML when it is composed.


def build(campaign: Campaign) -> Built:
    """Return what the campaign says.

    :raises ContentInvalid: if no mail can be made of it; the sentence says where, and what to do.
    """
    return Built(campaign.subject, campaign.html, campaign.text)
