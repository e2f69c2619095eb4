"""Explanations of failed steps: the likely cause and what to do, in words for people."""

import re
from collections.abc import Iterable

from smtpservers.destinations import Security
from smtpservers.smtp.connection import SHOW_PASSWORD
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.endpoint import Endpoint


def explain(step: Step, endpoint: Endpoint, *, offers_sign_in: bool = False) -> str:
    """Return the likely cause of a failed step and what to do; empty if the step succeeded.

    :param offers_sign_in: whether the server offered AUTH.
    """
    if step.is_ok:
        return ""
    if not endpoint.username and _wants_sign_in(step, offers_sign_in):
        return (
            "The server takes mail only from those who sign in, and SMTP username is empty. Enter the user name and"
            " password that the provider gave you."
        )
    explainer = _EXPLAINERS.get(step.name, _explain_answer)
    words = explainer(step, endpoint)
    is_temporary = step.code is not None and 400 <= step.code < 500
    return f"{words} The answer {step.code} is for now: a campaign tries again by itself." if is_temporary else words


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
        return "FORBID_PRIVATE_HOSTS keeps servers in private networks out of reach. Enter a public host name."
    if "link-local" in step.reply:
        return (
            "The name leads to an address that is no mail server's; link-local ones belong to cloud metadata services."
            " Enter the provider's host name."
        )
    return (
        f"No such host: {endpoint.shown_host} could not be found. Check SMTP server for a typing mistake, and the name"
        " servers of this machine."
    )


def _explain_connect(step: Step, endpoint: Endpoint) -> str:
    if "refused" in step.reply.lower():
        return (
            f"The connection was refused: nothing listens at {endpoint.shown_host} on port {endpoint.port}, or a"
            " firewall turns it away. Check SMTP port; 587 and 465 are usual."
        )
    return (
        f"There was silence: {endpoint.shown_host} port {endpoint.port} did not answer. A firewall may block this port;"
        " many networks block 25. Try 587, or ask the provider."
    )


def _explain_banner(step: Step, endpoint: Endpoint) -> str:
    if "no SMTP reply" in step.reply:
        return (
            f"Something else than a mail server answers on port {endpoint.port}{_service(step.reply)}. Check SMTP"
            " server and SMTP port; 587 and 465 are usual."
        )
    if "silent" in step.reply:
        late = (
            f"Some servers greet only after 10 to 30 seconds, to keep robots away: raise SMTP timeout, which is"
            f" {endpoint.timeout:g} seconds now."
        )
        if endpoint.security is Security.IMPLICIT:
            return f"The server took the connection and did not greet in time. {late}"
        return (
            f"The server took the connection and did not greet in time. {late} Or port {endpoint.port} expects TLS from"
            " the first byte: then use port 465 with SSL/TLS switched on, or port 587 for STARTTLS."
        )
    if step.code and step.code < 500:
        return "The server turned the connection away for now. Its words above say why."
    if step.code:
        return "The server turned the connection away. Its words above say why; the provider can lift it."
    return "The server ended the connection before its greeting. It may block this machine's address."


def _service(reply: str) -> str:
    """Return the name of another service, recognised by its first words."""
    for mark, name in _OTHER_SERVICES.items():
        if mark in reply:
            return f", by its words {name}"
    return ""


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
            "Clear text came along with the answer to STARTTLS, before the encryption began: a STARTTLS injection."
            " Somebody between here and the server may be tampering, or the server is faulty. Nothing was sent. Leave"
            " SSL/TLS switched on, try again from another network, and tell the provider."
        )
    if step.code:
        return (
            f"The server on port {endpoint.port} offers STARTTLS and refuses it, so nothing was sent. Try again in some"
            f" minutes. {_without_tls(endpoint)}"
        )
    is_no_tls = any(words in text for words in ("wrong_version", "wrong version", "record layer", "unexpected_message"))
    if step.sent and (is_no_tls or "broke off" in text):
        return (
            f"The server on port {endpoint.port} agreed to STARTTLS and then spoke no TLS, so nothing was sent."
            f" {_without_tls(endpoint)}"
        )
    if is_no_tls:
        return (
            f"Wrong port for the TLS mode: port {endpoint.port} does not speak TLS from the first byte. Use port 587,"
            " where STARTTLS is used, or the provider's port for implicit TLS (465)."
        )
    if "hostname mismatch" in text or "not valid for" in text or "ip address mismatch" in text:
        return (
            f"The certificate belongs to another host, not to {endpoint.shown_host}. Enter the name the certificate was"
            " made for as SMTP server."
        )
    if "not yet valid" in text:
        return "The server's certificate is not valid yet. Check the clock of this machine, then ask the provider."
    if "protocol_version" in text or "unsupported_protocol" in text:
        return (
            "The server speaks only versions of TLS older than 1.2, which are unsafe. It must be updated; nothing was"
            " sent."
        )
    if "expired" in text:
        return "The server's certificate has expired. The provider must renew it; nothing was sent."
    if "self-signed" in text or "self signed" in text or "unable to get local issuer" in text:
        return (
            "The certificate was not signed by an authority this machine knows. If it is your own server, put its"
            " certificate, or that of its authority, into Trusted certificate."
        )
    if "no encryption" in text or "does not offer starttls" in text:
        return (
            f"The server offers no encryption on port {endpoint.port}. Use the provider's port for TLS (465 or 587);"
            " switch SSL/TLS off only for a relay in your own network."
        )
    if endpoint.security is Security.OPPORTUNISTIC:
        return f"The server offers encryption that could not be set up, so nothing was sent. {_without_tls(endpoint)}"
    return "TLS could not be set up, so nothing was sent. Check port and SSL/TLS switch against the provider's page."


def _without_tls(endpoint: Endpoint) -> str:
    if endpoint.security is Security.OPPORTUNISTIC:
        return "Have it mended, or switch Never encrypt on if it is a relay in your own network."
    return "The provider must mend it; its port for TLS from the first byte (465) may work."


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
        f" If you are sure of it, the server may offer {step.details['mechanism']} without being able to do it: choose"
        " PLAIN or LOGIN as Sign-in method."
    )


def _explain_auth(step: Step, endpoint: Endpoint) -> str:
    if "no encryption" in step.reply:
        if endpoint.security is Security.NEVER:
            return (
                "Credentials are never sent in clear text to a host outside your own network: turn Never encrypt off."
            )
        return "Credentials are never sent in clear text. Switch SSL/TLS on, or use the provider's port for TLS."
    if "which was chosen" in step.reply:
        return "Set Sign-in method to Automatic, or to one of those that the server offers."
    if "no sign-in we know" in step.reply:
        if "offered: none" in step.reply:
            return (
                "The server offers no way to sign in on this port. Most offer it only after TLS: check SMTP port and"
                " the SSL/TLS switch, or clear SMTP username if none is needed."
            )
        return (
            "The server offers no way to sign in that Brilliance knows (those are SCRAM, CRAM-MD5, PLAIN and LOGIN)."
            " XOAUTH2 alone means that the provider takes no passwords any more; choose another provider."
        )
    if "no sign-in took place" in step.reply:
        return (
            "The password was not refused: the conversation about it broke off, for the reason above. Check that SMTP"
            " server is really your provider, and enter the password again."
        )
    if step.code == 534:
        return (
            f"The provider wants another way to sign in for {_account(endpoint)}. Usually that is an app password, made"
            " in the settings of the account; enter it as SMTP password."
        )
    if step.code == 535:
        return (
            f"The user name or password was refused for {_account(endpoint)}{_by_which(step)}. Enter the password"
            " again; some providers want an app password or an API key here, and a user name that is not the address."
            f" Many tries in a row may lock the account.{_other_mechanism(step)}"
        )
    if step.code == 538:
        return "The server wants encryption before it is signed in to. Switch SSL/TLS on, or use the port for TLS."
    if step.code and 400 <= step.code < 500:
        return "The server cannot check passwords at the moment. Try again in a few minutes."
    return "The server did not let us sign in. Its words above say why."


def _explain_answer(step: Step, endpoint: Endpoint) -> str:
    if "not sent" in step.details:
        return "The server was not asked: when it greeted, it said that it takes no such message."
    if step.code is None:
        return f"The line was lost here ({step.reply}). The message was not accepted; try again in a minute."
    if step.name == "EHLO":
        return (
            f"The server did not like our greeting as {endpoint.ehlo_name}. Enter one of your own domains as"
            " Domain name."
        )
    if step.name == "MAIL":
        return (
            "The sender was refused. Check SMTP mail from and Email return path: most relays allow only your domains."
        )
    if step.name == "RCPT":
        return "The recipient was refused. Check the address; a relay may also refuse addresses it does not know."
    return "The message was refused. The server's words above say why."


def _explain_message(step: Step, endpoint: Endpoint) -> str:
    if step.code is None:
        return (
            f"The message was sent in full and the answer was lost ({step.reply}). Nobody can know whether it arrives;"
            " look into the mailbox before you send it again."
        )
    return _explain_answer(step, endpoint)


def _explain_bounces(step: Step, endpoint: Endpoint) -> str:
    return step.details.get("means", step.reply)


_EXPLAINERS = {
    "DNS": _explain_dns,
    "connect": _explain_connect,
    "banner": _explain_banner,
    "TLS": _explain_tls,
    "AUTH": _explain_auth,
    "message": _explain_message,
    "bounces": _explain_bounces,
}
