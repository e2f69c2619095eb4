"""Explanations of failed steps: the likely cause and what to do, in words for people."""

import re
from collections.abc import Iterable

from oauth.client.providers import MICROSOFT
from smtpservers.destinations import Security
from smtpservers.smtp.connection import PROVIDER_SAYS, SHOW_PASSWORD
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.endpoint import Endpoint
from words.texts import joined
from words.texts import text as _

# What a failed test came to, by the step that failed.
FAILURES = {
    "DNS": _("The server's name wasn't found."),
    "connect": _("Couldn't connect to the server."),
    "banner": _("The server didn't greet us."),
    "EHLO": _("The server didn't accept our greeting."),
    "HELO": _("The server didn't accept our greeting."),
    "TLS": _("Couldn't encrypt the connection."),
    "AUTH": _("Couldn't sign in."),
    "MAIL": _("The server didn't accept the sender."),
    "RCPT": _("The server didn't accept the recipient."),
    "DATA": _("The server didn't accept the message."),
    "message": _("The server didn't accept the message."),
}
# The field of the server's form to look at first, by the same step.
FIELDS_TO_FIX = {
    "DNS": "host",
    "connect": "host",
    "banner": "port",
    "TLS": "use_tls",
    "AUTH": "username",
    "MAIL": "mail_from",
}


def explain(step: Step, endpoint: Endpoint, *, offers_sign_in: bool = False) -> str:
    """Return the likely cause of a failed step and what to do; empty if the step succeeded.

    :param offers_sign_in: whether the server offered AUTH.
    """
    if step.is_ok:
        return ""
    if not endpoint.username and _wants_sign_in(step, offers_sign_in):
        return _(
            "The server requires sign-in, and Username is empty. Enter the username and password from your provider.",
        )
    if endpoint.oauth_provider == MICROSOFT and "STOREDRV" in step.reply:
        return _(
            "The app has no permission for the mailbox %(username)s. Run Add-MailboxPermission as the OAuth"
            " account's page shows, then wait some minutes.",
            username=endpoint.username,
        )
    explainer = _EXPLAINERS.get(step.name, _explain_answer)
    words = explainer(step, endpoint)
    is_temporary = step.code is not None and 400 <= step.code < 500
    if not is_temporary:
        return words
    return joined([words, _("The error %(code)s is temporary: campaigns retry automatically.", code=step.code)])


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
        return _("FORBID_PRIVATE_HOSTS blocks servers in private networks. Enter a public host name.")
    if "link-local" in step.reply:
        return _(
            "The name leads to a link-local address, which belongs to cloud metadata services. Enter the"
            " provider's host name.",
        )
    return _(
        "%(host)s wasn't found. Check Server for a typo, and check this machine's DNS.",
        host=endpoint.shown_host,
    )


def _explain_connect(step: Step, endpoint: Endpoint) -> str:
    if "refused" in step.reply.lower():
        return _(
            "%(host)s refused the connection on port %(port)s, or a firewall did. Check Port: usually 587 or 465.",
            host=endpoint.shown_host,
            port=endpoint.port,
        )
    return _(
        "%(host)s didn't reply on port %(port)s. A firewall may block this port, as many networks do with 25."
        " Try 587, or ask your provider.",
        host=endpoint.shown_host,
        port=endpoint.port,
    )


def _explain_banner(step: Step, endpoint: Endpoint) -> str:
    if "no SMTP reply" in step.reply:
        return _(
            "This isn't a mail server: port %(port)s answers as %(service)s. Check Server and Port: usually 587 or"
            " 465.",
            port=endpoint.port,
            service=_service(step.reply),
        )
    if "silent" in step.reply:
        late = _(
            "The server connected but didn't greet in time. Some servers wait 10 to 30 seconds to keep spam bots away."
            " Raise Timeout, which is %(seconds)s seconds now.",
            seconds=f"{endpoint.timeout:g}",
        )
        if endpoint.security is Security.IMPLICIT:
            return late
        port = _(
            "Or port %(port)s needs implicit TLS: then use port 465 with SSL/TLS on, or port 587 for STARTTLS.",
            port=endpoint.port,
        )
        return joined([late, port])
    if step.code and step.code < 500:
        return _("The server rejected the connection for now. Its reply above says why.")
    if step.code:
        return _("The server rejected the connection. Its reply above says why. Ask your provider to unblock you.")
    return _("The server closed the connection before greeting. It may block this machine's IP address.")


def _service(reply: str) -> str:
    """Return the name of another service, recognised by its first words."""
    for mark, name in _OTHER_SERVICES.items():
        if mark in reply:
            return name
    return _("something else")


_OTHER_SERVICES = {
    "HTTP/": _("a web server"),
    "<html": _("a web server"),
    "SSH-": "SSH",
    "* OK": "IMAP",
    "* BYE": "IMAP",
    "+OK": "POP3",
    "RFB ": _("a remote screen"),
}


def _explain_tls(step: Step, endpoint: Endpoint) -> str:
    text = step.reply.lower()
    if "clear text arrived" in text:
        return _(
            "Unencrypted data arrived with the reply to STARTTLS (a STARTTLS injection). Someone may be"
            " tampering with the connection, or the server is faulty. Nothing was sent. Leave SSL/TLS on, try"
            " again from another network, and tell your provider.",
        )
    if step.code:
        refused = _(
            "The server offers STARTTLS on port %(port)s but rejects it, so nothing was sent. Try again in a few"
            " minutes.",
            port=endpoint.port,
        )
        return joined([refused, _without_tls(endpoint)])
    is_no_tls = any(words in text for words in ("wrong_version", "wrong version", "record layer", "unexpected_message"))
    if step.sent and (is_no_tls or "broke off" in text):
        broken = _(
            "The server accepted STARTTLS on port %(port)s but didn't start TLS, so nothing was sent.",
            port=endpoint.port,
        )
        return joined([broken, _without_tls(endpoint)])
    if is_no_tls:
        return _(
            "Wrong port for the TLS mode: port %(port)s doesn't use implicit TLS. Use port 587 (STARTTLS), or"
            " the provider's port for implicit TLS (465).",
            port=endpoint.port,
        )
    if "hostname mismatch" in text or "not valid for" in text or "ip address mismatch" in text:
        return _(
            "The certificate isn't for %(host)s. Enter the name on the certificate as Server.",
            host=endpoint.shown_host,
        )
    if "not yet valid" in text:
        return _("The server's certificate isn't valid yet. Check this machine's clock, then ask your provider.")
    if "protocol_version" in text or "unsupported_protocol" in text:
        return _(
            "The server only supports TLS versions older than 1.2, which are unsafe. Nothing was sent. Ask your"
            " provider to update it.",
        )
    if "expired" in text:
        return _("The server's certificate has expired. Nothing was sent. Ask your provider to renew it.")
    if "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
        return _(
            "The certificate isn't from a known authority. If it's your own server, paste its certificate or CA"
            " into Trusted certificate.",
        )
    if "no encryption" in text or "does not offer starttls" in text:
        return _(
            "The server doesn't offer encryption on port %(port)s. Use the provider's TLS port (465 or 587)."
            " Turn off SSL/TLS only for a relay in your own network.",
            port=endpoint.port,
        )
    if endpoint.security is Security.OPPORTUNISTIC:
        failed = _("The server offers TLS, but setting it up failed, so nothing was sent.")
        return joined([failed, _without_tls(endpoint)])
    return _("TLS setup failed, so nothing was sent. Check Port and Use SSL/TLS connection with your provider.")


def _without_tls(endpoint: Endpoint) -> str:
    if endpoint.security is Security.OPPORTUNISTIC:
        return _("Have it fixed, or turn on Never encrypt if it's a relay in your own network.")
    return _("Ask your provider to fix it. The port for implicit TLS (465) may work.")


def _account(endpoint: Endpoint) -> str:
    """Return the user name, unless it is the secret itself."""
    return _("the API key") if endpoint.username == endpoint.password else endpoint.username


def _refused_account(step: Step, endpoint: Endpoint) -> str:
    """Return a sentence that names the account, the mechanism, and those that were refused before it."""
    used = step.details.get("mechanism", "")
    before = [one.partition(":")[0] for one in step.details.get("passed over", "").split("; ") if one]
    account = _account(endpoint)
    if not used:
        return _("The username or password was rejected for %(account)s.", account=account)
    which = joined([*before, used], _("%(one)s and by %(other)s"))
    return _("The username or password was rejected for %(account)s by %(which)s.", account=account, which=which)


def _other_mechanism(step: Step) -> str:
    if step.details.get("mechanism", "PLAIN") in SHOW_PASSWORD:
        return ""
    return _(
        "If it's correct, the server may offer %(mechanism)s without supporting it. Choose PLAIN or LOGIN as Sign-in"
        " method.",
        mechanism=step.details["mechanism"],
    )


def _explain_auth(step: Step, endpoint: Endpoint) -> str:
    if "no encryption" in step.reply:
        if endpoint.security is Security.NEVER:
            return _("Passwords are never sent unencrypted outside your own network. Turn off Never encrypt.")
        return _("Passwords are never sent unencrypted. Turn on SSL/TLS, or use the provider's TLS port.")
    if "which was chosen" in step.reply:
        return _("Set Sign-in method to Automatic, or to one that the server offers.")
    if endpoint.oauth_provider:
        return _explain_token_auth(step, endpoint)
    if "no sign-in we know" in step.reply:
        if "offered: none" in step.reply:
            return _(
                "The server doesn't offer sign-in on this port. Most offer it only after TLS. Check Port and Use"
                " SSL/TLS connection, or clear Username if you don't need to sign in.",
            )
        return _(
            "The server doesn't support the sign-in methods of Brilliance (SCRAM, CRAM-MD5, PLAIN and LOGIN). If"
            " it only offers XOAUTH2, it no longer accepts passwords. Choose an OAuth account.",
        )
    if "no sign-in took place" in step.reply:
        return _(
            "Sign-in broke off for the reason above. The password wasn't rejected. Check that Server is really"
            " your provider, and enter the password again.",
        )
    if step.code == 534:
        return _(
            "The provider requires another sign-in for %(account)s, usually an app password. Create one in the"
            " account's settings and enter it as Password.",
            account=_account(endpoint),
        )
    if step.code == 535:
        advice = _(
            "Enter the password again. Some providers need an app password or API key, and a username that isn't the"
            " address. Too many attempts may lock the account."
        )
        said = (_refused_account(step, endpoint), advice, _other_mechanism(step))
        return joined(part for part in said if part)
    if step.code == 538:
        return _("The server requires encryption before sign-in. Turn on SSL/TLS, or use the TLS port.")
    if step.code and 400 <= step.code < 500:
        return _("The server can't check passwords right now. Try again in a few minutes.")
    return _("The server rejected the sign-in. Its reply above says why.")


def _explain_token(step: Step, endpoint: Endpoint) -> str:
    return _(
        "The OAuth account has no usable token, so nobody signed in. Open the account: its page says what to do.",
    )


def _explain_token_auth(step: Step, endpoint: Endpoint) -> str:
    """Name the usual mistakes of the provider, after its own words about the token."""
    if "no sign-in we know" in step.reply:
        return _("The server doesn't offer XOAUTH2 or OAUTHBEARER on this port. Check Server and Port, usually 587.")
    if step.code is not None and 400 <= step.code < 500:
        return _("The provider can't check tokens right now. Try again in a few minutes.")
    if endpoint.oauth_provider == MICROSOFT and "5.7.139" in step.reply:
        return _(
            "SMTP AUTH is off for %(username)s or its tenant. Run Set-CASMailbox as the OAuth account's page shows.",
            username=endpoint.username,
        )
    words = step.details.get(PROVIDER_SAYS, "")
    said = [_("The provider refused the token for %(username)s.", username=endpoint.username)]
    if words:
        said.append(_("In its own words: %(words)s.", words=words))
    return joined([*said, _TOKEN_MISTAKES[endpoint.oauth_provider]])


_TOKEN_MISTAKES = {
    "microsoft": _(
        "Usual causes: New-ServicePrincipal got the object ID of the app registration instead of the Enterprise"
        " application, the permissions are Microsoft Graph's instead of Exchange Online's, or SMTP AUTH is off."
    ),
    "google": _(
        "Usual causes: the scope https://mail.google.com/ isn't delegated, or Mailbox isn't the user's primary address."
    ),
}


def _explain_answer(step: Step, endpoint: Endpoint) -> str:
    if "not sent" in step.details:
        return _("Nothing was sent, because the server announced that it can't accept this message.")
    if step.code is None:
        return _(
            "The connection was lost here (%(reply)s). The message wasn't accepted. Try again in a minute.",
            reply=step.reply,
        )
    if step.name == "EHLO":
        return _(
            "The server rejected the greeting as %(name)s. Enter one of your own domains as Domain name.",
            name=endpoint.ehlo_name,
        )
    if step.name == "MAIL":
        return _(
            "The sender was rejected. Check Mail from and Email return path: most relays allow only your domains.",
        )
    if step.name == "RCPT":
        return _("The recipient was rejected. Check the address. Some relays reject addresses they don't know.")
    return _("The message was rejected. The server's reply above says why.")


def _explain_message(step: Step, endpoint: Endpoint) -> str:
    if step.code is None:
        return _(
            "The message was sent in full but the reply was lost (%(reply)s). It may have arrived. Check the"
            " mailbox before you send it again.",
            reply=step.reply,
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
