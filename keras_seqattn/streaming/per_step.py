"""Whether an operation does to each step what it does to a sequence."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn.streaming.trial import trial_weights
from keras_seqattn.streaming.trial_inputs import draw_positive


def find_timed_outputs(
    operation: Callable[..., Any],
    arguments: Any,
    is_timed: Callable[[Any], bool],
    length: int,
) -> list[bool] | None:
    """Try an operation on random numbers, as a sequence and step by step.

    Nobody can tell from a layer's class whether it looks at other steps; its
    numbers tell.

    Args:
        operation: A layer or another operation of a model.
        arguments: `(args, kwargs)` with symbolic tensors, some of them with a
            time axis, of length 1.
        is_timed: Which of the tensors have.
        length: Of the sequences to try.

    Returns:
        For each output whether it has a time axis, or is that of the newest
        step. `None` if an output depends on another step than its own, or the
        operation does not take sequences of another length.
    """
    rng = np.random.default_rng(0)
    tensors = {
        id(x): _draw(rng, x, length if is_timed(x) else None)
        for x in keras.tree.flatten(arguments)
        if isinstance(x, keras.KerasTensor)
    }
    types = {getattr(operation, "compute_dtype", "float32")}

    def run(whole: bool) -> list[np.ndarray]:
        """On sequences, or on all their steps as a batch."""

        def given(x: Any) -> Any:
            if not isinstance(x, keras.KerasTensor):
                return x
            array = tensors[id(x)]
            if is_timed(x) and not whole:
                array = array.reshape(-1, 1, *array.shape[2:])
            elif not whole:
                array = np.repeat(array, length, axis=0)
            return ops.convert_to_tensor(array, x.dtype)

        args, kwargs = keras.tree.map_structure(given, arguments)
        outputs = keras.tree.flatten(operation(*args, **kwargs))
        types.update(keras.backend.standardize_dtype(y.dtype) for y in outputs)
        return [ops.convert_to_numpy(ops.cast(y, "float32")) for y in outputs]

    try:
        with trial_weights(getattr(operation, "variables", [])):
            steps, sequences = run(whole=False), run(whole=True)
    except Exception:
        # Each backend and layer has its own error for a length it refuses.
        return None
    # A product of another shape may round otherwise.
    tolerance = 1e-2 if {"float16", "bfloat16"} & types else 1e-5
    timed = []
    for step, sequence in zip(steps, sequences, strict=True):
        has_time = min(step.ndim, sequence.ndim) > 1 and (
            step.shape[1],
            sequence.shape[1],
        ) == (1, length)
        each = step.reshape(-1, length, *step.shape[1:])
        expected = each[:, :, 0] if has_time else each[:, -1]
        if sequence.shape != expected.shape:
            return None
        # Written so that NaN, which would show nothing, is no match.
        if not np.allclose(sequence, expected, tolerance, tolerance):
            return None
        timed.append(has_time)
    return timed


def _draw(rng: Any, x: Any, length: int | None) -> np.ndarray:
    shape = [size or 5 for size in x.shape]
    shape[0] = 2
    if length is not None:
        shape[1] = length
    return draw_positive(rng, shape, x.dtype)
