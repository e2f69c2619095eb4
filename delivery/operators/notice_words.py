"""The words of notices to operators, in the languages that a server may have.

Each line is filled with ``str.format``: ``server``, ``host``, ``percent``, ``used``, ``quota``, ``ends``, ``reason``,
``until``, ``mailing``, ``recipient``, ``number``, ``address``, ``url``, ``domain``, ``line``, ``mailbox``, ``subject``,
``sender``, ``account``, ``name``.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoticeWords:
    """The sentences of all notices in one language."""

    quota_subject: str
    quota: str
    quota_full: str  # Follows ``quota`` at 100 %.
    quota_kept: str  # Follows ``quota`` instead, if a part is kept from campaigns.
    paused_subject: str
    paused: str
    paused_until: str
    paused_for_good: str
    full_subject: str
    full: str
    incident_subject: str
    incident: str
    certificate_subject: str
    certificate: str
    digest_subject: str
    digest: str
    digest_more: str
    single_subject: str
    single: str
    page: str
    abuse: str
    returned_subject: str
    returned: str
    rest_subject: str
    rest: str
    campaign_page: str
    domain_subject: str
    domain: str  # Followed by a line for each change.
    domain_healed: str
    domain_page: str
    key_next: str  # Followed by the records.
    key_wrong: str
    key_stopped: str
    mailbox_failing_subject: str
    mailbox_failing: str
    mailbox_foreign_subject: str
    mailbox_foreign: str
    mailbox_page: str
    forwarded_subject: str
    forwarded: str
    account_subject: str
    account: str
    account_page: str


WORDS = {
    "en": NoticeWords(
        "{server}: {percent} % of the quota is used",
        "{server} has sent {used} of the {quota} messages of its period, which ends on {ends}.",
        "Until then it sends nothing more; other servers take over where they can.",
        "Until then it sends no more campaign messages; other servers take over where they can. What is left is"
        " for notices, tests and single messages.",
        "{server} is paused",
        "{server} is paused: {reason}",
        "It is tried again by itself on {until}.",
        "It stays paused until somebody corrects its settings or resumes it.",
        "{server} says that its limit is reached",
        "{server} says that its own limit is reached: {reason}",
        "{server}: an answer to look at",
        "{server} got an answer that somebody should look at: {reason}",
        "The certificate of {server} ends on {ends}",
        "The certificate that {server} ({host}) shows is valid until {ends}. Ask whoever runs this server to renew it;"
        " afterwards nothing can be sent through it safely.",
        "{mailing}: {number} recipients were not reached",
        "{mailing} is finished. {number} recipients could not be reached through {server}:",
        "… and {number} more.",
        "Not delivered: {mailing}",
        "The message “{mailing}” to {recipient} was given up. {server} says: {reason}",
        "The server’s page: {url}",
        "Report misuse to {address}.",
        "{mailing} is a draft again",
        "{mailing} was not sent and is a draft again. {reason}",
        "The rest of {mailing} waits",
        "The winner of {mailing} was not sent to the rest. {reason}",
        "The campaign’s page: {url}",
        "{domain}: DNS needs a look",
        "What DNS says of {domain} has changed:",
        "{line} is good again.",
        "The domain’s page: {url}",
        "The DKIM keys of {domain} are replaced on {until}. Publish these records before:",
        "The DKIM record {name} is wrong. {reason} If it stays wrong for 24 hours, its key stops signing.",
        "The DKIM record {name} was wrong for 24 hours, so its key stopped signing. Mail that must be signed waits.",
        "{mailbox} can’t be read",
        "The mailbox {mailbox} can’t be read: {reason}\n\nBounces and complaints that arrive there have no"
        " effect until it can be read again.",
        "{mailbox} is not a bounce mailbox",
        "Of {number} mails in {mailbox}, most are not bounces or complaints. They stay untouched. Check that"
        " this is the mailbox of your return path, and not a person’s.",
        "The mailbox’s page: {url}",
        "Mail to {address}: {subject}",
        "{sender} wrote to {address}:",
        "{account} has to be connected again",
        "The OAuth account {account} no longer works: {reason}",
        "The account’s page: {url}",
    ),
    "de": NoticeWords(
        "{server}: {percent} % des Kontingents sind verbraucht",
        "{server} hat {used} der {quota} Nachrichten des laufenden Zeitraums versendet, der am {ends} endet.",
        "Bis dahin versendet er nichts mehr; andere Server übernehmen, soweit sie können.",
        "Bis dahin versendet er keine Kampagnen mehr; andere Server übernehmen, soweit sie können. Der Rest ist"
        " für Hinweise, Tests und einzelne Nachrichten.",
        "{server} ist angehalten",
        "{server} ist angehalten: {reason}",
        "Am {until} wird er von selbst erneut versucht.",
        "Er bleibt angehalten, bis jemand seine Einstellungen berichtigt oder ihn fortsetzt.",
        "{server} meldet, dass sein Limit erreicht ist",
        "{server} meldet, dass sein eigenes Limit erreicht ist: {reason}",
        "{server}: eine Antwort zum Nachsehen",
        "{server} erhielt eine Antwort, die sich jemand ansehen sollte: {reason}",
        "Das Zertifikat von {server} endet am {ends}",
        "Das Zertifikat, das {server} ({host}) vorzeigt, gilt bis {ends}. Bitten Sie den Betreiber, es zu erneuern;"
        " danach kann über diesen Server nichts mehr sicher versendet werden.",
        "{mailing}: {number} Empfänger wurden nicht erreicht",
        "{mailing} ist abgeschlossen. {number} Empfänger konnten über {server} nicht erreicht werden:",
        "… und {number} weitere.",
        "Nicht zugestellt: {mailing}",
        "Die Nachricht „{mailing}“ an {recipient} wurde aufgegeben. {server} meldet: {reason}",
        "Die Seite des Servers: {url}",
        "Missbrauch melden Sie bitte an {address}.",
        "{mailing} ist wieder ein Entwurf",
        "{mailing} wurde nicht versendet und ist wieder ein Entwurf. {reason}",
        "Der Rest von {mailing} wartet",
        "Die Gewinnervariante von {mailing} ging nicht an die übrigen Empfänger. {reason}",
        "Die Seite der Kampagne: {url}",
        "{domain}: DNS prüfen",
        "Was das DNS über {domain} sagt, hat sich geändert:",
        "{line} ist wieder in Ordnung.",
        "Die Seite der Domain: {url}",
        "Die DKIM-Schlüssel von {domain} werden am {until} ersetzt. Veröffentlichen Sie vorher diese Einträge:",
        "Der DKIM-Eintrag {name} ist falsch. {reason} Bleibt er 24 Stunden lang falsch, signiert sein Schlüssel"
        " nicht mehr.",
        "Der DKIM-Eintrag {name} war 24 Stunden lang falsch. Sein Schlüssel signiert nicht mehr, und Mails, die"
        " signiert sein müssen, warten.",
        "{mailbox} lässt sich nicht lesen",
        "Das Postfach {mailbox} lässt sich nicht lesen: {reason}\n\nUnzustellbarkeitsmeldungen und"
        " Beschwerden, die dort eingehen, wirken erst wieder, wenn es gelesen werden kann.",
        "{mailbox} ist kein Postfach für Bounces",
        "Von {number} E-Mails in {mailbox} sind die meisten weder Bounces noch Beschwerden. Sie bleiben"
        " unberührt. Prüfen Sie, ob dies das Postfach Ihres Return-Path ist und nicht das einer Person.",
        "Die Seite des Postfachs: {url}",
        "E-Mail an {address}: {subject}",
        "{sender} schrieb an {address}:",
        "{account} muss neu verbunden werden",
        "Das OAuth-Konto {account} funktioniert nicht mehr: {reason}",
        "Die Seite des Kontos: {url}",
    ),
    "fr": NoticeWords(
        "{server} : {percent} % du quota sont utilisés",
        "{server} a envoyé {used} des {quota} messages de sa période, qui se termine le {ends}.",
        "D’ici là, il n’envoie plus rien ; d’autres serveurs prennent le relais s’ils le peuvent.",
        "D’ici là, il n’envoie plus de campagnes ; d’autres serveurs prennent le relais s’ils le peuvent. Le reste"
        " est pour les avis, les essais et les messages individuels.",
        "{server} est suspendu",
        "{server} est suspendu : {reason}",
        "Un nouvel essai aura lieu de lui-même le {until}.",
        "Il reste suspendu jusqu’à ce que quelqu’un corrige ses réglages ou le relance.",
        "{server} dit que sa limite est atteinte",
        "{server} dit que sa propre limite est atteinte : {reason}",
        "{server} : une réponse à examiner",
        "{server} a reçu une réponse que quelqu’un devrait examiner : {reason}",
        "Le certificat de {server} expire le {ends}",
        "Le certificat présenté par {server} ({host}) est valable jusqu’au {ends}. Demandez à son exploitant de le"
        " renouveler ; ensuite, plus rien ne pourra être envoyé par ce serveur en sécurité.",
        "{mailing} : {number} destinataires n’ont pas été atteints",
        "{mailing} est terminé. {number} destinataires n’ont pas pu être atteints par {server} :",
        "… et {number} autres.",
        "Non distribué : {mailing}",
        "Le message « {mailing} » à {recipient} a été abandonné. {server} répond : {reason}",
        "La page du serveur : {url}",
        "Signalez les abus à {address}.",
        "{mailing} est redevenue un brouillon",
        "{mailing} n’a pas été envoyée et est redevenue un brouillon. {reason}",
        "Le reste de {mailing} attend",
        "La variante gagnante de {mailing} n’a pas été envoyée aux autres destinataires. {reason}",
        "La page de la campagne : {url}",
        "{domain} : DNS à vérifier",
        "Ce que le DNS dit de {domain} a changé :",
        "{line} est de nouveau en ordre.",
        "La page du domaine : {url}",
        "Les clés DKIM de {domain} sont remplacées le {until}. Publiez ces enregistrements avant :",
        "L’enregistrement DKIM {name} est incorrect. {reason} S’il le reste pendant 24 heures, sa clé cesse de signer.",
        "L’enregistrement DKIM {name} a été incorrect pendant 24 heures : sa clé ne signe plus. Les messages à"
        " signer attendent.",
        "{mailbox} ne peut pas être lue",
        "La boîte {mailbox} ne peut pas être lue : {reason}\n\nLes retours et les plaintes qui y arrivent"
        " restent sans effet jusqu’à ce qu’elle puisse être lue de nouveau.",
        "{mailbox} n’est pas une boîte de retours",
        "Sur {number} messages dans {mailbox}, la plupart ne sont ni des retours ni des plaintes. Ils"
        " restent intacts. Vérifiez qu’il s’agit de la boîte de votre adresse de retour, et non de celle"
        " d’une personne.",
        "La page de la boîte : {url}",
        "Message à {address} : {subject}",
        "{sender} a écrit à {address} :",
        "{account} doit être reconnecté",
        "Le compte OAuth {account} ne fonctionne plus : {reason}",
        "La page du compte : {url}",
    ),
    "es": NoticeWords(
        "{server}: se ha usado el {percent} % de la cuota",
        "{server} ha enviado {used} de los {quota} mensajes de su periodo, que termina el {ends}.",
        "Hasta entonces no envía nada más; otros servidores lo sustituyen si pueden.",
        "Hasta entonces no envía más campañas; otros servidores lo sustituyen si pueden. El resto queda para"
        " avisos, pruebas y mensajes individuales.",
        "{server} está en pausa",
        "{server} está en pausa: {reason}",
        "Se volverá a probar por sí solo el {until}.",
        "Seguirá en pausa hasta que alguien corrija su configuración o lo reanude.",
        "{server} dice que ha alcanzado su límite",
        "{server} dice que ha alcanzado su propio límite: {reason}",
        "{server}: una respuesta que conviene revisar",
        "{server} recibió una respuesta que alguien debería revisar: {reason}",
        "El certificado de {server} caduca el {ends}",
        "El certificado que presenta {server} ({host}) es válido hasta el {ends}. Pida a quien lo administra que lo"
        " renueve; después no se podrá enviar nada con seguridad a través de este servidor.",
        "{mailing}: no se llegó a {number} destinatarios",
        "{mailing} ha terminado. No se pudo llegar a {number} destinatarios a través de {server}:",
        "… y {number} más.",
        "No entregado: {mailing}",
        "Se ha desistido de enviar el mensaje «{mailing}» a {recipient}. {server} dice: {reason}",
        "La página del servidor: {url}",
        "Comunique los abusos a {address}.",
        "{mailing} vuelve a ser un borrador",
        "{mailing} no se envió y vuelve a ser un borrador. {reason}",
        "El resto de {mailing} espera",
        "La variante ganadora de {mailing} no se envió a los demás destinatarios. {reason}",
        "La página de la campaña: {url}",
        "{domain}: revise el DNS",
        "Lo que el DNS dice de {domain} ha cambiado:",
        "{line} vuelve a estar en orden.",
        "La página del dominio: {url}",
        "Las claves DKIM de {domain} se sustituyen el {until}. Publique antes estos registros:",
        "El registro DKIM {name} es incorrecto. {reason} Si sigue así 24 horas, su clave deja de firmar.",
        "El registro DKIM {name} ha sido incorrecto durante 24 horas: su clave ya no firma. Los mensajes que"
        " deben firmarse esperan.",
        "No se puede leer {mailbox}",
        "No se puede leer el buzón {mailbox}: {reason}\n\nLos rebotes y las quejas que llegan allí no tienen"
        " efecto hasta que se pueda leer de nuevo.",
        "{mailbox} no es un buzón de rebotes",
        "De {number} mensajes en {mailbox}, la mayoría no son rebotes ni quejas. Quedan intactos. Compruebe"
        " que es el buzón de su dirección de retorno y no el de una persona.",
        "La página del buzón: {url}",
        "Mensaje a {address}: {subject}",
        "{sender} escribió a {address}:",
        "Hay que volver a conectar {account}",
        "La cuenta OAuth {account} ya no funciona: {reason}",
        "La página de la cuenta: {url}",
    ),
    "pt": NoticeWords(
        "{server}: {percent} % da quota utilizada",
        "{server} enviou {used} das {quota} mensagens do seu período, que termina em {ends}.",
        "Até lá não envia mais nada; outros servidores substituem-no se puderem.",
        "Até lá não envia mais campanhas; outros servidores substituem-no se puderem. O resto fica para avisos,"
        " testes e mensagens individuais.",
        "{server} está em pausa",
        "{server} está em pausa: {reason}",
        "Será tentado de novo automaticamente em {until}.",
        "Fica em pausa até que alguém corrija a sua configuração ou o retome.",
        "{server} diz que atingiu o seu limite",
        "{server} diz que atingiu o seu próprio limite: {reason}",
        "{server}: uma resposta a verificar",
        "{server} recebeu uma resposta que alguém deve verificar: {reason}",
        "O certificado de {server} expira em {ends}",
        "O certificado apresentado por {server} ({host}) é válido até {ends}. Peça a quem o administra que o renove;"
        " depois disso nada poderá ser enviado com segurança através deste servidor.",
        "{mailing}: {number} destinatários não foram alcançados",
        "{mailing} terminou. Não foi possível alcançar {number} destinatários através de {server}:",
        "… e mais {number}.",
        "Não entregue: {mailing}",
        "Desistiu-se de enviar a mensagem “{mailing}” para {recipient}. {server} responde: {reason}",
        "A página do servidor: {url}",
        "Comunique abusos a {address}.",
        "{mailing} voltou a ser um rascunho",
        "{mailing} não foi enviada e voltou a ser um rascunho. {reason}",
        "O resto de {mailing} está à espera",
        "A variante vencedora de {mailing} não foi enviada aos restantes destinatários. {reason}",
        "A página da campanha: {url}",
        "{domain}: verifique o DNS",
        "O que o DNS diz de {domain} mudou:",
        "{line} está novamente em ordem.",
        "A página do domínio: {url}",
        "As chaves DKIM de {domain} são substituídas em {until}. Publique antes estes registos:",
        "O registo DKIM {name} está errado. {reason} Se continuar assim durante 24 horas, a sua chave deixa de"
        " assinar.",
        "O registo DKIM {name} esteve errado durante 24 horas: a sua chave deixou de assinar. As mensagens que"
        " têm de ser assinadas esperam.",
        "Não é possível ler {mailbox}",
        "Não é possível ler a caixa de correio {mailbox}: {reason}\n\nAs devoluções e as queixas que lá"
        " chegam não têm efeito até que possa ser lida de novo.",
        "{mailbox} não é uma caixa de devoluções",
        "De {number} mensagens em {mailbox}, a maioria não são devoluções nem queixas. Ficam intactas."
        " Verifique se esta é a caixa do seu endereço de retorno e não a de uma pessoa.",
        "A página da caixa de correio: {url}",
        "Mensagem para {address}: {subject}",
        "{sender} escreveu para {address}:",
        "{account} precisa ser conectada de novo",
        "A conta OAuth {account} já não funciona: {reason}",
        "A página da conta: {url}",
    ),
    "nl": NoticeWords(
        "{server}: {percent} % van het quotum is gebruikt",
        "{server} heeft {used} van de {quota} berichten van zijn periode verzonden, die eindigt op {ends}.",
        "Tot dan verzendt hij niets meer; andere servers nemen het over waar dat kan.",
        "Tot dan verzendt hij geen campagnes meer; andere servers nemen het over waar dat kan. De rest is voor"
        " meldingen, tests en losse berichten.",
        "{server} is gepauzeerd",
        "{server} is gepauzeerd: {reason}",
        "Op {until} wordt hij vanzelf opnieuw geprobeerd.",
        "Hij blijft gepauzeerd tot iemand zijn instellingen verbetert of hem hervat.",
        "{server} meldt dat zijn limiet is bereikt",
        "{server} meldt dat zijn eigen limiet is bereikt: {reason}",
        "{server}: een antwoord om te bekijken",
        "{server} kreeg een antwoord dat iemand moet bekijken: {reason}",
        "Het certificaat van {server} verloopt op {ends}",
        "Het certificaat dat {server} ({host}) toont, is geldig tot {ends}. Vraag de beheerder het te vernieuwen;"
        " daarna kan via deze server niets meer veilig worden verzonden.",
        "{mailing}: {number} ontvangers zijn niet bereikt",
        "{mailing} is klaar. {number} ontvangers konden via {server} niet worden bereikt:",
        "… en nog {number}.",
        "Niet afgeleverd: {mailing}",
        "Het bericht “{mailing}” aan {recipient} is opgegeven. {server} meldt: {reason}",
        "De pagina van de server: {url}",
        "Meld misbruik aan {address}.",
        "{mailing} is weer een concept",
        "{mailing} is niet verzonden en is weer een concept. {reason}",
        "De rest van {mailing} wacht",
        "De winnende variant van {mailing} is niet naar de overige ontvangers verzonden. {reason}",
        "De pagina van de campagne: {url}",
        "{domain}: controleer de DNS",
        "Wat de DNS over {domain} zegt, is veranderd:",
        "{line} is weer in orde.",
        "De pagina van het domein: {url}",
        "De DKIM-sleutels van {domain} worden op {until} vervangen. Publiceer vóór die tijd deze records:",
        "Het DKIM-record {name} is onjuist. {reason} Blijft dat 24 uur zo, dan ondertekent zijn sleutel niet meer.",
        "Het DKIM-record {name} was 24 uur onjuist. Zijn sleutel ondertekent niet meer, en mail die ondertekend"
        " moet zijn, wacht.",
        "{mailbox} kan niet worden gelezen",
        "De mailbox {mailbox} kan niet worden gelezen: {reason}\n\nBounces en klachten die daar binnenkomen,"
        " hebben geen effect tot hij weer kan worden gelezen.",
        "{mailbox} is geen mailbox voor bounces",
        "Van {number} berichten in {mailbox} zijn de meeste geen bounces of klachten. Ze blijven"
        " onaangeroerd. Controleer of dit de mailbox van uw retouradres is en niet die van een persoon.",
        "De pagina van de mailbox: {url}",
        "Bericht aan {address}: {subject}",
        "{sender} schreef aan {address}:",
        "{account} moet opnieuw worden verbonden",
        "Het OAuth-account {account} werkt niet meer: {reason}",
        "De pagina van het account: {url}",
    ),
    "it": NoticeWords(
        "{server}: usato il {percent} % della quota",
        "{server} ha inviato {used} dei {quota} messaggi del suo periodo, che termina il {ends}.",
        "Fino ad allora non invia altro; altri server subentrano se possono.",
        "Fino ad allora non invia altre campagne; altri server subentrano se possono. Il resto è per avvisi, prove"
        " e messaggi singoli.",
        "{server} è in pausa",
        "{server} è in pausa: {reason}",
        "Sarà riprovato da solo il {until}.",
        "Resta in pausa finché qualcuno non ne corregge le impostazioni o lo riavvia.",
        "{server} dice di aver raggiunto il suo limite",
        "{server} dice di aver raggiunto il proprio limite: {reason}",
        "{server}: una risposta da controllare",
        "{server} ha ricevuto una risposta che qualcuno dovrebbe controllare: {reason}",
        "Il certificato di {server} scade il {ends}",
        "Il certificato presentato da {server} ({host}) è valido fino al {ends}. Chieda a chi lo gestisce di"
        " rinnovarlo; dopo non si potrà più inviare nulla in sicurezza tramite questo server.",
        "{mailing}: {number} destinatari non raggiunti",
        "{mailing} è terminato. Non è stato possibile raggiungere {number} destinatari tramite {server}:",
        "… e altri {number}.",
        "Non consegnato: {mailing}",
        "L’invio del messaggio «{mailing}» a {recipient} è stato abbandonato. {server} risponde: {reason}",
        "La pagina del server: {url}",
        "Segnali gli abusi a {address}.",
        "{mailing} è di nuovo una bozza",
        "{mailing} non è stata inviata ed è di nuovo una bozza. {reason}",
        "Il resto di {mailing} è in attesa",
        "La variante vincente di {mailing} non è stata inviata agli altri destinatari. {reason}",
        "La pagina della campagna: {url}",
        "{domain}: controllare il DNS",
        "Ciò che il DNS dice di {domain} è cambiato:",
        "{line} è di nuovo a posto.",
        "La pagina del dominio: {url}",
        "Le chiavi DKIM di {domain} vengono sostituite il {until}. Pubblicate prima questi record:",
        "Il record DKIM {name} è errato. {reason} Se resta così per 24 ore, la sua chiave smette di firmare.",
        "Il record DKIM {name} è stato errato per 24 ore: la sua chiave non firma più. I messaggi da firmare"
        " attendono.",
        "Impossibile leggere {mailbox}",
        "Impossibile leggere la casella {mailbox}: {reason}\n\nI mancati recapiti e i reclami che vi"
        " arrivano non hanno effetto finché non potrà essere letta di nuovo.",
        "{mailbox} non è una casella per i mancati recapiti",
        "Dei {number} messaggi in {mailbox}, la maggior parte non sono mancati recapiti né reclami. Restano"
        " intatti. Verifichi che sia la casella del suo indirizzo di ritorno e non quella di una persona.",
        "La pagina della casella: {url}",
        "Messaggio a {address}: {subject}",
        "{sender} ha scritto a {address}:",
        "{account} deve essere ricollegato",
        "L’account OAuth {account} non funziona più: {reason}",
        "La pagina dell’account: {url}",
    ),
    "ja": NoticeWords(
        "{server}：割り当ての{percent}%を使用しました",
        "{server} は、{ends} に終わる期間の {quota} 通のうち {used} 通を送信しました。",
        "それまでこのサーバーからは送信されません。可能であれば他のサーバーが引き継ぎます。",
        "それまでこのサーバーからキャンペーンは送信されません。可能であれば他のサーバーが引き継ぎます。残りは通知、テスト、個別のメッセージに使われます。",
        "{server} は一時停止中です",
        "{server} は一時停止中です：{reason}",
        "{until} に自動的に再試行されます。",
        "設定が修正されるか、再開されるまで停止したままです。",
        "{server} は上限に達したと応答しました",
        "{server} は自身の上限に達したと応答しました：{reason}",
        "{server}：確認が必要な応答",
        "{server} は確認が必要な応答を受け取りました：{reason}",
        "{server} の証明書は {ends} に期限が切れます",
        "{server}（{host}）の証明書の有効期限は {ends} です。サーバーの管理者に更新を依頼してください。"
        "期限が切れると、このサーバーから安全に送信できなくなります。",
        "{mailing}：{number} 件の宛先に届きませんでした",
        "{mailing} は終了しました。{server} を通じて {number} 件の宛先に届けられませんでした：",
        "… ほか {number} 件。",
        "配信できませんでした：{mailing}",
        "{recipient} 宛てのメッセージ「{mailing}」の配信を断念しました。{server} の応答：{reason}",
        "サーバーのページ：{url}",
        "不正利用の報告先：{address}",
        "{mailing} は下書きに戻りました",
        "{mailing} は送信されず、下書きに戻りました。{reason}",
        "{mailing} の残りの送信は保留中です",
        "{mailing} の採用案は残りの宛先に送信されませんでした。{reason}",
        "キャンペーンのページ：{url}",
        "{domain}：DNS を確認してください",
        "{domain} の DNS の内容が変わりました：",
        "{line} は正常に戻りました。",
        "ドメインのページ：{url}",
        "{domain} の DKIM 鍵は {until} に交換されます。それまでに次のレコードを公開してください：",
        "DKIM レコード {name} が正しくありません。{reason} 24 時間このままだと、その鍵は署名を停止します。",
        "DKIM レコード {name} は 24 時間正しくなかったため、署名を停止しました。署名が必要なメールは待機します。",
        "{mailbox} を読み取れません",
        "メールボックス {mailbox} を読み取れません：{reason}\n\n"
        "再び読み取れるようになるまで、そこに届く不達通知や苦情は反映されません。",
        "{mailbox} は不達通知用のメールボックスではありません",
        "{mailbox} の {number} 通のうち、ほとんどは不達通知でも苦情でもありません。それらはそのまま残ります。"
        "個人のものではなく、リターンパスのメールボックスであることを確認してください。",
        "メールボックスのページ：{url}",
        "{address} 宛てのメール：{subject}",
        "{sender} から {address} 宛て：",
        "{account} を接続し直す必要があります",
        "OAuth アカウント {account} は使えなくなりました: {reason}",
        "アカウントのページ: {url}",
    ),
}


def words_for(language: str) -> NoticeWords:
    """Return the words of a BCP 47 language, or English words for an unknown language."""
    return WORDS.get(re.split("[-_]", language.lower())[0], WORDS["en"])
