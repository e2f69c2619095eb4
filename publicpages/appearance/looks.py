"""The effective appearance of the public pages: the administrators' choices, or else the settings."""

import hashlib
from dataclasses import dataclass

from adminpages.one_row import THE_ONE
from installation.site import site
from publicpages.appearance.contrast import for_dark
from publicpages.models import Appearance


@dataclass(frozen=True, slots=True)
class Looks:
    """The organisation's details and colours on every public page."""

    organisation: str
    postal_address: str
    imprint_url: str
    privacy_url: str
    accent: str
    logo_name: str  # Changes with the logo; empty: no logo.

    @property
    def style(self) -> str:
        """The style sheet with the colours of the pages."""
        return f":root{{--accent:{self.accent};--accent-in-the-dark:{for_dark(self.accent)}}}\n"

    @property
    def style_name(self) -> str:
        """A name that changes with the style sheet, so that browsers may cache it."""
        return hashlib.sha256(self.style.encode()).hexdigest()[:12]


def looks() -> Looks:
    """Return the present appearance."""
    # Without the logo itself: no page needs its bytes.
    chosen = Appearance.objects.defer("logo").filter(pk=THE_ONE).first() or Appearance()
    return Looks(
        organisation=chosen.name or site().organisation,
        postal_address=chosen.postal_address or site().postal_address,
        imprint_url=chosen.imprint_url,
        privacy_url=chosen.privacy_url,
        accent=chosen.accent,
        logo_name=f"{int(chosen.updated_at.timestamp() * 1000):x}" if chosen.logo_type else "",
    )
