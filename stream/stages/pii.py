"""Personal data and secrets: found by form, held against their checksum, replaced by their kind.

A mask (`[EMAIL]`) keeps the sentence and loses the person. What has a checksum is checked (IBAN:
modulo 97; cards: Luhn and issuer; phones: the numbering plan of their country); keys and tokens
are those with a beginning of their own. Text that cannot hold any costs 3 us for 1 kB: a few
searches for fixed strings, and a count of digits, go first. Digits are 0 to 9.
Called by the pipeline; the patterns of each kind are in `pii_secrets.py` and `pii_numbers.py`.
"""

import re

from riverrun.settings.profile import PiiKind, ProfileSettings
from stream.draft import Draft
from stream.rejected import Rejected
from stream.stages.pii_numbers import mask_cards, mask_ibans, mask_ips, mask_phones
from stream.stages.pii_secrets import has_secret_beginning, mask_secrets

EMAIL = re.compile(
    # A mask before it or after it bounds nothing, so that a second time finds nothing new.
    r"(?<![\w.+%-])(?<![A-Z]\])[\w.+%-]{1,64}@(?:[a-zA-Z0-9-]{1,63}\.){1,8}[a-zA-Z]{2,24}"
    r"(?![\w@])(?!\[[A-Z])"
)

NO_PERSON = ("git@", "noreply@", "no-reply@")
"""Beginnings of addresses that are a service's, as in `git@host.org:group/name`."""

DIGITS = b"0123456789"

MIN_DIGITS = {"ip": 4, "phone": 7, "iban": 11, "card": 13}

MAX_GROWTH = 1.25
"""`[PHONE]` has 7 characters, the shortest that any mask replaces has 6."""


def hide_personal_data(draft: Draft, profile: ProfileSettings) -> Draft:
    """The draft with what was found masked. Raises Rejected: personal_data."""
    text = masked(draft.text, profile.pii, profile.phone_region)
    if text is draft.text or text == draft.text:
        return draft
    if profile.pii_found == "drop":
        kinds = [kind for kind in profile.pii if f"[{kind.upper()}]" in text]
        raise Rejected("personal_data", f"found: {', '.join(kinds)}")
    return draft.with_text(text)


def masked(text: str, kinds: tuple[PiiKind, ...], region: str | None) -> str:
    """The text with what of these kinds is found replaced; the same object when that is nothing.

    A mask bounds what stands beside it: a key that a telephone number hid is found behind its mask.
    So a text in which something was found is looked through again, until nothing is new.
    """
    while (once := _masked_once(text, kinds, region)) != text:
        text = once
    return text


def _masked_once(text: str, kinds: tuple[PiiKind, ...], region: str | None) -> str:
    if "secret" in kinds and has_secret_beginning(text):
        text = mask_secrets(text)
    if "email" in kinds and "@" in text:
        text = EMAIL.sub(_mask_email, text)
    num_digits = count_digits(text)
    if num_digits < MIN_DIGITS["ip"]:
        return text
    # IBANs before cards and cards before phones: the longer number holds the form of the shorter.
    if "iban" in kinds and num_digits >= MIN_DIGITS["iban"]:
        text = mask_ibans(text)
    if "card" in kinds and num_digits >= MIN_DIGITS["card"]:
        text = mask_cards(text)
    if "ip" in kinds:
        text = mask_ips(text)
    if "phone" in kinds and num_digits >= MIN_DIGITS["phone"]:
        text = mask_phones(text, region)
    return text


def count_digits(text: str) -> int:
    """How many of 0 to 9; faster than any regular expression by two orders."""
    data = text.encode("utf-8", "replace")
    return len(data) - len(data.translate(None, DIGITS))


def _mask_email(found: re.Match[str]) -> str:
    address = found[0]
    return address if address.lower().startswith(NO_PERSON) else "[EMAIL]"
