"""The footer of campaign messages: reason, unsubscribe link and sender's address, in eight languages.

Texts and their placement only; another module decides whether a message needs them.
"""

import functools
import html as html_entities
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FooterWords:
    """The texts that we add to a message, in one language."""

    reason: str
    unsubscribe: str
    intended: str  # Before the original recipient of a redirected message.
    tested: str  # Replaces the reason in a server test.


WORDS = {
    "en": FooterWords(
        "You receive this email because you are on our mailing list.",
        "Unsubscribe",
        "Intended recipient",
        "You receive this email because somebody tests a mail server with it; the link does nothing.",
    ),
    "de": FooterWords(
        "Sie erhalten diese E-Mail, weil Sie auf unserer Empfängerliste stehen.",
        "Abmelden",
        "Vorgesehener Empfänger",
        "Sie erhalten diese E-Mail, weil damit ein Mailserver getestet wird; der Link bewirkt nichts.",
    ),
    "fr": FooterWords(
        "Vous recevez cet e-mail parce que vous figurez sur notre liste de diffusion.",
        "Se désabonner",
        "Destinataire prévu",
        "Vous recevez cet e-mail parce qu'il sert à tester un serveur de messagerie ; le lien est sans effet.",
    ),
    "es": FooterWords(
        "Recibe este correo porque está en nuestra lista de envío.",
        "Darse de baja",
        "Destinatario previsto",
        "Recibe este correo porque con él se prueba un servidor de correo; el enlace no tiene efecto.",
    ),
    "pt": FooterWords(
        "Recebe este e-mail porque consta da nossa lista de envio.",
        "Cancelar a subscrição",
        "Destinatário previsto",
        "Recebe este e-mail porque serve para testar um servidor de correio; a ligação não tem efeito.",
    ),
    "it": FooterWords(
        "Riceve questa e-mail perché è iscritto alla nostra lista di invio.",
        "Annulla l'iscrizione",
        "Destinatario previsto",
        "Riceve questa e-mail perché serve a provare un server di posta; il link non ha effetto.",
    ),
    "nl": FooterWords(
        "U ontvangt deze e-mail omdat u op onze verzendlijst staat.",
        "Afmelden",
        "Bedoelde ontvanger",
        "U ontvangt deze e-mail omdat er een mailserver mee wordt getest; de link doet niets.",
    ),
    "ja": FooterWords(
        "このメールは、配信リストに登録されている方にお送りしています。",
        "配信停止",
        "本来の宛先",
        "このメールは、メールサーバーのテストとしてお送りしています。リンクは機能しません。",
    ),
}


# In the page around an HTML fragment. Server and recipient decide its language.
UNDETERMINED = 'lang="und" dir="auto"'


def in_language(html: str, language: str) -> str:
    """Return a page with its language set, if the page leaves it open; all our languages run left to right."""
    return html.replace(UNDETERMINED, f'lang="{known_language(language)}" dir="ltr"', 1)


@functools.lru_cache(maxsize=1024)
def known_language(*wishes: str) -> str:
    """Return the first of ``wishes`` that has texts, by its primary subtag ("de-AT" gives "de"); otherwise English."""
    mains = (re.split("[-_]", wish.lower())[0] for wish in wishes)
    return next((main for main in mains if main in WORDS), "en")


def words_for(language: str) -> FooterWords:
    """Return the texts for a BCP 47 language, or the English ones."""
    return WORDS[known_language(language)]


def html_footer(words: FooterWords | None, address_lines: list[str], language: str = "en") -> str:
    """Return the footer as HTML; without ``words`` it has no unsubscribe link.

    :param language: the language of the texts, named in the markup since the content may use another.
    """
    lines = [html_entities.escape(line) for line in address_lines]
    if words is not None:
        link = (
            f'<a href="{{{{ unsubscribe_url }}}}" style="color:#555555;text-decoration:underline">'
            f"{html_entities.escape(words.unsubscribe)}</a>"
        )
        lines[:0] = [f"{html_entities.escape(words.reason)} {link}"]
    spoken = f'lang="{language}" dir="ltr" ' if words is not None else ""
    return (
        f'\n<div {spoken}style="margin:24px auto 0;padding:16px;max-width:600px;border-top:1px solid #dddddd;'
        'font:13px/1.5 Arial,Helvetica,sans-serif;color:#555555;text-align:center">\n'
        + "<br>\n".join(lines)
        + "\n</div>\n"
    )


def text_footer(words: FooterWords | None, address_lines: list[str]) -> str:
    """Return the footer for the text part; without ``words`` it has no unsubscribe link."""
    lines = list(address_lines)
    if words is not None:
        lines[:0] = [words.reason, f"{words.unsubscribe}: {{{{ unsubscribe_url }}}}", *([""] if lines else [])]
    return "\n\n" + "\n".join(lines)


def before_body_end(html: str, addition: str) -> str:
    """Return ``html`` with ``addition`` at its visible end."""
    return _insert(html, addition, "</body", "</html")


def after_body_start(html: str, addition: str) -> str:
    """Return ``html`` with ``addition`` at its visible start."""
    match = re.search(r"<body\b[^<>]*>", html, re.IGNORECASE)
    position = match.end() if match else 0
    return html[:position] + addition + html[position:]


def _insert(html: str, addition: str, *endings: str) -> str:
    lowered = html.lower() if len(html.lower()) == len(html) else html  # A few letters become longer in lower case.
    for ending in endings:
        position = lowered.rfind(ending)
        if position >= 0:
            return html[:position] + addition + html[position:]
    return html + addition
