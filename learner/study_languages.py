"""In which language a document is asked about: its example prompt, its beginnings of questions.

A question in another language than its text's is seldom what users ask. The language is told by
the small words that only one of them has; a text with none of them counts as English, in which the
model writes best.

Knows nothing of models or pairs. Called by `study.py`.
"""

import re
from typing import NamedTuple

from learner.study_kinds import Kind

LETTERS = re.compile(r"[^\W\d_]+")


class Language(NamedTuple):
    """name: ISO 639-1. prompt: file beside this one. about: the open question on a name. marks:
    words that tell it from others here.

    function_words: carry no meaning of their own, so an answer may say them freely.
    asking: words that a question may have though the text has not.

    For questions by rule (`study_subjects.py`): beginners: first words of sentences that are no
    part of the name behind them. who, what, is_: as they ask. persons: words of a text about
    somebody. clause_words: a subject may follow. articles: before a noun. no_verbs: small words
    that may follow a name and say nothing of it. relatives: go on about a name. declines: whether
    a noun says by its article that it is no subject. naming: between a thing and its name, and
    the question for that. some: before a noun that was not spoken of yet. joiners: begin what may
    be left out of a long sentence. kinds: what only some words answer.
    """

    name: str
    prompt: str
    about: str
    beginnings: tuple[str, ...]
    function_words: frozenset[str]
    asking: frozenset[str]
    marks: frozenset[str]
    beginners: frozenset[str]
    who: str
    what: str
    persons: frozenset[str]
    clause_words: frozenset[str]
    articles: frozenset[str]
    no_verbs: frozenset[str]
    is_: str
    naming: tuple[str, str]
    some: frozenset[str]
    joiners: frozenset[str]
    declines: bool
    relatives: frozenset[str]
    kinds: tuple[Kind, ...]


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ENGLISH = Language(
    "en",
    "study_prompt.txt",
    "What do you know about {name}?",
    (
        " Who",
        " What is the",
        " What is the name of the",
        " Which",
        " Where",
        " What does",
        " In which",
        " How many",
        " What colour",
        " When",
        " What are the",
        " On which",
    ),
    words(
        "a an and are as at be been by called did do does for from had has have in is it its name "
        "named of on or that the their this to was were what when where which who why will with"
    ),
    words(
        "what who whom whose which where when why how many much long old did do does name colour "
        "kind type day week month year time city town country place person animal language "
        "material metal number price made called used"
    ),
    words("a and are as at by for from has have is it of on or that the this to were which with"),
    beginners=words(
        "a about after against all although among an and around as at because before behind beside "
        "between both but by did do does during each even every few for from he her here his how i "
        "if in into is it its many more most mr mrs my near no not now of on once one only or our "
        "over she since so some than that the their then there these they this those though "
        "through to today tomorrow two under until up we what whatever when where whether which "
        "while who whoever why with within without yesterday yet you your "
        # What somebody is told to do, or a change does.
        "add allow ask bump call check drop fix let make move open read remove rename replace see "
        "set support take tell update use visit"
    ),
    who="Who",
    what="What",
    persons=words("he her him himself his herself she who whom whose"),
    clause_words=words(
        "although and because but here if now once since so then though today when where while"
    ),
    articles=words("the"),
    no_verbs=words(
        "a about after against and around as at because before behind beside between but by during "
        "for from if in into it its of off on or out over since so than that the their then they "
        "through to too under until up when where which while who whom whose why with without"
    ),
    is_="is",
    naming=("is called", "What is {thing} called?"),
    some=words("a an"),
    joiners=words("after and as because before but if since so though until when where while"),
    declines=False,
    relatives=words("who which"),
    kinds=(
        Kind(
            ("how many", "how much", "how long"),
            words(
                "no none one two three four five six seven eight nine ten eleven twelve thirteen "
                "fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty "
                "sixty seventy eighty ninety hundred thousand million billion half dozen once twice"
            ),
            has_digits=True,
        ),
        Kind(
            (
                "when",
                *(
                    f"{on} {time}"
                    for on in ("on which", "in which", "which", "what")
                    for time in ("day", "week", "month", "year", "time")
                ),
            ),
            words(
                "monday tuesday wednesday thursday friday saturday sunday january february march "
                "april may june july august september october november december spring summer "
                "autumn winter morning noon afternoon evening night midnight today tomorrow "
                "yesterday hour hours day days week weeks weekend month months year years decade "
                "century mondays tuesdays wednesdays thursdays fridays saturdays sundays o'clock"
            ),
            has_digits=True,
        ),
        Kind(
            ("what colour", "what color", "which colour", "which color"),
            words(
                "red green blue yellow orange violet purple pink brown black white grey gray "
                "golden gold silver turquoise crimson scarlet beige"
            ),
        ),
        Kind(("who", "whose", "whom"), frozenset(), is_named=True),
    ),
)
GERMAN = Language(
    "de",
    "study_prompt_de.txt",
    "Was weißt du über {name}?",
    (
        " Wer",
        " Was ist",
        " Wie heißt",
        " Welche",
        " Welcher",
        " Wo",
        " Wie viele",
        " Wann",
        " Woraus",
        " In welcher",
    ),
    words(
        "als am an auf aus bei das dass dem den der des die dort ein eine einem einen einer eines "
        "es für hat haben heißt im in ist mit nach sich sie sind und von was welche welcher wer "
        "wie wird wo zu zum zur"
    ),
    words(
        "was wer wen wem welche welcher welches welchem wie wo wann warum woraus viele heißt hat "
        "Name Farbe Tag Monat Jahr Stadt Land Ort Tier Sprache Metall Zahl Preis"
    ),
    words("das dem den der des die ein eine einem einen einer im ist mit nicht sich und von zu"),
    beginners=words(
        "aber alle als am an auch auf aus bei bis das dass dem den der des die diese dieser dort "
        "durch ein eine einem einen einer er es für gestern heute hier ihr ihre im in ist jeder "
        "kein keine mit nach nicht noch nun nur ob oder ohne sein seine seit sie so trotz über um "
        "und unter viele vom von vor wann warum was weil wenn wer wie wir wo zu zum zur"
    ),
    who="Wer",
    what="Was",
    persons=words("er ihm ihn ihr ihre sein seine sie wer"),
    clause_words=words("aber denn doch und"),
    articles=words("das der die"),
    no_verbs=words(
        "als am an auf aus bei bis das dem den der des die durch ein eine für gegen im in mit nach "
        "oder ohne seit sowie über um und unter vom von vor wie zu zum zur"
    ),
    is_="ist",
    naming=("heißt", "Wie heißt {thing}?"),
    some=words("ein eine"),
    joiners=words("aber als bis denn nachdem obwohl seit sobald und weil wenn wo"),
    declines=True,
    relatives=frozenset(),
    kinds=(
        Kind(
            ("wie viele", "wie viel", "wie lange"),
            words(
                "kein keine ein eine zwei drei vier fünf sechs sieben acht neun zehn elf zwölf "
                "dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn zwanzig dreißig "
                "vierzig fünfzig sechzig siebzig achtzig neunzig hundert tausend million millionen "
                "halb dutzend einmal zweimal"
            ),
            has_digits=True,
        ),
        Kind(
            ("wann", "an welchem tag", "in welchem jahr", "in welchem monat"),
            words(
                "montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar märz "
                "april mai juni juli august september oktober november dezember frühling sommer "
                "herbst winter morgen mittag nachmittag abend nacht mitternacht heute gestern "
                "stunde stunden tag tage tagen woche wochen monat monate monaten jahr jahre jahren "
                "jahrhundert uhr"
            ),
            has_digits=True,
        ),
        Kind(
            ("welche farbe",),
            words(
                "rot grün blau gelb orange violett lila rosa braun schwarz weiß grau golden "
                "silbern türkis"
            ),
        ),
        Kind(("wer", "wem", "wen"), frozenset(), is_named=True),
    ),
)
LANGUAGES = (ENGLISH, GERMAN)


def language_of(text: str) -> Language:
    """The one whose marks are most of the text's words; English when there are none."""
    said = [word.lower() for word in LETTERS.findall(text)]
    return max(LANGUAGES, key=lambda language: sum(word in language.marks for word in said))
