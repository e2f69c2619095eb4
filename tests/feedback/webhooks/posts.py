"""Posts of providers, as they arrive: what a sample shows, in the envelope of its provider."""

import json
from typing import Any
from urllib.parse import urlencode

TOPIC = "arn:aws:sns:eu-central-1:123456789012:brilliance"
FORM = "application/x-www-form-urlencoded"
CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-" + "0123456789abcdef" * 2 + ".pem"


def body_of(provider: str, post: Any) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a request without any proof of origin."""
    if provider in ("ses", "scaleway"):
        return json.dumps(sns_envelope(post)).encode(), {}
    if provider == "mandrill":
        return urlencode({"mandrill_events": json.dumps(post)}).encode(), {"content-type": FORM}
    return json.dumps(post).encode(), {"content-type": "application/json"}


def sns_envelope(message: Any, **fields: Any) -> dict[str, Any]:
    """Return the envelope of a notification, unsigned."""
    return {
        "Type": "Notification",
        "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
        "TopicArn": TOPIC,
        "Message": message if isinstance(message, str) else json.dumps(message),
        "Timestamp": "2026-11-30T08:00:06.000Z",
        "SignatureVersion": "1",
        "Signature": "",
        "SigningCertURL": CERTIFICATE_URL,
        **fields,
    }
