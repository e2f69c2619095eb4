"""Starter templates for new campaigns. The content of each is a file in the folder ``starter_content``."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from words.texts import text as _

_FOLDER = Path(__file__).parent / "starter_content"


@dataclass(frozen=True, slots=True)
class Starter:
    """One starter template."""

    key: str  # Also the name of its preview picture.
    name: str
    description: str
    markup: str
    content: str
    subject: str
    preheader: str


_ABOUT = (
    (
        "letter.md",
        _("Letter"),
        _("A plain letter from one person to another. Markdown."),
        "A few words from us, {{ first_name | default: 'friend' }}",
        "It takes a minute to read.",
    ),
    (
        "newsletter.mjml",
        _("Newsletter"),
        _("A lead story, two shorter ones side by side and a button. MJML."),
        "What is new this month",
        "Our story of the month, and two more.",
    ),
    (
        "announcement.md",
        _("Announcement"),
        _("One piece of news, why it matters, and what to do. Markdown."),
        "Something new for you",
        "What changes, and what you can do now.",
    ),
    (
        "event.mjml",
        _("Event"),
        _("An invitation with date, place and programme. MJML."),
        "You are invited",
        "Date, place and programme, and how to come.",
    ),
    (
        "offer.mjml",
        _("Offer"),
        _("A product with its image, three reasons, a price and a code. MJML."),
        "{{ first_name | default: 'Hello' }}, this is for you",
        "Until the end of the month.",
    ),
    (
        "digest.md",
        _("Digest"),
        _("A short list of links with one sentence each. Markdown."),
        "This week in five links",
        "Worth your coffee break.",
    ),
)
# Sentences of the templates that tell the author what to write. None of them is meant to be sent.
SAMPLE_SENTENCES = (
    *("say in the first sentence why you write.", "Then tell it as you would to one person:"),
    *("If there is something to do, ask for one thing alone:", "Your name Your role"),
    *("The story of this month", "begin with what the reader gains.", "Then the story itself: one idea,"),
    *("A shorter piece", "What happened, in two lines, and where to read on.", "What is coming, with its date,"),
    *("Say the news in one line", "the first sentence repeats the news with its date:"),
    *("The most important change, in one line.", "What stays as it is: people worry about that."),
    "One sentence on the next step, and how long it takes.",
    *("The name of the evening", "say in two sentences who will be there", "Town Hall, 1 High Street, Town."),
    *("The product in four words", "one sentence on what it does for you.", "The first reason, as a fact."),
    *("The second reason, with a number.", "The third reason: what if not?"),
    "Say honestly what the offer does not include.",
    *("The first headline", "The second headline", "The third headline", "The fourth headline", "The fifth headline"),
    *("What it says, and why it matters to your readers.", "A line worth quoting, from somebody worth quoting."),
)
_SAMPLE_LINK = re.compile(r"https://example\.com/\w+")
_MARKUP = {"md": "markdown", "mjml": "mjml"}


@functools.cache
def starters() -> tuple[Starter, ...]:
    """Return the templates in the order of the page; the last one is empty."""
    found = [
        Starter(
            key=file.partition(".")[0],
            name=name,
            description=description,
            markup=_MARKUP[file.rpartition(".")[2]],
            content=(_FOLDER / file).read_text(encoding="utf-8"),
            subject=subject,
            preheader=preheader,
        )
        for file, name, description, subject, preheader in _ABOUT
    ]
    empty = Starter("empty", _("Empty"), _("Start with your own HTML."), "html", "", "", "")
    return (*found, empty)


@functools.cache
def sample_links() -> frozenset[str]:
    """Return the addresses that the templates' links lead to. They are placeholders."""
    return frozenset(url for starter in starters() for url in _SAMPLE_LINK.findall(starter.content))
