"""To how many people a campaign may go by itself, and by its approval once it is queued."""

from campaigns.models import Approval, ApprovalRule, Campaign, FrozenContent
from words.numbers import counted


def rule() -> ApprovalRule:
    """Return the one row that says when a second person is needed; made at the first look."""
    return ApprovalRule.objects.order_by("pk").first() or ApprovalRule.objects.create()


def is_counted() -> bool:
    """Whether it matters how many people a campaign reaches."""
    return rule().needed_above is not None


def allowed(approval: Approval) -> int:
    """Return how many people a campaign may reach that was approved so; none where nobody counted them."""
    if approval.people is None:
        return 0
    tolerance = rule()
    return approval.people + min(approval.people * tolerance.tolerance_percent // 100, tolerance.tolerance_people)


def unapproved(campaign: Campaign, people: int) -> str:
    """Return why a campaign that was queued must not go to so many people; empty if it may."""
    needed_above = rule().needed_above
    if needed_above is None or people <= needed_above:
        return ""
    would = f"It would have gone to {counted(people, 'person', 'people')}"
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    approval = Approval.objects.filter(campaign=campaign.pk, decision=Approval.Decision.APPROVED).first()
    if frozen is None or approval is None or approval.version != frozen.version:
        return (
            f"{would}, and a campaign to more than {counted(needed_above, 'person', 'people')} needs the approval of a"
            " second person. Ask for it, then queue the campaign again."
        )
    if people > allowed(approval):
        was = "1 was" if approval.people == 1 else f"{approval.people or 0:,} were"
        return (
            f"{would}, and {was} approved. Look who joined the audience, ask for approval again, then queue the"
            " campaign."
        )
    return ""
