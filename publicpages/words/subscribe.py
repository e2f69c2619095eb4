"""The texts of the subscribe and confirm pages, in the product's eight languages.

No request or database is involved. The caller fills in ``{organisation}``, ``{list}``, ``{lists}``, ``{address}`` and
``{days}``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SignUpWords:
    """The texts in one language."""

    title: str
    choose: str
    none: str
    email: str
    first_name: str
    last_name: str
    language: str
    optional: str
    agreement: str  # The consent text for lists without one of their own.
    privacy: str
    imprint: str
    button: str
    trap: str  # Only bots see it.
    email_missing: str
    email_invalid: str
    no_list: str
    too_long: str
    again: str  # Filled in too fast, or open for too long.
    too_many: str
    closed_title: str
    closed: str
    thanks_title: str
    thanks_double: str  # The same for every address: it does not reveal whom we know.
    thanks_single: str
    confirm_title: str
    confirm_intro: str
    confirm_button: str
    confirmed_title: str
    confirmed: str
    used: str  # For a used confirmation link.
    expired_title: str
    expired: str
    to_form: str


SIGN_UP: dict[str, SignUpWords] = {
    "en": SignUpWords(
        title="Subscribe",
        choose="What would you like to get?",
        none="There is no list to choose from at present.",
        email="Email address",
        first_name="First name",
        last_name="Last name",
        language="Language",
        optional="(optional)",
        agreement="I would like to receive “{list}” by email. I can unsubscribe at any time.",
        privacy="Privacy policy",
        imprint="Imprint",
        button="Subscribe",
        trap="Please leave this field empty",
        email_missing="Please enter your email address.",
        email_invalid="This is no email address that we can write to. Please check it.",
        no_list="Please choose at least one list.",
        too_long="This is too long. Please shorten it.",
        again="Please look at your entries once more, and press the button again.",
        too_many="Too many requests came from your network. Please try again later.",
        closed_title="This form is closed.",
        closed="Nobody can subscribe to this list here at present.",
        thanks_title="Thank you.",
        thanks_double="Please look into your mailbox: if your consent has to be confirmed, a message with a link is"
        " on its way. Nothing is sent to you before you follow it.",
        thanks_single="Your entries have been taken. If your consent has to be confirmed, a message with a link is"
        " on its way.",
        confirm_title="Please confirm",
        confirm_intro="{address} is to get mail from {organisation}:",
        confirm_button="Yes, I want this mail",
        confirmed_title="Your subscription is confirmed.",
        confirmed="You get mail for: {lists}.",
        used="This link was used already. There is nothing left to do.",
        expired_title="This link has expired.",
        expired="It was valid for {days} days, or what it led to is gone. Please subscribe again.",
        to_form="To the form",
    ),
    "de": SignUpWords(
        title="Anmelden",
        choose="Was möchten Sie bekommen?",
        none="Zurzeit steht keine Liste zur Auswahl.",
        email="E-Mail-Adresse",
        first_name="Vorname",
        last_name="Nachname",
        language="Sprache",
        optional="(freiwillig)",
        agreement="Ich möchte „{list}“ per E-Mail bekommen. Ich kann mich jederzeit abmelden.",
        privacy="Datenschutz",
        imprint="Impressum",
        button="Anmelden",
        trap="Bitte lassen Sie dieses Feld leer",
        email_missing="Bitte geben Sie Ihre E-Mail-Adresse ein.",
        email_invalid="An diese E-Mail-Adresse können wir nicht schreiben. Bitte prüfen Sie sie.",
        no_list="Bitte wählen Sie mindestens eine Liste.",
        too_long="Das ist zu lang. Bitte kürzen Sie es.",
        again="Bitte sehen Sie Ihre Angaben noch einmal an und drücken Sie dann erneut auf den Knopf.",
        too_many="Aus Ihrem Netz kamen zu viele Anfragen. Bitte versuchen Sie es später noch einmal.",
        closed_title="Dieses Formular ist geschlossen.",
        closed="Für diese Liste kann man sich hier zurzeit nicht anmelden.",
        thanks_title="Vielen Dank.",
        thanks_double="Bitte sehen Sie in Ihr Postfach: Falls Ihre Einwilligung bestätigt werden muss, ist eine"
        " Nachricht mit einem Link unterwegs. Vorher bekommen Sie nichts.",
        thanks_single="Ihre Angaben sind angekommen. Falls Ihre Einwilligung bestätigt werden muss, ist eine"
        " Nachricht mit einem Link unterwegs.",
        confirm_title="Bitte bestätigen Sie",
        confirm_intro="{address} soll Nachrichten von {organisation} bekommen:",
        confirm_button="Ja, das möchte ich",
        confirmed_title="Ihre Anmeldung ist bestätigt.",
        confirmed="Sie bekommen Nachrichten für: {lists}.",
        used="Dieser Link wurde schon benutzt. Es ist nichts mehr zu tun.",
        expired_title="Dieser Link ist abgelaufen.",
        expired="Er war {days} Tage gültig, oder das Ziel gibt es nicht mehr. Bitte melden Sie sich noch einmal an.",
        to_form="Zum Formular",
    ),
    "fr": SignUpWords(
        title="S’abonner",
        choose="Que souhaitez-vous recevoir ?",
        none="Aucune liste n’est proposée pour le moment.",
        email="Adresse e-mail",
        first_name="Prénom",
        last_name="Nom",
        language="Langue",
        optional="(facultatif)",
        agreement="Je souhaite recevoir « {list} » par e-mail. Je peux me désabonner à tout moment.",
        privacy="Confidentialité",
        imprint="Mentions légales",
        button="S’abonner",
        trap="Veuillez laisser ce champ vide",
        email_missing="Veuillez saisir votre adresse e-mail.",
        email_invalid="Nous ne pouvons pas écrire à cette adresse e-mail. Veuillez la vérifier.",
        no_list="Veuillez choisir au moins une liste.",
        too_long="C’est trop long. Veuillez raccourcir.",
        again="Veuillez relire vos indications, puis appuyer de nouveau sur le bouton.",
        too_many="Trop de demandes sont venues de votre réseau. Veuillez réessayer plus tard.",
        closed_title="Ce formulaire est fermé.",
        closed="Il n’est pas possible de s’abonner ici à cette liste pour le moment.",
        thanks_title="Merci.",
        thanks_double="Veuillez consulter votre messagerie : si votre accord doit être confirmé, un message avec un"
        " lien est en route. Rien ne vous sera envoyé avant.",
        thanks_single="Vos indications ont été enregistrées. Si votre accord doit être confirmé, un message avec un"
        " lien est en route.",
        confirm_title="Veuillez confirmer",
        confirm_intro="{address} recevra des messages de {organisation} :",
        confirm_button="Oui, je le souhaite",
        confirmed_title="Votre abonnement est confirmé.",
        confirmed="Vous recevrez les messages de : {lists}.",
        used="Ce lien a déjà été utilisé. Il n’y a plus rien à faire.",
        expired_title="Ce lien a expiré.",
        expired="Il était valable {days} jours, ou sa destination n’existe plus. Veuillez vous abonner de nouveau.",
        to_form="Vers le formulaire",
    ),
    "es": SignUpWords(
        title="Suscribirse",
        choose="¿Qué desea recibir?",
        none="Por ahora no hay ninguna lista para elegir.",
        email="Dirección de correo electrónico",
        first_name="Nombre",
        last_name="Apellidos",
        language="Idioma",
        optional="(opcional)",
        agreement="Deseo recibir «{list}» por correo electrónico. Puedo darme de baja en cualquier momento.",
        privacy="Privacidad",
        imprint="Aviso legal",
        button="Suscribirse",
        trap="Deje este campo vacío",
        email_missing="Escriba su dirección de correo.",
        email_invalid="No podemos escribir a esta dirección de correo. Compruébela.",
        no_list="Elija al menos una lista.",
        too_long="Es demasiado largo. Acórtelo.",
        again="Revise sus datos una vez más y vuelva a pulsar el botón.",
        too_many="Han llegado demasiadas solicitudes desde su red. Inténtelo más tarde.",
        closed_title="Este formulario está cerrado.",
        closed="Por ahora no es posible suscribirse aquí a esta lista.",
        thanks_title="Gracias.",
        thanks_double="Mire en su buzón: si hace falta confirmar su consentimiento, hay un mensaje con un enlace en"
        " camino. Antes no se le enviará nada.",
        thanks_single="Hemos recibido sus datos. Si hace falta confirmar su consentimiento, hay un mensaje con un"
        " enlace en camino.",
        confirm_title="Confirme, por favor",
        confirm_intro="{address} va a recibir mensajes de {organisation}:",
        confirm_button="Sí, deseo recibirlos",
        confirmed_title="Su suscripción está confirmada.",
        confirmed="Recibirá mensajes de: {lists}.",
        used="Este enlace ya se ha usado. No hay nada más que hacer.",
        expired_title="Este enlace ha caducado.",
        expired="Era válido durante {days} días, o su destino ya no existe. Suscríbase de nuevo.",
        to_form="Al formulario",
    ),
    "pt": SignUpWords(
        title="Subscrever",
        choose="O que deseja receber?",
        none="De momento não há nenhuma lista para escolher.",
        email="Endereço de e-mail",
        first_name="Nome próprio",
        last_name="Apelido",
        language="Idioma",
        optional="(opcional)",
        agreement="Desejo receber «{list}» por e-mail. Posso cancelar a subscrição a qualquer momento.",
        privacy="Privacidade",
        imprint="Aviso legal",
        button="Subscrever",
        trap="Deixe este campo vazio",
        email_missing="Introduza o seu endereço de e-mail, por favor.",
        email_invalid="Não podemos escrever para este endereço de e-mail. Verifique-o, por favor.",
        no_list="Escolha pelo menos uma lista.",
        too_long="É demasiado longo. Encurte-o, por favor.",
        again="Reveja os seus dados e prima o botão de novo.",
        too_many="Chegaram demasiados pedidos da sua rede. Tente novamente mais tarde.",
        closed_title="Este formulário está fechado.",
        closed="De momento não é possível subscrever aqui esta lista.",
        thanks_title="Obrigado.",
        thanks_double="Veja a sua caixa de correio: se o seu consentimento tiver de ser confirmado, vai a caminho"
        " uma mensagem com uma ligação. Antes disso nada lhe será enviado.",
        thanks_single="Os seus dados foram recebidos. Se o seu consentimento tiver de ser confirmado, vai a caminho"
        " uma mensagem com uma ligação.",
        confirm_title="Confirme, por favor",
        confirm_intro="{address} vai receber mensagens de {organisation}:",
        confirm_button="Sim, desejo recebê-las",
        confirmed_title="A sua subscrição está confirmada.",
        confirmed="Receberá mensagens de: {lists}.",
        used="Esta ligação já foi usada. Não há mais nada a fazer.",
        expired_title="Esta ligação expirou.",
        expired="Era válida durante {days} dias, ou o seu destino já não existe. Subscreva de novo.",
        to_form="Para o formulário",
    ),
    "nl": SignUpWords(
        title="Aanmelden",
        choose="Wat wilt u ontvangen?",
        none="Er is op dit moment geen lijst om uit te kiezen.",
        email="E-mailadres",
        first_name="Voornaam",
        last_name="Achternaam",
        language="Taal",
        optional="(niet verplicht)",
        agreement="Ik wil “{list}” per e-mail ontvangen. Ik kan mij op elk moment afmelden.",
        privacy="Privacy",
        imprint="Colofon",
        button="Aanmelden",
        trap="Laat dit veld leeg",
        email_missing="Vul alstublieft uw e-mailadres in.",
        email_invalid="Naar dit e-mailadres kunnen wij niet schrijven. Controleer het alstublieft.",
        no_list="Kies ten minste één lijst.",
        too_long="Dit is te lang. Maak het korter.",
        again="Bekijk uw gegevens nog een keer en druk opnieuw op de knop.",
        too_many="Er kwamen te veel verzoeken van uw netwerk. Probeer het later opnieuw.",
        closed_title="Dit formulier is gesloten.",
        closed="Voor deze lijst kunt u zich hier op dit moment niet aanmelden.",
        thanks_title="Dank u.",
        thanks_double="Kijk in uw mailbox: als uw toestemming bevestigd moet worden, is er een bericht met een link"
        " onderweg. Daarvoor ontvangt u niets.",
        thanks_single="Uw gegevens zijn ontvangen. Als uw toestemming bevestigd moet worden, is er een bericht met"
        " een link onderweg.",
        confirm_title="Bevestig alstublieft",
        confirm_intro="{address} gaat berichten ontvangen van {organisation}:",
        confirm_button="Ja, dat wil ik",
        confirmed_title="Uw aanmelding is bevestigd.",
        confirmed="U ontvangt berichten voor: {lists}.",
        used="Deze link is al gebruikt. Er is niets meer te doen.",
        expired_title="Deze link is verlopen.",
        expired="Hij was {days} dagen geldig, of het doel bestaat niet meer. Meld u opnieuw aan.",
        to_form="Naar het formulier",
    ),
    "it": SignUpWords(
        title="Iscriversi",
        choose="Che cosa desidera ricevere?",
        none="Al momento non c’è nessuna lista da scegliere.",
        email="Indirizzo e-mail",
        first_name="Nome",
        last_name="Cognome",
        language="Lingua",
        optional="(facoltativo)",
        agreement="Desidero ricevere «{list}» per e-mail. Posso annullare l’iscrizione in qualsiasi momento.",
        privacy="Privacy",
        imprint="Note legali",
        button="Iscriversi",
        trap="Lasci vuoto questo campo",
        email_missing="Inserisca il Suo indirizzo e-mail.",
        email_invalid="Non possiamo scrivere a questo indirizzo e-mail. Lo controlli.",
        no_list="Scelga almeno una lista.",
        too_long="È troppo lungo. Lo accorci.",
        again="Riveda i Suoi dati e prema di nuovo il pulsante.",
        too_many="Sono arrivate troppe richieste dalla Sua rete. Riprovi più tardi.",
        closed_title="Questo modulo è chiuso.",
        closed="Al momento non è possibile iscriversi qui a questa lista.",
        thanks_title="Grazie.",
        thanks_double="Guardi nella Sua casella di posta: se il Suo consenso va confermato, è in arrivo un messaggio"
        " con un link. Prima non riceverà nulla.",
        thanks_single="I Suoi dati sono arrivati. Se il Suo consenso va confermato, è in arrivo un messaggio con un"
        " link.",
        confirm_title="Confermi, per favore",
        confirm_intro="{address} riceverà messaggi da {organisation}:",
        confirm_button="Sì, lo desidero",
        confirmed_title="La Sua iscrizione è confermata.",
        confirmed="Riceverà i messaggi per: {lists}.",
        used="Questo link è già stato usato. Non c’è altro da fare.",
        expired_title="Questo link è scaduto.",
        expired="Era valido per {days} giorni, oppure la sua destinazione non esiste più. Si iscriva di nuovo.",
        to_form="Al modulo",
    ),
    "ja": SignUpWords(
        title="登録",
        choose="受け取りたいメールをお選びください。",
        none="現在、選べるリストはありません。",
        email="メールアドレス",
        first_name="名",
        last_name="姓",
        language="言語",
        optional="(任意)",
        agreement="「{list}」をメールで受け取ることに同意します。いつでも配信を停止できます。",
        privacy="プライバシーポリシー",
        imprint="運営者情報",
        button="登録する",
        trap="この欄は空のままにしてください",
        email_missing="メールアドレスを入力してください。",
        email_invalid="このメールアドレスには送信できません。ご確認ください。",
        no_list="リストを一つ以上お選びください。",
        too_long="長すぎます。短くしてください。",
        again="入力内容をもう一度ご確認のうえ、ボタンを押してください。",
        too_many="お使いのネットワークからのリクエストが多すぎます。しばらくしてからお試しください。",
        closed_title="このフォームは閉じられています。",
        closed="現在、ここからこのリストに登録することはできません。",
        thanks_title="ありがとうございます。",
        thanks_double="メールをご確認ください。同意の確認が必要な場合は、リンクの入ったメールをお送りします。確認されるまで、ほかのメールは届きません。",
        thanks_single="入力内容を受け付けました。同意の確認が必要な場合は、リンクの入ったメールをお送りします。",
        confirm_title="確認のお願い",
        confirm_intro="{address} に {organisation} から次のメールをお送りします:",
        confirm_button="はい、受け取ります",
        confirmed_title="登録が確認されました。",
        confirmed="次のリストのメールが届きます:{lists}",
        used="このリンクはすでに使われています。ほかに必要な手続きはありません。",
        expired_title="このリンクの有効期限が切れています。",
        expired="有効期間は {days} 日間です。または、リンク先がなくなっています。もう一度ご登録ください。",
        to_form="フォームへ",
    ),
}
