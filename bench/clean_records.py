"""The records that `bench clean` sends: prose of our own, of the lengths that messages have.

Each is different, so that no memory of duplicates drops it. Called by `bench.clean`.
"""

import random

NOUNS = [
    *(
        "river",
        "ferry",
        "gauge",
        "mill",
        "council",
        "boat",
        "engineer",
        "village",
        "road",
        "willow",
    ),
    *("gate", "fisherman", "bridge", "storm", "summer", "morning", "notebook", "market", "church"),
    *("stone", "current", "island", "harbour", "lantern", "winter", "canal", "shepherd", "garden"),
    *(
        "teacher",
        "orchard",
        "railway",
        "valley",
        "letter",
        "kitchen",
        "window",
        "mountain",
        "clock",
    ),
]
ADJECTIVES = [
    *("old", "quiet", "narrow", "new", "long", "cold", "lower", "broken", "wide", "heavy", "early"),
    *("wooden", "northern", "empty", "famous", "gentle", "distant", "patient", "grey", "steep"),
]
VERBS = [
    *("reached", "crossed", "remembered", "measured", "followed", "left", "carried", "painted"),
    *("described", "found", "closed", "repaired", "watched", "answered", "visited", "guarded"),
]
JOINS = [
    *("before", "while", "because", "although", "when", "after", "until", "so that", "and then"),
    *("which is why", "as if", "unless"),
]
PLACES = [
    *("near the water", "on the other side", "in the rain", "for a whole week", "without a word"),
    *(
        "at the end of the year",
        "behind the houses",
        "by the light of a lamp",
        "from the first day",
    ),
]


def prose(num_records: int, seed: int = 0) -> list[bytes]:
    """Plain texts of 2 to 10 sentences; 600 bytes in the mean."""
    rng = random.Random(seed)
    return [
        " ".join(_sentence(rng) for _ in range(rng.randrange(2, 11))).encode()
        for _ in range(num_records)
    ]


def _sentence(rng: random.Random) -> str:
    clauses = f"{_clause(rng)} {rng.choice(PLACES)}, {rng.choice(JOINS)} {_clause(rng)}."
    return clauses[0].upper() + clauses[1:]


def _clause(rng: random.Random) -> str:
    one, two = rng.sample(NOUNS, 2)
    article = rng.choice(("the", "a", "our", "this"))
    return f"{article} {rng.choice(ADJECTIVES)} {one} {rng.choice(VERBS)} the {two}"
