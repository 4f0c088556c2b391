"""A sequence: the loop over the steps, with a gradient of its own.

Time first: (time, batch, features). The gradient is written by hand (see
`gradient`): what a training step keeps grows with time * (units + window *
heads), not with time * window * units.
"""

from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.capabilities import fuses_loop_bodies
from keras_seqattn._backend.once_differentiable import once_differentiable
from keras_seqattn._backend.scan import scan
from keras_seqattn.layers._larnn.gradient import sequence_gradient
from keras_seqattn.layers._larnn.settings import Settings
from keras_seqattn.layers._larnn.settings import Weights
from keras_seqattn.layers._larnn.settings import with_constants
from keras_seqattn.layers._larnn.step import Step
from keras_seqattn.layers._larnn.step import drive
from keras_seqattn.layers._larnn.step import step
from keras_seqattn.layers._larnn.window import Tensors
from keras_seqattn.layers._larnn.window import finish_rows
from keras_seqattn.layers._larnn.window import pairs

TWICE = (
    "LARNN has no second derivatives on torch: its gradient is written by "
    "hand. Use keras.layers.RNN(LARNNCell(...)), the same numbers by autodiff."
)


def run_sequence(
    w: Weights,
    settings: Settings,
    inputs: Any,
    hidden: Any,
    cell: Any,
    window: Any,
    empty: Any,
    weight: Any = None,
    return_scores: bool = False,
) -> tuple[Any, Any, Any, Any]:
    """Run over all steps.

    Args:
        w: Weights, without constants.
        settings: Settings.
        inputs: (time, batch, features).
        hidden: (batch, units), before the first step.
        cell: (batch, units), before the first step.
        window: (window, batch, 2 * units), the projected cells before it, as
            `finish_rows` gives their value.
        empty: (window + time, batch or 1, 1), 0, or `EMPTY` for the slots
            that hold no cell.
        weight: (time, batch, 1), which steps count, for "batch".
        return_scores: Whether to return the attention scores.

    Returns:
        Hidden and cell states (time, batch, units); the attention scores
        (time, batch, window * heads), through which no gradient flows, or
        `None`; and for batch statistics each step's means and variances by
        the name of the normalization, or `None`.
    """
    if weight is None:
        weight = ops.ones_like(inputs[:, :, :1])
    batch = ops.shape(inputs)[1]
    units = settings.units

    # One output, tensors alone as arguments: what is portable.
    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def run(*tensors: Any) -> Any:
        *state, empty, weight = tensors[:6]
        given = _with_tensors(w, tensors[6:])
        weights = with_constants(given, settings)
        packed, saved = _forward(
            weights, settings, state, empty, weight, return_scores
        )

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            upstream = upstream[:, :batch]
            by_state, by_weight = sequence_gradient(
                weights,
                settings,
                state,
                empty,
                weight,
                saved,
                upstream[..., :units],
                upstream[..., units : 2 * units],
            )
            found = (
                *by_state,
                ops.zeros_like(empty),
                ops.zeros_like(weight),
                *(
                    ops.zeros_like(tensor) if d is None else d
                    for tensor, d in zip(
                        keras.tree.flatten(given),
                        keras.tree.flatten(by_weight),
                        strict=True,
                    )
                    if tensor is not None
                ),
            )
            return once_differentiable(found, (upstream, tensors), TWICE)

        return packed, gradient

    tensors = [x for x in keras.tree.flatten(w) if x is not None]
    packed = run(inputs, hidden, cell, window, empty, weight, *tensors)
    states = packed[:, :batch]
    scores = ops.stop_gradient(states[..., 2 * units :])
    statistics = None
    if settings.batch_statistics:
        rows = ops.stop_gradient(packed[:, batch:])
        statistics = _unpack_statistics(settings, rows)
    return (
        states[..., :units],
        states[..., units : 2 * units],
        scores if return_scores else None,
        statistics,
    )


def _with_tensors(w: Weights, tensors: Any) -> Weights:
    """The same weights, by these tensors, in order."""
    left = iter(tensors)
    return keras.tree.map_structure(
        lambda x: None if x is None else next(left), w
    )


def _forward(
    w: Weights,
    settings: Settings,
    state: Any,
    empty: Any,
    weight: Any,
    return_scores: bool,
) -> tuple[Any, Tensors]:
    """Return the packed outputs, and what the gradient needs."""
    inputs, hidden, cell, window = state
    size = window.shape[0]
    history = {"value": window}
    if settings.positions and settings.activation:
        history["exp"] = ops.exp(window)
    # In one product before the loop. Where a loop's body is fused and there
    # are few features, within it: the result need not go through memory.
    fused = settings.fused or fuses_loop_bodies()
    hoisted = not fused or inputs.shape[-1] > settings.units
    rows = {"inputs": drive(w, inputs) if hoisted else inputs}
    if settings.normalization == "batch":
        rows["weight"] = weight

    def body(carry: Any, row: Tensors, window: Tensors) -> Any:
        hidden, cell = carry
        done = step(
            w,
            settings,
            row["inputs"] if hoisted else drive(w, row["inputs"]),
            hidden,
            cell,
            window,
            window["empty"],
            row.get("weight"),
        )
        outputs = {"hidden": done.hidden, "cell": done.cell, **done.saved}
        if settings.batch_statistics:
            outputs["statistics"] = _pack_statistics(settings, done)
        if return_scores:
            outputs["applied_scores"] = ops.reshape(
                ops.transpose(done.scores, (1, 0, 2)),
                (-1, size * settings.num_heads),
            )
        return (
            (done.hidden, done.cell),
            outputs,
            finish_rows(w, settings, done.row),
        )

    _, saved, saved["history"] = scan(
        body,
        (hidden, cell),
        rows,
        history,
        fixed={"empty": empty},
        fused=settings.fused,
    )
    packed = ops.concatenate([saved["hidden"], saved["cell"]], axis=-1)
    if return_scores:
        packed = ops.concatenate([packed, saved.pop("applied_scores")], axis=-1)
    if settings.batch_statistics:
        # Below the sequences.
        statistics = saved.pop("statistics")
        missing = packed.shape[-1] - statistics.shape[-1]
        packed = ops.concatenate(
            [packed, ops.pad(statistics, ((0, 0), (0, 0), (0, missing)))],
            axis=1,
        )
    return packed, saved


def _pack_statistics(settings: Settings, done: Step) -> Any:
    """A step's statistics, a row of 2 * units for each."""
    rows = []
    for name in settings.norms:
        for x in done.statistics[name]:
            x = ops.reshape(x, (1, -1))
            if x.shape[-1] != 2 * settings.units:
                x = ops.concatenate([x, 0 * x], axis=-1)
            rows.append(x)
    return ops.concatenate(rows, axis=0)


def _unpack_statistics(settings: Settings, rows: Any) -> dict[str, Any]:
    """Means and variances (time, ...) by name, from all steps' rows."""
    units, found = settings.units, {}
    for i, name in enumerate(settings.norms):
        mean, variance = rows[:, 2 * i], rows[:, 2 * i + 1]
        if name == "key_value":
            mean = pairs(settings, mean[:, : 2 * units])
            variance = pairs(settings, variance[:, : 2 * units])
        else:
            mean, variance = mean[:, :units], variance[:, :units]
        found[name] = mean, variance
    return found
