"""The texts for an address that leads nowhere, in the product's eight languages."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotFoundWords:
    """The texts in one language."""

    title: str
    text: str


NOT_FOUND: dict[str, NotFoundWords] = {
    "en": NotFoundWords("Page not found", "It may have been deleted, or the address has a typo."),
    "de": NotFoundWords(
        "Seite nicht gefunden", "Vielleicht wurde sie gelöscht, oder die Adresse enthält einen Fehler."
    ),
    "fr": NotFoundWords("Page introuvable", "Elle a peut-être été supprimée, ou l’adresse contient une erreur."),
    "es": NotFoundWords("Página no encontrada", "Quizá se eliminó, o la dirección contiene un error."),
    "pt": NotFoundWords("Página não encontrada", "Talvez tenha sido apagada, ou o endereço contém um erro."),
    "nl": NotFoundWords("Pagina niet gevonden", "Misschien is ze verwijderd, of er staat een fout in het adres."),
    "it": NotFoundWords("Pagina non trovata", "Forse è stata eliminata, o l’indirizzo contiene un errore."),
    "ja": NotFoundWords("ページが見つかりません", "削除されたか、アドレスに誤りがある可能性があります。"),
}
