"""The layout of the server form: four tabs and their rows. The form itself defines the fields."""

from collections.abc import Collection, Sequence
from typing import Any

from crispy_forms.bootstrap import Tab, TabHolder
from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Div, Field, Layout
from django.utils.translation import gettext as _

from mail.links import utm


class CountingTab(Tab):  # type: ignore[misc]  # crispy-forms ships no types.
    """A tab that counts the errors of its fields; the holder draws the links after the contents."""

    template = "%s/layout/tab-pane.html"
    error_count = 0

    def render(self, form: Any, context: Any, template_pack: str = "", **kwargs: Any) -> Any:
        names = [pointer.name for pointer in self.get_field_names()]
        self.error_count = sum(len(form.errors.get(name, ())) for name in names)
        return super().render(form, context, template_pack, **kwargs)


def server_form_helper(names: Collection[str], first: Sequence[str] = (), is_open: bool = False) -> FormHelper:
    """Return a new layout each time, because crispy's tabs remember which one was open.

    :param names: the fields of the form; the checkbox that removes a secret exists only if it is set.
    :param first: fields that stand first, with all others folded below them; empty: nothing is folded.
    :param is_open: whether the others are unfolded.
    """
    helper = FormHelper()
    helper.form_tag = False  # The admin's page has the form tag, its token and its buttons.
    helper.disable_csrf = True
    helper.include_media = False
    head = _row(_cell("preset", 6), _cell("name", 6))
    panel = HTML('<div id="preset-panel" class="server-preset" hidden></div>')
    tabs = _all_tabs(names)
    if not first:
        helper.layout = Layout(head, panel, tabs)
        return helper
    for part in (head, tabs):
        _take_out(part, first)
    opening = f'<details class="server-more"{" open" if is_open else ""}><summary>{_("More settings")}</summary>'
    asked = Div(*(_row(_cell(name, 12)) for name in first), css_class="server-short")
    helper.layout = Layout(panel, asked, HTML(opening), head, tabs, HTML("</details>"))
    return helper


def _all_tabs(names: Collection[str]) -> TabHolder:
    return TabHolder(
        CountingTab("SMTP", *_smtp(names), css_id="smtp"),
        CountingTab(_("Notes"), _row(_cell("notes", 12)), css_id="notes"),
        CountingTab(_("Miscellaneous"), *_miscellaneous(names), css_id="miscellaneous"),
        CountingTab("UTM", *_utm(), css_id="utm"),
    )


def _take_out(part: Any, names: Collection[str]) -> None:
    """Remove fields from a part of the layout, with rows that then are empty."""
    for child in list(part.fields):
        if isinstance(child, Field) and child.fields[0] in names:
            part.fields.remove(child)
        elif isinstance(child, Div):
            _take_out(child, names)
            if not child.fields:
                part.fields.remove(child)


def _smtp(names: Collection[str]) -> list[Div]:
    return [
        _row(_cell("host", 6), _cell("port", 3), _cell("timeout_seconds", 3)),
        _row(_cell("username", 4), _secret("password", 4, names), _cell("oauth_account", 4)),
        _row(_cell("mail_from", 6), _cell("mail_to", 6)),
        _row(_cell("mail_to_unknown", 4), _cell("mail_cc", 4), _cell("mail_bcc", 4)),
        _row(_cell("is_active", 4), _cell("use_tls", 4), _cell("handles_email_validation", 4)),
        _row(_cell("trusted_certificate", 4), _cell("mechanism", 4), _cell("never_tls", 4)),
        _row(_cell("is_own_relay", 4), _cell("dkim", 4), _cell("requires_dkim", 4)),
    ]


def _miscellaneous(names: Collection[str]) -> list[Div | HTML]:
    return [
        _row(_cell("domain_name", 4), _cell("language", 4), _secret("api_key", 4, names)),
        _heading(_("Order and share")),
        _row(_cell("display_order", 4), _cell("weight", 4)),
        _heading(_("Quota and limits")),
        _row(_cell("max_per_month", 4), _cell("month_start_day", 4), _cell("time_zone", 4)),
        _row(_cell("max_per_day", 4), _cell("max_per_hour", 4)),
        _heading(_("Speed and connections")),
        _row(_cell("rate_limit", 4), _cell("rate_unit", 4)),
        _row(_cell("max_connections", 4), _cell("messages_per_connection", 4), _cell("pipelining", 4)),
        _heading(_("Unsubscribing")),
        _row(_cell("unsubscribe_url", 4), _switch("use_unsubscribe_link"), _switch("relays_unsubscribes")),
        _heading(_("Bounces, complaints and out-of-office replies")),
        _row(_cell("return_path", 4), _switch("use_return_path"), _switch("use_verp")),
        _row(_cell("provider_configuration", 8)),
        _row(_cell("precedence", 8), _switch("use_precedence")),
        _row(_cell("spam_address", 8), _switch("use_spam_address")),
        _row(_cell("abuse_address", 8), _switch("use_abuse_address")),
    ]


def _utm() -> list[Div | HTML]:
    return [
        _row(_cell("unknown_first_name", 6), _cell("unknown_last_name", 6)),
        _heading(_("Added to links")),
        _row(*(_cell(name, 4) for name in utm.PER_CAMPAIGN)),
        *(_row(_cell(name, 8), _switch(utm.switch_of(name))) for name in utm.PER_LINK),
        _row(_cell("replaces_utm", 6), _cell("tags_text_links", 6)),
    ]


def _row(*cells: Div | Field) -> Div:
    return Div(*cells, css_class="server-row")


def _cell(name: str, twelfths: int) -> Field:
    return Field(name, wrapper_class=f"server-cell server-cell-{twelfths}")


def _switch(name: str) -> Field:
    """A switch next to its value, at the height of the input, not of the label."""
    return Field(name, wrapper_class="server-cell server-cell-4 server-switch")


def _secret(name: str, twelfths: int, names: Collection[str]) -> Div:
    """A secret with its removal checkbox below."""
    boxes = [Field(box, wrapper_class="mt-3") for box in (f"remove_{name}",) if box in names]
    return Div(Field(name), *boxes, css_class=f"server-cell server-cell-{twelfths}")


def _heading(text: str) -> HTML:
    return HTML(f'<h3 class="server-heading">{text}</h3>')
