"""The texts about counting opens and clicks, in the product's eight languages.

They stand on the preference page, the page of this choice alone, the form, the page that confirms, and in its mail. No
request or database is involved. The caller fills in ``{organisation}`` and ``{names}``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrackingWords:
    """The texts in one language."""

    title: str
    intro: str
    unset: str  # For a person who has not chosen yet.
    opens: str
    opens_text: str
    clicks: str
    clicks_text: str
    unticked: str  # On the page of this choice, where it is a refusal.
    left_open: str  # On forms, where it is none.
    button: str
    change: str  # Ends the wording that a person agrees to.
    also: str  # Before what was ticked on the form, where it is confirmed.
    agreed: str  # After the confirmation.


TRACKING: dict[str, TrackingWords] = {
    "en": TrackingWords(
        title="Opens and clicks",
        intro="{organisation} would like to learn what is worth sending. You decide whether you are counted.",
        unset="You haven't chosen yet: you are counted without your name, or not at all.",
        opens="Count what I open",
        opens_text="{organisation} may record which of its emails I open, and when.",
        clicks="Count what I click",
        clicks_text="{organisation} may record which links in its emails I click, and when.",
        unticked="What you leave unticked isn't counted in new emails. In those you already have, it isn't"
        " linked to you any more.",
        left_open="An unticked box changes nothing. Unless you agreed before, you are counted without your name, or"
        " not at all.",
        button="Save this choice",
        change="I can change this at any time.",
        also="This was ticked, too. You can untick it before you confirm:",
        agreed="You also agree to this: {names}.",
    ),
    "de": TrackingWords(
        title="Öffnen und Klicken",
        intro="{organisation} möchte erfahren, was sich zu senden lohnt. Sie entscheiden, ob Sie mitgezählt werden.",
        unset="Sie haben noch nicht gewählt: Sie werden ohne Ihren Namen gezählt oder gar nicht.",
        opens="Zählen, was ich öffne",
        opens_text="{organisation} darf festhalten, welche ihrer E-Mails ich öffne und wann.",
        clicks="Zählen, was ich anklicke",
        clicks_text="{organisation} darf festhalten, welche Links in ihren E-Mails ich anklicke und wann.",
        unticked="Was Sie nicht ankreuzen, wird in neuen E-Mails nicht gezählt. In E-Mails, die Sie schon haben,"
        " wird es nicht mehr mit Ihnen verknüpft.",
        left_open="Ein leeres Kästchen ändert nichts. Haben Sie nicht schon früher zugestimmt, werden Sie ohne Ihren"
        " Namen gezählt oder gar nicht.",
        button="Auswahl speichern",
        change="Ich kann das jederzeit ändern.",
        also="Auch das wurde angekreuzt. Sie können es abwählen, bevor Sie bestätigen:",
        agreed="Sie stimmen auch dem zu: {names}.",
    ),
    "fr": TrackingWords(
        title="Ouvertures et clics",
        intro="{organisation} souhaite savoir quels envois sont utiles. Vous décidez si vous êtes compté(e).",
        unset="Vous n’avez pas encore choisi : vous êtes compté(e) sans votre nom, ou pas du tout.",
        opens="Compter ce que j’ouvre",
        opens_text="{organisation} peut enregistrer quels e-mails de sa part j’ouvre, et quand.",
        clicks="Compter ce sur quoi je clique",
        clicks_text="{organisation} peut enregistrer sur quels liens de ses e-mails je clique, et quand.",
        unticked="Ce que vous ne cochez pas n’est pas compté dans les nouveaux e-mails. Dans ceux que vous avez"
        " déjà, ce n’est plus associé à vous.",
        left_open="Une case non cochée ne change rien. Si vous n’avez pas déjà accepté, vous êtes compté(e) sans"
        " votre nom, ou pas du tout.",
        button="Enregistrer ce choix",
        change="Je peux changer ce choix à tout moment.",
        also="Ceci a aussi été coché. Vous pouvez le décocher avant de confirmer :",
        agreed="Vous acceptez aussi ceci : {names}.",
    ),
    "es": TrackingWords(
        title="Aperturas y clics",
        intro="{organisation} desea saber qué envíos son útiles. Usted decide si se le cuenta.",
        unset="Aún no ha elegido: se le cuenta sin su nombre, o no se le cuenta.",
        opens="Contar lo que abro",
        opens_text="{organisation} puede registrar cuáles de sus correos abro, y cuándo.",
        clicks="Contar dónde hago clic",
        clicks_text="{organisation} puede registrar en qué enlaces de sus correos hago clic, y cuándo.",
        unticked="Lo que deje sin marcar no se cuenta en los correos nuevos. En los que ya tiene, deja de"
        " asociarse con usted.",
        left_open="Una casilla sin marcar no cambia nada. Si no aceptó antes, se le cuenta sin su nombre, o no se le"
        " cuenta.",
        button="Guardar esta elección",
        change="Puedo cambiarlo en cualquier momento.",
        also="También se marcó esto. Puede desmarcarlo antes de confirmar:",
        agreed="También acepta lo siguiente: {names}.",
    ),
    "pt": TrackingWords(
        title="Aberturas e cliques",
        intro="{organisation} gostaria de saber que envios são úteis. Decide se quer ser contado.",
        unset="Ainda não escolheu: é contado sem o seu nome, ou não é contado.",
        opens="Contar o que abro",
        opens_text="{organisation} pode registar quais dos seus e-mails abro, e quando.",
        clicks="Contar onde clico",
        clicks_text="{organisation} pode registar em que ligações dos seus e-mails clico, e quando.",
        unticked="O que deixar por assinalar não é contado em novos e-mails. Nos que já tem, deixa de ser"
        " associado a si.",
        left_open="Uma caixa por assinalar não altera nada. Se não aceitou antes, é contado sem o seu nome, ou não é"
        " contado.",
        button="Guardar esta escolha",
        change="Posso alterar isto a qualquer momento.",
        also="Também foi assinalado o seguinte. Pode desmarcá-lo antes de confirmar:",
        agreed="Também aceita o seguinte: {names}.",
    ),
    "nl": TrackingWords(
        title="Openen en klikken",
        intro="{organisation} wil graag weten wat de moeite waard is om te sturen. U beslist of u wordt meegeteld.",
        unset="U hebt nog niet gekozen: u wordt zonder uw naam geteld, of helemaal niet.",
        opens="Tellen wat ik open",
        opens_text="{organisation} mag vastleggen welke van haar e-mails ik open, en wanneer.",
        clicks="Tellen waarop ik klik",
        clicks_text="{organisation} mag vastleggen op welke links in haar e-mails ik klik, en wanneer.",
        unticked="Wat u niet aanvinkt, wordt in nieuwe e-mails niet geteld. In e-mails die u al hebt, wordt het"
        " niet meer aan u gekoppeld.",
        left_open="Een leeg vakje verandert niets. Als u niet eerder hebt ingestemd, wordt u zonder uw naam geteld,"
        " of helemaal niet.",
        button="Deze keuze opslaan",
        change="Ik kan dit op elk moment wijzigen.",
        also="Dit is ook aangevinkt. U kunt het uitvinken voordat u bevestigt:",
        agreed="U gaat ook hiermee akkoord: {names}.",
    ),
    "it": TrackingWords(
        title="Aperture e clic",
        intro="{organisation} vorrebbe sapere quali invii sono utili. È Lei a decidere se essere contato.",
        unset="Non ha ancora scelto: è contato senza il Suo nome, oppure non è contato.",
        opens="Contare che cosa apro",
        opens_text="{organisation} può registrare quali delle sue e-mail apro, e quando.",
        clicks="Contare dove clicco",
        clicks_text="{organisation} può registrare su quali link delle sue e-mail clicco, e quando.",
        unticked="Ciò che non seleziona non viene contato nelle nuove e-mail. In quelle che ha già, non viene"
        " più associato a Lei.",
        left_open="Una casella non selezionata non cambia nulla. Se non ha già acconsentito, è contato senza il Suo"
        " nome, oppure non è contato.",
        button="Salvare questa scelta",
        change="Posso cambiare questa scelta in qualsiasi momento.",
        also="È stato selezionato anche quanto segue. Può deselezionarlo prima di confermare:",
        agreed="Accetta anche quanto segue: {names}.",
    ),
    "ja": TrackingWords(
        title="開封とクリック",
        intro="{organisation} は、お役に立つメールをお送りするための参考にしたいと考えています。"
        "集計の対象とするかどうかは、お客様がお選びいただけます。",
        unset="まだ選択されていません。お名前と結び付けずに集計されるか、集計されません。",
        opens="開封を集計する",
        opens_text="{organisation} が、どのメールをいつ開いたかを記録することに同意します。",
        clicks="クリックを集計する",
        clicks_text="{organisation} が、メール内のどのリンクをいつクリックしたかを記録することに同意します。",
        unticked="チェックのない項目は、今後のメールでは集計されません。すでに届いているメールについては、お客様と結び付けられなくなります。",
        left_open="チェックのない項目については何も変わりません。以前に同意されていなければ、お名前と結び付けずに集計されるか、集計されません。",
        button="選択を保存する",
        change="この選択はいつでも変更できます。",
        also="次の項目にもチェックが入っています。確認の前に外すことができます:",
        agreed="次の内容にも同意しました:{names}",
    ),
}
