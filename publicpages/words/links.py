"""The texts for links in mail that lead nowhere: they don't work, they are no longer kept, or not just now."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LinkWords:
    """The texts in one language."""

    wrong_title: str
    wrong: str
    gone_title: str
    gone: str
    to_home: str
    busy_title: str
    busy: str
    again: str


LINKS: dict[str, LinkWords] = {
    "en": LinkWords(
        wrong_title="This link does not work.",
        wrong="It may have been cut short. Please copy the whole link from the message.",
        gone_title="This link is no longer available.",
        gone="The message it was in is too old, and where it led is no longer kept.",
        to_home="Go to {organisation}",
        busy_title="One moment, please.",
        busy="The page cannot be opened just now. This is tried again by itself within seconds.",
        again="Try again now",
    ),
    "de": LinkWords(
        wrong_title="Dieser Link führt nicht weiter.",
        wrong="Vielleicht wurde er abgeschnitten. Bitte kopieren Sie den ganzen Link aus der Nachricht.",
        gone_title="Diesen Link gibt es nicht mehr.",
        gone="Die Nachricht dazu ist zu alt, und sein Ziel wird nicht mehr aufbewahrt.",
        to_home="Zu {organisation}",
        busy_title="Einen Moment, bitte.",
        busy="Die Seite lässt sich gerade nicht öffnen. In wenigen Sekunden wird es von selbst noch einmal versucht.",
        again="Jetzt noch einmal versuchen",
    ),
    "fr": LinkWords(
        wrong_title="Ce lien ne fonctionne pas.",
        wrong="Il a peut-être été coupé. Copiez le lien entier depuis le message.",
        gone_title="Ce lien n’est plus disponible.",
        gone="Le message d’où il vient est trop ancien, et sa cible n’est plus conservée.",
        to_home="Aller chez {organisation}",
        busy_title="Un instant, s’il vous plaît.",
        busy="La page ne peut pas s’ouvrir pour le moment. Une nouvelle tentative a lieu dans quelques secondes.",
        again="Réessayer maintenant",
    ),
    "es": LinkWords(
        wrong_title="Este enlace no funciona.",
        wrong="Quizá se cortó. Copie el enlace completo del mensaje.",
        gone_title="Este enlace ya no está disponible.",
        gone="El mensaje del que procede es demasiado antiguo, y su destino ya no se conserva.",
        to_home="Ir a {organisation}",
        busy_title="Un momento, por favor.",
        busy="La página no se puede abrir ahora mismo. Se volverá a intentar en unos segundos.",
        again="Intentarlo ahora",
    ),
    "pt": LinkWords(
        wrong_title="Esta ligação não funciona.",
        wrong="Talvez tenha sido cortada. Copie a ligação completa da mensagem.",
        gone_title="Esta ligação já não está disponível.",
        gone="A mensagem de onde veio é demasiado antiga, e o seu destino já não é guardado.",
        to_home="Ir para {organisation}",
        busy_title="Um momento, por favor.",
        busy="De momento não é possível abrir a página. Será feita nova tentativa dentro de segundos.",
        again="Tentar agora",
    ),
    "nl": LinkWords(
        wrong_title="Deze link werkt niet.",
        wrong="Misschien is hij afgebroken. Kopieer de hele link uit het bericht.",
        gone_title="Deze link is niet meer beschikbaar.",
        gone="Het bericht waar hij in stond is te oud, en het doel wordt niet meer bewaard.",
        to_home="Naar {organisation}",
        busy_title="Een ogenblik, alstublieft.",
        busy="De pagina kan nu even niet worden geopend. Binnen enkele seconden wordt het vanzelf opnieuw geprobeerd.",
        again="Nu opnieuw proberen",
    ),
    "it": LinkWords(
        wrong_title="Questo link non funziona.",
        wrong="Forse è stato tagliato. Copi il link intero dal messaggio.",
        gone_title="Questo link non è più disponibile.",
        gone="Il messaggio da cui proviene è troppo vecchio, e la sua destinazione non è più conservata.",
        to_home="Vai a {organisation}",
        busy_title="Un momento, per favore.",
        busy="Al momento la pagina non si apre. Tra pochi secondi si riprova automaticamente.",
        again="Riprova ora",
    ),
    "ja": LinkWords(
        wrong_title="このリンクはご利用いただけません。",
        wrong="リンクが途中で切れている可能性があります。メールからリンク全体をコピーしてください。",
        gone_title="このリンクは現在ご利用いただけません。",
        gone="元のメールが古いため、リンク先の情報は保存されていません。",
        to_home="{organisation} のサイトへ",
        busy_title="少々お待ちください。",
        busy="ただいまページを開けません。数秒後に自動的に再試行します。",
        again="今すぐ再試行",
    ),
}
