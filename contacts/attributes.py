"""How custom attributes are named, so that each can be a merge field. Knows no database."""

import re
import unicodedata

# The headings under which an import finds what every contact has.
_HEADINGS = {
    "email": "email e_mail mail email_address e_mail_address mail_address address_email e_mail_adresse email_adresse"
    " adresse_email adresse_e_mail correo correo_electronico",
    "first_name": "first_name firstname first given_name givenname forename vorname prenom",
    "last_name": "last_name lastname last surname family_name familyname nachname nom_de_famille",
    "language": "language lang locale sprache langue",
}
COLUMN_OF = {heading: column for column, headings in _HEADINGS.items() for heading in headings.split()}
# What the export adds for people to read. Consent is never taken from a column of a file.
CONSENT_COLUMNS = ("subscribed_to", "unsubscribed_from", "suppressed")

# Names with a meaning of their own: in files, in messages, and in the merge language itself.
_LIQUID_WORDS = ("true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains", "in")
RESERVED = frozenset([*COLUMN_OF, *CONSENT_COLUMNS, "full_name", "unsubscribe_url", *_LIQUID_WORDS])

LONGEST_NAME = 64
LONGEST_VALUE = 10_000

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class NameInvalid(ValueError):
    """The name cannot be a merge field; the words of the error say what to write instead."""


def check_name(name: str) -> str:
    """Return ``name``, or raise :class:`NameInvalid` with a sentence that says what to do."""
    if not _NAME.fullmatch(name):
        proposal = propose_name(name)
        hint = f"; write for example {proposal}" if proposal and proposal != name else ""
        raise NameInvalid(
            f"“{name[:60]}” cannot be the name of an attribute{hint}."
            " Names start with a letter a to z, followed by letters, digits and underscores, all lower case."
        )
    if len(name) > LONGEST_NAME:
        raise NameInvalid(f"The name “{name[:30]}…” is longer than {LONGEST_NAME} characters; shorten it.")
    if name in RESERVED:
        raise NameInvalid(f"“{name}” has a meaning of its own; choose another name, for example my_{name}.")
    return name


def propose_name(heading: str) -> str:
    """Return a name made from a column's heading: ``Date of Birth`` gives ``date_of_birth``. May be empty."""
    plain = unicodedata.normalize("NFKD", heading).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if name and name[0].isdigit():
        name = f"column_{name}"
    return name
