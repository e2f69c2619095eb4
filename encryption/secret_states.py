"""Whether a stored secret can be used where it is needed, and the sentence that says so. It reveals nothing of it."""

from enum import StrEnum

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext

from encryption.keys import SecretUnreadable
from encryption.secret_field import Destination, Secret, SecretElsewhere


class SecretState(StrEnum):
    EMPTY = "empty"
    USABLE = "usable"
    ELSEWHERE = "elsewhere"  # Entered for another destination than the present one.
    UNREADABLE = "unreadable"  # No key of ours decrypts it.


def state_of(secret: Secret, destination: Destination) -> SecretState:
    """Return whether the secret can be revealed for the destination."""
    try:
        return SecretState.USABLE if secret.reveal(destination) else SecretState.EMPTY
    except SecretElsewhere:
        return SecretState.ELSEWHERE
    except (SecretUnreadable, ImproperlyConfigured):
        return SecretState.UNREADABLE


def say(state: SecretState, *, elsewhere: str) -> str:
    """Return the state as a sentence in the reader's language.

    :param elsewhere: the sentence for a secret of another destination, whose word the room knows.
    """
    return {
        SecretState.EMPTY: gettext("Not set."),
        SecretState.USABLE: gettext("Set."),
        SecretState.ELSEWHERE: elsewhere,
        SecretState.UNREADABLE: gettext("Set, but the current keys can't decrypt it."),
    }[state]
