"""The origin memory of an untouched model: from riverrun's cache, else written and asked for now.

Texts of the operator's file are read each time: that costs little, and the file may change.

Knows nothing of runs or data directories. Called by `line.py` and by `bench facts`.
"""

from collections.abc import Callable

from learner.framing import Framing
from learner.identity import hash_of_files, hash_of_weights
from learner.origin import Origin, remember
from learner.origin_shelf import put_on, shelf_of, taken_from
from learner.origin_texts import origin_examples
from learner.recipe import Recipe
from riverrun.model.decoder import Decoder


def fill(
    model: Decoder,
    framing: Framing,
    recipe: Recipe,
    seed: int,
    is_stopping: Callable[[], bool] = lambda: False,
) -> Origin | None:
    """None when stopped before the end. Raises InvalidValue for an origin file that cannot be
    used."""
    if recipe.origin_texts == 0:
        return Origin.empty()
    shelf = None
    if recipe.origin_file is None:
        files = hash_of_files(framing.tokenizer.directory)
        shelf = shelf_of(hash_of_weights(model), files, seed, recipe)
        if (found := taken_from(shelf)) is not None:
            return found
    examples = origin_examples(model, framing, recipe, seed, is_stopping)
    origin = remember(model, framing.prefix, examples, recipe, is_stopping)
    if origin is None or is_stopping():
        return None
    if shelf is not None and len(origin):
        put_on(shelf, origin)
    return origin
