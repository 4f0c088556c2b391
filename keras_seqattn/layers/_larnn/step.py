"""One step of a LARNN, piece by piece.

`gradient` has the adjoint of each piece under the same name, `_gradient`
after it.
"""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_seqattn.layers._larnn.normalization import normalize
from keras_seqattn.layers._larnn.settings import Settings
from keras_seqattn.layers._larnn.settings import Weights
from keras_seqattn.layers._larnn.window import EMPTY
from keras_seqattn.layers._larnn.window import Tensors
from keras_seqattn.layers._larnn.window import read_window
from keras_seqattn.layers._larnn.window import sum_slots


class Step(NamedTuple):
    """What a step computes."""

    hidden: Any
    cell: Any
    row: Any  # The cell's projection.
    scores: Any  # As applied: after dropout.
    saved: Tensors  # For the gradient.
    statistics: dict[str, Any]  # Mean and variance of each normalization.


def step(
    w: Weights,
    settings: Settings,
    driven: Any,
    hidden: Any,
    cell: Any,
    window: Tensors,
    empty: Any,
    weight: Any = None,
) -> Step:
    """One step, from the state before it.

    Args:
        w: Weights, from `with_constants`.
        settings: Settings.
        driven: (batch, 5 * units), from `drive`.
        hidden: (batch, units).
        cell: (batch, units).
        window: (window, batch, ...), from `finish_rows`.
        empty: (window, batch or 1, 1), 0, or `EMPTY` where no cell is; of
            one step -1.
        weight: (batch, 1), which sequences count, for "batch".
    """
    u, query = ask(w, settings, driven, hidden)
    keys_values = read_window(w, settings, window, empty, weight)
    scores, kept, attended = attend(
        w, settings, query, keys_values.value, empty
    )
    projected, attention, of_attention = project(w, settings, attended, weight)
    candidate, gates = open_gates(w, settings, u, attention)
    hidden, cell, of_hidden, of_cell = update(
        w, settings, candidate, gates, cell, weight
    )
    saved = {
        "candidate": candidate,
        "gates": gates,
        "query": query,
        "scores": scores,
        "attended": attended,
        "projected": projected,
    }
    statistics = {
        "cell": of_cell,
        "hidden": of_hidden,
        "attention": of_attention,
        "key_value": keys_values.statistics,
    }
    row = cell @ w.key_value_kernel
    return Step(hidden, cell, row, kept, saved, statistics)


def drive(w: Weights, inputs: Any) -> Any:
    """What the inputs contribute to gates and query."""
    return inputs @ w.input_kernel + w.bias


def ask(
    w: Weights, settings: Settings, driven: Any, hidden: Any
) -> tuple[Any, Any]:
    """Return (batch, 5 * units), of gates and query, and the query."""
    if w.hidden_mask is not None:
        hidden = hidden * w.hidden_mask
    u = driven + hidden @ w.state_kernel
    return u, ops.elu(u[:, 4 * settings.units :])


def attend(
    w: Weights, settings: Settings, query: Any, keys_values: Any, empty: Any
) -> tuple[Any, Any, Any]:
    """Return the scores before and after dropout, and what was heard."""
    units = settings.units
    scores = (keys_values[..., :units] * query) @ w.score_sums
    if settings.one_step:
        scores = _softmax_over_held(scores, empty > -0.5)
    else:
        scores = _softmax_over_slots(scores + empty)
    kept = scores if w.attention_mask is None else scores * w.attention_mask
    attended = sum_slots(settings, (kept @ w.repeat) * keys_values[..., units:])
    return scores, kept, attended


def _softmax_over_slots(scores: Any) -> Any:
    """The softmax over the first axis."""
    # Keras' max on torch refuses an empty batch.
    top = EMPTY if 0 in scores.shape else ops.max(scores, axis=0)
    scores = ops.exp(scores - top)
    return scores / ops.sum(scores, axis=0)


def _softmax_over_held(scores: Any, held: Any) -> Any:
    """The same numbers, none of them larger than the scores are.

    An empty slot first repeats the newest, which always holds a cell. No
    division: LiteRT's of 8 bits takes some numbers for zero.
    """
    scores = ops.where(held, scores, scores[-1:])
    top = 0.0 if 0 in scores.shape else ops.max(scores, axis=0)
    held = ops.cast(held, scores.dtype)
    total = ops.sum(ops.exp(scores - top) * held, axis=0)
    return ops.exp(scores - (top + ops.log(total))) * held


def project(
    w: Weights, settings: Settings, attended: Any, weight: Any
) -> tuple[Any, Any, Any]:
    """Return what was heard, projected; the same normalized; statistics."""
    projected = ops.elu(attended @ w.output_kernel + w.output_bias)
    attention, statistics = normalize(
        settings, w.attention_norm, projected, weight
    )
    return projected, attention, statistics


def open_gates(
    w: Weights, settings: Settings, u: Any, attention: Any
) -> tuple[Any, Any]:
    """Return the candidate, and the three gates side by side."""
    units = settings.units
    gates = u[:, : 4 * units] + attention @ w.attention_kernel
    return ops.tanh(gates[:, :units]), ops.sigmoid(gates[:, units:])


def split_gates(settings: Settings, gates: Any) -> tuple[Any, Any, Any]:
    """Forget, input (write) and output (read) gate."""
    units = settings.units
    return (
        gates[..., :units],
        gates[..., units : 2 * units],
        gates[..., 2 * units :],
    )


def update(
    w: Weights,
    settings: Settings,
    candidate: Any,
    gates: Any,
    cell: Any,
    weight: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return the new hidden state and cell, and the statistics of each."""
    forget, write, read = split_gates(settings, gates)
    cell = candidate * write + cell * forget
    cell, of_cell = normalize(settings, w.cell_norm, cell, weight)
    hidden, of_hidden = normalize(
        settings, w.hidden_norm, read * ops.elu(cell), weight
    )
    return hidden, cell, of_hidden, of_cell
