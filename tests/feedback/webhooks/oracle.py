"""The kinds of events that django-anymail reads in a post. Its views are never connected to an address."""

from collections.abc import Callable
from typing import Any

from anymail.webhooks.amazon_ses import AmazonSESTrackingWebhookView
from anymail.webhooks.brevo import BrevoTrackingWebhookView
from anymail.webhooks.mailersend import MailerSendTrackingWebhookView
from anymail.webhooks.mailgun import MailgunTrackingWebhookView
from anymail.webhooks.mailjet import MailjetTrackingWebhookView
from anymail.webhooks.mandrill import MandrillCombinedWebhookView
from anymail.webhooks.postal import PostalTrackingWebhookView
from anymail.webhooks.postmark import PostmarkTrackingWebhookView
from anymail.webhooks.resend import ResendTrackingWebhookView
from anymail.webhooks.sendgrid import SendGridTrackingWebhookView
from anymail.webhooks.sparkpost import SparkPostTrackingWebhookView
from django.test import RequestFactory

ORACLES: dict[str, Callable[..., Any]] = {
    "ses": AmazonSESTrackingWebhookView,
    "sendgrid": SendGridTrackingWebhookView,
    "mailgun": MailgunTrackingWebhookView,
    "postmark": PostmarkTrackingWebhookView,
    "brevo": BrevoTrackingWebhookView,
    "mailjet": MailjetTrackingWebhookView,
    "sparkpost": SparkPostTrackingWebhookView,
    "resend": ResendTrackingWebhookView,
    "mailersend": MailerSendTrackingWebhookView,
    "mandrill": MandrillCombinedWebhookView,
    "postal": PostalTrackingWebhookView,
}


def anymail_kinds(provider: str, body: bytes, headers: dict[str, str]) -> list[str]:
    """Return its word for each event of a post."""
    view_class: Any = ORACLES[provider]
    view = view_class.__new__(view_class)  # Its constructor wants settings, and that of SES boto3.
    if provider == "brevo":
        body = body.replace(b"X-Mailin-custom", b"X-Other")  # It takes this for JSON of its own, and fails.
    content_type = headers.get("content-type", "application/json")
    request = RequestFactory().post("/", body, content_type, headers=headers)
    return [event.event_type for event in view.parse_events(request)]
