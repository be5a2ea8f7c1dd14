"""The stages on text that nobody here wrote: noise is put into it by chance, and has to go again.

    python -m tests.stream.labelled.real_text ../shared/data

Recall: a record counts as mended when what is left is what the stages make of the record without
the noise; personal data, when no part of it is left. Precision is a matter for eyes: the script
shows what the stages did to records that had no noise.
"""

import gzip
import html
import ipaddress
import json
import random
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import phonenumbers
from stdnum import iban, luhn

from stream.draft import Draft
from stream.profiles import SHIPPED, STAGES

SEED = 11
MAX_TEXTS = 1500
# Of the `prose` profile, those that change text and that noise can be put in for.
APPLIED = ("repair", "markup", "normalize", "pii")
INVISIBLE = "\u200b\ufeff\u00ad\u2060\u0007\u0000\u202e\u2066"

Noise = Callable[[random.Random, str], tuple[str, str] | None]
"""(noisy text, what must be gone: empty when the text must be as without noise); None: no place."""


def texts(directory: Path) -> list[str]:
    """Paragraphs of 80 to 800 characters of both files, mixed."""
    found = []
    for name in ("manpages", "changelogs"):
        with gzip.open(directory / f"{name}.jsonl.gz", "rt") as lines:
            for line in lines:
                found += [
                    part[:800] for part in json.loads(line)["text"].split("\n\n") if len(part) >= 80
                ]
    rng = random.Random(SEED)
    rng.shuffle(found)
    beyond_ascii = [text for text in found if not text.isascii()]
    return beyond_ascii[: MAX_TEXTS // 2] + found[: MAX_TEXTS // 2]


def misread(encoding: str, times: int = 1) -> Noise:
    def noise(_: random.Random, text: str) -> tuple[str, str] | None:
        if text.isascii():
            return None
        try:
            for _ in range(times):
                text = text.encode().decode(encoding)
        except UnicodeDecodeError:
            return None
        return text, ""

    return noise


def one_word_misread(rng: random.Random, text: str) -> tuple[str, str] | None:
    words = text.split(" ")
    places = [place for place, word in enumerate(words) if not word.isascii()]
    if not places:
        return None
    place = rng.choice(places)
    try:
        words[place] = words[place].encode().decode("windows-1252")
    except UnicodeDecodeError:
        return None
    return " ".join(words), ""


def invisible(rng: random.Random, text: str) -> tuple[str, str]:
    for _ in range(3):
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(INVISIBLE) + text[place:]
    return text, ""


def decomposed(_: random.Random, text: str) -> tuple[str, str] | None:
    other = unicodedata.normalize("NFD", text).replace("\n", "\r\n")
    return None if other == text else (other, "")


def page(_: random.Random, text: str) -> tuple[str, str]:
    head = "<html><head><style>p {color: red}</style><script>var a = '<p>';</script></head><body>"
    return f"{head}<div><p>{html.escape(text)}</p></div></body></html>", "color: red"


def with_(make: Callable[[random.Random], str]) -> Noise:
    def noise(rng: random.Random, text: str) -> tuple[str, str]:
        words = text.split(" ")
        item = make(rng)
        words.insert(rng.randrange(len(words) + 1), rng.choice(("{}", "{},", "({})")).format(item))
        return " ".join(words), item

    return noise


def email(rng: random.Random) -> str:
    name = "".join(rng.choices("abcdefghijklmnop", k=6))
    form = rng.choice(("{}@{}.example.org", "{}.k@{}.de", "{}+x@mail.{}.co.uk", "{}_1@{}.museum"))
    return form.format(name, name[::-1])


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
FORMATS = (phonenumbers.PhoneNumberFormat.INTERNATIONAL, phonenumbers.PhoneNumberFormat.E164)


def phone(rng: random.Random) -> str:
    while True:
        number = phonenumbers.example_number(rng.choice(REGIONS))
        if number is not None:
            return phonenumbers.format_number(number, rng.choice(FORMATS))


def an_iban(rng: random.Random) -> str:
    country, length = rng.choice((("DE", 18), ("NL", 0), ("FR", 0), ("AT", 16)))
    digits = "".join(rng.choices("0123456789", k=length or 10))
    if country == "NL":
        digits = "ABNA" + digits
    if country == "FR":
        digits = "20041010050500013M02606"
    number = country + iban.calc_check_digits(country + "00" + digits) + digits
    return iban.format(number) if rng.random() < 0.5 else number


def card(rng: random.Random) -> str:
    digits = rng.choice(("4", "51", "37"))
    digits += "".join(rng.choices("0123456789", k=(14 if digits == "37" else 15) - len(digits)))
    digits += luhn.calc_check_digit(digits)
    between = rng.choice(("", " ", "-"))
    return between.join(digits[start : start + 4] for start in range(0, len(digits), 4))


def address(rng: random.Random) -> str:
    while True:
        found = (
            ipaddress.IPv4Address(rng.getrandbits(32))
            if rng.random() < 0.5
            else ipaddress.IPv6Address((0x2A00 << 112) | rng.getrandbits(112))
        )
        if found.is_global and not found.is_multicast:
            return str(found)


def secret(rng: random.Random) -> str:
    def letters(num: int) -> str:
        return "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ234567", k=num))

    beginning, num = rng.choice((("AKIA", 16), ("ghp_", 36), ("glpat-", 20), ("sk-proj-", 40)))
    return beginning + letters(num)


NOISES: dict[str, tuple[str, Noise]] = {
    "read as Windows-1252": ("repair", misread("windows-1252")),
    "read as Latin-1": ("repair", misread("latin-1")),
    "read so twice": ("repair", misread("latin-1", times=2)),
    "one word of it": ("repair", one_word_misread),
    "three invisible characters": ("normalize", invisible),
    "NFD and CRLF": ("normalize", decomposed),
    "a page": ("markup", page),
    "e-mail": ("pii", with_(email)),
    "phone, of all countries": ("pii", with_(phone)),
    "IBAN": ("pii", with_(an_iban)),
    "card": ("pii", with_(card)),
    "IP address": ("pii", with_(address)),
    "secret": ("pii", with_(secret)),
}


def mended(text: str, is_page: bool = False) -> dict[str, str]:
    """The text after each of the stages, by name."""
    draft = Draft(text, "html" if is_page else None)
    after = {}
    for name in APPLIED:
        draft = STAGES[name](draft, SHIPPED["prose"])  # type: ignore[index]
        after[name] = draft.text
    return after


def recall(records: list[str]) -> Iterator[tuple[str, str, int, list[str]]]:
    """Of each noise its stage, how many records got it, and those that were not mended."""
    rng = random.Random(SEED)
    for name, (stage, noise) in NOISES.items():
        num, missed = 0, []
        for text in records:
            noisy = noise(rng, text)
            if noisy is None:
                continue
            num += 1
            is_page = stage == "markup"
            result = mended(noisy[0], is_page)[stage if stage != "repair" else "normalize"]
            if stage == "pii":
                good = noisy[1] not in result
            else:
                wanted = mended(text)["normalize"]
                good = result.split() == wanted.split() if is_page else result == wanted
            if not good:
                missed.append(noisy[1] or noisy[0][:120])
        yield name, stage, num, missed


def touched(records: list[str]) -> dict[str, list[tuple[str, str]]]:
    """By stage the records without noise that it changed: before and after."""
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in APPLIED}
    for text in records:
        before = text
        for name, after in mended(text).items():
            if after != before:
                found[name].append((before, after))
            before = after
    return found


def main() -> None:
    records = texts(Path(sys.argv[1]))
    print(f"{len(records)} records, {sum(not text.isascii() for text in records)} beyond ASCII")  # noqa: T201
    for name, stage, num, missed in recall(records):
        print(f"| {name} | `{stage}` | {num} | {1 - len(missed) / max(1, num):.3f} |")  # noqa: T201
        for one in missed[:4]:
            print("   missed", repr(one))  # noqa: T201
    for stage, pairs in touched(records).items():
        print(f"{stage} changed {len(pairs)} records without noise")  # noqa: T201
        for before, after in pairs[:8]:
            gone = Counter(before.split()) - Counter(after.split())
            come = Counter(after.split()) - Counter(before.split())
            print("  ", list(gone)[:4], "->", list(come)[:4])  # noqa: T201


if __name__ == "__main__":
    main()
