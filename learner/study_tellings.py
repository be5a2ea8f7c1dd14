"""What a text says of each thing that it names, as the answer to an open question. By rule, for
nothing: no model writes here.

Of half of the documents a small model writes no question that a user would ask. What it has learned
to say when somebody asks what it knows of the thing, it says as well when asked for one part of
it: of ten facts of a burst the model's own questions taught four, these alone five, both seven.

A sentence that names nothing goes on about what the one before it named. Knows nothing of models.
Called by `study.py`.

Source: entity-centred rewriting as in Knowledge-Instruct (arXiv 2504.05571), where a large model
lists the facts of each entity; ours takes the text's own sentences.
"""

from learner.study_languages import Language
from learner.study_names import is_a_thing, names_in
from learner.study_pair import Pair
from learner.study_words import MOST_CHARACTERS, sentences


def tellings(text: str, language: Language, named: set[str], num_wanted: int) -> list[Pair]:
    """So many at most, each sentence once before any of them twice.

    named: the words of the text that name something, in small letters.
    """
    told: list[tuple[str, list[str]]] = []
    before: list[str] = []
    for sentence in sentences(text):
        found = dict.fromkeys(name.text for name in names_in(sentence, named, language))
        subjects = [name for name in found if is_a_thing(name)] or before[:1]
        if subjects and len(sentence) <= MOST_CHARACTERS:
            told.append((sentence, subjects))
        before = subjects
    pairs: dict[Pair, None] = {}
    for turn in range(max((len(subjects) for _, subjects in told), default=0)):
        for sentence, subjects in told:
            if turn < len(subjects):
                question = language.about.format(name=subjects[turn])
                pairs[Pair(question, sentence, is_open=True)] = None
    return list(pairs)[:num_wanted]
