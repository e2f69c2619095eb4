"""Automatic replies and challenges: programs that answer mail in place of a person (RFC 3834)."""

import re

from mail.incoming.mime import Part
from mail.incoming.senders import has_null_sender, is_from_daemon

_NEGATIVE = ("", "no", "false", "0")
_MARKS = (
    "x-autoreply",
    "x-autorespond",
    "x-autoresponder",
    "x-auto-reply",
    "x-autoreply-from",
    "x-mail-autoreply",
    "x-vacation",
    "x-fc-machinegenerated",
    "x-ms-exchange-inbox-rules-loop",
)
_PRECEDENCE = ("auto_reply", "auto-reply", "autoreply")
_MAILER = re.compile(r"vacation|auto-?respond", re.IGNORECASE)
_TEXT_CHARACTERS = 1_000
_BEFORE = r"\s*(?:(?:re|aw|sv|vs|antw|rif|odp|tr|fw|fwd)\s*:\s*|\[[^\[\]]{1,40}\]\s*){0,5}"
# The words that mail programs put before the subject in each language.
_SUBJECT = re.compile(
    _BEFORE
    + r"[\[(]?(?:"
    + r"auto(?:matic|mated|matische)?[ -]?(?:re(?:ply|sponse)|generated reply|antwort)\b|autoreply|auto-?response"
    r"|out[ -]of[ -](?:the )?office\b|ooo\b ?:|away from (?:my|the) (?:mail|office|desk)|vacation (?:reply|message)"
    r"|(?:i am|i'm|currently) (?:on|out on) (?:vacation|holiday|leave)\b"
    r"|automatische (?:antwort|beantwoording|reactie)|abwesenheit(?:s\w*)?\b|(?:bin )?(?:nicht im büro|außer haus)\b"
    r"|réponse automatique|absen(?:ce|t) du bureau|message d.absence"
    r"|respuesta automática|fuera de la oficina|ausente de la oficina|contestación automática"
    r"|risposta automatica|fuori (?:sede|ufficio)|assente:"
    r"|resposta automática|fora do escritório|ausência temporária"
    r"|automatisch antwoord|afwezig(?:heidsbericht)?\b|niet aanwezig"
    r"|autosvar|automatiskt svar|automatisk svar|frånvar|fraværsmelding|fravær\b|automatisk besvarelse"
    r"|automaattinen (?:vastaus|poissaoloviesti)|poissa"
    r"|automatyczna odpowiedź|odpowiedź automatyczna|nieobecno"
    r"|automatická odpov[eě][dď]|automatikus válasz|házon kívül|răspuns automat|automatski odgovor|samodejni odgovor"
    r"|automaatvastus|automātiskā atbilde|automatinis atsakymas"
    r"|otomatik (?:yanıt|cevap)|ofis dışında|αυτόματη απάντηση|απουσ"
    r"|автоматический ответ|автоответ|автоматична відповідь|автоматичен отговор|аўтаматычны адказ"
    r"|自動応答|自動返信|不在|自动(?:回复|答复)|自動(?:回覆|回復)|休假|자동 ?(?:회신|응답)|부재중"
    r"|رد تلقائي|מענה אוטומטי|תשובה אוטומטית|ตอบกลับอัตโนมัติ|trả lời tự động|balasan otomatis|स्वचालित उत्तर"
    r")",
    re.IGNORECASE,
)
# Of a person with a null sender, as some programs answer.
_ABSENCE = re.compile(
    r"\b(?:out of (?:the )?office|on (?:vacation|holidays?|annual leave|(?:maternity|parental|sick) leave)|away until"
    r"|im urlaub|nicht im büro|bin (?:ich )?(?:bis|vom|ab|derzeit|zurzeit)|außer haus|abwesend|en vacances"
    r"|absente? (?:du|jusqu)"
    r"|de vacaciones|fuera de la oficina|in ferie|sono assente|de férias|ausente|op vakantie|met vakantie|afwezig"
    r"|på semester|på ferie|lomalla|na urlopie|poza biurem|na dovolené|szabadságon|в отпуске|у відпустці)\b"
    r"|休假|出差|不在|휴가",
    re.IGNORECASE,
)
_CHALLENGE_SENDER = re.compile(
    r"@(?:[a-z0-9-]+\.)*(?:boxbe|spamarrest|mailblocks|bluebottle|uol-antispam|choicemail)\.[a-z]", re.IGNORECASE
)
_CHALLENGE_SUBJECT = re.compile(
    r"\((?:verification|action required|spamblocker|sender verification)\)|\[choicemail|spam arrest|boxbe"
    r"|(?:requires|needs) (?:sender )?(?:verification|confirmation)\b"
    r"|please (?:confirm|verify) your (?:message|e-?mail)\b"
    r"|confirm that you are (?:human|a person)|sender (?:address )?verification",
    re.IGNORECASE,
)
_CHALLENGE_WORDS = re.compile(
    r"spamarrest\.com|boxbe\.com|choicemail|mailblocks|spam ?blocker|guest list|approved (?:senders?|beforehand)|tmda"
    r"|complete the verification|identify yourself|allow(?:ed)? (?:list|incoming messages only)"
    r"|verify that you|captcha",
    re.IGNORECASE,
)
_CHALLENGE_MARKS = ("x-boxbe-id", "x-spamarrest", "x-spamarrest-info", "x-tmda-fingerprint", "x-ask-auth")


def is_auto_reply(mail: Part, text: str) -> bool:
    """Whether a program answered: by a mark in the header, or by the words of mail programs.

    :param text: what the mail says itself.
    """
    submitted = re.match(r"\s*([A-Za-z-]*)", mail.first("auto-submitted"))
    if submitted and submitted[1].lower() not in _NEGATIVE:
        return True
    if any(value.strip().lower() not in _NEGATIVE for name in _MARKS for value in mail.all(name)):
        return True
    if mail.first("precedence").strip().lower() in _PRECEDENCE or _MAILER.search(mail.first("x-mailer")):
        return True
    subject = mail.decoded("subject")
    if _SUBJECT.match(subject) and not mail.first("list-id"):
        return True
    is_of_person = has_null_sender(mail) and not is_from_daemon(mail)
    return is_of_person and _ABSENCE.search(f"{subject}\n{text[:_TEXT_CHARACTERS]}") is not None


def is_challenge(mail: Part, text: str) -> bool:
    """Whether a filter asks the sender to prove that they are a person.

    :param text: what the mail says itself.
    """
    if any(mail.first(name) for name in _CHALLENGE_MARKS):
        return True
    senders = " ".join(mail.first(name)[:500] for name in ("from", "reply-to", "sender"))
    if _CHALLENGE_SENDER.search(senders) or "choicemail" in mail.first("x-mailer").lower():
        return True
    return _CHALLENGE_SUBJECT.search(mail.decoded("subject")) is not None and _CHALLENGE_WORDS.search(text) is not None
