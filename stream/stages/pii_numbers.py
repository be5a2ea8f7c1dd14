"""IBANs, payment cards, IP addresses and phone numbers: their form, then their checksum.

Each function gives the text with what it found masked, the same object when that is nothing.
Called by the pii stage. phonenumbers (0.3 s to import) is loaded at the first candidate.
"""

import ipaddress
import re
from functools import lru_cache

BEFORE_MASK = r"(?!\[[A-Z])"
"""A number beside a mask stays what it was taken for before the mask was there, so that a second
time changes nothing."""


def _behind(first: str, never: str) -> str:
    """A first character, with none of `never` and no mask before it.

    The character goes first, since a pattern that begins with a class is searched several times as
    fast as one that begins with a look back.
    """
    return rf"{first}(?<!{never}{first})(?<![A-Z]\]{first})"


IBAN = re.compile(
    _behind("[A-Z]", "[A-Za-z0-9]")
    + r"[A-Z]\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
    + BEFORE_MASK
)

CARD = re.compile(
    _behind("[2-6]", r"[\d.-]") + r"\d{3}(?:[ -]?\d){9,15}(?![\d-]|\.\d)" + BEFORE_MASK
)

ISSUERS = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}"
    r"|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
)
"""Visa, Mastercard, American Express, Diners, JCB, Discover. One in ten numbers passes Luhn; of
those that begin like a card, and are as long, few are anything else."""

IPV4 = re.compile(
    _behind("[0-9]", r"[\w.-]") + r"\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?![\w-]|\.\d)" + BEFORE_MASK
)

IPV6 = re.compile(
    _behind("[0-9A-Fa-f]", r"[\w:.]")
    + r"[0-9A-Fa-f]{0,3}:(?:[0-9A-Fa-f]{1,4}:){1,6}(?::|[0-9A-Fa-f:]){0,35}(?![\w:])"
    + BEFORE_MASK
)

VERSION_BEFORE = re.compile(
    r"(?:(?:\bv|\bver\.?|versions?|\breleases?|\bupstream|\brev(?:ision)?|\bbump(?:ed)?)\)?[\s:(]*"
    # `bump to 4.1.4.1`, and what compares versions; the end of a tag compares nothing.
    r"(?:\b(?:to|is|was|of|from)\s+)?|(?:[=~<]|(?<![\w\"'/])>)[\s(]{0,2})$",
    re.IGNORECASE,
)
"""Four numbers with points between them are a version as often as an address."""

VERSION_CHARACTERS = 24
"""So far back the word is looked for."""

PHONE = re.compile(_behind("[+]", r"[\w+]") + r"\(?\d(?:[ ./()-]{0,2}\d){6,14}(?!\d)" + BEFORE_MASK)

LAST_GROUP = re.compile(r"[ ./()-]{1,2}\d+$")

MAX_GROUPS_BEHIND = 3
"""`+974 4412 3456) 1.0.8`: three groups that are not the number's."""

NATIONAL = re.compile(
    r"(?<![\w+.,:/-])(?<![A-Z]\])\(?\d(?:[ ./()-]{0,2}\d){6,14}(?![\d:-])" + BEFORE_MASK
)


def mask_ibans(text: str) -> str:
    return IBAN.sub(_iban, text)


def _iban(found: re.Match[str]) -> str:
    """The longest beginning of groups that is an IBAN: the words behind it may look like groups."""
    from stdnum import iban

    groups = found[0].split(" ")
    for end in range(len(groups), 0, -1):
        if iban.is_valid("".join(groups[:end])):
            return " ".join(["[IBAN]", *groups[end:]])
    return found[0]


def mask_cards(text: str) -> str:
    return CARD.sub(_card, text)


def _card(found: re.Match[str]) -> str:
    from stdnum import luhn

    number = found[0].replace(" ", "").replace("-", "")
    return "[CARD]" if ISSUERS.fullmatch(number) and luhn.is_valid(number) else found[0]


def mask_ips(text: str) -> str:
    if text.count(".") >= 3:
        text = IPV4.sub(_ip, text)
    if text.count(":") >= 2:
        text = IPV6.sub(_ip, text)
    return text


def _ip(found: re.Match[str]) -> str:
    try:
        is_public = ipaddress.ip_address(found[0]).is_global
    except ValueError:
        return found[0]
    if not is_public or (":" not in found[0] and _is_version(found)):
        return found[0]
    return "[IP]"


def _is_version(found: re.Match[str]) -> bool:
    before = found.string[max(0, found.start() - VERSION_CHARACTERS) : found.start()]
    return VERSION_BEFORE.search(before) is not None


def mask_phones(text: str, region: str | None) -> str:
    if "+" in text:
        text = PHONE.sub(_international, text)
    if region is not None:
        text = NATIONAL.sub(
            lambda found: "[PHONE]" if _is_phone(found[0], region) else found[0], text
        )
    return text


def _international(found: re.Match[str]) -> str:
    """The longest beginning of groups that is a number: what follows it may have digits too."""
    number = found[0]
    for _ in range(MAX_GROUPS_BEHIND + 1):
        if _is_phone(number, None):
            return "[PHONE]" + found[0][len(number) :]
        number = LAST_GROUP.sub("", number)
    return found[0]


@lru_cache(maxsize=1024)
def _is_phone(text: str, region: str | None) -> bool:
    """A number costs 0.1 to 0.2 ms to look up, and a stream has the same ones again and again."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return False
    # Whether it is possible is its length alone; whether it is valid looks through all countries
    # of its code, as 25 for +1.
    return phonenumbers.is_possible_number(number) and phonenumbers.is_valid_number(number)
