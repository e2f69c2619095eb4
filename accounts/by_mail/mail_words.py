"""The words of mails with a link, in the languages that a site may have.

Each line is filled with ``str.format``: ``site``, ``username``, ``inviter``, ``address``, ``days``, ``link``.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MailWords:
    reset_subject: str
    reset: str
    reset_link: str
    reset_ignored: str
    invitation_subject: str
    invitation: str
    invitation_link: str
    invitation_ignored: str


WORDS = {
    "en": MailWords(
        "Reset your password",
        "Someone asked to reset the password of {username} at {address} ({site}).",
        "To choose a new password, open this link. It works once, within one hour:\n{link}",
        "Wasn't it you? Ignore this message. Your password stays as it is.",
        "You're invited to {site}",
        "{inviter} invited you to send email with {site} at {address}.",
        "To create your account, open this link. It works once, within {days} days:\n{link}",
        "Don't know what this is about? Ignore this message.",
    ),
    "de": MailWords(
        "Passwort zurücksetzen",
        "Jemand möchte das Passwort von {username} auf {address} ({site}) zurücksetzen.",
        "Mit diesem Link wählen Sie ein neues Passwort. Er gilt einmal, eine Stunde lang:\n{link}",
        "Das waren nicht Sie? Dann ignorieren Sie diese Nachricht. Ihr Passwort bleibt, wie es ist.",
        "Einladung zu {site}",
        "{inviter} lädt Sie ein, mit {site} auf {address} E-Mails zu versenden.",
        "Mit diesem Link legen Sie Ihr Konto an. Er gilt einmal, {days} Tage lang:\n{link}",
        "Sie wissen nicht, worum es geht? Dann ignorieren Sie diese Nachricht.",
    ),
    "fr": MailWords(
        "Réinitialiser votre mot de passe",
        "Quelqu’un a demandé à réinitialiser le mot de passe de {username} sur {address} ({site}).",
        "Pour choisir un nouveau mot de passe, ouvrez ce lien. Il fonctionne une fois, pendant une heure :\n{link}",
        "Ce n’était pas vous ? Ignorez ce message. Votre mot de passe reste inchangé.",
        "Invitation à {site}",
        "{inviter} vous invite à envoyer des e-mails avec {site} sur {address}.",
        "Pour créer votre compte, ouvrez ce lien. Il fonctionne une fois, pendant {days} jours :\n{link}",
        "Vous ne savez pas de quoi il s’agit ? Ignorez ce message.",
    ),
    "es": MailWords(
        "Restablecer tu contraseña",
        "Alguien ha pedido restablecer la contraseña de {username} en {address} ({site}).",
        "Para elegir una contraseña nueva, abre este enlace. Funciona una vez, durante una hora:\n{link}",
        "¿No has sido tú? Ignora este mensaje. Tu contraseña no cambia.",
        "Invitación a {site}",
        "{inviter} te invita a enviar correo con {site} en {address}.",
        "Para crear tu cuenta, abre este enlace. Funciona una vez, durante {days} días:\n{link}",
        "¿No sabes de qué se trata? Ignora este mensaje.",
    ),
    "pt": MailWords(
        "Redefinir a sua palavra-passe",
        "Alguém pediu para redefinir a palavra-passe de {username} em {address} ({site}).",
        "Para escolher uma nova palavra-passe, abra esta ligação. Funciona uma vez, durante uma hora:\n{link}",
        "Não foi você? Ignore esta mensagem. A sua palavra-passe não muda.",
        "Convite para {site}",
        "{inviter} convidou-o a enviar e-mails com {site} em {address}.",
        "Para criar a sua conta, abra esta ligação. Funciona uma vez, durante {days} dias:\n{link}",
        "Não sabe do que se trata? Ignore esta mensagem.",
    ),
    "nl": MailWords(
        "Je wachtwoord opnieuw instellen",
        "Iemand heeft gevraagd het wachtwoord van {username} op {address} ({site}) opnieuw in te stellen.",
        "Open deze link om een nieuw wachtwoord te kiezen. Hij werkt één keer, een uur lang:\n{link}",
        "Was jij dit niet? Negeer dit bericht. Je wachtwoord blijft zoals het is.",
        "Uitnodiging voor {site}",
        "{inviter} nodigt je uit om e-mail te versturen met {site} op {address}.",
        "Open deze link om je account aan te maken. Hij werkt één keer, {days} dagen lang:\n{link}",
        "Weet je niet waar dit over gaat? Negeer dit bericht.",
    ),
    "it": MailWords(
        "Reimposta la tua password",
        "Qualcuno ha chiesto di reimpostare la password di {username} su {address} ({site}).",
        "Per scegliere una nuova password, apri questo link. Funziona una volta, per un’ora:\n{link}",
        "Non sei stato tu? Ignora questo messaggio. La tua password resta com’è.",
        "Invito a {site}",
        "{inviter} ti invita a inviare e-mail con {site} su {address}.",
        "Per creare il tuo account, apri questo link. Funziona una volta, per {days} giorni:\n{link}",
        "Non sai di cosa si tratta? Ignora questo messaggio.",
    ),
    "ja": MailWords(
        "パスワードの再設定",
        "{address}（{site}）の {username} のパスワード再設定が申請されました。",
        "新しいパスワードを設定するには、次のリンクを開いてください。1時間以内に1回だけ使えます。\n{link}",
        "お心当たりがない場合は、このメールを無視してください。パスワードは変わりません。",
        "{site} への招待",
        "{inviter} さんから、{address} の {site} でメールを送信するよう招待されました。",
        "アカウントを作成するには、次のリンクを開いてください。{days}日以内に1回だけ使えます。\n{link}",
        "お心当たりがない場合は、このメールを無視してください。",
    ),
}


def words_for(language: str) -> MailWords:
    """Return the words of a BCP 47 language, or English words for an unknown language."""
    return WORDS.get(re.split("[-_]", language.lower())[0], WORDS["en"])
