"""What a run is computed with, put together from its recipe: the same for learning and verifying.

Whatever takes part in a step, or changes with one, is made and added here and nowhere else; so what
does a journal again cannot differ from what wrote it.

Knows nothing of Kafka, files or versions. Called by `line.py` and `verify.py`.
"""

from learner.framing import Framing
from learner.memory import HOST, Place
from learner.origin import Origin
from learner.recipe import Recipe
from learner.state import State
from learner.step import Stepper
from learner.strategies.registry import strategy_of
from learner.watch.protocol import Watch
from learner.watch.watchers import Watchers
from riverrun.model.decoder import Decoder
from riverrun.settings import WatchSettings
from riverrun.tokenizer import Tokenizer


class Assembly:
    """Of an untouched model. Raises InvalidValue when the recipe names what there is not."""

    def __init__(
        self,
        recipe: Recipe,
        seed: int,
        model: Decoder,
        tokenizer: Tokenizer,
        place: Place = HOST,
        watch: WatchSettings | None = None,
    ) -> None:
        """place: where the replay memory lies. watch: what is measured. They change no weight."""
        self.recipe = recipe
        self._seed = seed
        self.framing = Framing(tokenizer, recipe.framings, recipe.block_tokens, recipe.study_pairs)
        self.strategy = strategy_of(recipe, self.framing.prefix)
        self.state = State(model, recipe, self.strategy.extras, place)
        if self.strategy.part is not None:
            self.state.add_part("strategy", self.strategy.part)
        self.watchers = Watchers(self.state, self.framing, recipe, watch or WatchSettings())
        self.watches: list[Watch] = [self.watchers]

    def stepper(self, origin: Origin) -> Stepper:
        """What does the steps, once the origin memory is there."""
        return Stepper(self.recipe, self._seed, self.framing, self.strategy, origin, self.watches)
