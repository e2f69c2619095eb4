"""The confirmation mail of a sign-up: content with merge fields, and their values."""

from dataclasses import dataclass
from typing import Any

from publicpages.words.confirmation import CONFIRMATION
from publicpages.words.tracking import TRACKING

_HTML = """\
<!DOCTYPE html>
<html lang="{language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\
<title>{words.heading}</title></head>
<body style="margin:0;padding:24px;font:16px/1.6 Arial,Helvetica,sans-serif;color:#1f2937;background:#ffffff">
<div style="max-width:560px;margin:0 auto">
<h1 style="font-size:22px;line-height:1.3">{words.heading}</h1>
<p>{words.body}</p>
<ul>{{% for list in lists %}}<li>{{{{ list }}}}</li>{{% endfor %}}</ul>
{{% if wishes != empty %}}<p>{also}</p>
<ul>{{% for wish in wishes %}}<li>{{{{ wish }}}}</li>{{% endfor %}}</ul>
{{% endif %}}<p>{words.hint}</p>
<p><a href="{{{{ confirm_url }}}}" style="display:inline-block;padding:12px 20px;border-radius:8px;\
background:#1f2937;color:#ffffff;text-decoration:none;font-weight:bold">{words.button}</a></p>
<p style="font-size:13px;overflow-wrap:anywhere">{{{{ confirm_url }}}}</p>
<p>{ignore}</p>
<p>{{{{ organisation }}}}</p>
</div>
</body>
</html>
"""
_TEXT = """\
{words.body}

{{% for list in lists %}}- {{{{ list }}}}
{{% endfor %}}
{{% if wishes != empty %}}{also}

{{% for wish in wishes %}}- {{{{ wish }}}}
{{% endfor %}}
{{% endif %}}{words.hint}

{{{{ confirm_url }}}}

{ignore}

{{{{ organisation }}}}
"""


@dataclass(frozen=True, slots=True)
class ConfirmationMail:
    """A content, and its values for one person."""

    subject: str
    html: str
    text: str
    values: dict[str, Any]


def confirmation_mail(
    language: str,
    *,
    organisation: str,
    days: int,
    lists: list[str],
    wishes: list[str],
    url: str,
    is_subscribed: bool,
) -> ConfirmationMail:
    """Return the mail in one of the product's languages.

    It contains no name: the person who filled in the form may have entered anything as the name.

    :param wishes: what else was ticked, word for word.
    :param is_subscribed: whether the person gets mail of all these lists without the confirmation.
    """
    words, also = CONFIRMATION[language], TRACKING[language].also
    ignore = words.ignore_counting if is_subscribed else words.ignore
    return ConfirmationMail(
        subject=words.subject_counting if is_subscribed else words.subject,
        html=_HTML.format(words=words, also=also, ignore=ignore, language=language),
        text=_TEXT.format(words=words, also=also, ignore=ignore),
        values={"organisation": organisation, "days": days, "lists": lists, "wishes": wishes, "confirm_url": url},
    )
