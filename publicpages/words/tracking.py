"""The texts about counting opens and clicks, in the product's eight languages.

They stand on the preference page, the page of this choice alone, the form, the page that confirms, and in its mail. No
request or database is involved. The caller fills in ``{organisation}``.
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
    unticked: str
    button: str
    change: str  # Ends the wording that a person agrees to.
    also: str  # Before what was ticked on the form, where it is confirmed.


TRACKING: dict[str, TrackingWords] = {
    "en": TrackingWords(
        title="Opens and clicks",
        intro="{organisation} would like to learn what is worth sending. You decide whether you are counted.",
        unset="You haven't chosen yet: you are counted without your name, or not at all.",
        opens="Count what I open",
        opens_text="{organisation} may record which of its emails I open, and when.",
        clicks="Count what I click",
        clicks_text="{organisation} may record which links in its emails I click, and when.",
        unticked="What you leave unticked isn't counted, in emails you already have, too.",
        button="Save this choice",
        change="I can change this at any time.",
        also="You also agree to this:",
    ),
    "de": TrackingWords(
        title="Öffnen und Klicken",
        intro="{organisation} möchte erfahren, was sich zu senden lohnt. Sie entscheiden, ob Sie mitgezählt werden.",
        unset="Sie haben noch nicht gewählt: Sie werden ohne Ihren Namen gezählt oder gar nicht.",
        opens="Zählen, was ich öffne",
        opens_text="{organisation} darf festhalten, welche ihrer E-Mails ich öffne und wann.",
        clicks="Zählen, was ich anklicke",
        clicks_text="{organisation} darf festhalten, welche Links in ihren E-Mails ich anklicke und wann.",
        unticked="Was Sie nicht ankreuzen, wird nicht gezählt, auch nicht in E-Mails, die Sie schon haben.",
        button="Auswahl speichern",
        change="Ich kann das jederzeit ändern.",
        also="Sie stimmen auch dem zu:",
    ),
    "fr": TrackingWords(
        title="Ouvertures et clics",
        intro="{organisation} souhaite savoir quels envois sont utiles. Vous décidez si vous êtes compté(e).",
        unset="Vous n’avez pas encore choisi : vous êtes compté(e) sans votre nom, ou pas du tout.",
        opens="Compter ce que j’ouvre",
        opens_text="{organisation} peut enregistrer quels e-mails de sa part j’ouvre, et quand.",
        clicks="Compter ce sur quoi je clique",
        clicks_text="{organisation} peut enregistrer sur quels liens de ses e-mails je clique, et quand.",
        unticked="Ce que vous ne cochez pas n’est pas compté, même dans les e-mails que vous avez déjà.",
        button="Enregistrer ce choix",
        change="Je peux changer ce choix à tout moment.",
        also="Vous acceptez aussi ceci :",
    ),
    "es": TrackingWords(
        title="Aperturas y clics",
        intro="{organisation} desea saber qué envíos son útiles. Usted decide si se le cuenta.",
        unset="Aún no ha elegido: se le cuenta sin su nombre, o no se le cuenta.",
        opens="Contar lo que abro",
        opens_text="{organisation} puede registrar cuáles de sus correos abro, y cuándo.",
        clicks="Contar dónde hago clic",
        clicks_text="{organisation} puede registrar en qué enlaces de sus correos hago clic, y cuándo.",
        unticked="Lo que deje sin marcar no se cuenta, tampoco en los correos que ya tiene.",
        button="Guardar esta elección",
        change="Puedo cambiarlo en cualquier momento.",
        also="También acepta lo siguiente:",
    ),
    "pt": TrackingWords(
        title="Aberturas e cliques",
        intro="{organisation} gostaria de saber que envios são úteis. Decide se quer ser contado.",
        unset="Ainda não escolheu: é contado sem o seu nome, ou não é contado.",
        opens="Contar o que abro",
        opens_text="{organisation} pode registar quais dos seus e-mails abro, e quando.",
        clicks="Contar onde clico",
        clicks_text="{organisation} pode registar em que ligações dos seus e-mails clico, e quando.",
        unticked="O que deixar por assinalar não é contado, nem nos e-mails que já tem.",
        button="Guardar esta escolha",
        change="Posso alterar isto a qualquer momento.",
        also="Também aceita o seguinte:",
    ),
    "nl": TrackingWords(
        title="Openen en klikken",
        intro="{organisation} wil graag weten wat de moeite waard is om te sturen. U beslist of u wordt meegeteld.",
        unset="U hebt nog niet gekozen: u wordt zonder uw naam geteld, of helemaal niet.",
        opens="Tellen wat ik open",
        opens_text="{organisation} mag vastleggen welke van haar e-mails ik open, en wanneer.",
        clicks="Tellen waarop ik klik",
        clicks_text="{organisation} mag vastleggen op welke links in haar e-mails ik klik, en wanneer.",
        unticked="Wat u niet aanvinkt, wordt niet geteld, ook niet in e-mails die u al hebt.",
        button="Deze keuze opslaan",
        change="Ik kan dit op elk moment wijzigen.",
        also="U gaat ook hiermee akkoord:",
    ),
    "it": TrackingWords(
        title="Aperture e clic",
        intro="{organisation} vorrebbe sapere quali invii sono utili. È Lei a decidere se essere contato.",
        unset="Non ha ancora scelto: è contato senza il Suo nome, oppure non è contato.",
        opens="Contare che cosa apro",
        opens_text="{organisation} può registrare quali delle sue e-mail apro, e quando.",
        clicks="Contare dove clicco",
        clicks_text="{organisation} può registrare su quali link delle sue e-mail clicco, e quando.",
        unticked="Ciò che non seleziona non viene contato, nemmeno nelle e-mail che ha già.",
        button="Salvare questa scelta",
        change="Posso cambiare questa scelta in qualsiasi momento.",
        also="Accetta anche quanto segue:",
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
        unticked="チェックのない項目は、すでに届いているメールについても集計されません。",
        button="選択を保存する",
        change="この選択はいつでも変更できます。",
        also="次の内容にも同意します:",
    ),
}
