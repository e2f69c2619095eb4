"""What a domain's page shows of its keys: each pair, its records, and the next thing to do. Nobody is asked."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from adminpages.instants import stamp
from domains.keys.publication import Publication, of_key
from domains.models import DkimKey, SendingDomain
from words.texts import translated

State = DkimKey.State
COLOURS = {
    State.MADE: "orange",
    State.SEEN: "orange",
    State.SIGNING: "green",
    State.RESTING: "grey",
    State.REVOKED: "grey",
}
PAIRS_SHOWN = 6


@dataclass(frozen=True, slots=True)
class ShownKey:
    """One key."""

    key: DkimKey
    publication: Publication
    says: str  # Its state in a sentence.
    asks: str  # What to do with its record, as a heading; empty: nothing.

    @property
    def zone_line(self) -> str:
        return str(self.publication.record)

    @property
    def awaits_check(self) -> bool:
        """Whether its record was seen once, and the second check is still to come."""
        return self.key.state == State.SEEN and not self.key.is_proved

    @property
    def colour(self) -> str:
        return "red" if self.key.wrong_since and self.key.state == State.SIGNING else COLOURS[State(self.key.state)]


@dataclass(frozen=True, slots=True)
class ShownPair:
    """Two keys that were made together."""

    name: str
    keys: list[ShownKey]
    about: str

    @property
    def is_open(self) -> bool:
        return any(shown.asks or shown.awaits_check for shown in self.keys)


def pairs_of(domain: SendingDomain) -> list[ShownPair]:
    """Return the pairs of a domain, the newest first. Revoked ones are left out once their records are gone."""
    grouped: dict[str, list[DkimKey]] = {}
    for key in domain.dkim_keys.select_related("domain"):
        is_over = key.state == State.REVOKED and key.next_check_at is None
        if not is_over:
            # A revoked pair may have had the same fixed name.
            grouped.setdefault(f"{key.pair} {key.made_at}", []).append(key)
    pairs = [
        ShownPair(keys[0].pair, [_shown(key) for key in _rsa_first(keys)], _about(keys)) for keys in grouped.values()
    ]
    return pairs[:PAIRS_SHOWN]


def _rsa_first(keys: Iterable[DkimKey]) -> list[DkimKey]:
    return sorted(keys, key=lambda key: key.algorithm != DkimKey.Algorithm.RSA)


def _shown(key: DkimKey) -> ShownKey:
    return ShownKey(key, of_key(key), _says(key), _asks(key))


def _asks(key: DkimKey) -> str:
    if key.state in (State.MADE, State.SEEN) and not key.good_since:
        return _("Record to publish")
    if key.state == State.SIGNING and key.wrong_since:
        return _("Record to correct")
    if key.state == State.REVOKED:
        return _("Record to delete") if key.fault == "dkim-revoked" else _("Record to replace")
    return ""


def _says(key: DkimKey) -> str:
    if key.state == State.REVOKED:
        return _revoked(key)
    said = [_checked(key)]
    if key.state == State.SEEN and not key.is_proved and key.next_check_at:
        at = {"at": stamp(key.next_check_at)}
        said.append(_("It starts once the second check finds it too. That check is due %(at)s.") % at)
        if key.is_from_cache:
            said.append(_("Only a resolver could be asked, so the second check waits until its memory is over."))
    if key.state == State.RESTING and key.rests_until:
        said.append(
            _("It signs no more. Leave its record until %(at)s: mail on its way needs it.")
            % {"at": stamp(key.rests_until)}
        )
    if key.stopped_at:
        said.append(_("It stopped signing on %(at)s. It starts again by itself.") % {"at": stamp(key.stopped_at)})
    return " ".join(filter(None, said))


def _checked(key: DkimKey) -> str:
    if key.unanswered and not key.checked_at:
        return _("DNS couldn't be asked: %(why)s") % {"why": translated(key.unanswered)}
    if key.checked_at is None:
        return _("DNS hasn't been asked yet.")
    at = {"at": stamp(key.checked_at)}
    said = f"{translated(key.sentence)} " if key.fault else _("The record is right.") + " "
    return said + _("Last asked %(at)s.") % at + (f" {translated(key.unanswered)}" if key.unanswered else "")


def _revoked(key: DkimKey) -> str:
    if key.fault == "dkim-revoked":
        return _("Its private half is deleted, and DNS says so. You can delete the record now.")
    return _("Its private half is deleted. Publish the record without the key, so that nobody trusts it any more.")


def _about(keys: list[DkimKey]) -> str:
    first = keys[0]
    if first.state in (State.MADE, State.SEEN) and first.starts_at:
        return _("Replaces the present pair on %(at)s. Publish its records before.") % {"at": stamp(first.starts_at)}
    started = next((key.started_at for key in keys if key.state == State.SIGNING and key.started_at), None)
    return _("Signing since %(at)s.") % {"at": stamp(started)} if started else ""
