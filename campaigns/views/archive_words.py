"""The texts of the public archive, which strangers read in the language of the site."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ArchiveWords:
    empty: str
    alone: str  # The link to the message without the page around it.
    pages: str  # The name of the links to other pages, for screen readers.
    newer: str
    older: str
    page: str  # With {number} and {total}.


ARCHIVE = {
    "en": ArchiveWords(
        empty="No newsletters yet. Please come back later.",
        alone="View the message on its own",
        pages="Pages",
        newer="Newer",
        older="Older",
        page="Page {number} of {total}",
    ),
    "de": ArchiveWords(
        empty="Noch keine Newsletter. Bitte schauen Sie später wieder vorbei.",
        alone="Nur die Nachricht anzeigen",
        pages="Seiten",
        newer="Neuere",
        older="Ältere",
        page="Seite {number} von {total}",
    ),
    "fr": ArchiveWords(
        empty="Aucune newsletter pour le moment. Revenez plus tard.",
        alone="Afficher le message seul",
        pages="Pages",
        newer="Plus récentes",
        older="Plus anciennes",
        page="Page {number} sur {total}",
    ),
    "es": ArchiveWords(
        empty="Todavía no hay boletines. Vuelva más adelante.",
        alone="Ver solo el mensaje",
        pages="Páginas",
        newer="Más recientes",
        older="Anteriores",
        page="Página {number} de {total}",
    ),
    "pt": ArchiveWords(
        empty="Ainda não há newsletters. Volte mais tarde.",
        alone="Ver apenas a mensagem",
        pages="Páginas",
        newer="Mais recentes",
        older="Mais antigas",
        page="Página {number} de {total}",
    ),
    "nl": ArchiveWords(
        empty="Nog geen nieuwsbrieven. Kom later terug.",
        alone="Alleen het bericht tonen",
        pages="Pagina’s",
        newer="Nieuwer",
        older="Ouder",
        page="Pagina {number} van {total}",
    ),
    "it": ArchiveWords(
        empty="Ancora nessuna newsletter. Torni più tardi.",
        alone="Visualizza solo il messaggio",
        pages="Pagine",
        newer="Più recenti",
        older="Meno recenti",
        page="Pagina {number} di {total}",
    ),
    "ja": ArchiveWords(
        empty="ニュースレターはまだありません。後ほどもう一度ご覧ください。",
        alone="メッセージのみを表示",
        pages="ページ",
        newer="新しいもの",
        older="以前のもの",
        page="{number} / {total} ページ",
    ),
}
