"""What a provider's refusal means, and what to do: the usual mistakes by their codes. Rules only."""

import re

from oauth.client.providers import MICROSOFT
from words.texts import text as _

# The error of secrets of ours that can't be used; no provider was asked. With its space no provider can say it.
UNUSABLE = "unusable secret"
# By the code that Microsoft's sentence begins with (learn.microsoft.com, Entra error codes).
_MICROSOFT = {
    "7000215": _("The client secret is wrong. Enter the secret's Value, not its Secret ID."),
    "7000222": _("The client secret has expired. Make a new one at Microsoft and enter it."),
    "700016": _("Microsoft doesn't know this client ID in this tenant. Check both."),
    "90002": _("Microsoft doesn't know this tenant. Check the directory ID or domain."),
    "900023": _("Microsoft doesn't know this tenant. Check the directory ID or domain."),
    "700027": _("Microsoft doesn't know the certificate, or the private key isn't its own. Upload the certificate."),
    "500011": _("The tenant has no Exchange Online, or the wrong cloud is chosen."),
    "65001": _("Nobody has consented to the permissions. Grant admin consent at Microsoft, then try again."),
    "700082": _("The sign-in expired because it wasn't used for 90 days. Sign in again."),
    "50173": _("The password was changed or the sign-in was ended. Sign in again."),
    "50076": _("Microsoft asks for a second factor. Sign in again."),
    "50079": _("Microsoft asks for a second factor to be set up. Sign in again."),
    "50057": _("Microsoft disabled this user. Ask your Microsoft administrator."),
    "53003": _("A Conditional Access policy blocks the sign-in. Ask your Microsoft administrator."),
    "50011": _("The redirect address isn't registered. Add it to the app at Microsoft, exactly as shown here."),
    "7000218": _("The app needs a secret. Enter a client secret, or register it as a public client."),
    "70002": _("The app at Microsoft is of another type. Register the redirect address under Web."),
}
_GOOGLE = (
    (
        "expired or revoked",
        _("The sign-in was revoked or has expired. Sign in again. Apps in testing expire after 7 days."),
    ),
    ("invalid email or user", _("Google doesn't know this mailbox. Check the address in Mailbox.")),
    ("account not found", _("Google doesn't know this service account. Check the client email.")),
    ("invalid jwt signature", _("The private key isn't this service account's. Make a new key and enter it.")),
    ("reasonable timeframe", _("The clock of this machine is wrong. Set it, then try again.")),
)
_ERRORS = {
    "unauthorized_client": _(
        "The scope isn't delegated to this client. Enter client ID and scope at Google, then wait a few minutes."
    ),
    "invalid_client": _("The client ID or secret is wrong."),
    "invalid_scope": _("The provider doesn't allow the scope for this app."),
    "access_denied": _("The sign-in was cancelled or isn't allowed."),
    "org_internal": _("The app is for another organisation. Make it an app of this one."),
    "admin_policy_enforced": _("Your Google administrator blocks this app. Ask them to trust it."),
    "redirect_uri_mismatch": _("The redirect address isn't registered. Add it to the app, exactly as shown here."),
    "no_refresh_token": _("The provider gave no lasting sign-in. Remove the app's access there, then sign in again."),
}


def explain(provider: str, needs_sign_in: bool, error: str, words: str) -> str:
    """Return what a refusal means, with the provider's own words behind it.

    :param error: the code of the error, such as ``invalid_grant``.
    :param words: the provider's sentence; it may be empty.
    """
    if error == UNUSABLE:
        return words
    said = words or error
    meaning = _meaning(provider, error, words) or (
        _("The provider ended the sign-in. Sign in again.") if needs_sign_in else _("The provider refused the account.")
    )
    return _("%(meaning)s Provider replied: %(said)s", meaning=meaning, said=said)


def _meaning(provider: str, error: str, words: str) -> str:
    if provider == MICROSOFT:
        code = re.search(r"AADSTS([0-9]{5,7})\b", words)
        if code and code[1] in _MICROSOFT:
            return _MICROSOFT[code[1]]
        return _ERRORS.get(error, "") if error != "unauthorized_client" else ""
    lowered = words.lower()
    return next((meaning for part, meaning in _GOOGLE if part in lowered), _ERRORS.get(error, ""))
