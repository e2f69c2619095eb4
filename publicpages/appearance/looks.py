"""How the public pages look and who they say we are: what administrators chose, and the settings where they did not."""

import hashlib
from dataclasses import dataclass

from django.conf import settings

from publicpages.appearance.contrast import for_dark
from publicpages.models import Appearance

THE_ONE = 1  # Its key.


@dataclass(frozen=True, slots=True)
class Looks:
    """What every public page shows of the organisation."""

    organisation: str
    postal_address: str
    imprint_url: str
    privacy_url: str
    accent: str
    logo_name: str  # Changes with the logo; empty: there is none.

    @property
    def style(self) -> str:
        """The style sheet that gives the pages their colours."""
        return f":root{{--accent:{self.accent};--accent-in-the-dark:{for_dark(self.accent)}}}\n"

    @property
    def style_name(self) -> str:
        """Changes with the style sheet, so that browsers may keep it."""
        return hashlib.sha256(self.style.encode()).hexdigest()[:12]


def looks() -> Looks:
    """Return how the pages look now."""
    # Not the logo itself: no page needs its bytes.
    chosen = Appearance.objects.defer("logo").filter(pk=THE_ONE).first() or Appearance()
    return Looks(
        organisation=chosen.name or settings.ORGANISATION_NAME,
        postal_address=chosen.postal_address or settings.POSTAL_ADDRESS,
        imprint_url=chosen.imprint_url,
        privacy_url=chosen.privacy_url,
        accent=chosen.accent,
        logo_name=f"{int(chosen.updated_at.timestamp() * 1000):x}" if chosen.logo_type else "",
    )
