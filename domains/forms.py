"""The form of a domain: its name, which stays, its DKIM selectors, the host of its links, and its feedback loops."""

from django import forms
from django.utils.translation import gettext as _

from adminpages.text_fields import RefusesControls
from domains.models import SendingDomain
from mail.addresses import AddressInvalid, check_domain_name, readable_domain
from mail.records.dkim_key import is_selector
from mail.suffixes import organisational_domain
from words.texts import translated

MOST_SELECTORS = 10  # Each is a look-up.


class SendingDomainForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SendingDomain
        fields = ["name", "selectors", "tracking_host", "yahoo_loop_on", "microsoft_loop_on"]

    def clean_name(self) -> str:
        try:
            return check_domain_name(self.cleaned_data["name"])
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None

    def clean_selectors(self) -> str:
        """Return the selectors separated by spaces; whole names, as DNS forms show them, are cut to the selector."""
        typed: str = self.cleaned_data["selectors"]
        names = [word.partition("._domainkey")[0] for word in typed.replace(",", " ").split()]
        found = list(dict.fromkeys(names))
        if wrong := [name for name in found if not is_selector(name)]:
            raise forms.ValidationError(
                _("“%(name)s” isn't a selector. Enter the part before ._domainkey, e.g. s1.") % {"name": wrong[0][:80]}
            )
        if len(found) > MOST_SELECTORS:
            raise forms.ValidationError(_("Enter at most %(most)s selectors.") % {"most": MOST_SELECTORS})
        return " ".join(found)

    def clean_tracking_host(self) -> str:
        """Return the name as an A-label; receivers distrust links to the domain of somebody else."""
        typed: str = self.cleaned_data["tracking_host"]
        if not typed:
            return ""
        try:
            host = check_domain_name(typed)
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None
        domain: str = self.cleaned_data.get("name") or self.instance.name
        if domain and organisational_domain(host) != (owner := organisational_domain(domain)):
            raise forms.ValidationError(
                _("%(host)s doesn't belong to %(domain)s. Enter a name below it, e.g. click.%(domain)s.")
                % {"host": readable_domain(host), "domain": readable_domain(owner)}
            )
        return host
