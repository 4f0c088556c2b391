"""Weights and lengths on which a model is tried out."""

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._keras_internals import find_layers

LENGTH = 257


def trial_length(model: keras.Model) -> int:
    """Return a prime or so, longer than twice what a layer looks back."""
    reaches = [_reach(layer) for layer in find_layers(model)]
    return max([LENGTH, *(2 * reach + 3 for reach in reaches)])


def _reach(layer: Any) -> int:
    reach = max(
        (
            size
            for name in ("window_size", "lag", "kernel_size", "pool_size")
            for size in keras.tree.flatten(getattr(layer, name, None) or 0)
            if isinstance(size, int)
        ),
        default=0,
    )
    rates = keras.tree.flatten(getattr(layer, "dilation_rate", None) or 1)
    return reach * max(rates)


def trial_weights(variables: Iterable[Any]) -> keras.StatelessScope:
    """Return a scope in which weights are random.

    A model's own would not show what one of them hides, as long as it is
    zero; and nothing within the scope changes them. They keep their signs,
    for what must be positive, and shrink, so that no network is chaotic.
    """
    rng = np.random.default_rng(0)
    return keras.StatelessScope(
        state_mapping=[
            (variable, _near(rng, variable))
            for variable in variables
            if "float" in keras.backend.standardize_dtype(variable.dtype)
        ]
    )


def _near(rng: Any, variable: Any) -> Any:
    value = ops.convert_to_numpy(ops.cast(variable.value, "float32"))
    more = rng.uniform(0.1, 0.3, value.shape)
    if value.ndim > 1:
        more *= rng.choice([-1, 1], value.shape)
        more /= np.sqrt(np.prod(value.shape[:-1]))
    else:
        more = np.copysign(more, value)
    value = rng.uniform(0.3, 0.9, value.shape) * value + more
    return ops.convert_to_tensor(value.astype("float32"), variable.dtype)
