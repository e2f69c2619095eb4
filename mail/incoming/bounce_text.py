"""Bounces in words only, as older and many large mail systems write them.

The codes are looked for in what the mail says itself; without any, a bounce is soft. Whether a mail is such a bounce
depends on the sender too: people write about bounces.
"""

import re
from itertools import islice

from mail.incoming.addresses import addresses_in
from mail.incoming.dsn import DIAGNOSTIC_CHARACTERS, MOST_RECIPIENTS
from mail.incoming.mime import Part
from mail.incoming.report import Kind, ReportedRecipient
from mail.incoming.senders import has_null_sender, is_from_daemon, is_system, may_be_written_by_hand
from mail.incoming.verdicts import codes_of, judge, reply_in
from mail.replies.rules import Stage

_TEXT_CHARACTERS = 10_000
_OPENING_CHARACTERS = 600
_MOST_WITHOUT_CODE = 10

# The fixed first words of mail systems.
_OPENING = re.compile(
    r"Hi\. Th(?:is is the|e MTA program) |I'm afraid I wasn't able to deliver|Delivery Status Notification\.[ \t]*$"
    r"|This message was created automatically by mail delivery software"
    r"|This is the (?:mail system|Postfix program) at host|I'm sorry to have to inform you that"
    r"|Your message did not reach some or all|did not reach the following recipient|Delivery has failed to these"
    r"|was not delivered to:|Unable to deliver message to the following|we were unable to deliver your message"
    r"|running the Courier mail server|MailEnable: Message|The original message was received at"
    r"|undeliverable to the following|undeliverable recipient|Delivery to the following recipients? failed"
    r"|Message log follows|Could not deliver message to the following|Message delivery to '|Failed to deliver to '"
    r"|A message that you sent (?:could not be|was rejected|has not yet)|your e-?mail could not\s+be delivered"
    r"|why this message could not be delivered|Failure Report|Diagnostic information for administrators"
    r"|Diagnoseinformationen für Administratoren|Informations de diagnostic pour les administrateurs"
    r"|Diese Nachricht wurde automatisch erstellt|message blocked by our|\bwas blocked by our Spam Firewall",
    re.MULTILINE,
)
_FAILURE = re.compile(
    r"undeliver|undelivrable|not (?:yet )?(?:be(?:en)? )?delivered|could(?:n't| not)(?: be)? deliver|unable to deliver"
    r"|(?:delivery|mail|message|processing) (?:has )?(?:fail|error|problem|warning|status notification|system error)"
    r"|failed mail"
    r"|returned (?:mail|to sender)|returning message|failure notice|failure report|non-?delivery|not reach|bounced"
    r"|(?:message|mail) (?:you sent )?(?:was |been |is |you sent )?(?:blocked|rejected|refused)|email rejected"
    r"|user(?: is)? unknown|unknown user|no such user|mailbox (?:is )?(?:full|unavailable|not found)|host unknown"
    r"|nicht zugestellt|unzustellbar|nicht zustellbar|zustellung fehlgeschlagen|nicht zugestellt werden"
    r"|non remis|pas pu être (?:remis|délivré|distribué|livré)|échec de (?:la )?(?:remise|distribution)|non distribu"
    r"|no se (?:ha podido|pudo|puede) entregar|no entregado|devuelto al remitente|error de entrega"
    r"|recapito (?:fallito|non riuscito)|mancato recapito|impossibile recapitare|non (?:è stato )?recapitat"
    r"|não (?:pôde|pode|foi) (?:ser )?entreg|falha na entrega|não entregue"
    r"|onbestelbaar|niet (?:worden )?(?:afgeleverd|bezorgd)|niet-bezorgd"
    r"|kunde inte levereras|olevererbar|kunne ikke leveres|ei voitu toimittaa|teslim edilemedi"
    r"|nie (?:można|udało się) dostarczyć|niedostarcz|niedoręcz|nedoručiteln|kézbesíthetetlen"
    r"|недоставлен|не (?:может быть |была |было |может )?(?:доставлен|отправлен)|ошибка доставки"
    r"|配信(?:不能|でき|エラー)|送信できません|エラーメール|存在しません|届けられ|退信|无法(?:投递|送达|传递|送達)|未送达"
    r"|無法(?:傳遞|送達|投遞)|반송|전달되지|배달 실패",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"this is a warning message only|has not yet been delivered|delivery attempts will (?:continue|be made)"
    r"|will (?:keep trying|continue (?:to try|trying|to attempt|attempting))|still being retried"
    r"|delivery (?:is|has been|was) delayed|message (?:is )?(?:still )?(?:delayed|undelivered after)"
    r"|no action is required on your part"
    r"|noch nicht zugestellt|zustellung (?:ist|wurde) verzögert|wird weiterhin versucht|livraison (?:est )?retardée",
    re.IGNORECASE,
)
# Lines of the original's header; what they say is no reply.
_HEADER_LINE = re.compile(
    r"^[ \t]*+(?:to|cc|from|sender|reply-to|subject|sent|date|message-id|betreff|objet|asunto|oggetto)[ \t]*+:.*$",
    re.IGNORECASE | re.MULTILINE,
)
_OTHERS = re.compile(r"postmaster@|mail from", re.IGNORECASE)  # The administrator, and our own envelope sender.
_COMMAND = re.compile(r"mail from|rcpt to|after (?:end of )?data|recipient", re.IGNORECASE)


def is_marked(mail: Part, text: str) -> bool:
    """Whether a mail bears the mark of a mail system's own bounce.

    :param text: what the mail says itself.
    """
    has_opening = _OPENING.search(text[:_OPENING_CHARACTERS]) is not None
    if is_from_daemon(mail):
        is_ndr = any(name == "x-ms-exchange-message-is-ndr" for name, _ in mail.headers)
        return is_system(mail) and (has_opening or is_ndr or bool(mail.first("x-failed-recipients").strip()))
    return has_opening and has_null_sender(mail)


def is_bounce(mail: Part, text: str) -> bool:
    """Whether a mail is a bounce or a delay by its sender and its words."""
    if not is_system(mail):
        return False
    if is_marked(mail, text):
        return True
    is_daemon, is_null = is_from_daemon(mail), has_null_sender(mail)
    if (is_daemon or is_null) and _speaks_of_failure(mail.decoded("subject")):
        return True
    # Without its mark a daemon is believed only where the envelope says so: administrators write as postmaster.
    return is_null and (_is_status_report(mail) or (is_daemon and _speaks_of_failure(text[:_TEXT_CHARACTERS])))


def read_recipients(mail: Part, text: str) -> tuple[ReportedRecipient, ...]:
    """Return the recipients of a bounce or a delay; one without an address if it names none.

    Those of X-Failed-Recipients, else the addresses with a code, else the first addresses.
    """
    own = _HEADER_LINE.sub("", text[:_TEXT_CHARACTERS])
    named = addresses_in(mail.first("x-failed-recipients"), MOST_RECIPIENTS)
    entries = _entries(own, {address.lower() for name in ("to", "from") for address in addresses_in(mail.first(name))})
    addresses = [address for address in entries if address]
    if _DELAY.search(f"{mail.decoded('subject')}\n{own}"):
        return tuple(_delayed(address) for address in named or addresses[:_MOST_WITHOUT_CODE] or [""])
    with_code = {address: entry for address, entry in entries.items() if reply_in(entry)}
    named = named or list(filter(None, with_code)) or addresses[: 1 if with_code else _MOST_WITHOUT_CODE]
    replies = {address.lower(): entry for address, entry in with_code.items()}
    # A reply beside no address is everybody's. One beside another address is that recipient's own, unless the mail is
    # about one recipient only, whose mail was forwarded there.
    is_about_one = len(named) <= 1 and len(replies) == 1
    general = next(iter(replies.values())) if is_about_one else replies.get("", "")
    is_believed = _is_believed(mail, text, named)
    return tuple(_failed(address, replies.get(address.lower(), general), is_believed) for address in named or [""])


def _is_believed(mail: Part, text: str, named: list[str]) -> bool:
    """Whether a bounce may be more than soft: others have its words too, and some spam its sender."""
    if is_marked(mail, text):
        return True
    return bool(named) and is_from_daemon(mail) and (has_null_sender(mail) or not may_be_written_by_hand(mail))


def _speaks_of_failure(text: str) -> bool:
    return _FAILURE.search(text) is not None or _DELAY.search(text) is not None


def _is_status_report(mail: Part) -> bool:
    return mail.type == "multipart/report" and mail.parameter("report-type").lower() == "delivery-status"


def _entries(text: str, ours: set[str]) -> dict[str, str]:
    """Return the lines about each address: from the line that names it to the next address."""
    lines: dict[str, list[str]] = {"": []}
    current = ""
    for line in text.split("\n"):
        if "@" in line and not _OTHERS.search(line):
            others = (address for address in addresses_in(line, most=5) if address.lower() not in ours)
            current = next(others, current)
        if len(lines) > MOST_RECIPIENTS:
            break
        lines.setdefault(current, []).append(line)
    return {address: "\n".join(of_address) for address, of_address in lines.items()}


def _failed(address: str, entry: str, is_believed: bool) -> ReportedRecipient:
    said = _without_stray_bracket(reply_in(entry).split("\n\n", 1)[0])
    diagnostic = " ".join(said.split())[:DIAGNOSTIC_CHARACTERS]
    code, enhanced = codes_of(diagnostic)
    kind, verdict = judge(code, enhanced, diagnostic, address, _stage(entry, diagnostic))
    if not is_believed:
        kind = Kind.SOFT
    return ReportedRecipient(address, "", "failed", code, enhanced, diagnostic, kind, verdict)


def _without_stray_bracket(reply: str) -> str:
    """Take the end of a bracket out of a reply that was cut behind its beginning, as after qmail's "(#"."""
    before, end, after = reply.partition(")")
    return before + after if end and "(" not in before else reply


def _delayed(address: str) -> ReportedRecipient:
    return ReportedRecipient(address, "", "delayed", None, "", "", Kind.NOTE, None)


def _stage(entry: str, diagnostic: str) -> Stage:
    """Return ``MAIL`` if the last command before the reply, or the one it names, was about our sender."""
    before = entry[: len(entry) - len(reply_in(entry))]
    commands = [found[0].lower() for found in islice(_COMMAND.finditer(before), 1_000)]
    is_about_sender = bool(commands) and commands[-1] == "mail from"
    return Stage.MAIL if is_about_sender or "in reply to MAIL FROM" in diagnostic else Stage.DSN
