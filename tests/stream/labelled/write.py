"""Writes `records.jsonl`: clean records of seven languages, chat, code and logs, and records with
one kind of noise each, labelled with the stage that has to act.

    python -m tests.stream.labelled.write

All words are our own. A record: `text`, `profile` (whose stages it tests), `kind`, `language`,
`stage` (None: no stage may act), `gone` and `kept` (substrings afterwards), `content_type`.
"""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.stream.labelled.sentences import CHAT, CODE, LOGS, SENTENCES

PATH = Path(__file__).with_name("records.jsonl")

Record = dict[str, Any]


def paragraph(rng: random.Random, language: str, num: int = 5) -> str:
    space = "" if language in ("zh", "ja") else " "
    return space.join(rng.sample(SENTENCES[language], num))


def record(text: str, kind: str, language: str, stage: str | None, **more: Any) -> Record:
    return {
        "text": text, "profile": "prose", "kind": kind, "language": language, "stage": stage, **more
    }  # fmt: skip


def clean(rng: random.Random) -> Iterator[Record]:
    for language in SENTENCES:
        for _ in range(8):
            yield record(paragraph(rng, language), "clean prose", language, None)
    for text in CHAT:
        yield record(text, "chat", "mixed", None, profile="chat")
    for text in CODE:
        yield record(text, "code", "code", None, profile="code")
    for form in LOGS:
        for n in range(1, 6):
            yield record(form.format(n=n), "logs", "logs", None, profile="logs")


def mojibake(rng: random.Random) -> Iterator[Record]:
    for language, encoding in (
        *[("fr", "windows-1252"), ("de", "windows-1252"), ("es", "latin-1")],
        *[("ru", "windows-1251"), ("fr", "latin-1"), ("de", "latin-1")],
    ):
        for _ in range(5):
            good = paragraph(rng, language).replace("И", "Й" if language == "ru" else "И")
            try:
                bad = good.encode().decode(encoding)
            except UnicodeDecodeError:
                bad = good.encode().decode("latin-1")
            yield record(bad, "mojibake", language, "repair", kept=good[:40])


def invisible(rng: random.Random) -> Iterator[Record]:
    signs = ["\u200b", "\ufeff", "\u00ad", "\u0007", "\u2060", "\x1b[31m", "\u202e"]
    for language in SENTENCES:
        for sign in rng.sample(signs, 4):
            text = paragraph(rng, language)
            at = rng.randrange(5, 20)
            bad = text[:at] + sign + text[at:]
            yield record(
                bad, "invisible characters", language, "normalize", gone=sign, kept=text[:30]
            )


def markup(rng: random.Random) -> Iterator[Record]:
    for language in SENTENCES:
        for _ in range(3):
            one, two = rng.sample(SENTENCES[language], 2)
            rest = " ".join(
                one_more for one_more in SENTENCES[language][:6] if one_more not in (one, two)
            )
            html = (
                f"<html><head><title>x</title><style>p{{}}</style></head><body><nav>menu menu</nav>"
                f"<p>{one}</p><div><b>{two}</b></div><p>{rest}</p><script>track()</script></body>"
            )
            yield record(
                html, "html", language, "markup", content_type="text/html", gone="<", kept=one
            )
            markdown = f"# Title\n\n**{one}**\n\n- [{two}](http://a.example)\n\n{rest}\n"
            yield record(
                markdown, "markdown", language, "markup", content_type="text/markdown",
                gone="**", kept=one,
            )  # fmt: skip


def boilerplate(rng: random.Random) -> Iterator[Record]:
    notices = {
        "en": ["This site uses cookies. Accept all cookies", "Home | News | About us | Contact",
               "© 2026 River News. All rights reserved.", "Subscribe to our newsletter!"],
        "de": ["Diese Seite verwendet Cookies.", "Start | Aktuelles | Kontakt",
               "Alle Rechte vorbehalten.", "Jetzt Newsletter abonnieren"],
        "fr": ["Nous utilisons des cookies.", "Accueil | Actualités | Contact",
               "Tous droits réservés.", "Mentions légales"],
        "es": ["Este sitio utiliza cookies.", "Inicio | Noticias | Contacto",
               "Todos los derechos reservados.", "Política de privacidad"],
        "ru": ["Сайт использует файлы cookie.", "Главная | Новости | Контакты",
               "Все права защищены."],
        "zh": ["版权所有 河流新闻", "隐私政策"],
        "ja": ["プライバシーポリシー", "無断転載を禁じます"],
    }  # fmt: skip
    for language, lines in notices.items():
        for line in lines:
            text = paragraph(rng, language)
            yield record(
                f"{text}\n{line}", "boilerplate", language, "boilerplate", gone=line, kept=text
            )
    for text in (
        "We asked the owner of the shop why his page uses cookies, and he told us at length that "
        "without them nobody could keep a basket while looking at the other goods that he sells.",
        "What does the privacy policy of a bank say about the people who only ask for a leaflet, and "
        "who reads it? We have asked twenty of them, and the answer was that nobody ever had.",
    ):
        yield record(text, "about boilerplate", "en", None)


def repeats(rng: random.Random) -> Iterator[Record]:
    for language in SENTENCES:
        for _ in range(3):
            line = rng.choice(SENTENCES[language])
            others = [one for one in SENTENCES[language] if one != line]
            text = "\n".join([line, others[0], line, others[1], line, *others[2:9], line])
            yield record(text, "repeated lines", language, "repeats", kept=line)


def whitespace(rng: random.Random) -> Iterator[Record]:
    for language in SENTENCES:
        for space in ("   ", "\t", " \n \n\n\n\n "):
            parts = rng.sample(SENTENCES[language], 5)
            text = f"  {parts[0]}{space}{' '.join(parts[1:])}  \n\n"
            yield record(text, "whitespace", language, "whitespace", kept=parts[0])


PERSONAL = {
    "email": ["jane.doe@river.example.org", "info+gauge@mills.co.uk", "k_m-1@a-b.museum"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606"],
    "card": ["4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"],
    "ip": ["8.8.4.4", "93.184.216.34", "2606:4700:4700::1111"],
    "phone": ["+49 30 901820", "+1 (212) 555-2368", "+33 1 42 68 53 00"],
    "secret": [
        "AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "a1B2c3D4e5" * 4, "sk-" + "proj-0123456789abcdefABCDEF"
    ],
}  # fmt: skip

NOT_PERSONAL = [
    "The order 4111 1111 1111 1112 was sent yesterday, and the parcel will come to the mill.",
    "We run version 1.2.3.4 of the gauge, and it has been quiet since the last flood of the year.",
    "Its address in the house is 192.168.1.20, and you can reach it from the office at any time.",
    "The table has 1234567890123456 rows, which is more than we can read in the time that we have.",
    "Between 1998 and 2004 they paid 12.500.000 for the wall, and nobody has asked what it was for.",
    "On 2026-03-01 at 12:30:45 the gauge stood at 312.45 cm, and that is what we have written down.",
    "The code DE89370400440532013001 is not an account, since its check digits do not fit at all.",
    "Call @jane on the board, or ask in the room at the end of the corridor where the maps are.",
    "The ISBN of the book is 978-3-16-148410-0, and it is in the library that is near the bridge.",
    "Use a sk-learn pipeline for that, or the one which is in the package, they are much the same.",
]


def personal(rng: random.Random) -> Iterator[Record]:
    say = {
        "en": "Please write it down, it is {} and they will be there until the evening.",
        "de": "Bitte schreib es auf, es ist {} und sie sind bis zum Abend dort.",
        "fr": "Notez-le, c'est {} et ils seront là jusqu'au soir.",
        "es": "Apúntalo, es {} y estarán allí hasta la noche.",
        "ru": "Запишите, это {} и они будут там до вечера.",
        "zh": "请把它写下来：{}，他们会一直等到晚上。",
        "ja": "書いておいてください：{}、夕方までいます。",
    }
    for kind, values in PERSONAL.items():
        for index, value in enumerate(values):
            for language in list(say)[index::3]:
                text = say[language].format(value) + " " + paragraph(rng, language, 2)
                yield record(
                    text, f"personal: {kind}", language, "pii", gone=value, kept=f"[{kind.upper()}]"
                )
    for text in NOT_PERSONAL:
        yield record(text, "looks personal", "en", None)


def spam(rng: random.Random) -> Iterator[Record]:
    phrases = {
        "en": "buy cheap boats now", "de": "jetzt billige Boote kaufen",
        "fr": "achetez des bateaux pas chers", "es": "compra barcos baratos ya",
        "ru": "купить дешёвые лодки сейчас", "zh": "马上购买便宜的船吧！", "ja": "安い船を今すぐ買おう！",
    }  # fmt: skip
    for language, phrase in phrases.items():
        space = "" if language in ("zh", "ja") else " "
        for _ in range(3):
            some = rng.choice(SENTENCES[language])
            text = some + space + space.join([phrase] * rng.randrange(15, 40))
            yield record(text, "repeated words", language, "repetition")


def soup(rng: random.Random) -> Iterator[Record]:
    for number in range(24):
        match number % 4:
            case 0:
                text = " ".join(f"#{rng.choice(['boat', 'sale', 'now', 'hot'])}" for _ in range(30))
            case 1:
                text = " ".join("".join(rng.choices("0123456789.,-/%$", k=6)) for _ in range(40))
            case 2:
                text = "\n".join(f"{one[:18]}..." for one in rng.sample(SENTENCES["en"], 10))
            case _:
                text = " ".join(
                    "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40))
                    for _ in range(20)
                )
        yield record(text, "symbol soup", "none", "quality")
    for _ in range(4):
        text = "Lorem ipsum dolor sit amet. " + paragraph(rng, "en", 3)
        yield record(text, "filler", "en", "quality")


def write() -> None:
    rng = random.Random(6)
    kinds = (
        clean,
        mojibake,
        invisible,
        markup,
        boilerplate,
        repeats,
        whitespace,
        personal,
        spam,
        soup,
    )
    rows = [row for kind in kinds for row in kind(rng)]
    PATH.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


if __name__ == "__main__":
    write()
