"""Lines that belong to a page and not to its text: cookie notices, share buttons, menus.

Only whole short lines go, and only in profiles that ask. Never makes a text longer.
Source: the line rules of C4 (policy phrases, javascript), widened to the phrases that pages in six
languages have in common, and narrowed to short lines, so that an article about cookies stays.
Called by the pipeline.
"""

import re

from riverrun.settings.profile import ProfileSettings
from stream.draft import Draft

MAX_LINE_CHARACTERS = 200
"""A longer line is a paragraph, whatever it mentions."""

MAX_WORDS = 25

PHRASES = (
    # English
    "uses cookies", "use cookies", "use of cookies", "cookie policy", "accept all cookies",
    "cookie settings", "privacy policy", "terms of use", "terms of service", "all rights reserved",
    "enable javascript", "requires javascript", "subscribe to our newsletter",
    "sign up for our newsletter", "share on facebook", "share this", "skip to content",
    "skip to main content", "back to top", "click here to subscribe",
    # German
    "verwendet cookies", "verwenden cookies", "cookie-einstellungen", "alle cookies akzeptieren",
    "datenschutzerklärung", "alle rechte vorbehalten", "newsletter abonnieren",
    "zum inhalt springen", "nach oben",
    # French
    "utilise des cookies", "utilisons des cookies", "accepter tous les cookies",
    "politique de confidentialité", "tous droits réservés", "abonnez-vous à notre newsletter",
    "aller au contenu", "mentions légales",
    # Spanish
    "utiliza cookies", "utilizamos cookies", "aceptar todas las cookies",
    "política de privacidad", "todos los derechos reservados", "suscríbete a nuestro boletín",
    "saltar al contenido",
    # Russian, Chinese, Japanese
    "использует файлы cookie", "политика конфиденциальности", "все права защищены",
    "隐私政策", "版权所有", "使用cookie", "プライバシーポリシー", "無断転載を禁じます",
)  # fmt: skip
"""Lower case."""

STEMS = (
    "cookie", "policy", "terms of ", "alle rechte", "newsletter", "javascript", "rights reserved",
    "share on", "share this", "skip to ", "back to top", "click here", "zum inhalt", "nach oben",
    "politique", "tous droits", "aller au", "mentions l", "derechos", "política", "boletín",
    "saltar al", "datenschutz", "политика", "права", "隐私", "版权", "ポリシー", "無断転載",
)  # fmt: skip
"""One of these is in each phrase: fewer searches in the text that has none of them."""

ASCII_STEMS = tuple(stem for stem in STEMS if stem.isascii())

BARS = ("|", "»", "›", "·", "•")

MENU = re.compile(r"(?:[^|»›·•\n]{1,25}[|»›·•]){2,}[^|»›·•\n]{0,25}")
"""`Home | News | About us`: three or more short names with bars between them."""


def drop_boilerplate(draft: Draft, _: ProfileSettings) -> Draft:
    """The text without the lines that every page has."""
    text = draft.text
    folded = text.lower()
    phrases: tuple[str, ...] = ()
    if has_any(folded, ASCII_STEMS if text.isascii() else STEMS):
        phrases = tuple(phrase for phrase in PHRASES if phrase in folded)
    bars = has_any(text, BARS)
    if not phrases and not bars:
        return draft
    lines = text.split("\n")
    menus = [bars and is_menu(line) for line in lines]
    kept = [
        line
        for index, line in enumerate(lines)
        if not says_one_of(phrases, line) and not (menus[index] and not in_table(menus, index))
    ]
    return draft if len(kept) == len(lines) else draft.with_text("\n".join(kept))


def has_any(text: str, parts: tuple[str, ...]) -> bool:
    # A loop takes half the time of `any`, and this is asked of every text.
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def says_one_of(phrases: tuple[str, ...], line: str) -> bool:
    """A short line with one of the phrases; a long sentence only mentions it."""
    if not phrases or not line or len(line) > MAX_LINE_CHARACTERS:
        return False
    return has_any(folded := line.lower(), phrases) and len(folded.split()) <= MAX_WORDS


def is_menu(line: str) -> bool:
    if len(line) > MAX_LINE_CHARACTERS or not has_any(line, BARS):
        return False
    return MENU.fullmatch(line) is not None


def in_table(menus: list[bool], index: int) -> bool:
    """Whether the line has another such line beside it: rows of a table, not a menu."""
    return any(menus[max(0, index - 1) : index]) or any(menus[index + 1 : index + 2])
