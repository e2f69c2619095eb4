"""The keys of a webhook: what a person copied from the provider's pages, encrypted together."""

import json
from collections.abc import Mapping

from encryption.secret_field import Secret
from feedback.models import Hook
from feedback.models.hooks import HookDestination
from feedback.webhooks.adapters import adapter_of


def keys_of(hook: Hook) -> dict[str, str]:
    """Return the values of a webhook's fields, by name; see :func:`opened`."""
    return opened(hook.keys, hook.server_id, hook.server.preset)


def opened(keys: Secret, server_id: int, preset: str) -> dict[str, str]:
    """Return the values by field. Those that were entered for another provider are none.

    :raises SecretUnreadable: if no key of ours opens them.
    """
    stored = keys.reveal(HookDestination(server_id))
    found = json.loads(stored) if stored else {}
    return dict(found["values"]) if found.get("provider") == adapter_of(preset).key else {}


def store(hook: Hook, values: Mapping[str, str]) -> None:
    """Encrypt and store the values of all fields."""
    kept = {name: value for name, value in values.items() if value}
    hook.keys = json.dumps({"provider": adapter_of(hook.server.preset).key, "values": kept})
    hook.save(update_fields=["keys"])
