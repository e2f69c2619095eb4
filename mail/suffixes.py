"""Domains below which everybody can register: a short table of the usual ones, not the Public Suffix List.

The whole list has ten thousand entries and changes weekly; a form only has to catch ``co.uk`` typed for
``shop.co.uk``, and two addresses have to be recognised as one organisation's. A suffix that is missing here makes
its domains look like one organisation: a warning is lost, no mail goes wrong.
"""

# Country: what is registered below it in place of names (after publicsuffix.org).
_SECOND_LEVELS = {
    "ae": "ac co gov net org sch",
    "ar": "com edu gob int mil net org tur",
    "at": "ac co gv or",
    "au": "asn com edu gov id net org",
    "bd": "ac com edu gov net org",
    "bo": "com edu gob net org",
    "br": "adv art blog com eco edu eng gov ind inf jus leg med mil net org pro srv tv",
    "cn": "ac com edu gov mil net org",
    "co": "com edu gov mil net nom org",
    "cr": "ac co ed fi go or",
    "cy": "ac com gov net org",
    "do": "com edu gob gov mil net org web",
    "ec": "com edu fin gob info med net org pro",
    "eg": "com edu eun gov mil name net org sci",
    "es": "com edu gob nom org",
    "gh": "com edu gov mil org",
    "gr": "com edu gov net org",
    "gt": "com edu gob ind mil net org",
    "hk": "com edu gov idv net org",
    "hu": "co info org",
    "id": "ac biz co desa go mil my net or ponpes sch web",
    "il": "ac co gov idf k12 muni net org",
    "in": "ac co edu firm gen gov ind mil net nic org res",
    "ir": "ac co gov id net org sch",
    "it": "edu gov",
    "jp": "ac ad co ed go gr lg ne or",
    "ke": "ac co go info me mobi ne or sc",
    "kr": "ac co go mil ne or pe re",
    "lk": "ac com edu gov net org",
    "ma": "ac co gov net org press",
    "mx": "com edu gob net org",
    "my": "biz com edu gov mil name net org",
    "ng": "com edu gov mil mobi name net org sch",
    "np": "com edu gov mil net org",
    "nz": "ac co cri geek gen govt health iwi kiwi maori mil net org parliament school",
    "pa": "ac com edu gob net org",
    "pe": "com edu gob mil net nom org",
    "ph": "com edu gov i mil net ngo org",
    "pk": "ac com edu fam gob gov net org web",
    "pl": "aid biz com edu gov info mil net org waw",
    "pt": "com edu gov int net nome org publ",
    "py": "com coop edu gov mil net org",
    "ro": "arts com firm info nom nt org rec store tm www",
    "rs": "ac co edu gov in org",
    "ru": "ac com edu gov int mil net org pp",
    "sa": "com edu gov med net org pub sch",
    "sg": "com edu gov net org per",
    "sv": "com edu gob org red",
    "th": "ac co go in mi net or",
    "tr": "av bbs bel biz com dr edu gen gov info k12 mil name net org pol tel tv web",
    "tw": "club com ebiz edu game gov idv mil net org",
    "ua": "com edu gov in kiev kyiv lviv net odesa org",
    "uk": "ac co gov ltd me net nhs org plc police sch",
    "uy": "com edu gub mil net org",
    "ve": "com edu gob info mil net org web",
    "vn": "ac biz com edu gov health info int name net org pro",
    "za": "ac co edu gov law mil net nom org school web",
    "zm": "ac co com edu gov info net org",
    "zw": "ac co gov mil org",
}
# Hosts below which their customers have names (the private part of publicsuffix.org, the best known).
_HOSTERS = (
    "amplifyapp.com appspot.com azurewebsites.net blogspot.com cloudfront.net duckdns.org dyndns.org"
    " elasticbeanstalk.com firebaseapp.com fly.dev github.io gitlab.io glitch.me herokuapp.com hopto.org"
    " myfritz.net myshopify.com netlify.app ngrok.io ngrok.app no-ip.org onrender.com pages.dev railway.app"
    " readthedocs.io surge.sh trycloudflare.com vercel.app web.app webflow.io wixsite.com wordpress.com"
    " workers.dev"
)
_SUFFIXES = frozenset(_HOSTERS.split()) | frozenset(
    f"{name}.{country}" for country, names in _SECOND_LEVELS.items() for name in names.split()
)


def is_public_suffix(domain: str) -> bool:
    """Tell whether everybody can register names below ``domain`` (A-label, lower case)."""
    return "." not in domain or domain in _SUFFIXES


def organisational_domain(domain: str) -> str:
    """Return the part of a domain that was registered: ``shop.co.uk`` for ``mail.shop.co.uk``."""
    labels = domain.split(".")
    size = 3 if ".".join(labels[-2:]) in _SUFFIXES else 2
    return ".".join(labels[-size:])
