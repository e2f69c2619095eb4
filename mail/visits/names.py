"""The stored words for visits: kinds, classes, reasons and families, and what people read for them."""

from enum import StrEnum

from words.texts import text as _


class Kind(StrEnum):
    """What was asked for."""

    OPEN = "open"  # The pixel at the end of a mail.
    CLICK = "click"  # A link.


class Visitor(StrEnum):
    """Who asked. Only people count where something follows from a visit."""

    HUMAN = "human"
    MACHINE = "machine"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a visit has its class."""

    PERSON = "person"  # Nothing speaks against a person.
    CLICKED = "clicked"  # An open that alone would say little, and a person clicked afterwards.
    PREFETCH = "prefetch"  # Loaded in advance: HEAD, or a browser or Gmail that says so.
    NO_AGENT = "no agent"
    PROGRAM = "program"  # The user agent names a program.
    APPLE_PRIVACY = "apple privacy"  # Apple's proxy loads every pixel, read or not.
    APPLE_MAIL = "apple mail"  # Apple Mail itself; without a message nobody knows how soon.
    PROXY = "proxy"  # A mailbox provider's proxy, which loads when somebody opens.
    AT_ONCE = "at once"  # Sooner after acceptance than people read.
    NOT_OPENED = "not opened"  # A click soon after acceptance, before anything showed the mail.
    EVERY_LINK = "every link"
    GATEWAY = "gateway"  # One network fetched links of many messages, or is known as a gateway's.
    PROBE = "probe"  # Something was added to a genuine link to see what happens.
    BEHIND_GATEWAY = "behind gateway"  # Early, and the recipient's mail server belongs to a link scanner.


class Family(StrEnum):
    """The program that asked, as far as reports tell them apart."""

    APPLE_MAIL = "apple mail"
    APPLE_PRIVACY = "apple privacy"
    GMAIL = "gmail"
    YAHOO = "yahoo"
    OUTLOOK = "outlook"
    THUNDERBIRD = "thunderbird"
    CHROME = "chrome"
    SAFARI = "safari"
    FIREFOX = "firefox"
    EDGE = "edge"
    PROGRAM = "program"
    OTHER = "other"


VISITOR_TITLES = {Visitor.HUMAN: _("People"), Visitor.MACHINE: _("Machines"), Visitor.UNKNOWN: _("Unknown")}
REASON_TITLES = {
    Reason.PERSON: _("Nothing speaks against a person"),
    Reason.CLICKED: _("A person clicked afterwards"),
    Reason.PREFETCH: _("Loaded in advance"),
    Reason.NO_AGENT: _("No user agent"),
    Reason.PROGRAM: _("Names itself as a program"),
    Reason.APPLE_PRIVACY: _("Apple's privacy proxy loads every image"),
    Reason.APPLE_MAIL: _("Apple Mail, which may load images unread"),
    Reason.PROXY: _("The mailbox provider's image proxy"),
    Reason.AT_ONCE: _("Too soon after delivery"),
    Reason.NOT_OPENED: _("Soon after delivery, without an open"),
    Reason.EVERY_LINK: _("Many links of one message at once"),
    Reason.GATEWAY: _("A mail gateway's network"),
    Reason.PROBE: _("The link was tampered with"),
    Reason.BEHIND_GATEWAY: _("Soon after delivery, behind a mail gateway"),
}
FAMILY_TITLES = {
    Family.APPLE_MAIL: "Apple Mail",
    Family.APPLE_PRIVACY: _("Apple privacy proxy"),
    Family.GMAIL: "Gmail",
    Family.YAHOO: "Yahoo Mail",
    Family.OUTLOOK: "Outlook",
    Family.THUNDERBIRD: "Thunderbird",
    Family.CHROME: "Chrome",
    Family.SAFARI: "Safari",
    Family.FIREFOX: "Firefox",
    Family.EDGE: "Edge",
    Family.PROGRAM: _("Program"),
    Family.OTHER: _("Other"),
}
