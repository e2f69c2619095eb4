"""Who clicked a link, for :mod:`delivery.records.visits`: people who agree to it, and the programs that came first."""

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from contacts.consent.tracking import YES
from feedback.models import FirstVisit, Visit


def clicks_on(link_id: int) -> QuerySet[FirstVisit]:
    """Return the first click on a link by each kind of visitor of each message, people first, then the newest.

    The time is that of the click, as long as its visit is kept, and then that of its verdict.
    """
    visits = Visit.objects.filter(message=OuterRef("message"), link=OuterRef("link_id"), visitor=OuterRef("visitor"))
    named = FirstVisit.objects.filter(message__copy_of=None, message__contact__click_tracking=YES)
    # Greater than zero, as the index says: SQLite doesn't see that an id is.
    clicks = named.filter(link_id=link_id, link_id__gt=0).select_related("message")
    clicked_at = Coalesce(Subquery(visits.order_by("at").values("at")[:1]), "at")
    # By name, "human" comes before "machine" and "unknown".
    return clicks.annotate(clicked_at=clicked_at).order_by("visitor", "-pk")
