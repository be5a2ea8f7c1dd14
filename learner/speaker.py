"""The learning model as a writer. Called where it writes: the origin's texts, study questions."""

import copy

import torch

from learner.recipe import Recipe
from riverrun.model.decoder import Decoder


def speaker_of(model: Decoder, recipe: Recipe) -> Decoder:
    """The model to write with: itself or, where the recipe multiplies so, a bfloat16 copy.

    The copy costs less than a second and half the memory of the weights; decoding with it reads
    half as much for each token.
    """
    if recipe.precision == "bfloat16":
        return copy.deepcopy(model).to(torch.bfloat16)
    return model
