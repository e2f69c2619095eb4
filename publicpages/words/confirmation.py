"""The texts of the confirmation mail, in the product's eight languages.

Double brackets are merge fields.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfirmationWords:
    """The texts in one language."""

    subject: str
    heading: str
    body: str
    button: str
    hint: str
    ignore: str
    # For a person who gets the mail already, and confirms nothing but what is counted.
    subject_counting: str
    ignore_counting: str


CONFIRMATION: dict[str, ConfirmationWords] = {
    "en": ConfirmationWords(
        subject="Please confirm your subscription",
        heading="Please confirm",
        body="Somebody, probably you, entered this address to get mail from {{ organisation }}:",
        button="Yes, I want this mail",
        hint="Please open this link within {{ days }} days, and press the button there:",
        ignore="Was it not you? Then do nothing: nothing else will be sent to you.",
        subject_counting="Please confirm your choice",
        ignore_counting="Was it not you? Then do nothing: nothing changes.",
    ),
    "de": ConfirmationWords(
        subject="Bitte bestätigen Sie Ihre Anmeldung",
        heading="Bitte bestätigen Sie",
        body="Jemand, vermutlich Sie, hat diese Adresse eingetragen, um Nachrichten von {{ organisation }} zu"
        " bekommen:",
        button="Ja, das möchte ich",
        hint="Bitte öffnen Sie innerhalb von {{ days }} Tagen diesen Link und drücken Sie dort auf den Knopf:",
        ignore="Das waren nicht Sie? Dann tun Sie nichts: Sie bekommen keine weitere Nachricht.",
        subject_counting="Bitte bestätigen Sie Ihre Auswahl",
        ignore_counting="Das waren nicht Sie? Dann tun Sie nichts: Es ändert sich nichts.",
    ),
    "fr": ConfirmationWords(
        subject="Veuillez confirmer votre abonnement",
        heading="Veuillez confirmer",
        body="Quelqu’un, sans doute vous, a saisi cette adresse pour recevoir des messages de {{ organisation }} :",
        button="Oui, je le souhaite",
        hint="Veuillez ouvrir ce lien dans les {{ days }} jours et y appuyer sur le bouton :",
        ignore="Ce n’était pas vous ? Alors ne faites rien : rien d’autre ne vous sera envoyé.",
        subject_counting="Veuillez confirmer votre choix",
        ignore_counting="Ce n’était pas vous ? Alors ne faites rien : rien ne change.",
    ),
    "es": ConfirmationWords(
        subject="Confirme su suscripción",
        heading="Confirme, por favor",
        body="Alguien, probablemente usted, introdujo esta dirección para recibir mensajes de {{ organisation }}:",
        button="Sí, deseo recibirlos",
        hint="Abra este enlace en un plazo de {{ days }} días y pulse allí el botón:",
        ignore="¿No fue usted? Entonces no haga nada: no se le enviará nada más.",
        subject_counting="Confirme su elección",
        ignore_counting="¿No fue usted? Entonces no haga nada: nada cambia.",
    ),
    "pt": ConfirmationWords(
        subject="Confirme a sua subscrição",
        heading="Confirme, por favor",
        body="Alguém, provavelmente você, introduziu este endereço para receber mensagens de {{ organisation }}:",
        button="Sim, desejo recebê-las",
        hint="Abra esta ligação no prazo de {{ days }} dias e prima aí o botão:",
        ignore="Não foi você? Então não faça nada: nada mais lhe será enviado.",
        subject_counting="Confirme a sua escolha",
        ignore_counting="Não foi você? Então não faça nada: nada muda.",
    ),
    "nl": ConfirmationWords(
        subject="Bevestig uw aanmelding",
        heading="Bevestig alstublieft",
        body="Iemand, waarschijnlijk u, heeft dit adres ingevuld om berichten te ontvangen van {{ organisation }}:",
        button="Ja, dat wil ik",
        hint="Open binnen {{ days }} dagen deze link en druk daar op de knop:",
        ignore="Was u dit niet? Doe dan niets: u ontvangt verder niets.",
        subject_counting="Bevestig uw keuze",
        ignore_counting="Was u dit niet? Doe dan niets: er verandert niets.",
    ),
    "it": ConfirmationWords(
        subject="Confermi la Sua iscrizione",
        heading="Confermi, per favore",
        body="Qualcuno, probabilmente Lei, ha inserito questo indirizzo per ricevere messaggi da {{ organisation }}:",
        button="Sì, lo desidero",
        hint="Apra questo link entro {{ days }} giorni e prema il pulsante che vi trova:",
        ignore="Non è stato Lei? Allora non faccia nulla: non Le sarà inviato altro.",
        subject_counting="Confermi la Sua scelta",
        ignore_counting="Non è stato Lei? Allora non faccia nulla: non cambia nulla.",
    ),
    "ja": ConfirmationWords(
        subject="登録の確認のお願い",
        heading="確認のお願い",
        body="{{ organisation }} からのメールを受け取るために、このアドレスが入力されました:",
        button="はい、受け取ります",
        hint="{{ days }} 日以内に次のリンクを開き、ボタンを押してください:",
        ignore="お心当たりがない場合は、何もしないでください。ほかのメールは届きません。",
        subject_counting="選択内容の確認のお願い",
        ignore_counting="お心当たりがない場合は、何もしないでください。何も変わりません。",
    ),
}
