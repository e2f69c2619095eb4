"""Addresses in incoming mail, without the wrappings of mail servers. None is validated."""

import re

_MOST_CHARACTERS = 320
_TEXT_CHARACTERS = 20_000
_SEPARATORS = re.compile(r"[\s<>()\[\]\"',;:]+")
_TYPE = re.compile(r"\s*+[A-Za-z0-9-]{1,40}\s*+;\s*+")  # "smtp;", "rfc822;", "X-Postfix;" (RFC 3464 section 2.1.2).
_ESCAPED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")  # A letter beyond ASCII (RFC 6533 section 3).
# BATV wraps the local part: prvs=0123456789=ann, and in its first version prvs=ann/0123456789.
_PRVS = re.compile(r"(?i)(?:ms)?prvs1?=(?:[0-9a-z]{4,40}=)")
_EXCHANGE = re.compile(r"(?i)smtp=")
_PRVS_AFTER = re.compile(r"(?i)prvs=([^=/@]+)/[0-9a-z]{4,40}(?=@)")


def addresses_in(text: str, most: int = 50) -> list[str]:
    """Return the different addresses in the beginning of a header or text, in their order."""
    found: dict[str, None] = {}
    for word in _SEPARATORS.split(text[:_TEXT_CHARACTERS]):
        if "@" in word and (address := unwrapped(word)):
            found.setdefault(address)
            if len(found) == most:
                break
    return list(found)


def address_in(text: str) -> str:
    """Return the address of a field such as ``rfc822; ann@example.com``; text without an address as it stands."""
    bare = without_type(text[: 4 * _MOST_CHARACTERS])
    return next(iter(addresses_in(bare, most=1)), bare.strip(" \t<>")[:_MOST_CHARACTERS])


def without_type(text: str) -> str:
    """Return the value of a field without the type in front of it."""
    found = _TYPE.match(text)
    return text[found.end() :] if found else text


def unwrapped(word: str) -> str:
    """Return the address in a word, without ``prvs=tag=`` before it; an empty text if it is none."""
    word = _ESCAPED.sub(_letter, word[: 4 * _MOST_CHARACTERS]).strip(".!?*|`=")
    word = _EXCHANGE.sub("", word, count=1)
    word = _PRVS_AFTER.sub(r"\1", _PRVS.sub("", word, count=1), count=1)
    local, at, domain = word.rpartition("@")
    return word[:_MOST_CHARACTERS] if local and at and domain else ""


def _letter(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else found[0]
