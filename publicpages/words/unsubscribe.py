"""The texts of the unsubscribe page and of all public pages, in the product's eight languages.

No request or database is involved. A plain table instead of gettext: there are a dozen sentences, in the recipient's
language and not the user's. The caller fills in ``{organisation}``, ``{lists}`` and ``{address}``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UnsubscribeWords:
    """The texts in one language."""

    title: str
    intro: str
    question: str
    scope_list: str  # With the names of the lists.
    scope_all: str
    reason: str
    button: str
    done: str
    done_list: str
    done_all: str
    on_its_way: str
    copy_title: str
    copy: str
    test_title: str
    test: str
    unknown_title: str
    unknown: str
    abuse: str
    causes: tuple[str, str, str, str]  # In the order of CAUSES.
    own_words: str
    already: str
    already_all: str
    undo: str
    undone_title: str
    undone: str
    undone_all: str
    to_preferences: str
    nobody_title: str  # For a link in a web version, a preview or a redirected message.
    nobody: str
    busy_title: str
    busy: str
    again_title: str  # For a page that is older than the person's last choice.
    again: str


# Why people leave, as they are stored; each language names them in this order.
CAUSES = ("too_often", "not_interested", "never_asked", "other")

LANGUAGES: dict[str, UnsubscribeWords] = {
    "en": UnsubscribeWords(
        title="Unsubscribe",
        intro="{organisation} writes to you at {address}.",
        question="What do you no longer want to get?",
        scope_list="Mail for this list: {lists}",
        scope_all="All mail from {organisation}",
        reason="Would you tell us why? (optional)",
        button="Unsubscribe",
        done="You are unsubscribed.",
        done_list="You will get no more mail for: {lists}.",
        done_all="You will get no more mail from {organisation}.",
        on_its_way="A message that has already left may still arrive.",
        copy_title="This is a copy.",
        copy="The message was written to somebody else, and you got a copy. There is no subscription to end here.",
        test_title="This is a test.",
        test="The message was a test. There is no subscription behind it, so there is nothing to end here.",
        unknown_title="This link does not work.",
        unknown="It may have been cut short, or what it led to is gone. Please copy the whole link from the"
        " message, or use the link of a newer message.",
        abuse="To report abuse, write to {address}.",
        own_words="In your own words (optional)",
        causes=("You write too often.", "It does not interest me.", "I never asked for it.", "Another reason"),
        already="You have unsubscribed already from: {lists}.",
        already_all="You have unsubscribed already from all mail of {organisation}.",
        undo="That was a mistake: subscribe me again",
        undone_title="You are subscribed again.",
        undone="You get mail again for: {lists}.",
        undone_all="You get mail from {organisation} again.",
        to_preferences="Choose lists and other settings",
        nobody_title="This link belongs to nobody.",
        nobody="It stands in a page or a message that others may read too. Please use the link in the message that"
        " was sent to you.",
        busy_title="Not possible just now.",
        busy="Nothing was changed. Please try again in a few minutes.",
        again_title="Please choose again.",
        again="Your choices changed after this page was opened, so nothing new was agreed to. Here is how"
        " things stand now.",
    ),
    "de": UnsubscribeWords(
        title="Abmelden",
        intro="{organisation} schreibt Ihnen an {address}.",
        question="Was möchten Sie nicht mehr bekommen?",
        scope_list="Nachrichten dieser Liste: {lists}",
        scope_all="Alle Nachrichten von {organisation}",
        reason="Sagen Sie uns, warum? (freiwillig)",
        button="Abmelden",
        done="Sie sind abgemeldet.",
        done_list="Sie haben sich abgemeldet von: {lists}.",
        done_all="Sie bekommen keine Nachrichten mehr von {organisation}.",
        on_its_way="Eine Nachricht, die schon unterwegs ist, kann noch ankommen.",
        copy_title="Das ist eine Kopie.",
        copy="Die Nachricht ging an jemand anderen, und Sie haben eine Kopie bekommen. Hier gibt es kein Abonnement"
        " zu beenden.",
        test_title="Das ist ein Test.",
        test="Die Nachricht war ein Test. Dahinter steht kein Abonnement, also gibt es hier nichts zu beenden.",
        unknown_title="Dieser Link führt nicht weiter.",
        unknown="Vielleicht wurde er abgeschnitten, oder das Ziel gibt es nicht mehr. Bitte kopieren Sie den ganzen"
        " Link aus der Nachricht oder nehmen Sie den Link einer neueren Nachricht.",
        abuse="Missbrauch melden Sie bitte an {address}.",
        own_words="In Ihren eigenen Worten (freiwillig)",
        causes=(
            "Sie schreiben zu oft.",
            "Es interessiert mich nicht.",
            "Ich habe es nie bestellt.",
            "Ein anderer Grund",
        ),
        already="Sie haben sich schon abgemeldet von: {lists}.",
        already_all="Sie haben sich schon von allen Nachrichten von {organisation} abgemeldet.",
        undo="Das war ein Versehen: wieder anmelden",
        undone_title="Sie sind wieder angemeldet.",
        undone="Sie sind wieder angemeldet für: {lists}.",
        undone_all="Sie bekommen wieder Nachrichten von {organisation}.",
        to_preferences="Listen und andere Einstellungen wählen",
        nobody_title="Dieser Link gehört niemandem.",
        nobody="Er steht auf einer Seite oder in einer Nachricht, die auch andere lesen. Bitte nehmen Sie den Link"
        " aus der Nachricht, die Sie selbst bekommen haben.",
        busy_title="Das geht gerade nicht.",
        busy="Es wurde nichts geändert. Bitte versuchen Sie es in einigen Minuten noch einmal.",
        again_title="Bitte wählen Sie noch einmal.",
        again="Ihre Auswahl hat sich geändert, nachdem diese Seite geöffnet wurde. Deshalb wurde keine neue"
        " Einwilligung gespeichert. Hier sehen Sie, was jetzt gilt.",
    ),
    "fr": UnsubscribeWords(
        title="Se désabonner",
        intro="{organisation} vous écrit à l’adresse {address}.",
        question="Que ne souhaitez-vous plus recevoir ?",
        scope_list="Les messages de cette liste : {lists}",
        scope_all="Tous les messages de {organisation}",
        reason="Pouvez-vous nous dire pourquoi ? (facultatif)",
        button="Se désabonner",
        done="Vous êtes désabonné(e).",
        done_list="Vous ne recevrez plus de messages pour : {lists}.",
        done_all="Vous ne recevrez plus de messages de {organisation}.",
        on_its_way="Un message déjà parti peut encore arriver.",
        copy_title="Ceci est une copie.",
        copy="Le message était adressé à quelqu’un d’autre et vous en avez reçu une copie. Il n’y a pas d’abonnement"
        " à résilier ici.",
        test_title="Ceci est un test.",
        test="Le message était un test. Aucun abonnement n’y est lié : il n’y a rien à résilier ici.",
        unknown_title="Ce lien ne fonctionne pas.",
        unknown="Il a peut-être été coupé, ou sa cible n’existe plus. Copiez le lien entier depuis le message, ou"
        " utilisez le lien d’un message plus récent.",
        abuse="Pour signaler un abus, écrivez à {address}.",
        own_words="Avec vos propres mots (facultatif)",
        causes=(
            "Vous écrivez trop souvent.",
            "Cela ne m’intéresse pas.",
            "Je ne l’ai jamais demandé.",
            "Une autre raison",
        ),
        already="Vous êtes déjà désabonné(e) de : {lists}.",
        already_all="Vous êtes déjà désabonné(e) de tous les messages de {organisation}.",
        undo="C’était une erreur : m’abonner à nouveau",
        undone_title="Vous êtes de nouveau abonné(e).",
        undone="Vous recevrez à nouveau les messages de : {lists}.",
        undone_all="Vous recevrez à nouveau les messages de {organisation}.",
        to_preferences="Choisir les listes et d’autres réglages",
        nobody_title="Ce lien n’appartient à personne.",
        nobody="Il se trouve dans une page ou un message que d’autres peuvent lire aussi. Utilisez le lien du"
        " message qui vous a été envoyé.",
        busy_title="C’est impossible pour le moment.",
        busy="Rien n’a été modifié. Veuillez réessayer dans quelques minutes.",
        again_title="Veuillez choisir de nouveau.",
        again="Vos choix ont changé après l’ouverture de cette page ; aucun nouvel accord n’a donc été"
        " enregistré. Voici ce qui est valable maintenant.",
    ),
    "es": UnsubscribeWords(
        title="Darse de baja",
        intro="{organisation} le escribe a {address}.",
        question="¿Qué ya no desea recibir?",
        scope_list="Los mensajes de esta lista: {lists}",
        scope_all="Todos los mensajes de {organisation}",
        reason="¿Nos dice por qué? (opcional)",
        button="Darse de baja",
        done="Se ha dado de baja.",
        done_list="Ya no recibirá mensajes de: {lists}.",
        done_all="Ya no recibirá mensajes de {organisation}.",
        on_its_way="Un mensaje que ya ha salido todavía puede llegar.",
        copy_title="Esto es una copia.",
        copy="El mensaje era para otra persona y usted recibió una copia. Aquí no hay ninguna suscripción que"
        " cancelar.",
        test_title="Esto es una prueba.",
        test="El mensaje era una prueba. No hay ninguna suscripción detrás, así que no hay nada que cancelar.",
        unknown_title="Este enlace no funciona.",
        unknown="Quizá se cortó, o su destino ya no existe. Copie el enlace completo del mensaje o use el de un mensaje"
        " más reciente.",
        abuse="Para denunciar un abuso, escriba a {address}.",
        own_words="Con sus propias palabras (opcional)",
        causes=("Escriben con demasiada frecuencia.", "No me interesa.", "Nunca lo pedí.", "Otro motivo"),
        already="Ya se había dado de baja de: {lists}.",
        already_all="Ya se había dado de baja de todos los mensajes de {organisation}.",
        undo="Fue un error: volver a suscribirme",
        undone_title="Vuelve a estar suscrito.",
        undone="Volverá a recibir mensajes de: {lists}.",
        undone_all="Volverá a recibir mensajes de {organisation}.",
        to_preferences="Elegir listas y otros ajustes",
        nobody_title="Este enlace no pertenece a nadie.",
        nobody="Está en una página o en un mensaje que también pueden leer otras personas. Use el enlace del mensaje"
        " que se le envió a usted.",
        busy_title="Ahora mismo no es posible.",
        busy="No se ha cambiado nada. Inténtelo de nuevo dentro de unos minutos.",
        again_title="Elija de nuevo, por favor.",
        again="Su elección cambió después de abrirse esta página, por lo que no se ha guardado ningún"
        " consentimiento nuevo. Aquí ve lo que vale ahora.",
    ),
    "pt": UnsubscribeWords(
        title="Cancelar a subscrição",
        intro="{organisation} escreve-lhe para {address}.",
        question="O que já não quer receber?",
        scope_list="As mensagens desta lista: {lists}",
        scope_all="Todas as mensagens de {organisation}",
        reason="Quer dizer-nos porquê? (opcional)",
        button="Cancelar a subscrição",
        done="A subscrição foi cancelada.",
        done_list="Não receberá mais mensagens de: {lists}.",
        done_all="Não receberá mais mensagens de {organisation}.",
        on_its_way="Uma mensagem que já partiu ainda pode chegar.",
        copy_title="Isto é uma cópia.",
        copy="A mensagem era para outra pessoa e recebeu uma cópia. Não há aqui nenhuma subscrição para cancelar.",
        test_title="Isto é um teste.",
        test="A mensagem era um teste. Não há nenhuma subscrição associada, por isso não há nada para cancelar.",
        unknown_title="Esta ligação não funciona.",
        unknown="Talvez tenha sido cortada, ou o destino já não existe. Copie a ligação completa da mensagem ou use a"
        " de uma mensagem mais recente.",
        abuse="Para denunciar um abuso, escreva para {address}.",
        own_words="Pelas suas próprias palavras (opcional)",
        causes=("Escrevem com demasiada frequência.", "Não me interessa.", "Nunca o pedi.", "Outro motivo"),
        already="Já tinha cancelado a subscrição de: {lists}.",
        already_all="Já tinha cancelado a subscrição de todas as mensagens de {organisation}.",
        undo="Foi um engano: subscrever de novo",
        undone_title="A subscrição foi retomada.",
        undone="Voltará a receber mensagens de: {lists}.",
        undone_all="Voltará a receber mensagens de {organisation}.",
        to_preferences="Escolher listas e outras definições",
        nobody_title="Esta ligação não pertence a ninguém.",
        nobody="Está numa página ou mensagem que outras pessoas também podem ler. Use a ligação da mensagem que lhe"
        " foi enviada.",
        busy_title="De momento não é possível.",
        busy="Nada foi alterado. Tente novamente dentro de alguns minutos.",
        again_title="Escolha de novo, por favor.",
        again="As suas escolhas mudaram depois de esta página ter sido aberta, por isso não foi guardado"
        " nenhum novo consentimento. Aqui vê o que vale agora.",
    ),
    "nl": UnsubscribeWords(
        title="Afmelden",
        intro="{organisation} schrijft u op {address}.",
        question="Wat wilt u niet meer ontvangen?",
        scope_list="Berichten van deze lijst: {lists}",
        scope_all="Alle berichten van {organisation}",
        reason="Wilt u ons vertellen waarom? (niet verplicht)",
        button="Afmelden",
        done="U bent afgemeld.",
        done_list="U ontvangt geen berichten meer voor: {lists}.",
        done_all="U ontvangt geen berichten meer van {organisation}.",
        on_its_way="Een bericht dat al onderweg is, kan nog aankomen.",
        copy_title="Dit is een kopie.",
        copy="Het bericht was voor iemand anders en u kreeg een kopie. Hier is geen abonnement om te beëindigen.",
        test_title="Dit is een test.",
        test="Het bericht was een test. Er hoort geen abonnement bij, dus er is niets te beëindigen.",
        unknown_title="Deze link werkt niet.",
        unknown="Misschien is hij afgebroken, of bestaat het doel niet meer. Kopieer de hele link uit het bericht, of"
        " gebruik de link van een nieuwer bericht.",
        abuse="Misbruik meldt u bij {address}.",
        own_words="In uw eigen woorden (niet verplicht)",
        causes=(
            "U schrijft te vaak.",
            "Het interesseert mij niet.",
            "Ik heb er nooit om gevraagd.",
            "Een andere reden",
        ),
        already="U hebt zich al afgemeld voor: {lists}.",
        already_all="U hebt zich al afgemeld voor alle berichten van {organisation}.",
        undo="Dat was een vergissing: opnieuw aanmelden",
        undone_title="U bent weer aangemeld.",
        undone="U ontvangt weer berichten voor: {lists}.",
        undone_all="U ontvangt weer berichten van {organisation}.",
        to_preferences="Lijsten en andere instellingen kiezen",
        nobody_title="Deze link is van niemand.",
        nobody="Hij staat op een pagina of in een bericht dat ook anderen kunnen lezen. Gebruik de link uit het"
        " bericht dat aan u is gestuurd.",
        busy_title="Dat kan nu even niet.",
        busy="Er is niets gewijzigd. Probeer het over enkele minuten opnieuw.",
        again_title="Kies alstublieft opnieuw.",
        again="Uw keuze is gewijzigd nadat deze pagina was geopend, dus er is geen nieuwe toestemming"
        " opgeslagen. Hier ziet u wat nu geldt.",
    ),
    "it": UnsubscribeWords(
        title="Annulla l’iscrizione",
        intro="{organisation} Le scrive all’indirizzo {address}.",
        question="Che cosa non desidera più ricevere?",
        scope_list="I messaggi di questa lista: {lists}",
        scope_all="Tutti i messaggi di {organisation}",
        reason="Vuole dirci perché? (facoltativo)",
        button="Annulla l’iscrizione",
        done="L’iscrizione è annullata.",
        done_list="Non riceverà più messaggi per: {lists}.",
        done_all="Non riceverà più messaggi da {organisation}.",
        on_its_way="Un messaggio già partito può ancora arrivare.",
        copy_title="Questa è una copia.",
        copy="Il messaggio era per un’altra persona e Lei ne ha ricevuto una copia. Qui non c’è alcuna iscrizione da"
        " annullare.",
        test_title="Questa è una prova.",
        test="Il messaggio era una prova. Non c’è alcuna iscrizione collegata, quindi non c’è nulla da annullare.",
        unknown_title="Questo link non funziona.",
        unknown="Forse è stato tagliato, oppure la sua destinazione non esiste più. Copi il link intero dal messaggio o"
        " usi quello di un messaggio più recente.",
        abuse="Per segnalare un abuso, scriva a {address}.",
        own_words="Con parole Sue (facoltativo)",
        causes=("Scrivete troppo spesso.", "Non mi interessa.", "Non l’ho mai chiesto.", "Un altro motivo"),
        already="Ha già annullato l’iscrizione a: {lists}.",
        already_all="Ha già annullato l’iscrizione a tutti i messaggi di {organisation}.",
        undo="È stato un errore: iscrivimi di nuovo",
        undone_title="L’iscrizione è di nuovo attiva.",
        undone="Riceverà di nuovo i messaggi per: {lists}.",
        undone_all="Riceverà di nuovo i messaggi di {organisation}.",
        to_preferences="Scegliere liste e altre impostazioni",
        nobody_title="Questo link non appartiene a nessuno.",
        nobody="Si trova in una pagina o in un messaggio che anche altri possono leggere. Usi il link del messaggio"
        " inviato a Lei.",
        busy_title="Al momento non è possibile.",
        busy="Nulla è stato modificato. Riprovi fra qualche minuto.",
        again_title="Scelga di nuovo, per favore.",
        again="Le Sue scelte sono cambiate dopo l’apertura di questa pagina, perciò non è stato salvato alcun"
        " nuovo consenso. Qui vede che cosa vale ora.",
    ),
    "ja": UnsubscribeWords(
        title="配信停止",
        intro="{organisation} から {address} 宛てにメールをお送りしています。",
        question="受け取りを停止するメールをお選びください。",
        scope_list="このリストのメール:{lists}",
        scope_all="{organisation} からのすべてのメール",
        reason="よろしければ理由をお聞かせください(任意)",
        button="配信を停止する",
        done="配信を停止しました。",
        done_list="今後、次のリストのメールは届きません:{lists}",
        done_all="今後、{organisation} からのメールは届きません。",
        on_its_way="すでに送信されたメールは届くことがあります。",
        copy_title="これはコピーです。",
        copy="このメールは別の方に宛てたもので、お手元のものはそのコピーです。停止する配信はありません。",
        test_title="これはテストです。",
        test="このメールはテストです。配信の登録がないため、停止するものはありません。",
        unknown_title="このリンクはご利用いただけません。",
        unknown="リンクが途中で切れているか、リンク先がなくなっています。メールからリンク全体をコピーするか、"
        "新しいメールのリンクをお使いください。",
        abuse="迷惑行為の報告先:{address}",
        own_words="ご自身の言葉で(任意)",
        causes=("メールの回数が多すぎる", "内容に興味がない", "申し込んだ覚えがない", "その他の理由"),
        already="次のリストの配信はすでに停止されています:{lists}",
        already_all="{organisation} からのすべての配信はすでに停止されています。",
        undo="間違えました:もう一度登録する",
        undone_title="配信を再開しました。",
        undone="次のリストのメールが再び届きます:{lists}",
        undone_all="{organisation} からのメールが再び届きます。",
        to_preferences="リストやその他の設定を選ぶ",
        nobody_title="このリンクは誰のものでもありません。",
        nobody="ほかの方も読めるページまたはメールに載っているリンクです。ご自身宛てのメールにあるリンクをお使いください。",
        busy_title="ただいまご利用いただけません。",
        busy="何も変更されていません。数分後にもう一度お試しください。",
        again_title="もう一度お選びください。",
        again="このページを開いた後に選択内容が変更されたため、新しい同意は保存されませんでした。現在の内容を表示しています。",
    ),
}


def best_language(*wishes: str) -> str:
    """Return the first of ``wishes`` that has texts, by its primary subtag ("de-AT" gives "de"); otherwise English."""
    mains = (wish.lower().replace("_", "-").split("-")[0] for wish in wishes)
    return next((main for main in mains if main in LANGUAGES), "en")
