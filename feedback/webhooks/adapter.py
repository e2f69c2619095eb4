"""What an adapter is: how one provider's posts are proved, answered and read.

An adapter is pure. What it needs of the world (the time, a document of the provider's, a memory of used tokens) is
passed in as :class:`World`.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from feedback.webhooks.event import Event


class Unproved(Exception):
    """A post doesn't prove that it comes from the provider. The sentence says why, for the server's page."""


class TryLater(Exception):
    """Proof of origin needs something that is not to be had now, such as a certificate. The provider repeats."""


@dataclass(frozen=True, slots=True)
class Post:
    """A request that reached the address of a server's hook."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)  # Names in lower case.
    url: str = ""  # The address as it was given to the provider.


@dataclass(frozen=True, slots=True)
class World:
    """What lies outside of a post."""

    now: dt.datetime
    fetch: Callable[[str], bytes]  # A small public document by https; it raises OSError.
    is_unused: Callable[[str], bool]  # Whether a token of this hook is new; from then on it is used, for a day.
    may_confirm: Callable[[], bool] = lambda: True  # Whether handshakes may be made: not by a restored copy.


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider wants to read in answer to a handshake, which holds no events."""

    body: str = ""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeyField:
    """A value that a person copies from the provider's pages, so that posts can be proved."""

    name: str
    label: str
    help: str = ""
    is_secret: bool = True
    is_long: bool = False  # Several lines.
    check: Callable[[str], str] | None = None  # Returns a value as it is stored; raises ValueError with a sentence.


Keys = Mapping[str, str]  # The values of a hook's key fields, by name. Absent and empty are the same.


@dataclass(frozen=True, slots=True)
class Adapter:
    """One provider. ``key`` is that of its preset and part of the address, so it never changes."""

    key: str
    name: str
    events: Callable[[bytes, Mapping[str, str]], list[Event]]  # Raises ValueError for what cannot be read.
    prove: Callable[[Post, Keys, World], None]  # Raises Unproved or TryLater.
    answer: Callable[[Post, Keys, World], Answer | None] = lambda post, keys, world: None  # After the proof.
    keys: tuple[KeyField, ...] = ()
    kept_headers: tuple[str, ...] = ()  # That events are read with, in lower case; all others are dropped.
    proof_headers: tuple[str, ...] = ()  # That ``prove`` reads, in lower case; kept only until a post is proved.
    needs_reference: bool = False  # A post proves so little that each event has to name a message of ours.
    may_replace_message_id: bool = False  # Of mail by SMTP, so that an event may name an id that we never saw.
    guide: tuple[str, ...] = ()  # What to do on the provider's pages, step by step.
    events_to_tick: str = ""
    simulator: str = ""  # An address of the provider's that bounces.
    asks_from: str = ""  # Who asks by OPTIONS whether it may post (CloudEvents, "abuse protection").
