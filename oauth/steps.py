"""The set-up of an account, step by step for each flow, with the provider's usual mistakes. Rules only."""

from collections.abc import Sequence
from dataclasses import dataclass

from oauth.client import providers
from words.texts import text as _


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    sentences: Sequence[str]
    to_copy: Sequence[str] = ()  # Values and commands, one a line.


@dataclass(frozen=True, slots=True)
class Mistake:
    """What a provider answers, and what is usually behind it."""

    reply: str
    means: str


@dataclass(frozen=True, slots=True)
class SetUp:
    steps: Sequence[Step]
    mistakes: Sequence[Mistake]


def set_up(flow: str, *, cloud: str, tenant: str, client_id: str, mailbox: str, redirect_uri: str) -> SetUp:
    """Return the steps with the account's own values; placeholders stand for those that are not known yet."""
    known = {
        "tenant": tenant or "TENANT",
        "client_id": client_id or "CLIENT_ID",
        "mailbox": mailbox or "MAILBOX",
        "redirect_uri": redirect_uri,
    }
    return _SET_UPS[flow](cloud or providers.WORLDWIDE, known)


def _microsoft_app(cloud: str, known: dict[str, str]) -> SetUp:
    connect = [
        "Install-Module ExchangeOnlineManagement",
        f"Connect-ExchangeOnline -Organization {known['tenant']}{_CLOUD_SWITCHES[cloud]}",
        f"New-ServicePrincipal -AppId {known['client_id']} -ObjectId OBJECT_ID",
        f"Add-MailboxPermission -Identity {known['mailbox']} -User OBJECT_ID -AccessRights FullAccess",
        f"Set-CASMailbox -Identity {known['mailbox']} -SmtpClientAuthenticationDisabled $false",
    ]
    return SetUp(
        (
            _REGISTER,
            Step(
                _("Allow the app to send"),
                (
                    _("Open API permissions, then “APIs my organization uses”, then Office 365 Exchange Online."),
                    _("Add these application permissions, then choose “Grant admin consent”."),
                ),
                ("SMTP.SendAsApp", "IMAP.AccessAsApp", "POP.AccessAsApp"),
            ),
            Step(
                _("Create a secret or upload a certificate"),
                (
                    _("Open Certificates & secrets. Enter the secret's Value here, not its Secret ID."),
                    _("Note when it expires: mail stops on that day."),
                ),
            ),
            Step(
                _("Allow the app into the mailbox"),
                (
                    _("Run these lines in PowerShell as an Exchange administrator."),
                    _("OBJECT_ID is the object ID of the Enterprise application, not of the app registration."),
                ),
                connect,
            ),
            _CONNECT,
        ),
        (
            Mistake("535 5.7.3", _("The object ID is the app registration's. Take the Enterprise application's.")),
            Mistake(
                "535 5.7.3", _("The token has a scope of Microsoft Graph. The permissions must be Exchange Online's.")
            ),
            _SMTP_AUTH_OFF,
            Mistake("430 4.2.0 STOREDRV", _("The app has no permission for the mailbox. Run Add-MailboxPermission.")),
            Mistake("AADSTS7000215", _("The Secret ID was entered instead of the secret's Value.")),
        ),
    )


def _microsoft_user(cloud: str, known: dict[str, str]) -> SetUp:
    return SetUp(
        (
            _REGISTER,
            _redirect(known, _("Open Authentication, add the platform Web, and enter this redirect address.")),
            Step(
                _("Allow the app to send"),
                (_("Add these delegated permissions. The last is one of Microsoft Graph's."),),
                ("SMTP.Send", "IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "offline_access"),
            ),
            Step(
                _("Enable SMTP AUTH for the mailbox"),
                (_("Run this line in Exchange Online PowerShell. Outlook.com doesn't need it."),),
                (f"Set-CASMailbox -Identity {known['mailbox']} -SmtpClientAuthenticationDisabled $false",),
            ),
            _SIGN_IN,
        ),
        (
            Mistake(
                "invalid_grant", _("Not used for 90 days, or the password or second factor changed. Sign in again.")
            ),
            Mistake(
                "AADSTS50011", _("The redirect address at Microsoft differs. It must be exactly the one shown here.")
            ),
            Mistake("535 5.7.3", _("Somebody else signed in than the mailbox's owner. Sign in as the mailbox.")),
            _SMTP_AUTH_OFF,
        ),
    )


def _google_service(cloud: str, known: dict[str, str]) -> SetUp:
    return SetUp(
        (
            Step(
                _("Create a service account"),
                (
                    _("In the Google Cloud console, create a project and enable the Gmail API."),
                    _("Under IAM, then Service accounts, create one and add a key of type JSON. Paste the file here."),
                ),
            ),
            Step(
                _("Delegate the scope to it"),
                (
                    _("In the Admin console, open Security, API controls, Domain-wide delegation, and add a client."),
                    _("Enter the service account's numeric Unique ID as client ID, and this scope."),
                ),
                providers.scopes(providers.GOOGLE_SERVICE, cloud),
            ),
            _CONNECT,
        ),
        (
            Mistake("unauthorized_client", _("The scope isn't delegated, or was only minutes ago. It may take a day.")),
            Mistake("invalid_grant: Invalid email", _("The mailbox is an alias. Enter the user's primary address.")),
            Mistake("invalid_grant: Invalid JWT", _("The clock of this machine is wrong.")),
        ),
    )


def _google_user(cloud: str, known: dict[str, str]) -> SetUp:
    return SetUp(
        (
            Step(
                _("Create an app"),
                (
                    _("In the Google Cloud console, create a project and configure the consent screen."),
                    _("Choose Internal if you use Google Workspace. Otherwise Google has to verify the app."),
                    _("Add this scope."),
                ),
                providers.scopes(providers.GOOGLE_USER, cloud),
            ),
            _redirect(known, _("Create an OAuth client ID of type Web application, with this redirect address.")),
            _SIGN_IN,
        ),
        (
            Mistake("invalid_grant", _("The app is in testing: its sign-ins expire after 7 days. Publish the app.")),
            Mistake("invalid_grant", _("The access was revoked in the Google account. Sign in again.")),
            Mistake("redirect_uri_mismatch", _("The redirect address at Google differs. Copy it from here.")),
        ),
    )


def _postmaster_service(cloud: str, known: dict[str, str]) -> SetUp:
    return SetUp(
        (
            _VERIFY,
            Step(
                _("Create a service account"),
                (
                    _("In the Google Cloud console, create a project and enable the Gmail Postmaster Tools API."),
                    _("Under IAM, then Service accounts, create one and add a key of type JSON. Paste the file here."),
                ),
            ),
            Step(
                _("Delegate the scope to it"),
                (
                    _("In the Admin console, open Security, API controls, Domain-wide delegation, and add a client."),
                    _("Enter the service account's numeric Unique ID as client ID, and this scope."),
                ),
                providers.scopes(providers.POSTMASTER_SERVICE, cloud),
            ),
            Step(
                _("Connect"),
                (_("Save, then choose Connect above."), _READ_DAILY),
            ),
        ),
        (
            *_OF_POSTMASTER,
            Mistake("unauthorized_client", _("The scope isn't delegated, or was only minutes ago. It may take a day.")),
            Mistake("invalid_grant: Invalid email", _("The user is an alias. Enter the user's primary address.")),
        ),
    )


def _postmaster_user(cloud: str, known: dict[str, str]) -> SetUp:
    return SetUp(
        (
            _VERIFY,
            Step(
                _("Create an app"),
                (
                    _("In the Google Cloud console, create a project and enable the Gmail Postmaster Tools API."),
                    _("Configure the consent screen. Choose Internal if you use Google Workspace."),
                    _("Add this scope."),
                ),
                providers.scopes(providers.POSTMASTER_USER, cloud),
            ),
            _redirect(known, _("Create an OAuth client ID of type Web application, with this redirect address.")),
            Step(
                _("Sign in"),
                (
                    _("Save, then choose Sign in above. Sign in as the user who sees the domains."),
                    _("Leave the permission for Postmaster Tools ticked."),
                    _READ_DAILY,
                ),
            ),
        ),
        (
            *_OF_POSTMASTER,
            Mistake(
                "ACCESS_TOKEN_SCOPE_INSUFFICIENT", _("The permission was unticked. Sign in again and leave it ticked.")
            ),
            Mistake("invalid_grant", _("The app is in testing: its sign-ins expire after 7 days. Publish the app.")),
            Mistake("redirect_uri_mismatch", _("The redirect address at Google differs. Copy it from here.")),
        ),
    )


def _redirect(known: dict[str, str], sentence: str) -> Step:
    return Step(_("Register the redirect address"), (sentence,), (known["redirect_uri"],))


# Connect-ExchangeOnline asks for the cloud by name.
_CLOUD_SWITCHES = {
    "worldwide": "",
    "us government": " -ExchangeEnvironmentName O365USGovGCCHigh",
    "us defense": " -ExchangeEnvironmentName O365USGovDoD",
    "china": " -ExchangeEnvironmentName O365China",
}
_REGISTER = Step(
    _("Register an app"),
    (
        _("In the Microsoft Entra admin center, open App registrations, then New registration."),
        _("Enter its application (client) ID and directory (tenant) ID here."),
    ),
)
_CONNECT = Step(
    _("Connect and test"),
    (_("Save, then choose Connect above. Choose the account in a server, and send a test."),),
)
_SIGN_IN = Step(
    _("Sign in and test"),
    (
        _("Save, then choose Sign in above. Sign in as the mailbox itself."),
        _("Choose the account in a server, and send a test."),
    ),
)
_VERIFY = Step(
    _("Verify your domains"),
    (
        _("In Postmaster Tools, add each domain you send from, and verify it by the TXT record shown there."),
        _("Use the Google user that you enter here, or have the owner add that user."),
    ),
    ("https://postmaster.google.com",),
)
_READ_DAILY = _("Your domains are then read every day. Their pages of reports show the figures.")
_OF_POSTMASTER = (
    Mistake(
        "PERMISSION_DENIED",
        _("This user doesn't see the domain. Verify it in Postmaster Tools, or add the user there."),
    ),
    Mistake("SERVICE_DISABLED", _("The API is off. Enable the Gmail Postmaster Tools API in the Cloud project.")),
)
_SMTP_AUTH_OFF = Mistake("535 5.7.139", _("SMTP AUTH is off for the mailbox or tenant. Run Set-CASMailbox."))
_SET_UPS = {
    providers.MICROSOFT_APP: _microsoft_app,
    providers.MICROSOFT_USER: _microsoft_user,
    providers.GOOGLE_SERVICE: _google_service,
    providers.GOOGLE_USER: _google_user,
    providers.POSTMASTER_SERVICE: _postmaster_service,
    providers.POSTMASTER_USER: _postmaster_user,
}
