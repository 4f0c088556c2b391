"""Random numbers to try a model on, and whether its outputs say something.

For proofs that something computes what the model does.
"""

import numbers
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn._keras_internals import find_layers

Arrays = list[np.ndarray]


def is_float(dtype: Any) -> bool:
    """Whether a type, Keras' or NumPy's, is one of floating point."""
    return "float" in keras.backend.standardize_dtype(dtype)


def draw_positive(
    random: np.random.Generator, shape: Sequence[int], dtype: Any
) -> np.ndarray:
    """Return random numbers where square root and logarithm have a value.

    They are in 0.1 .. 0.9, float32; of another type zeros and ones.
    """
    if is_float(dtype):
        return random.uniform(0.1, 0.9, size=shape).astype("float32")
    return random.integers(0, 2, size=shape)


def mask_values(model: keras.Model) -> list[float]:
    """Return the numbers that layers of a model take for a missing step."""
    found: list[Any] = [
        getattr(x, "mask_value", None) for x in find_layers(model)
    ]
    return [
        float(value)
        for value in found
        if isinstance(value, numbers.Real)
        or getattr(value, "shape", None) == ()
    ]


def all_finite(outputs: Sequence[np.ndarray]) -> bool:
    """Whether there is neither NaN nor infinity."""
    # NumPy does not know whether a bfloat16 is finite.
    return all(np.isfinite(x.astype("float64")).all() for x in outputs)


def hides_nan(
    run: Callable[[Arrays], Arrays], inputs: Arrays, outputs: Arrays
) -> bool:
    """Whether a negative number is a NaN to the model, and none comes out.

    The ReLU of NaN is 0 on some backends.

    Args:
        run: The model.
        inputs: Arrays with numbers of both signs.
        outputs: What the model made of them.
    """
    spoilt = run(
        [
            np.where(x < 0, np.nan, x).astype(x.dtype)
            if x.dtype.kind == "f"
            else x
            for x in inputs
        ]
    )
    return any(map(np.array_equal, spoilt, outputs))
