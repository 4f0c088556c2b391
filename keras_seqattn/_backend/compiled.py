"""A model with its weights as constants, and as one program."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


def frozen(model: keras.Model) -> Callable[[Any], Any]:
    """Return a function that computes what the model does.

    The weights are those of now, as constants: in a compiled program what
    depends on them alone is computed once.
    """
    # TensorFlow would pass a tensor from outside to each call.
    in_graph = keras.backend.backend() == "tensorflow"
    keep = ops.convert_to_numpy if in_graph else ops.copy
    weights = [(v, keep(v.value)) for v in model.variables]

    def run(given: Any) -> Any:
        values = [(v, ops.convert_to_tensor(w, v.dtype)) for v, w in weights]
        with keras.StatelessScope(state_mapping=values):
            return model(given)

    return run


def compiled_sequence(model: keras.Model) -> Callable[[Any], Any]:
    """As `frozen`, of a model of sequences that runs a few times."""
    run = frozen(model)
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(run)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(run, autograph=False)
    import torch

    return torch.no_grad()(run)
