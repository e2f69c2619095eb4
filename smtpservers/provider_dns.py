"""What providers ask of their customers' DNS: the include of SPF, usual names of DKIM keys, and the return path.

Common knowledge, not checked at the sources. DNS itself proves or disproves it: what is missing makes a domain worth a
look, and never broken.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProviderDns:
    """One provider."""

    include: str = ""  # Empty: SPF needs none, because the return path is the provider's own.
    selectors: tuple[str, ...] = ()  # Those that most customers have; empty: each has others.
    replaces_envelope: bool = False  # Whether bounces go to an address of the provider unless it is set up otherwise.
    is_for_bulk: bool = True  # Off: people have mailboxes there, so the include may serve them.


PROVIDER_DNS = {
    "ses": ProviderDns("amazonses.com", replaces_envelope=True),
    "brevo": ProviderDns("spf.brevo.com", ("brevo1", "brevo2", "mail"), replaces_envelope=True),
    "elastic": ProviderDns("_spf.elasticemail.com", ("api",), replaces_envelope=True),
    "emailit": ProviderDns(replaces_envelope=True),
    "fastmail": ProviderDns("spf.messagingengine.com", ("fm1", "fm2", "fm3"), is_for_bulk=False),
    "workspace": ProviderDns("_spf.google.com", ("google",), is_for_bulk=False),
    "workspace-relay": ProviderDns("_spf.google.com", ("google",), is_for_bulk=False),
    "icloud": ProviderDns("icloud.com", ("sig1",), is_for_bulk=False),
    "mandrill": ProviderDns("spf.mandrillapp.com", ("mte1", "mte2", "mandrill"), replaces_envelope=True),
    "mailersend": ProviderDns("_spf.mailersend.net", ("mlsend", "mlsend2"), replaces_envelope=True),
    "mailgun": ProviderDns("mailgun.org", ("k1", "mx", "pic", "smtp", "mailo")),
    "mailjet": ProviderDns("spf.mailjet.com", ("mailjet",), replaces_envelope=True),
    "mailtrap": ProviderDns(selectors=("rwmt1", "rwmt2"), replaces_envelope=True),
    "m365": ProviderDns("spf.protection.outlook.com", ("selector1", "selector2"), is_for_bulk=False),
    "postmark": ProviderDns("spf.mtasv.net", replaces_envelope=True),
    "resend": ProviderDns(selectors=("resend",), replaces_envelope=True),
    "smtp2go": ProviderDns("spf.smtp2go.com", replaces_envelope=True),
    "sparkpost": ProviderDns("sparkpostmail.com", replaces_envelope=True),
    "sendgrid": ProviderDns("sendgrid.net", ("s1", "s2"), replaces_envelope=True),
    "zoho": ProviderDns("zohomail.com", ("zmail", "zoho"), is_for_bulk=False),
    "zeptomail": ProviderDns(replaces_envelope=True),
}
UNKNOWN = ProviderDns()


def dns_of(preset: str) -> ProviderDns:
    """Return what is known of a preset's provider; of others nothing."""
    return PROVIDER_DNS.get(preset, UNKNOWN)
