"""The adapters: one module for each provider. Two more stand beside the topics that carry their posts."""

from collections.abc import Mapping

from feedback.webhooks.adapter import Adapter
from feedback.webhooks.adapters import (
    azure,
    brevo,
    mailersend,
    mailgun,
    mailjet,
    mandrill,
    postal,
    postmark,
    resend,
    sendgrid,
    signed,
    sparkpost,
)
from feedback.webhooks.sns import scaleway, ses

_ALL = (
    ses,
    sendgrid,
    mailgun,
    postmark,
    brevo,
    mailjet,
    sparkpost,
    resend,
    azure,
    scaleway,
    mailersend,
    mandrill,
    postal,
    signed,
)
ADAPTERS: Mapping[str, Adapter] = {module.ADAPTER.key: module.ADAPTER for module in _ALL}


def adapter_of(preset: str) -> Adapter:
    """Return the adapter of a server's preset; of a server without one, that of signed JSON."""
    return ADAPTERS.get(preset, signed.ADAPTER)
