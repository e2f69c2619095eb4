"""The check of what is counted of opens and clicks: which people are counted how, and which links are not (M15)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.preflight.finding import INFORM, Finding, found
from mail.links import levels, link_targets
from mail.links.levels import Level
from mail.links.link_targets import Link

NAMED_LINKS = 5
NAMED_CHARACTERS = 80
# Of links that readers would expect to be counted.
WHY_NOT = {
    link_targets.FIELD: gettext_lazy("Links with a merge field in their address aren't counted: %(links)s."),
    link_targets.SIGNED: gettext_lazy("Links with a signed address aren't counted: %(links)s."),
    link_targets.BROKEN: gettext_lazy("Links with a broken or very long address aren't counted: %(links)s."),
    link_targets.MANY: gettext_lazy("Links after the first 1,000 aren't counted: %(links)s."),
}
SENTENCES = {
    levels.OFF: gettext_lazy("Not counted"),
    levels.ANONYMOUS: gettext_lazy("Counted anonymously, for the campaign and each link"),
    levels.PERSONAL: gettext_lazy("Counted by name for people who agreed, anonymously for others"),
}


def in_words(level: Level, *, is_text_only: bool, in_text: bool) -> str:
    """Return how the campaign counts, as a line of its review.

    :param is_text_only: whether no content has HTML.
    :param in_text: whether links of the text are counted.
    """
    return str(SENTENCES[levels.OFF if is_text_only and not in_text else level])


def text_only(level: Level, *, in_text: bool) -> Iterator[Finding]:
    """M15: what is not counted of a mail without HTML.

    :param in_text: whether links of the text are counted.
    """
    if level == levels.OFF:
        return
    if in_text:
        yield found("M15", INFORM, _("An email in text only counts no opens."))
        return
    yield found(
        "M15",
        INFORM,
        _("An email in text only counts no opens, and its links aren't counted."),
        _("Turn on “Count text links” in the campaign to count clicks."),
    )


def counted_people(level: Level, numbers: Mapping[str, int]) -> Iterator[Finding]:
    """M15: people who are counted less than the campaign asks for.

    :param numbers: reached people who have not been asked for one of the two consents, and who refused one.
    """
    if level == levels.PERSONAL and (unasked := numbers.get("unasked", 0)):
        sentence = ngettext(
            "%(n)s recipient hasn't agreed to be counted by name, and is counted anonymously.",
            "%(n)s recipients haven't agreed to be counted by name, and are counted anonymously.",
            unasked,
        )
        yield found("M15", INFORM, sentence % {"n": f"{unasked:,}"})
    if level != levels.OFF and (refused := numbers.get("uncounted", 0)):
        sentence = ngettext(
            "%(n)s recipient refused to have opens or clicks counted. What they refused isn't counted.",
            "%(n)s recipients refused to have opens or clicks counted. What they refused isn't counted.",
            refused,
        )
        yield found("M15", INFORM, sentence % {"n": f"{refused:,}"})


def uncounted_links(level: Level, links: Iterable[Link]) -> Iterator[Finding]:
    """M15: links that go out as they are written, and are not counted."""
    if level == levels.OFF:
        return
    links = list(links)
    by_reason: dict[str, list[str]] = {}
    for link in links:
        by_reason.setdefault(link.why_not, []).append(link.label or link.url)
    for reason, sentence in WHY_NOT.items():
        if names := list(dict.fromkeys(by_reason.get(reason, ()))):
            yield found("M15", INFORM, str(sentence) % {"links": _listed(names)})
    if level == levels.PERSONAL and (unseen := [link for link in links if link_targets.leads_unseen(link)]):
        names = list(dict.fromkeys(link.label or link.url for link in unseen))
        yield found(
            "M15",
            INFORM,
            _("Segments won't know who did not click this campaign, because of uncounted links: %(links)s.")
            % {"links": _listed(names)},
            _("Ask for the text of a counted link instead, to find who did not click that one."),
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"“{name[:NAMED_CHARACTERS]}”" for name in names[:NAMED_LINKS])
    more = len(names) - NAMED_LINKS
    return _("%(links)s and %(n)s more") % {"links": shown, "n": f"{more:,}"} if more > 0 else shown
