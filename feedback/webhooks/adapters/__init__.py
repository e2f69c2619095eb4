"""The adapters: one module for each provider."""

from collections.abc import Mapping

from feedback.webhooks.adapter import Adapter
from feedback.webhooks.adapters import brevo, mailgun, mailjet, postmark, sendgrid, ses

# By the key of the provider's preset, in the order in which pages show them.
ADAPTERS: Mapping[str, Adapter] = {
    module.ADAPTER.key: module.ADAPTER for module in (ses, sendgrid, mailgun, postmark, brevo, mailjet)
}
