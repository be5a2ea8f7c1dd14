"""A served model made straight from a training model's weights, without a file."""

import torch

from riverrun.model.decoder import Decoder
from serving.lean_model import LeanModel
from serving.products import Precision


@torch.inference_mode()
def lean_of(decoder: Decoder, precision: Precision = "float32", device: str = "cpu") -> LeanModel:
    config = decoder.config
    model = LeanModel(config, precision=precision, device=device)
    state = {name: tensor.detach() for name, tensor in decoder.state_dict().items()}
    for layer in range(config.num_layers):
        prefix = f"model.layers.{layer}."
        model.load_layer(
            layer,
            {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)},
        )
    output_VD = None if config.tie_embeddings else state["lm_head.weight"]
    model.load_ends(state["model.embed_tokens.weight"], state["model.norm.weight"], output_VD)
    return model
