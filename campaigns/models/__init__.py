"""The tables of campaigns."""

from campaigns.models.archive import ArchivedCampaign, ArchiveSettings
from campaigns.models.campaign import Campaign, FrozenContent
from campaigns.models.experiment import Experiment, Variant
from campaigns.models.headcounts import Headcount, HeadcountRequest
from campaigns.models.library import Layout, MediaFile, Writing
from campaigns.models.review import Approval, ApprovalRule, CheckOverride, SeedList
from campaigns.models.tallies import DomainProvider, Tally, TallyMark

__all__ = [
    "Approval",
    "ApprovalRule",
    "ArchiveSettings",
    "ArchivedCampaign",
    "Campaign",
    "CheckOverride",
    "DomainProvider",
    "Experiment",
    "FrozenContent",
    "Headcount",
    "HeadcountRequest",
    "Layout",
    "MediaFile",
    "SeedList",
    "Tally",
    "TallyMark",
    "Variant",
    "Writing",
]
