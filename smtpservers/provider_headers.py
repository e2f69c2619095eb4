"""The headers that a provider reads: our reference, which comes back with its events, and its own tracking off.

Links would redirect twice otherwise. One function for each preset writes both, because some providers have one header
for everything. A provider without such a header has no function here: its events name our Message-ID.
"""

import json
import re
from collections.abc import Callable, Mapping

from mail.message.style import REFERENCE

LONGEST_CONFIGURATION = 64

Header = tuple[str, str]


def provider_headers(preset: str, configuration: str = "") -> tuple[Header, ...]:
    """Return the headers for a preset, with :data:`mail.message.style.REFERENCE` in place of the tag; often none.

    :param configuration: the server's field of that name.
    :raises ValueError: if the configuration can't be one.
    """
    make = _HEADERS.get(preset)
    if make is None:
        return ()
    return make(check_configuration(configuration))


def takes_configuration(preset: str) -> bool:
    """Whether the provider of a preset does anything with a configuration."""
    return preset in _CONFIGURED


def check_configuration(text: str) -> str:
    """Return the name of a configuration: letters, digits, hyphens and underscores, or nothing.

    :raises ValueError: for anything else; it would become part of a header.
    """
    if not re.fullmatch(rf"[A-Za-z0-9_-]{{0,{LONGEST_CONFIGURATION}}}", text):
        raise ValueError("Provider's configuration: it holds letters, digits, hyphens and underscores only.")
    return text


def _ses(configuration: str) -> tuple[Header, ...]:
    # SES takes both headers out. Its tracking belongs to the configuration set.
    tags = (("X-SES-MESSAGE-TAGS", f"brilliance={REFERENCE}"),)
    return (*tags, ("X-SES-CONFIGURATION-SET", configuration)) if configuration else tags


def _sendgrid(configuration: str) -> tuple[Header, ...]:
    off = {"settings": {"enable": 0}}
    api = {"unique_args": {"brilliance": REFERENCE}, "filters": {"clicktrack": off, "opentrack": off}}
    return (("X-SMTPAPI", json.dumps(api)),)


def _mailgun(configuration: str) -> tuple[Header, ...]:
    return (
        ("X-Mailgun-Variables", json.dumps({"brilliance": REFERENCE})),  # Recipients see it.
        ("X-Mailgun-Track", "no"),
        ("X-Mailgun-Track-Clicks", "no"),
        ("X-Mailgun-Track-Opens", "no"),
    )


def _postmark(configuration: str) -> tuple[Header, ...]:
    headers = (
        ("X-PM-Metadata-brilliance", REFERENCE),
        ("X-PM-TrackOpens", "false"),
        ("X-PM-TrackLinks", "None"),
    )
    return (*headers, ("X-PM-Message-Stream", configuration)) if configuration else headers


def _brevo(configuration: str) -> tuple[Header, ...]:
    # No header is documented that switches its tracking off.
    return (("X-Mailin-custom", f"brilliance:{REFERENCE}"),)


def _mailjet(configuration: str) -> tuple[Header, ...]:
    # 0: as the account has it. 1: off. 2: on.
    return (("X-MJ-CustomID", REFERENCE), ("X-Mailjet-TrackOpen", "1"), ("X-Mailjet-TrackClick", "1"))


def _sparkpost(configuration: str) -> tuple[Header, ...]:
    options = {"open_tracking": False, "click_tracking": False}
    return (("X-MSYS-API", json.dumps({"metadata": {"brilliance": REFERENCE}, "options": options})),)


def _mandrill(configuration: str) -> tuple[Header, ...]:
    return (("X-MC-Metadata", json.dumps({"brilliance": REFERENCE})), ("X-MC-Track", "none"))


_HEADERS: Mapping[str, Callable[[str], tuple[Header, ...]]] = {
    "ses": _ses,
    "sendgrid": _sendgrid,
    "mailgun": _mailgun,
    "postmark": _postmark,
    "brevo": _brevo,
    "mailjet": _mailjet,
    "sparkpost": _sparkpost,
    "mandrill": _mandrill,
}
_CONFIGURED = {"ses", "postmark"}  # A configuration set, a message stream.
