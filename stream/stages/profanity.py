"""A short English list for `builtin:profanity`: words that have no other meaning.

A start, and on purpose no more: what offends is the operator's decision, and long lists take out
medicine, place names and the people that they are about.
"""

PROFANITY = frozenset(
    [
        "fuck",
        "fucks",
        "fucked",
        "fucker",
        "fuckers",
        "fucking",
        "motherfucker",
        "motherfuckers",
        "motherfucking",
        "shit",
        "shits",
        "shitty",
        "bullshit",
        "shithead",
        "asshole",
        "assholes",
        "cunt",
        "cunts",
        "wanker",
        "wankers",
        "dickhead",
        "dickheads",
        "bitches",
        "twat",
        "twats",
        "arsehole",
        "arseholes",
        "cocksucker",
        "cocksuckers",
    ]
)
