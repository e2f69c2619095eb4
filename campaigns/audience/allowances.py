"""The number of people that a campaign may reach, without approval and with one."""

from campaigns.models import Approval, ApprovalRule, Campaign, FrozenContent
from words.numbers import counted


def rule() -> ApprovalRule:
    """Return the approval rule; the defaults, not stored, if nobody has saved one."""
    return ApprovalRule.objects.order_by("pk").first() or ApprovalRule()


def is_counted() -> bool:
    """Whether the approval rule limits the number of people."""
    return rule().needed_above is not None


def allowed(approval: Approval) -> int:
    """Return the largest audience that an approval covers; 0 if nobody counted the people when it was given."""
    if approval.people is None:
        return 0
    tolerance = rule()
    return approval.people + min(approval.people * tolerance.tolerance_percent // 100, tolerance.tolerance_people)


def unapproved(campaign: Campaign, people: int) -> str:
    """Return why a queued campaign must not go to this number of people; empty if it may."""
    needed_above = rule().needed_above
    if needed_above is None or people <= needed_above:
        return ""
    would = f"It would have reached {counted(people, 'person', 'people')}"
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    approval = Approval.objects.filter(campaign=campaign.pk, decision=Approval.Decision.APPROVED).first()
    if frozen is None or approval is None or approval.version != frozen.version:
        return (
            f"{would}, and campaigns to more than {counted(needed_above, 'person', 'people')} need a second person's"
            " approval. Request it, then send the campaign again."
        )
    if people > allowed(approval):
        was = "1 was" if approval.people == 1 else f"{approval.people or 0:,} were"
        return (
            f"{would}, and {was} approved. Check who joined the audience, request approval again, then send the"
            " campaign."
        )
    return ""
