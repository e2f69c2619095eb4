"""The table of reply rules: from providers' documentation and from replies seen in practice.

Data only; :mod:`mail.replies.reply` applies it. The order matters: the first rule that matches decides.
"""

import datetime as dt
from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Stage(StrEnum):
    """The moment of a reply; the same code has different meanings at different moments."""

    CONNECT = "CONNECT"  # The banner.
    TLS = "TLS"  # STARTTLS, the handshake, the certificate.
    EHLO = "EHLO"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"  # The reply to the command, before the first byte of the message.
    DOT = "DOT"  # The reply to the whole message.
    DSN = "DSN"  # Not in the session: a later report by mail from the recipient's side.


class Action(StrEnum):
    """What to do about a message and its server."""

    ACCEPT = "accept"  # Nothing is wrong: continue. Never in the table.
    RETRY_SAME = "retry_same"  # The same server, later.
    RETRY_OTHER = "retry_other"  # The next eligible server, now; this one is excluded for the message.
    SLOW = "slow"  # Halve rate and connections of the scope, then as RETRY_SAME.
    PAUSE_DOMAIN = "pause_domain"  # For a while this server sends no more to the provider of this recipient domain.
    PAUSE_SERVER = "pause_server"  # Open the circuit breaker, notify the owner, move the queue to other servers.
    SUPPRESS = "suppress"  # A hard bounce: never send to this address again.
    SOFT = "soft"  # A soft bounce: the end for this message, counted for the address.
    FAIL = "fail"  # The end for this message; the address is not to blame.
    SPLIT = "split"  # One recipient per transaction.
    PAUSE_CAMPAIGN = "pause_campaign"  # Stop all mail of this From domain until a person has looked.
    UNKNOWN = "unknown"  # The message may have been accepted: neither resend it nor give it up. Never in the table.


class Scope(StrEnum):
    """Whom the action concerns."""

    CONNECTION = "connection"
    SERVER = "server"
    SERVER_DOMAIN = "server+domain"  # This server with this recipient domain, grouped by its MX.
    SERVER_FROM = "server+from"  # This server with this From, until one of them is edited.
    SERVER_MESSAGE = "server+message"  # This server with similar messages: too large, or in need of SMTPUTF8.
    FROM_DOMAIN = "from-domain"
    RECIPIENT = "recipient"
    MESSAGE = "message"


class Connections(StrEnum):
    """The number of connections left to a server that is throttled as a whole."""

    HALF = "half"
    ONE_LESS = "one less"
    ONE = "one"


class Repeats(NamedTuple):
    """A number of times within a period."""

    times: int
    within: dt.timedelta


@dataclass(frozen=True, slots=True)
class ReplyRule:
    """One row: the replies it matches, and their meaning. An empty pattern matches everything."""

    name: str
    stages: Set[Stage]
    action: Action
    scope: Scope
    code: str = ""  # Matches the whole code.
    enhanced: str = ""  # Matches the whole enhanced status code (RFC 3463).
    text: str = ""  # Found anywhere in the reply, in any case.
    # The waits before further tries of what the action delays: the message, the server, or the server's mail to the
    # provider. Empty: the usual waits, or none. A soft bounce waits only if it is temporary.
    delays: tuple[dt.timedelta, ...] = ()
    until_edited: bool = False  # Until the server or the From is edited; time alone changes nothing.
    is_quota: bool = False  # The provider's own quota is used up, which is no failure of the server.
    connections: Connections = Connections.HALF  # What SLOW leaves to a server as a whole …
    slow_for: dt.timedelta | None = None  # … or, with one connection or for one provider, for how long …
    per_minute: int | None = None  # … and the messages per minute for one provider then.
    slows_after: Repeats | None = None  # This many such replies throttle the server.
    other_server: bool = False  # Another server may write to the provider meanwhile.
    must_confirm: bool = False  # It suppresses only if DNS confirms that the domain takes no mail.
    suppresses_after: Repeats | None = None  # This many messages refused like this suppress the address.
    stops_campaign: bool = False  # Counts towards stopping the campaign for its content.
    is_incident: bool = False  # A person should look at it.
    kind: str = ""  # A word for statistics.
    names_recipient: bool = False  # Matches only if the reply names the recipient's address and no other.
    gives_no_reason: bool = False  # Whether such a reply may concern anything, including our own account …
    unless: str = ""  # … unless it contains these words.
    source: str = ""  # The documentation or collection of the code or text.


ANY = frozenset(Stage)
TRANSACTION = frozenset({Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT})
SESSION = TRANSACTION | {Stage.CONNECT, Stage.EHLO}  # Replies of the server itself, about itself or our account.


def _minutes(*counts: int) -> tuple[dt.timedelta, ...]:
    return tuple(dt.timedelta(minutes=count) for count in counts)


def _hours(count: int) -> tuple[dt.timedelta, ...]:
    return (dt.timedelta(hours=count),)


_AT_ONCE = (dt.timedelta(0),)
_SECOND, _MINUTE, _HOUR = dt.timedelta(seconds=1), dt.timedelta(minutes=1), dt.timedelta(hours=1)

# Texts about a limit of the sender's account. The limits of a mailbox are described in much the same words.
_NO_MAILBOX = "^(?!.*(receiv|mailbox|inbox|storage|incoming|inbound|disk)).*?"
_PER = r"\b(hour|hourly|day|daily|week|weekly|month|monthly|minute|[0-9]+ ?-?h(ours?)?)\b"
_SENDING = (
    r"\b(sending|send|outgoing|outbound|relay|transmission|submission|smtp|sender'?s?|plan|package|subscription)\b"
)
_LIMIT = r"\b(limits?|limitation|quotas?|threshold|cap|maximum|credits?)\b"
_OVER = r"\b(exceed\w*|reached|used up|exhausted|hit|over|depleted|spent|(ran|run|running) out|no more)\b"
_LIMITED = f"({_PER}|{_SENDING}).{{0,30}}{_LIMIT}"
_RELAY_DENIED = (
    "relay(ing)? (access )?(denied|not permitted|is not allowed)|unable to relay|"
    "isn'?t allowed to relay|not in my list of allowed rcpthosts|mail relay denied|"
    "email relay denied|invalid credentials for relay|not authorized to send e?mail directly"
)

# Somebody is unknown, and it is not the recipient: the sender, the account that signed in, or one of many others.
_NAME = "(user(name)?|account|mailbox|address|identity|tenant|domain)"
_UNKNOWN = (
    r"\b(is |was |are )?(unknown|not found|not exist|(does not|doesn'?t|did not|didn'?t) exist|(could not|cannot|"
    r"can'?t) be (found|verified)|not a (valid|known) )"
)
_ENVELOPE = "(return|reverse).?path|envelope.?(sender|from)|mail from|helo|ehlo"
_OF_SENDER = f"([: ]{{0,2}}(e-?mail )?({_NAME}|name))?\\b"
_SENDER = (
    rf"\b(((sender|sending)('s)?|{_ENVELOPE}){_OF_SENDER}|"
    r"(?<!mail )(?<!message )from (e-?mail )?(address|account|domain))"
    r"( ?[<(\[]?\S{1,320}@\S{1,255})?[:, ]{0,3}"
)
_SIGN_IN = r"\b(authenticat\w*|auth|log-?in|logon|sasl|credentials?|sign-?in)\b"
_STRANGERS = r"\b(unknown|invalid|bad|wrong|non-?existent|undeliverable) (user|recipient|rcpt|address|mailbox|account)"
_TOO_MANY = r"\b(too (many|high|much)|excessive\w*|high \w{4,10} of|exceed\w*|repeated\w*|(sent|mail\w*) to many)\b"
_SHARE = r"\b(ratios?|rates?|percent\w*|limits?|thresholds?|counts?|shares?)\b"

RULES: tuple[ReplyRule, ...] = (
    # The connection and the sign-in: the server's own matter.
    ReplyRule(
        "tls-cert",
        {Stage.TLS},
        Action.PAUSE_SERVER,
        Scope.SERVER,
        until_edited=True,
        kind="tls",
        source="RFC 8314 s5.3, RFC 7817",
    ),
    ReplyRule(
        "auth-temp",
        {Stage.AUTH},
        Action.RETRY_OTHER,
        Scope.SERVER,
        code=r"4\d\d",
        delays=_minutes(5, 10, 20),
        kind="auth-temp",
        source="RFC 4954 s6 (454 4.7.0, 432 4.7.12); Google 454 4.7.0",
    ),
    ReplyRule(
        "auth-bad",
        {Stage.AUTH},
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        until_edited=True,
        kind="auth",
        source="RFC 4954 s6 (535 5.7.8, 534 5.7.9, 538); Google 5.7.8/5.7.80, 5.7.9/5.7.90, 5.7.14",
    ),
    ReplyRule(
        "basic-auth-off",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5[35]\d",
        enhanced=r"5\.7\.(30|139)",
        text="basic authentication|SmtpClientAuthentication|authentication unsuccessful",
        until_edited=True,
        kind="auth",
        source="Microsoft MC786329 (550 5.7.30 Basic authentication is not supported)",
    ),
    ReplyRule(
        "m365-restricted",
        ANY,
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.7\.1(2[4-9]|3[0-6])?",
        text=r"RESOLVER\.RST|SenderNotAuthenticated|delivery restriction|allowed.senders",
        suppresses_after=Repeats(3, dt.timedelta(days=30)),
        kind="hard-unknown",
        source="Microsoft 5.7.1, 5.7.124, 5.7.133-136: a group or mailbox that takes mail from some senders only",
    ),
    ReplyRule(
        "need-auth",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code="530|503|550",
        text=(
            "authentication (is )?required|must issue a STARTTLS|client was not authenticated|"
            "smtp auth(entication)? (in|required)"
        ),
        until_edited=True,
        kind="config",
        source="RFC 4954 s6 (530 5.7.0), RFC 3207 s4; M365 5.7.57",
    ),
    # The sender's allowance at the provider.
    ReplyRule(
        "ses-rate",
        ANY,
        Action.SLOW,
        Scope.SERVER,
        code="454",
        text="maximum sending rate exceeded",
        delays=(_SECOND, _MINUTE),
        kind="rate",
        source="AWS SES manage-sending-quotas-errors",
    ),
    ReplyRule(
        "ses-daily",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code="454",
        text="daily message quota exceeded",
        delays=_minutes(30),
        is_quota=True,
        kind="quota",
        source="AWS SES manage-sending-quotas-errors",
    ),
    ReplyRule(
        "gmail-daily",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code="550",
        enhanced=r"5\.(4\.5|7\.1)",
        text="daily (user |sending |smtp relay )*(sending )?(limit|quota) exceeded|daily smtp relay",
        delays=_hours(1),
        is_quota=True,
        kind="quota",
        source="Google 550 5.4.5 / 550 5.7.1 daily relay limit",
    ),
    ReplyRule(
        "gmail-peak",
        ANY,
        Action.SLOW,
        Scope.SERVER,
        code="450",
        enhanced=r"4\.2\.1",
        text="peak smtp relay limit",
        delays=_minutes(10),
        kind="rate",
        source="Google 450 4.2.1",
    ),
    ReplyRule(
        "m365-conc",
        ANY,
        Action.SLOW,
        Scope.SERVER,
        code=r"4\d\d",
        enhanced=r"4\.3\.2",
        text="concurrent connections? limit|thread limit",
        delays=_minutes(1),
        connections=Connections.ONE_LESS,
        kind="rate",
        source="Microsoft smtp-submission-improvements (432 4.3.2, three connections)",
    ),
    ReplyRule(
        "m365-quota",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        enhanced=r"5\.(1\.90|2\.0|2\.2|7\.2\d\d|7\.7[0-4]\d)",
        text=(
            "daily limit|submission ?quota|exceeded (the )?(threshold|permitted|daily)|tenant has exceeded|"
            "submissionquotaexceeded"
        ),
        delays=_hours(1),
        is_quota=True,
        kind="quota",
        source="Microsoft 5.1.90, 5.2.2 submission quota, 5.7.700-749 (Sisimai)",
    ),
    ReplyRule(
        "m365-cont",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code="550",
        enhanced=r"5\.2\.25\d",
        text="sender throttled due to continuous",
        delays=_hours(1),
        kind="quota",
        source="Microsoft continuous error throttling 5.2.251-255",
    ),
    ReplyRule(
        "apple-daily",
        ANY,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"[45]\d\d",
        text="exceeded your (daily )?sending limit",
        delays=_hours(1),
        is_quota=True,
        kind="quota",
        source="Apple HT4863/102198",
    ),
    # Connections and transactions.
    ReplyRule(
        "conn-max",
        ANY,
        Action.RETRY_SAME,
        Scope.CONNECTION,
        code=r"4\d\d",
        text=("(max(imum)?|too many).{0,20}(messages?|deliveries) per (connection|session)|max message per connection"),
        delays=_AT_ONCE,
        kind="rate",
        source="Yahoo best practices; KumoMTA community shaping",
    ),
    ReplyRule(
        "conn-many",
        ANY,
        Action.SLOW,
        Scope.SERVER_DOMAIN,
        code=r"4\d\d|550",
        text=(
            "too many (concurrent |simultaneous |open )?(smtp )?(connections|sessions)|"
            "(concurrent|simultaneous) (smtp )?(connections|sessions)|"
            "max(imum|\\.)? (number of )?(smtp )?(connections|sessions)|"
            "connection (count|rate)? ?limit|trop de connexions"
        ),
        delays=_minutes(1),
        connections=Connections.ONE,
        slow_for=_HOUR,
        kind="rate",
        source="KumoMTA community shaping; Sisimai 4.7.652",
    ),
    ReplyRule(
        "too-many-rcpt",
        ANY,
        Action.SPLIT,
        Scope.MESSAGE,
        code="452|55[02]",
        text="too many recipients",
        delays=_AT_ONCE,
        kind="rcpt-limit",
        source="RFC 5321 s4.5.3.1.10; RFC 3463 X.5.3; KumoMTA TooManyRecipients",
    ),
    ReplyRule(
        "too-many-rcpt-code",
        {Stage.RCPT},
        Action.SPLIT,
        Scope.MESSAGE,
        code="452",
        enhanced=r"4\.5\.3",
        delays=_AT_ONCE,
        kind="rcpt-limit",
        source="RFC 5321 s4.5.3.1.10",
    ),
    # Permissions: who may send as whom through this server, and to whom.
    ReplyRule(
        "sandbox-recipient",
        SESSION,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        text="(e-?mail address|identit(y|ies)).{0,60}(not (been )?verified|failed the check)",
        until_edited=True,
        kind="account",
        names_recipient=True,
        source="AWS SES 554: in its sandbox it refuses recipients that are not verified in the words of a From",
    ),
    ReplyRule(
        "send-as",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER_FROM,
        code=r"5\d\d",
        text=(
            "send ?as ?denied|permissions? to send as|not allowed to send (as|from)|relaying disallowed as|"
            "from/sender name is not valid|sender address rejected: not owned|email address is not verified|"
            "unregistered domains|sender.{0,25}not (verified|allowed)|domain.{0,20}not verified"
        ),
        until_edited=True,
        kind="sender",
        source="Zoho 553; Postal 530; SES 554; M365 5.7.750; Postfix smtpd_sender_login_maps",
    ),
    ReplyRule(
        "size",
        TRANSACTION,
        Action.RETRY_OTHER,
        Scope.SERVER_MESSAGE,
        code="55[24]|523",
        enhanced=r"5\.(3\.4|2\.3)",
        kind="size",
        source="RFC 1870 s6; RFC 3463 X.3.4",
    ),
    ReplyRule(
        "size-text",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER_MESSAGE,
        code=r"55\d|523",
        text="message (size )?(exceeds|too (big|large))|(?<!mailbox )size limit",
        kind="size",
        source="RFC 1870 s6; Sisimai mesgtoobig",
    ),
    ReplyRule(
        "size-dsn",
        {Stage.DSN},
        Action.FAIL,
        Scope.MESSAGE,
        code="55[024]|523",
        enhanced=r"5\.(3\.4|2\.3)",
        kind="size",
        source="Google 552 5.3.4 (size, header size, attachments); RFC 3463 X.3.4",
    ),
    ReplyRule(
        "utf8",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER_MESSAGE,
        code="55[03]",
        enhanced=r"5\.6\.(7|8|9)",
        kind="smtputf8",
        source="RFC 6531 s3.6, RFC 5248",
    ),
    ReplyRule(
        "relay-denied",
        TRANSACTION,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        text=_RELAY_DENIED,
        until_edited=True,
        kind="config",
        source="KumoMTA RelayDenied; Sisimai norelaying; M365 5.7.64",
    ),
    # Rates at the recipient's provider.
    ReplyRule(
        "gmail-rate",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code="421|450",
        enhanced=r"4\.7\.28",
        delays=_minutes(10),
        kind="rate",
        source="Google 81126: 4.7.28 stop 10 minutes, one connection, add one at a time",
    ),
    ReplyRule(
        "gmail-user-rate",
        ANY,
        Action.RETRY_SAME,
        Scope.RECIPIENT,
        code="[45]50",
        enhanced=r"[45]\.2\.1",
        text="receiving (e?mail|messages) (too quickly|at a rate)",
        delays=_hours(1),
        kind="rcpt-rate",
        source="Google 450/550 5.2.1; KumoMTA ReceivingRatePerm = transient",
    ),
    ReplyRule(
        "rcpt-rate-5xx",
        ANY,
        Action.RETRY_SAME,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.2\.(1|121|122)|5\.7\.508",
        text="receive limit|exceeded (their|permitted)|at a rate|rate that prevents",
        delays=_hours(1),
        kind="rcpt-rate",
        source="Microsoft 5.2.121/5.2.122/5.7.508, Google 5.2.1: transient in spite of 5xx (KumoMTA)",
    ),
    ReplyRule(
        "rate-5xx",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code=r"5\d\d",
        text="unusual rate|has been rate limited",
        delays=_hours(1),
        kind="rate",
        source="Google 550 5.7.28, 550 5.7.1",
    ),
    # SPF, DKIM, DMARC, reverse DNS.
    ReplyRule(
        "sender-auth-temp",
        ANY,
        Action.SLOW,
        Scope.FROM_DOMAIN,
        code=r"4\d\d",
        enhanced=r"4\.7\.(2[3-79]|3[0-2]|40)",
        delays=_hours(1),
        slow_for=_HOUR,
        is_incident=True,
        kind="sender-auth",
        source="Google FAQ 14229414: 4.7.23/27/29/30/31/32; codes page 4.7.40",
    ),
    ReplyRule(
        "sender-auth",
        ANY,
        Action.PAUSE_CAMPAIGN,
        Scope.FROM_DOMAIN,
        code=r"[45]\d\d",
        enhanced=r"5\.7\.(2[0-79]|3[0-2]|40|509|515)",
        is_incident=True,
        kind="sender-auth",
        source="Google 5.7.24-5.7.32, 5.7.40; Microsoft 5.7.515, 5.7.509; IANA X.7.20-26",
    ),
    ReplyRule(
        "ptr-temp",
        ANY,
        Action.SLOW,
        Scope.SERVER,
        code=r"4\d\d",
        text="ptr record|reverse dns",
        delays=_hours(1),
        is_incident=True,
        kind="sender-auth",
        source="Google 421 4.7.0 PTR",
    ),
    ReplyRule(
        "dmarc-text",
        ANY,
        Action.PAUSE_CAMPAIGN,
        Scope.FROM_DOMAIN,
        code=r"5\d\d",
        text=(
            "dmarc|fails? to pass (spf|authentication)|unauthenticated (e?mail|sender)|"
            "sender is unauthenticated|ptr record|reverse dns"
        ),
        is_incident=True,
        kind="sender-auth",
        source="KumoMTA AuthenticationFailed; Yahoo 5.7.9; Apple 5.7.1",
    ),
    # The reputation of server and domain with one provider.
    ReplyRule(
        "yahoo-perm",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code="553",
        enhanced=r"5\.7\.2",
        text="permanently deferred|TSS(09|11)",
        delays=_hours(24),
        other_server=True,
        kind="reputation",
        source="Yahoo error codes; Sisimai yahooinc",
    ),
    ReplyRule(
        "yahoo-ts05",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code="421",
        text=r"\[(TSS|IPTS)05\]",
        delays=_hours(4),
        kind="reputation",
        source="KumoMTA community shaping",
    ),
    ReplyRule(
        "yahoo-ts",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code="4[25]1",
        text=r"\[(TS|IPTS|TSS)\d\d\]|temporarily deferred due to (unexpected volume|user complaints)",
        delays=_hours(2),
        kind="reputation",
        source="KumoMTA shaping.toml (provided by Yahoo)",
    ),
    ReplyRule(
        "ms-rate",
        ANY,
        Action.SLOW,
        Scope.SERVER_DOMAIN,
        code="4[25]1|450",
        enhanced=r"4\.7\.(65\d|500)",
        delays=_minutes(1),
        connections=Connections.ONE,
        slow_for=dt.timedelta(minutes=90),
        per_minute=1,
        kind="reputation",
        source="KumoMTA default automation; Sisimai 4.7.650/652",
    ),
    ReplyRule(
        "ms-rp",
        ANY,
        Action.SLOW,
        Scope.SERVER_DOMAIN,
        code="421",
        text="RP-00[123]",
        delays=_minutes(1),
        connections=Connections.ONE,
        slow_for=dt.timedelta(minutes=90),
        per_minute=1,
        kind="reputation",
        source="Outlook.com Troubleshooting: 421 RP-001/002/003",
    ),
    ReplyRule(
        "ms-later",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code=r"4\d\d",
        enhanced=r"4\.7\.(5\d\d|6\d\d|8[5-9]\d)",
        delays=_hours(1),
        kind="reputation",
        source="Sisimai blocked 4.7.500-699, 4.7.850-899",
    ),
    ReplyRule(
        "apple-rate",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code="4[25]1",
        text=r"deferred due to excessive volume|\[HCM1\]|\[BS02\]",
        delays=_minutes(15),
        kind="rate",
        source="Sisimai apple; KumoMTA community shaping",
    ),
    # The sender's account at the provider, in the operator's words.
    ReplyRule(
        "account-locked",
        SESSION,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"[45]\d\d",
        text=(
            r"sandbox (sub)?domains?|sandbox (mode|account)|in (the |a |your )?sandbox\b|for test(ing)? purposes only|"
            "activate (your|the|this) .{0,20}account|"
            r"your .{0,30}account.{0,40}\b(suspended|disabled|blocked|locked|restricted|deactivated|closed|frozen|"
            "terminated|under review|on hold|not (yet |been )*(activated|active|verified|confirmed|approved|enabled))|"
            "not (allowed|permitted|authori[sz]ed) to send(?! ?(e?-?mails?|messages?|anything)? ?(to|as|from|on)\\b)|"
            r"to unblock|unblock (your|me\b)|(suspended|blocked|barred|restricted|disabled) from sending|"
            "sending (has been|is|was|privileges).{0,20} (disabled|suspended|blocked|paused|restricted|revoked)|"
            "(outgoing|outbound) (e?-?mail|messages|smtp).{0,30} (disabled|suspended|blocked|paused|restricted)|"
            "(unpaid|overdue) invoice|payment (is )?(required|overdue)|billing (problem|issue)"
        ),
        until_edited=True,
        kind="account",
        source="Mailgun 421 Sandbox subdomains are for test purposes only; Zoho 550 5.4.6 To unblock; RFC 5321 s4.2.1",
    ),
    ReplyRule(
        "account-quota",
        SESSION,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"[45]\d\d",
        text=(
            f"{_NO_MAILBOX}({_LIMITED}.{{0,40}}{_OVER}|{_OVER}.{{0,30}}{_LIMITED}|"
            f"{_OVER}.{{0,20}}{_LIMIT} (per|an?|for (the|this|your)) {_PER})"
        ),
        delays=_hours(1),
        is_quota=True,
        kind="quota",
        source="550 User has exceeded its 24-hour sending limit; 550 send spam mail rejected: exceeded hour limit",
    ),
    ReplyRule(
        "account-rate",
        SESSION,
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"[45]\d\d",
        text=(
            f"{_NO_MAILBOX}("
            r"rate.?limit|rate overlimit|(transmit|sending|message|submission) rate\b|throttl|"
            r"too many (e-?mails|mails)\b|too many messages.{0,15}\b(sent|from|per|within|today)\b|"
            r"(sending|sent|submitting) too (fast|many|much|quickly)|\bslow down\b|unusual (sending|outgoing) activity)"
        ),
        delays=_minutes(10),
        is_quota=True,
        kind="quota",
        source="rspamd, Postfix and Exim rate limits: 451 4.7.1 Ratelimit exceeded; 550 sorry, too many emails",
    ),
    # The recipient.
    ReplyRule(
        "sender-verify",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER_FROM,
        code=r"5\d\d",
        text=(
            f"sender verif|verification failed for|callback setup failed|{_SENDER}{_UNKNOWN}|"
            rf"\b(unknown|no such|non-?existent) (sender|sending|from|return.?path){_OF_SENDER}|"
            "sender address rejected: (user|mailbox|address|domain|unknown|undeliverable|unverified)"
        ),
        kind="sender",
        source="Exim callouts and Postfix reject_unverified_sender: the return path was asked for, and not found",
    ),
    ReplyRule(
        "bad-sender",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER_FROM,
        code=r"[45]\d\d",
        enhanced=r"[45]\.1\.[78]",
        kind="sender",
        source="RFC 3463 X.1.7, X.1.8; Yahoo unresolvable domain (SOA)",
    ),
    # In texts about somebody unknown who is not the recipient.
    ReplyRule(
        "harvest",
        ANY,
        Action.PAUSE_DOMAIN,
        Scope.SERVER_DOMAIN,
        code=r"5\d\d",
        text=(
            rf"{_TOO_MANY}.{{0,40}}{_STRANGERS}|{_STRANGERS}(e?s)? ({_SHARE}|.{{0,20}}{_TOO_MANY})|"
            r"harvest(ing)? (attack|attempt|protection|detect)|\bdictionary attack"
        ),
        delays=_hours(1),
        kind="reputation",
        source="Exim, MDaemon and Barracuda: 550 Too many unknown recipients from your IP",
    ),
    ReplyRule(
        "account-unknown",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER,
        code=r"5\d\d",
        text=(
            rf"{_SIGN_IN}.{{0,40}}{_UNKNOWN}|{_SIGN_IN}.{{0,40}}\b(no such|unknown|invalid) {_NAME}|"
            rf"\b(no such|unknown|invalid) {_NAME}.{{0,20}}{_SIGN_IN}|"
            rf"{_NAME} (is )?not found in .{{0,20}}{_SIGN_IN}|"
            rf"\byour (smtp |mail |e-?mail |sending |relay |sub-?)?{_NAME}.{{0,20}}{_UNKNOWN}"
        ),
        kind="config",
        source="Submission servers that look the account up late: 550 authenticated user not found",
    ),
    ReplyRule(
        "host-of-ours",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER,
        code=r"5\d\d",
        text=(
            r"\b(ip|client|rdns|helo|ehlo)\b.{0,40}(does not|doesn'?t) exist|"
            r"\b(certificate|password|token|session|(api|license) key|licen[cs]e|subscription)\b.{0,30}no longer valid"
        ),
        kind="config",
        source="550 The IP address 192.0.2.1 does not exist in our records; 550 Your API key is no longer valid",
    ),
    ReplyRule(
        "relay-denied-later",
        {Stage.DSN},
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"5\d\d",
        text=_RELAY_DENIED,
        suppresses_after=Repeats(3, dt.timedelta(days=30)),
        kind="hard-unknown",
        source="RFC 5321 s4.2.1: the recipient's host does not know the domain, and so nothing of the mailbox",
    ),
    ReplyRule(
        "user-unknown",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.1\.(1|10|351)",
        kind="user-unknown",
        source="RFC 3463 X.1.1; RFC 7505 X.1.10; Sisimai",
    ),
    ReplyRule(
        "bad-domain",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.(1\.2|4\.310)|5\.7\.18",
        must_confirm=True,
        kind="host-unknown",
        source="RFC 3463 X.1.2; RFC 7293 X.7.18",
    ),
    ReplyRule(
        "bad-address",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.1\.(3|6)|5\.7\.17",
        kind="bad-address",
        source="RFC 3463 X.1.3, X.1.6; RFC 7293 X.7.17",
    ),
    ReplyRule(
        "ms-no-user",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code="550",
        enhanced=r"5\.(4\.1|5\.0|1\.4)",
        text="recipient address rejected: access denied|mailbox unavailable",
        kind="user-unknown",
        source="Sisimai microsoft 5.4.1, 5.5.0; KumoMTA",
    ),
    ReplyRule(
        "gmail-overquota-perm",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code="552",
        enhanced=r"5\.2\.2",
        text="OverQuotaPerm|out of storage space and inactive",
        kind="inactive",
        source="Google 552 5.2.2; KumoMTA InactiveMailbox",
    ),
    ReplyRule(
        "full",
        ANY,
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"[45]\d\d",
        enhanced=r"[45]\.2\.2",
        delays=_hours(4),
        kind="mailbox-full",
        source="RFC 3463 X.2.2 (persistent transient)",
    ),
    ReplyRule(
        "full-text",
        ANY,
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"[45]\d\d",
        text=(
            r"mailbox (is )?full|mailbox size limit|over ?quota|out of storage space|quota exceeded \(mailbox|"
            "exceeded storage"
        ),
        delays=_hours(4),
        kind="mailbox-full",
        source="KumoMTA QuotaIssues; Sisimai mailboxfull",
    ),
    ReplyRule(
        "disabled",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.2\.1|5\.7\.13",
        text="disabled|inactive|suspended|not accepting|cannot be accessed|deactivated",
        kind="inactive",
        source="RFC 3463 X.2.1; Google DisabledUser",
    ),
    ReplyRule(
        "user-unknown-text",
        ANY,
        Action.SUPPRESS,
        Scope.RECIPIENT,
        code=r"5\d\d",
        text=(
            "(user|recipient|addressee) (is )?(unknown|not found)|unknown (user|recipient|addressee|local[- ]part)|"
            "no such (user|mailbox|recipient|id|account|address)|"
            "(mailbox|user|account|(?<!ip )(?<!host )(?<!dns )address).{0,25}(does not|doesn'?t) exist|"
            "mailbox not found|no mailbox here|not a valid (user|mailbox)|invalid (recipient|mailbox)"
            "(?!s? (header|count|list|syntax))|"
            "utilisateur inconnu|"
            "inactive email address|user doesn'?t have a|is no longer valid|mailbox is disabled"
        ),
        kind="user-unknown",
        source="KumoMTA bounces.toml; Sisimai userunknown; Yahoo 554/552",
    ),
    # Waiting, blocking, content.
    ReplyRule(
        "greylist",
        ANY,
        Action.RETRY_SAME,
        Scope.RECIPIENT,
        code="4[25][01]",
        text="gr[ae]y ?list|try again later|temporar",
        delays=_minutes(5, 15, 30, 60),
        kind="transient",
        gives_no_reason=True,
        unless="gr[ae]y ?list",
        source="RFC 6647",
    ),
    ReplyRule(
        "dnsbl",
        ANY,
        Action.RETRY_OTHER,
        Scope.SERVER,
        code=r"5\d\d",
        text=(
            r"spamhaus|block ?list|blacklist|blocklisted|dnsbl|\bRBL\b|\[BL2\d\]|S3150|banned sending ip|"
            "SC-00[1-4]|DY-00[12]|OU-00[12]"
        ),
        is_incident=True,
        kind="ip-reputation",
        source="Outlook.com SC-/DY-/OU- codes; Yahoo [BL2x]; KumoMTA SpamBlock",
    ),
    ReplyRule(
        "low-rep",
        ANY,
        Action.SLOW,
        Scope.FROM_DOMAIN,
        code=r"[45]\d\d",
        text="very low reputation|poor reputation|suspicious due to",
        delays=_hours(1),
        slow_for=_HOUR,
        is_incident=True,
        kind="reputation",
        source="Google 421 4.7.0 / 550 5.7.1",
    ),
    ReplyRule(
        "spam-content",
        ANY,
        Action.FAIL,
        Scope.MESSAGE,
        code=r"5\d\d",
        text=(
            "spam|unsolicited|content (rejected|denied|policy)|potential security issue|virus|"
            "illegal attachment|policy (reasons|restrictions|violation)|has a policy that|delivery not authorized|"
            r"content filter|\[PH\d\d\]|local policy"
        ),
        stops_campaign=True,
        kind="content",
        gives_no_reason=True,
        source="KumoMTA SpamContent; Google 5.7.1/5.7.0; Yahoo PH*; Apple CS01",
    ),
    ReplyRule(
        "malformed",
        {Stage.DATA, Stage.DOT, Stage.DSN},
        Action.FAIL,
        Scope.MESSAGE,
        code=r"5\d\d",
        enhanced=r"5\.(6\.\d+|5\.\d)",
        is_incident=True,
        kind="malformed",
        source="RFC 3463 X.6.*; Google 554 5.6.0",
    ),
    ReplyRule(
        "not-5322",
        ANY,
        Action.FAIL,
        Scope.MESSAGE,
        code=r"5\d\d",
        text=(
            "rfc ?5322|encoded-word|unicode character|header is too long|address in the from|"
            "duplicate headers|message-id|malformed|multiple (from|addresses)|bare (lf|line feed)"
        ),
        is_incident=True,
        kind="malformed",
        source="Google 550 5.7.1 RFC 5322 family",
    ),
    # Sender, greeting, routes.
    ReplyRule(
        "helo",
        {Stage.EHLO, Stage.MAIL},
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        text="helo|ehlo",
        until_edited=True,
        kind="config",
        source="Google 501 5.5.4; M365 5.7.506",
    ),
    ReplyRule(
        "expired",
        ANY,
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"[45]\d\d",
        enhanced=r"[45]\.4\.(7|300|316)",
        delays=_hours(4),
        kind="expired",
        source="RFC 3463 X.4.7",
    ),
    ReplyRule(
        "loop",
        ANY,
        Action.FAIL,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.4\.(6|14)",
        kind="loop",
        gives_no_reason=True,
        source="RFC 3463 X.4.6",
    ),
    ReplyRule(
        "no-route",
        ANY,
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"5\d\d",
        enhanced=r"5\.4\.4",
        kind="host-unknown",
        source="RFC 3463 X.4.4",
    ),
    # The rest, by code alone.
    ReplyRule(
        "421",
        ANY,
        Action.RETRY_SAME,
        Scope.SERVER,
        code="421",
        delays=_minutes(2, 5, 15),
        slows_after=Repeats(3, dt.timedelta(minutes=10)),
        kind="transient",
        gives_no_reason=True,
        source="RFC 5321 s3.8, s4.2.1",
    ),
    ReplyRule(
        "4xx-early",
        {Stage.CONNECT, Stage.EHLO, Stage.MAIL},
        Action.RETRY_OTHER,
        Scope.SERVER,
        code=r"4\d\d",
        kind="transient",
        gives_no_reason=True,
        source="RFC 5321 s4.2.1",
    ),
    ReplyRule(
        "4xx",
        ANY,
        Action.RETRY_SAME,
        Scope.RECIPIENT,
        code=r"4\d\d",
        kind="transient",
        gives_no_reason=True,
        source="RFC 5321 s4.5.4.1",
    ),
    ReplyRule(
        "5xx-early",
        {Stage.CONNECT, Stage.TLS, Stage.EHLO},
        Action.PAUSE_SERVER,
        Scope.SERVER,
        code=r"5\d\d",
        delays=_minutes(15, 30, 60),
        kind="server",
        source="RFC 5321 s3.1 (554)",
    ),
    ReplyRule(
        "5xx-mail",
        {Stage.MAIL},
        Action.RETRY_OTHER,
        Scope.SERVER_FROM,
        code=r"5\d\d",
        kind="sender",
        gives_no_reason=True,
        source="RFC 5321 s4.2.1; 5xx to MAIL must not be cached (s4.5.4.1)",
    ),
    ReplyRule(
        "5xx-rcpt",
        {Stage.RCPT, Stage.DSN},
        Action.SOFT,
        Scope.RECIPIENT,
        code=r"5\d\d",
        suppresses_after=Repeats(3, dt.timedelta(days=30)),
        kind="hard-unknown",
        gives_no_reason=True,
        source="RFC 5321 s4.2.1",
    ),
    ReplyRule(
        "5xx-data",
        {Stage.DATA, Stage.DOT},
        Action.FAIL,
        Scope.MESSAGE,
        code=r"5\d\d",
        stops_campaign=True,
        kind="policy",
        gives_no_reason=True,
        source="RFC 5321 s4.2.1",
    ),
)
