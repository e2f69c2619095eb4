"""Subject and text of a test message, by language, with the placeholder ``{server}``."""

TEST_WORDS = {
    "en": (
        "Test message through {server}",
        "This is a test message through {server}. If you can read it, sending works.",
    ),
    "de": (
        "Testnachricht über {server}",
        "Dies ist eine Testnachricht über {server}. Wenn Sie sie lesen können, funktioniert der Versand.",
    ),
    "fr": (
        "Message de test via {server}",
        "Ceci est un message de test via {server}. Si vous pouvez le lire, l'envoi fonctionne.",
    ),
    "es": (
        "Mensaje de prueba a través de {server}",
        "Este es un mensaje de prueba a través de {server}. Si puede leerlo, el envío funciona.",
    ),
    "pt": (
        "Mensagem de teste através de {server}",
        "Esta é uma mensagem de teste através de {server}. Se consegue lê-la, o envio funciona.",
    ),
    "nl": (
        "Testbericht via {server}",
        "Dit is een testbericht via {server}. Als u het kunt lezen, werkt het verzenden.",
    ),
    "it": (
        "Messaggio di prova tramite {server}",
        "Questo è un messaggio di prova tramite {server}. Se riesce a leggerlo, l'invio funziona.",
    ),
    "ja": (
        "{server} 経由のテストメッセージ",
        "これは {server} 経由のテストメッセージです。読めていれば、送信は正常に動作しています。",
    ),
}
