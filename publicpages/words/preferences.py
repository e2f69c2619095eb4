"""The texts of the preference page, in the product's eight languages.

No request or database is involved. The caller fills in ``{date}``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PreferenceWords:
    """The texts in one language."""

    title: str
    lists: str
    names: str
    save: str
    saved_title: str
    saved: str
    break_title: str
    break_text: str
    pause: str
    paused: str
    resume: str
    resumed: str
    all_off: str
    blocked: str
    not_confirmed: str  # After the name of a list with a pending double opt-in.


PREFERENCES: dict[str, PreferenceWords] = {
    "en": PreferenceWords(
        title="Your settings",
        lists="What would you like to get?",
        names="About you",
        save="Save",
        saved_title="Your settings are saved.",
        saved="What you chose holds from now on.",
        break_title="A break",
        break_text="For 30 days you get no newsletters, and keep your subscriptions.",
        pause="No newsletters for 30 days",
        paused="You get no newsletters until {date}.",
        resume="End the break",
        resumed="The break is over.",
        all_off="Unsubscribe from everything",
        blocked="Mail to this address came back, was reported as unwanted, or was stopped by us. It is not sent to,"
        " whatever you choose here; please write to us to change that.",
        not_confirmed="not confirmed yet",
    ),
    "de": PreferenceWords(
        title="Ihre Einstellungen",
        lists="Was möchten Sie bekommen?",
        names="Über Sie",
        save="Speichern",
        saved_title="Ihre Einstellungen sind gespeichert.",
        saved="Was Sie gewählt haben, gilt ab jetzt.",
        break_title="Eine Pause",
        break_text="30 Tage lang bekommen Sie keine Newsletter und bleiben angemeldet.",
        pause="30 Tage keine Newsletter",
        paused="Bis zum {date} bekommen Sie keine Newsletter.",
        resume="Pause beenden",
        resumed="Die Pause ist beendet.",
        all_off="Von allem abmelden",
        blocked="Nachrichten an diese Adresse kamen zurück, wurden als unerwünscht gemeldet oder von uns angehalten."
        " An sie wird nichts gesendet, was Sie hier auch wählen; bitte schreiben Sie uns, um das zu ändern.",
        not_confirmed="noch nicht bestätigt",
    ),
    "fr": PreferenceWords(
        title="Vos réglages",
        lists="Que souhaitez-vous recevoir ?",
        names="À propos de vous",
        save="Enregistrer",
        saved_title="Vos réglages sont enregistrés.",
        saved="Vos choix sont valables dès maintenant.",
        break_title="Une pause",
        break_text="Pendant 30 jours, vous ne recevez pas de lettres d’information et restez abonné(e).",
        pause="Pas de lettres d’information pendant 30 jours",
        paused="Vous ne recevrez pas de lettres d’information jusqu’au {date}.",
        resume="Terminer la pause",
        resumed="La pause est terminée.",
        all_off="Tout désabonner",
        blocked="Des messages à cette adresse sont revenus, ont été signalés comme indésirables ou ont été arrêtés"
        " par nous. Rien n’y est envoyé, quels que soient vos choix ici ; écrivez-nous pour changer cela.",
        not_confirmed="pas encore confirmé",
    ),
    "es": PreferenceWords(
        title="Sus ajustes",
        lists="¿Qué desea recibir?",
        names="Sobre usted",
        save="Guardar",
        saved_title="Sus ajustes se han guardado.",
        saved="Lo que ha elegido vale desde ahora.",
        break_title="Una pausa",
        break_text="Durante 30 días no recibirá boletines y seguirá suscrito.",
        pause="Sin boletines durante 30 días",
        paused="No recibirá boletines hasta el {date}.",
        resume="Terminar la pausa",
        resumed="La pausa ha terminado.",
        all_off="Darse de baja de todo",
        blocked="Los mensajes a esta dirección fueron devueltos, denunciados como no deseados o detenidos por"
        " nosotros. No se le envía nada, elija lo que elija aquí; escríbanos para cambiarlo.",
        not_confirmed="sin confirmar todavía",
    ),
    "pt": PreferenceWords(
        title="As suas definições",
        lists="O que deseja receber?",
        names="Sobre si",
        save="Guardar",
        saved_title="As suas definições foram guardadas.",
        saved="O que escolheu vale a partir de agora.",
        break_title="Uma pausa",
        break_text="Durante 30 dias não recebe boletins e mantém as subscrições.",
        pause="Sem boletins durante 30 dias",
        paused="Não recebe boletins até {date}.",
        resume="Terminar a pausa",
        resumed="A pausa terminou.",
        all_off="Cancelar tudo",
        blocked="As mensagens para este endereço foram devolvidas, denunciadas como indesejadas ou paradas por nós."
        " Nada lhe é enviado, seja o que for que escolha aqui; escreva-nos para mudar isso.",
        not_confirmed="ainda não confirmado",
    ),
    "nl": PreferenceWords(
        title="Uw instellingen",
        lists="Wat wilt u ontvangen?",
        names="Over u",
        save="Opslaan",
        saved_title="Uw instellingen zijn opgeslagen.",
        saved="Wat u hebt gekozen, geldt vanaf nu.",
        break_title="Een pauze",
        break_text="30 dagen lang ontvangt u geen nieuwsbrieven en blijft u aangemeld.",
        pause="30 dagen geen nieuwsbrieven",
        paused="Tot {date} ontvangt u geen nieuwsbrieven.",
        resume="Pauze beëindigen",
        resumed="De pauze is voorbij.",
        all_off="Voor alles afmelden",
        blocked="Berichten naar dit adres kwamen terug, zijn als ongewenst gemeld of zijn door ons gestopt. Er wordt"
        " niets naartoe gestuurd, wat u hier ook kiest; schrijf ons om dat te wijzigen.",
        not_confirmed="nog niet bevestigd",
    ),
    "it": PreferenceWords(
        title="Le Sue impostazioni",
        lists="Che cosa desidera ricevere?",
        names="Su di Lei",
        save="Salvare",
        saved_title="Le Sue impostazioni sono salvate.",
        saved="Le Sue scelte valgono da subito.",
        break_title="Una pausa",
        break_text="Per 30 giorni non riceve newsletter e resta iscritto.",
        pause="Nessuna newsletter per 30 giorni",
        paused="Non riceve newsletter fino al {date}.",
        resume="Terminare la pausa",
        resumed="La pausa è terminata.",
        all_off="Annullare tutte le iscrizioni",
        blocked="I messaggi a questo indirizzo sono tornati indietro, sono stati segnalati come indesiderati o"
        " fermati da noi. Non vi si invia nulla, qualunque cosa scelga qui; ci scriva per cambiarlo.",
        not_confirmed="non ancora confermata",
    ),
    "ja": PreferenceWords(
        title="設定",
        lists="受け取りたいメールをお選びください。",
        names="お客様について",
        save="保存する",
        saved_title="設定を保存しました。",
        saved="選択内容は今から有効です。",
        break_title="お休み",
        break_text="登録を残したまま、30 日間ニュースレターを停止します。",
        pause="30 日間ニュースレターを止める",
        paused="{date} までニュースレターは届きません。",
        resume="お休みを終える",
        resumed="お休みを終えました。",
        all_off="すべての配信を停止する",
        blocked="このアドレス宛てのメールは返送されたか、迷惑メールとして報告されたか、当方で停止されています。ここでの選択にかかわらず送信されません。変更をご希望の場合はご連絡ください。",
        not_confirmed="未確認",
    ),
}
