"""A last look at a twin: its numbers beside those of the model."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._backend.compiled import compiled_sequence
from keras_seqattn._keras_internals import find_layers
from keras_seqattn.streaming.engine import compiled_engine
from keras_seqattn.streaming.names import MASK
from keras_seqattn.streaming.names import numpy_type
from keras_seqattn.streaming.names import step_names
from keras_seqattn.streaming.trial import trial_weights
from keras_seqattn.streaming.trial_inputs import Arrays
from keras_seqattn.streaming.trial_inputs import all_finite
from keras_seqattn.streaming.trial_inputs import draw_positive
from keras_seqattn.streaming.trial_inputs import hides_nan
from keras_seqattn.streaming.trial_inputs import mask_values

MISSING = 7
Tensors = dict[str, Any]
Run = Callable[[Any], Any]


def check_equal(
    model: keras.Model,
    step: keras.Model,
    given: list[str],
    names: list[str],
    length: int,
    window: int | None,
) -> None:
    """Refuse a twin that gives other numbers than its model.

    Both run on random sequences with random weights. With a mask some steps
    are missing, the first among them.

    Args:
        model: Of sequences.
        step: Its twin.
        given: Names of the twin's inputs, in the model's order.
        names: Of the twin's outputs, in the model's order.
        length: Steps that are not missing, in each stream.
        window: As in `step_model`.

    Raises:
        ValueError: They differ, or there is nothing to compare.
    """
    rng = np.random.default_rng(1)
    batch = model.inputs[0].shape[0] or 2
    has_mask = MASK in step.input
    total = length + MISSING * has_mask
    mask = np.arange(total) >= MISSING * has_mask
    mask = np.stack([mask, *(rng.permutation(mask) for _ in range(batch - 1))])
    variables = {id(v): v for v in [*model.variables, *step.variables]}
    with trial_weights(variables.values()):
        try_out = functools.partial(
            _run, compiled_sequence(model), model, window
        )
        for draw in (_signed, _positive):
            x = [draw(rng, s, model, (batch, total)) for s in model.inputs]
            kept = [v[mask].reshape(batch, length, *v.shape[2:]) for v in x]
            expected = try_out(kept)
            if all_finite(expected) and not (
                draw is _signed and hides_nan(try_out, kept, expected)
            ):
                break
        else:
            raise ValueError(
                "The model cannot be tried out: on random numbers it gives "
                "NaN or infinity."
            )
        found = _stream(step, dict(zip(given, x, strict=True)), names, mask)
    for name, whole, steps in zip(names, expected, found, strict=True):
        difference = _difference(whole, steps, mask, window)
        peak = max(np.abs(whole).max(initial=0), 0.01)
        if not difference <= _tolerance(model) * peak:
            raise ValueError(
                f"The model cannot be run step by step: output `{name}` of "
                f"its twin differs by {difference:.1g}, of at most {peak:.1g}, "
                f"after {length} random steps. A layer looks at other steps, "
                "at the batch or at its own `call`, or is random. "
                "`step_model(model, window=k)` runs any model whose numbers "
                "do not change from call to call, on the last k steps."
            )


def _tolerance(model: keras.Model) -> float:
    types = {layer.compute_dtype for layer in find_layers(model)}
    return 5e-2 if types & {"float16", "bfloat16"} else 1e-4


def _difference(
    whole: np.ndarray,
    steps: np.ndarray,
    mask: np.ndarray,
    window: int | None,
) -> float:
    kept = steps[mask].reshape(len(mask), -1, *steps.shape[2:])
    if window is not None:
        kept = kept[:, _ends(kept.shape[1], window)]
        # An output at every step of the window: its newest.
        whole = whole[:, :, -1] if whole.ndim > kept.ndim else whole
    elif whole.shape != kept.shape:  # Of strides, or the newest alone.
        kept = kept[:, -1]
        whole = whole[:, -1] if whole.ndim > kept.ndim else whole
    if whole.shape != kept.shape:
        return np.inf
    # What is missing repeats the output before.
    missing = ~mask[:, 1:] & (mask.cumsum(axis=1)[:, 1:] > 0)
    repeated = steps[:, 1:][missing] - steps[:, :-1][missing]
    return float(
        max(
            np.abs(whole - kept).max(initial=0),
            np.abs(repeated).max(initial=0),
        )
    )


def _signed(rng: Any, x: Any, model: keras.Model, shape: Any) -> np.ndarray:
    values = _positive(rng, x, model, shape)
    if values.dtype.kind != "f":
        return values
    values = rng.normal(size=values.shape).astype("float32")
    for value in {0, *mask_values(model)}:  # What a model may hide.
        values[rng.random(shape) < 0.15] = value
    return values


def _positive(rng: Any, x: Any, model: keras.Model, shape: Any) -> np.ndarray:
    return draw_positive(
        rng, (*shape, *(size or 5 for size in x.shape[2:])), x.dtype
    )


def _ends(length: int, window: int) -> list[int]:
    """Where to look at windows: before, at and after the first whole one."""
    return sorted({0, min(1, length - 1), window - 1, length - 2, length - 1})


def _run(run: Run, model: keras.Model, window: int | None, x: Arrays) -> Arrays:
    """Arrays of the sequences, or at the end of some windows."""

    def outputs(x: Arrays) -> Arrays:
        given = [
            ops.convert_to_tensor(value, symbol.dtype)
            for value, symbol in zip(x, model.inputs, strict=True)
        ]
        found = run(keras.tree.pack_sequence_as(model.input, given))
        return [_numpy(y) for y in keras.tree.flatten(found)]

    if window is None:
        return outputs(x)
    length = x[0].shape[1]
    # The first step stands for those before it.
    x = [np.concatenate([v[:, :1]] * (window - 1) + [v], axis=1) for v in x]
    found = [
        outputs([v[:, end : end + window] for v in x])
        for end in _ends(length, window)
    ]
    return [np.stack(y, axis=1) for y in zip(*found, strict=True)]


def _stream(
    step: keras.Model, x: Tensors, names: list[str], mask: np.ndarray
) -> Arrays:
    own = step_names(step)
    given = [
        mask if name == MASK else x[name].astype(numpy_type(step.input[name]))
        for name in own.inputs
    ]
    states = [
        np.zeros((len(mask), *symbol.shape[1:]), numpy_type(symbol))
        for symbol in map(step.input.get, own.states)
    ]
    engine = compiled_engine(step, [v[:, 0] for v in given], states)
    found = []
    for t in range(mask.shape[1]):
        outputs = engine.step([v[:, t] for v in given])
        by_name = dict(zip(own.outputs, outputs, strict=True))
        found.append([by_name[name].astype("float32") for name in names])
    return [np.stack(y, axis=1) for y in zip(*found, strict=True)]


def _numpy(x: Any) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(x, "float32"))
