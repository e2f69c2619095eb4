"""Explanations of failed steps: the likely cause and what to do, in words for people."""

import re
from collections.abc import Iterable

from oauth.client.providers import MICROSOFT
from smtpservers.destinations import Security
from smtpservers.smtp.connection import PROVIDER_SAYS, SHOW_PASSWORD
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.endpoint import Endpoint


def explain(step: Step, endpoint: Endpoint, *, offers_sign_in: bool = False) -> str:
    """Return the likely cause of a failed step and what to do; empty if the step succeeded.

    :param offers_sign_in: whether the server offered AUTH.
    """
    if step.is_ok:
        return ""
    if not endpoint.username and _wants_sign_in(step, offers_sign_in):
        return "The server requires sign-in, and Username is empty. Enter the username and password from your provider."
    if endpoint.oauth_provider == MICROSOFT and "STOREDRV" in step.reply:
        return (
            f"The app has no permission for the mailbox {endpoint.username}. Run Add-MailboxPermission as the OAuth"
            " account's page shows, then wait some minutes."
        )
    explainer = _EXPLAINERS.get(step.name, _explain_answer)
    words = explainer(step, endpoint)
    is_temporary = step.code is not None and 400 <= step.code < 500
    return f"{words} The error {step.code} is temporary: campaigns retry automatically." if is_temporary else words


def offers_sign_in(steps: Iterable[Step]) -> bool:
    """Tell whether the server's last reply to EHLO offered AUTH."""
    greetings = [step.details.get("extensions", "") for step in steps if step.name == "EHLO"]
    return bool(greetings) and re.search(r"(^|, )AUTH\b", greetings[-1]) is not None


def _wants_sign_in(step: Step, offers_sign_in: bool) -> bool:
    if step.code is None or step.name not in ("MAIL", "RCPT", "DATA", "message"):
        return False
    if step.code == 530 or _SIGN_IN_FIRST.search(step.reply):
        return True
    return offers_sign_in and step.code >= 500 and _NO_RELAY.search(step.reply) is not None


_SIGN_IN_FIRST = re.compile(
    r"authenticat|\bauth\b|sign(ed)?[ -]?in\b|log(ged)?[ -]?[io]n\b|not logged|credentials", re.IGNORECASE
)
_NO_RELAY = re.compile(r"relay|5\.7\.[01]\b|not permitted|not allowed|access denied|gateway", re.IGNORECASE)


def _explain_dns(step: Step, endpoint: Endpoint) -> str:
    if "private addresses" in step.reply:
        return "FORBID_PRIVATE_HOSTS blocks servers in private networks. Enter a public host name."
    if "link-local" in step.reply:
        return (
            "The name leads to a link-local address, which belongs to cloud metadata services. Enter the provider's"
            " host name."
        )
    return f"{endpoint.shown_host} wasn't found. Check Server for a typo, and check this machine's DNS."


def _explain_connect(step: Step, endpoint: Endpoint) -> str:
    if "refused" in step.reply.lower():
        return (
            f"{endpoint.shown_host} refused the connection on port {endpoint.port}, or a firewall did. Check Port:"
            f" usually"
            " 587 or 465."
        )
    return (
        f"{endpoint.shown_host} didn't reply on port {endpoint.port}. A firewall may block this port, as many networks"
        " do with 25. Try 587, or ask your provider."
    )


def _explain_banner(step: Step, endpoint: Endpoint) -> str:
    if "no SMTP reply" in step.reply:
        return (
            f"This isn't a mail server: port {endpoint.port} {_service(step.reply)}. Check Server and Port: usually 587"
            " or 465."
        )
    if "silent" in step.reply:
        late = (
            f"Some servers wait 10 to 30 seconds to keep spam bots away. Raise Timeout, which is {endpoint.timeout:g}"
            " seconds now."
        )
        if endpoint.security is Security.IMPLICIT:
            return f"The server connected but didn't greet in time. {late}"
        return (
            f"The server connected but didn't greet in time. {late} Or port {endpoint.port} needs implicit TLS: then"
            f" use"
            " port 465 with SSL/TLS on, or port 587 for STARTTLS."
        )
    if step.code and step.code < 500:
        return "The server rejected the connection for now. Its reply above says why."
    if step.code:
        return "The server rejected the connection. Its reply above says why. Ask your provider to unblock you."
    return "The server closed the connection before greeting. It may block this machine's IP address."


def _service(reply: str) -> str:
    """Return the name of another service, recognised by its first words."""
    for mark, name in _OTHER_SERVICES.items():
        if mark in reply:
            return f"answers as {name}"
    return "answers as something else"


_OTHER_SERVICES = {
    "HTTP/": "a web server",
    "<html": "a web server",
    "SSH-": "SSH",
    "* OK": "IMAP",
    "* BYE": "IMAP",
    "+OK": "POP3",
    "RFB ": "a remote screen",
}


def _explain_tls(step: Step, endpoint: Endpoint) -> str:
    text = step.reply.lower()
    if "clear text arrived" in text:
        return (
            "Unencrypted data arrived with the reply to STARTTLS (a STARTTLS injection). Someone may be tampering with"
            " the connection, or the server is faulty. Nothing was sent. Leave SSL/TLS on, try again from another"
            " network, and tell your provider."
        )
    if step.code:
        return (
            f"The server offers STARTTLS on port {endpoint.port} but rejects it, so nothing was sent. Try again in a"
            f" few"
            f" minutes. {_without_tls(endpoint)}"
        )
    is_no_tls = any(words in text for words in ("wrong_version", "wrong version", "record layer", "unexpected_message"))
    if step.sent and (is_no_tls or "broke off" in text):
        return (
            f"The server accepted STARTTLS on port {endpoint.port} but didn't start TLS, so nothing was sent."
            f" {_without_tls(endpoint)}"
        )
    if is_no_tls:
        return (
            f"Wrong port for the TLS mode: port {endpoint.port} doesn't use implicit TLS. Use port 587 (STARTTLS), or"
            f" the"
            " provider's port for implicit TLS (465)."
        )
    if "hostname mismatch" in text or "not valid for" in text or "ip address mismatch" in text:
        return f"The certificate isn't for {endpoint.shown_host}. Enter the name on the certificate as Server."
    if "not yet valid" in text:
        return "The server's certificate isn't valid yet. Check this machine's clock, then ask your provider."
    if "protocol_version" in text or "unsupported_protocol" in text:
        return (
            "The server only supports TLS versions older than 1.2, which are unsafe. Nothing was sent. Ask your"
            " provider to"
            " update it."
        )
    if "expired" in text:
        return "The server's certificate has expired. Nothing was sent. Ask your provider to renew it."
    if "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
        return (
            "The certificate isn't from a known authority. If it's your own server, paste its certificate or CA into"
            " Trusted certificate."
        )
    if "no encryption" in text or "does not offer starttls" in text:
        return (
            f"The server doesn't offer encryption on port {endpoint.port}. Use the provider's TLS port (465 or 587)."
            f" Turn"
            " off SSL/TLS only for a relay in your own network."
        )
    if endpoint.security is Security.OPPORTUNISTIC:
        return f"The server offers TLS, but setting it up failed, so nothing was sent. {_without_tls(endpoint)}"
    return "TLS setup failed, so nothing was sent. Check Port and Use SSL/TLS connection with your provider."


def _without_tls(endpoint: Endpoint) -> str:
    if endpoint.security is Security.OPPORTUNISTIC:
        return "Have it fixed, or turn on Never encrypt if it's a relay in your own network."
    return "Ask your provider to fix it. The port for implicit TLS (465) may work."


def _account(endpoint: Endpoint) -> str:
    """Return the user name, unless it is the secret itself."""
    return "the API key" if endpoint.username == endpoint.password else endpoint.username


def _by_which(step: Step) -> str:
    """Return the mechanism, and those that were refused before it, as the end of a sentence."""
    used = step.details.get("mechanism", "")
    before = [one.partition(":")[0] for one in step.details.get("passed over", "").split("; ") if one]
    return f" by {' and by '.join([*before, used])}" if used else ""


def _other_mechanism(step: Step) -> str:
    if step.details.get("mechanism", "PLAIN") in SHOW_PASSWORD:
        return ""
    return (
        f" If it's correct, the server may offer {step.details['mechanism']} without supporting it. Choose PLAIN or"
        f" LOGIN"
        " as Sign-in method."
    )


def _explain_auth(step: Step, endpoint: Endpoint) -> str:
    if "no encryption" in step.reply:
        if endpoint.security is Security.NEVER:
            return "Passwords are never sent unencrypted outside your own network. Turn off Never encrypt."
        return "Passwords are never sent unencrypted. Turn on SSL/TLS, or use the provider's TLS port."
    if "which was chosen" in step.reply:
        return "Set Sign-in method to Automatic, or to one that the server offers."
    if endpoint.oauth_provider:
        return _explain_token_auth(step, endpoint)
    if "no sign-in we know" in step.reply:
        if "offered: none" in step.reply:
            return (
                "The server doesn't offer sign-in on this port. Most offer it only after TLS. Check Port and Use"
                " SSL/TLS"
                " connection, or clear Username if you don't need to sign in."
            )
        return (
            "The server doesn't support the sign-in methods of Brilliance (SCRAM, CRAM-MD5, PLAIN and LOGIN). If it"
            " only"
            " offers XOAUTH2, it no longer accepts passwords. Choose an OAuth account."
        )
    if "no sign-in took place" in step.reply:
        return (
            "Sign-in broke off for the reason above. The password wasn't rejected. Check that Server is really your"
            " provider, and enter the password again."
        )
    if step.code == 534:
        return (
            f"The provider requires another sign-in for {_account(endpoint)}, usually an app password. Create one in"
            f" the"
            " account's settings and enter it as Password."
        )
    if step.code == 535:
        return (
            f"The username or password was rejected for {_account(endpoint)}{_by_which(step)}. Enter the password"
            f" again."
            " Some providers need an app password or API key, and a username that isn't the address. Too many attempts"
            f" may lock the account.{_other_mechanism(step)}"
        )
    if step.code == 538:
        return "The server requires encryption before sign-in. Turn on SSL/TLS, or use the TLS port."
    if step.code and 400 <= step.code < 500:
        return "The server can't check passwords right now. Try again in a few minutes."
    return "The server rejected the sign-in. Its reply above says why."


def _explain_token(step: Step, endpoint: Endpoint) -> str:
    return "The OAuth account has no usable token, so nobody signed in. Open the account: its page says what to do."


def _explain_token_auth(step: Step, endpoint: Endpoint) -> str:
    """Name the usual mistakes of the provider, after its own words about the token."""
    if "no sign-in we know" in step.reply:
        return "The server doesn't offer XOAUTH2 or OAUTHBEARER on this port. Check Server and Port, usually 587."
    if step.code is not None and 400 <= step.code < 500:
        return "The provider can't check tokens right now. Try again in a few minutes."
    if endpoint.oauth_provider == MICROSOFT and "5.7.139" in step.reply:
        return (
            f"SMTP AUTH is off for {endpoint.username} or its tenant. Run Set-CASMailbox as the OAuth account's page"
            " shows."
        )
    words = step.details.get(PROVIDER_SAYS, "")
    said = f" In its own words: {words}." if words else ""
    return f"The provider refused the token for {endpoint.username}.{said} {_TOKEN_MISTAKES[endpoint.oauth_provider]}"


_TOKEN_MISTAKES = {
    "microsoft": (
        "Usual causes: New-ServicePrincipal got the object ID of the app registration instead of the Enterprise"
        " application, the permissions are Microsoft Graph's instead of Exchange Online's, or SMTP AUTH is off."
    ),
    "google": (
        "Usual causes: the scope https://mail.google.com/ isn't delegated, or Mailbox isn't the user's primary address."
    ),
}


def _explain_answer(step: Step, endpoint: Endpoint) -> str:
    if "not sent" in step.details:
        return "Nothing was sent, because the server announced that it can't accept this message."
    if step.code is None:
        return f"The connection was lost here ({step.reply}). The message wasn't accepted. Try again in a minute."
    if step.name == "EHLO":
        return (
            f"The server rejected the greeting as {endpoint.ehlo_name}. Enter one of your own domains as Domain name."
        )
    if step.name == "MAIL":
        return "The sender was rejected. Check Mail from and Email return path: most relays allow only your domains."
    if step.name == "RCPT":
        return "The recipient was rejected. Check the address. Some relays reject addresses they don't know."
    return "The message was rejected. The server's reply above says why."


def _explain_message(step: Step, endpoint: Endpoint) -> str:
    if step.code is None:
        return (
            f"The message was sent in full but the reply was lost ({step.reply}). It may have arrived. Check the"
            f" mailbox"
            " before you send it again."
        )
    return _explain_answer(step, endpoint)


def _explain_bounces(step: Step, endpoint: Endpoint) -> str:
    return step.details.get("means", step.reply)


_EXPLAINERS = {
    "DNS": _explain_dns,
    "connect": _explain_connect,
    "banner": _explain_banner,
    "TLS": _explain_tls,
    "token": _explain_token,
    "AUTH": _explain_auth,
    "message": _explain_message,
    "bounces": _explain_bounces,
}
