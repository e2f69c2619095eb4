"""The frame around the content of a mail: the page, the organisation's header and footer, and the hidden preheader.

Values in, HTML out. A page made here follows the reader's light or dark colour scheme.
"""

import html as html_entities
import re
from dataclasses import dataclass

from mail.message import footers

FONT = "-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
DEFAULT_ACCENT = "#2563eb"
_STYLED = re.compile(r"font|<style|<link", re.IGNORECASE)
# Follows the preheader, so that mail programs do not show the first words of the content after it.
_FILLER = "&#847;&zwnj;&nbsp;&#8199;&shy;" * 60


@dataclass(frozen=True, slots=True)
class Frame:
    """An organisation's header and footer. Empty parts are left out."""

    organisation: str = ""  # Shown if there is no logo, and to readers who see no pictures.
    logo_url: str = ""
    logo_width: int = 0  # In pixels.
    home_url: str = ""
    header: str = ""  # A line beside the logo.
    footer_html: str = ""
    postal_address: str = ""
    links: tuple[tuple[str, str], ...] = ()  # Name and URL, for example of a social network.
    accent: str = DEFAULT_ACCENT  # Colour of links and buttons, as #rrggbb.


def page(body: str, *, title: str, accent: str = DEFAULT_ACCENT) -> str:
    """Return an HTML fragment as a responsive page: 600 pixels wide, less on a phone, light and dark."""
    return _head(title, _page_style(accent)) + (
        '<body class="b-ground" style="margin:0;padding:0">\n'
        '<div role="article" aria-roledescription="email" class="b-ground">\n'
        '<table role="presentation" class="b-outer" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        '<td align="center" class="b-outer-cell">\n'
        '<!--[if mso]><table role="presentation" width="600" cellpadding="0" cellspacing="0"><tr><td><![endif]-->\n'
        '<table role="presentation" class="b-page" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>'
        f'<td class="b-content" dir="auto">\n{body.strip()}\n</td></tr></table>\n'
        "<!--[if mso]></td></tr></table><![endif]-->\n</td></tr></table>\n</div>\n</body></html>\n"
    )


def bare_page(body: str, *, title: str) -> str:
    """Return an HTML fragment as a page with only the head that mail programs need.

    A fragment without styles of its own gets the font of the footer below it, since mail programs default to a serif.
    """
    style = "" if _STYLED.search(body) else ' style="font-family:Arial,Helvetica,sans-serif"'
    return f"{_head(title, '')}<body{style}>\n{body.strip()}\n</body></html>\n"


def framed(html: str, frame: Frame) -> str:
    """Return the page with the organisation's header and footer."""
    html = footers.after_body_start(html, _header(frame))
    html = footers.before_body_end(html, _footer(frame))
    if "prefers-color-scheme" in html:  # A page without a dark scheme stays light, and so does its frame.
        html = _into_head(html, f"<style>{_FRAME_DARK}</style>\n")
    return html


def with_preheader(html: str, preheader: str) -> str:
    """Return the page with a hidden text at its start, which mail programs show beside the subject."""
    if not preheader.strip():
        return html
    # Merge tags stay unchanged; all other text is escaped.
    written = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|[&<>]", lambda found: _ENTITIES.get(found[0], found[0]), preheader.strip())
    hidden = (
        '<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;'
        f'mso-hide:all;color:transparent">{written}<span aria-hidden="true">{_FILLER}</span></div>\n'
    )
    return footers.after_body_start(html, hidden)


def text_footer(frame: Frame) -> str:
    """Return the footer of a plain text that was written by hand."""
    lines = [frame.organisation, *frame.postal_address.splitlines()]
    lines += [f"{name}: {url}" for name, url in frame.links]
    return "\n".join(line.strip() for line in lines if line.strip())


def contrast(accent: str) -> str:
    """Return white or near-black, whichever is easier to read on ``accent``."""
    return "#ffffff" if _luminance(accent) < 0.36 else "#18181b"


def lightened(accent: str) -> str:
    """Return the accent colour, light enough for text on a dark background."""
    red, green, blue = (int(accent[start : start + 2], 16) for start in (1, 3, 5))
    share = 0.0
    mixed = accent
    while _luminance(mixed) < 0.36 and share < 1:
        share += 0.1
        mixed = "#" + "".join(f"{round(part + (255 - part) * min(share, 1)):02x}" for part in (red, green, blue))
    return mixed


def _luminance(colour: str) -> float:
    """Return the relative luminance of WCAG 2, from 0 for black to 1 for white."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _header(frame: Frame) -> str:
    name = html_entities.escape(frame.organisation)
    if frame.logo_url:
        width = f' width="{frame.logo_width}"' if frame.logo_width else ""
        shown = (
            f'<img src="{html_entities.escape(frame.logo_url)}" alt="{name}"{width} border="0"'
            f' style="display:inline-block;max-width:100%;height:auto;border:0;font:700 20px/1.3 {FONT}">'
        )
    else:
        shown = f'<span class="b-name" style="font:700 20px/1.3 {FONT};color:#18181b">{name}</span>' if name else ""
    if frame.home_url and shown:
        shown = f'<a href="{html_entities.escape(frame.home_url)}" style="text-decoration:none">{shown}</a>'
    line = f'<div class="b-dim" style="{_DIM};padding-top:6px">{frame.header}</div>' if frame.header else ""
    return _block(shown + line, "28px 24px 12px") if shown or line else ""


def _footer(frame: Frame) -> str:
    links = ' <span aria-hidden="true">·</span> '.join(
        f'<a href="{html_entities.escape(url)}" class="b-dim" style="color:#52525b;text-decoration:underline">'
        f"{html_entities.escape(name)}</a>"
        for name, url in frame.links
    )
    address = [html_entities.escape(line.strip()) for line in frame.postal_address.splitlines() if line.strip()]
    who = [f"<strong>{html_entities.escape(frame.organisation)}</strong>"] if frame.organisation else []
    rows = [frame.footer_html, f"<p {_ROW}>{links}</p>" if links else ""]
    rows.append(f"<p {_ROW}>{'<br>'.join((*who, *address))}</p>" if address else "")
    content = "\n".join(row for row in rows if row)
    return _block(f'<div class="b-dim" style="{_DIM}">{content}</div>', "16px 24px 28px") if content else ""


def _block(content: str, padding: str) -> str:
    return (
        '\n<table role="presentation" class="b-frame" align="center" width="100%" cellpadding="0" cellspacing="0"'
        f' border="0" style="max-width:600px;margin:0 auto"><tr><td align="center" style="padding:{padding}">'
        f"{content}</td></tr></table>\n"
    )


def _head(title: str, style: str) -> str:
    rules = f"<style>{style}</style>\n" if style else ""
    schemes = (
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
    )
    return (
        f'<!doctype html>\n<html {footers.UNDETERMINED}><head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="x-apple-disable-message-reformatting">\n'
        f"{schemes if style else ''}<title>{html_entities.escape(title)}</title>\n{rules}</head>\n"
    )


def _into_head(html: str, addition: str) -> str:
    match = re.search(r"</head\s*>", html, re.IGNORECASE)
    return html[: match.start()] + addition + html[match.start() :] if match else html


def _page_style(accent: str) -> str:
    colours = {"ACCENT": accent, "ACDARK": lightened(accent), "ACCONTRAST": contrast(accent), "FONT": FONT}
    return re.sub(r"\b(?:ACCENT|ACDARK|ACCONTRAST|FONT)\b", lambda found: colours[found[0]], _PAGE)


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_DIM = f"font:13px/1.6 {FONT};color:#52525b"
_ROW = 'style="margin:0 0 8px"'
_FRAME_DARK = (
    "@media (prefers-color-scheme:dark){.b-name{color:#fafafa!important}"
    ".b-dim,.b-dim a,.b-dim p{color:#a1a1aa!important}}"
)
_PAGE = """
.b-ground{background-color:#f4f4f5;color:#27272a}
.b-outer-cell{padding:12px}
.b-page{max-width:600px;margin:0 auto;background-color:#ffffff;border-radius:8px}
.b-content{padding:32px;font:16px/1.6 FONT;color:#27272a;text-align:start;word-break:break-word}
.b-content h1{margin:0 0 16px;font:700 28px/1.25 FONT;color:#18181b}
.b-content h2{margin:32px 0 12px;font:700 21px/1.3 FONT;color:#18181b}
.b-content h3{margin:24px 0 8px;font:700 17px/1.4 FONT;color:#18181b}
.b-content p,.b-content ul,.b-content ol{margin:0 0 16px}
.b-content li{margin:0 0 6px}
.b-content a{color:ACCENT;text-decoration:underline}
.b-content a.button{display:inline-block;padding:12px 26px;background-color:ACCENT;border-radius:6px}
.b-content a.button{color:ACCONTRAST;font-weight:600;text-decoration:none}
.b-content img{max-width:100%;height:auto;border:0}
.b-content hr{margin:28px 0;border:0;border-top:1px solid #e4e4e7}
.b-content blockquote{margin:0 0 16px;padding:4px 0 4px 16px;border-left:4px solid ACCENT;color:#52525b}
.b-content pre{margin:0 0 16px;padding:12px;background-color:#f4f4f5;border-radius:6px}
.b-content pre{font:14px/1.5 Menlo,Consolas,monospace;white-space:pre-wrap}
.b-content table:not([role]){width:100%;border-collapse:collapse;margin:0 0 16px}
.b-content table:not([role]) th,.b-content table:not([role]) td{padding:8px 10px;border-bottom:1px solid #e4e4e7}
.b-content table:not([role]) th,.b-content table:not([role]) td{text-align:start;vertical-align:top}
@media (prefers-color-scheme:dark){
.b-ground,.b-outer{background-color:#18181b!important;color:#e4e4e7!important}
.b-page{background-color:#27272a!important}
.b-content,.b-content p,.b-content li,.b-content td,.b-content th{color:#e4e4e7!important}
.b-content h1,.b-content h2,.b-content h3{color:#fafafa!important}
.b-content a{color:ACDARK!important}
.b-content a.button{background-color:ACCENT!important;color:ACCONTRAST!important}
.b-content blockquote{color:#d4d4d8!important}
.b-content pre{background-color:#18181b!important}
.b-content hr,.b-content th,.b-content td{border-color:#52525b!important}
body>div:last-of-type:not([role]),body>div:last-of-type:not([role]) a{color:#d4d4d8!important}
}
@media (max-width:480px){
.b-outer-cell{padding:0!important}
.b-page{border-radius:0!important}
.b-content{padding:24px 20px!important}
}
"""
