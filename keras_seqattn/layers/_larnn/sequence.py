"""The mathematics of the LARNN: one step, and a sequence with its gradient.

Time first: (time, batch, features), windows (window, batch, features), oldest
row first. A row of the history holds the projection of one past cell, keys
beside values, of width 2 * units; it is computed once.

The gradient of `run_sequence` is written by hand: it recomputes the window's
activations and attention from the history, so that what a training step keeps
grows with time * units, not with time * window * units; and it leaves the
weights' gradients to products over all steps at once.
"""

from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_seqattn._backend.scan import read_rows
from keras_seqattn._backend.scan import scan
from keras_seqattn._backend.scan import scan_back

Tensors = dict[str, Any]
NORMS = ("cell", "hidden", "attention", "key_value")
EMPTY = -1e30  # The score of a slot that holds no cell yet.


class Settings(NamedTuple):
    """What is fixed while a layer runs."""

    units: int
    num_heads: int
    positions: bool
    activation: bool
    normalization: str | None
    batch_statistics: bool = False

    @property
    def epsilon(self) -> float:
        return 1e-5 if self.normalization == "batch" else 1e-3

    @property
    def key_value_norm(self) -> str | None:
        return self.normalization if self.activation else None

    @property
    def norms(self) -> list[str]:
        """The normalizations there are, by name."""
        if self.normalization is None:
            return []
        return [n for n in NORMS if n != "key_value" or self.key_value_norm]

    @property
    def window_norm(self) -> str | None:
        """The normalization that depends on the window a row is in."""
        norm = self.key_value_norm
        return None if norm == "layer" and not self.positions else norm


def position_features(window_size: int) -> np.ndarray:
    """Return the features of the ages `window_size` .. 1, oldest first.

    Cosines of periods 2, 4, 8 ... and sines of periods 4, 8, 16 ...

    Returns:
        float64 array of shape `(window_size, 2 * ceil(log2(4 window_size)))`.
    """
    count = int(np.ceil(np.log2(4 * window_size)))
    age = np.arange(window_size, 0, -1)[:, None]
    power = np.arange(1, count + 2)
    angle = 2 * np.pi * age / 2.0**power
    return np.concatenate([np.cos(angle[:, :-1]), np.sin(angle[:, 1:])], axis=1)


# --- Pieces of a step. Slopes are taken from a function's value.


def _elu_slope(value: Any) -> Any:
    return ops.minimum(value, 0) + 1


def _join(*tensors: Any) -> Any:
    return ops.concatenate(tensors, axis=-1)


def _softmax_over_slots(scores: Any) -> tuple[Any, Any]:
    """Return the softmax over the first axis, and the log of its sum."""
    # Keras' max on torch refuses an empty batch.
    top = EMPTY if 0 in scores.shape else ops.max(scores, axis=0)
    scores = ops.exp(scores - top)
    total = ops.sum(scores, axis=0)
    return scores / total, top + ops.log(total)


def _shares(weight: Any, axes: tuple[int, ...]) -> Any:
    """Each row's share of the batch statistics."""
    return weight / ops.maximum(ops.sum(weight, axes, keepdims=True), 1)


def _standardize(
    settings: Settings,
    x: Any,
    axes: tuple[int, ...],
    weight: Any,
    moving: Any,
) -> tuple[Any, Any, Any, Any]:
    """Return standardized x, 1 / deviation, mean, variance.

    Over the features ("layer"), over `axes` with the rows' `weight` ("batch"
    in training), or by moving statistics.
    """
    if settings.normalization == "batch":
        # Rows that do not count run on, and would grow without bounds.
        x = ops.where(weight > 0, x, 0)
    if settings.normalization == "layer":
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    elif settings.batch_statistics:
        share = _shares(weight, axes)
        mean = ops.sum(share * x, axis=axes, keepdims=True)
        variance = ops.sum(
            share * ops.square(x - mean), axis=axes, keepdims=True
        )
    else:
        mean, variance = moving
    scale = 1 / ops.sqrt(variance + settings.epsilon)
    return (x - mean) * scale, scale, mean, variance


def _standardize_gradient(
    settings: Settings,
    d: Any,
    hat: Any,
    scale: Any,
    axes: tuple[int, ...],
    weight: Any,
) -> Any:
    if settings.normalization == "layer":
        return scale * (
            d
            - ops.mean(d, axis=-1, keepdims=True)
            - hat * ops.mean(d * hat, axis=-1, keepdims=True)
        )
    if settings.batch_statistics:
        share = _shares(weight, axes)
        return scale * (
            d
            - share * ops.sum(d, axis=axes, keepdims=True)
            - share * hat * ops.sum(d * hat, axis=axes, keepdims=True)
        )
    return scale * d


def _moving(w: Tensors, name: str) -> tuple[Any, Any] | None:
    if f"{name}_mean" not in w:
        return None
    return w[f"{name}_mean"], w[f"{name}_variance"]


def _normalize(
    w: Tensors,
    settings: Settings,
    name: str,
    x: Any,
    weight: Any,
    statistics: Tensors,
) -> Any:
    if settings.normalization is None:
        return x
    hat, _, mean, variance = _standardize(
        settings, x, (0,), weight, _moving(w, name)
    )
    statistics |= {f"{name}_mean": mean, f"{name}_variance": variance}
    return hat * w[f"{name}_gamma"] + w[f"{name}_beta"]


def _pairs(settings: Settings, x: Any) -> Any:
    """(..., 2 * units) -> (..., 2, units): keys, values."""
    return ops.reshape(x, (*ops.shape(x)[:-1], 2, settings.units))


def _flat(settings: Settings, x: Any) -> Any:
    return ops.reshape(x, (*ops.shape(x)[:-2], 2 * settings.units))


def _key_value_affine(w: Tensors, settings: Settings, hat: Any) -> Any:
    return _flat(settings, hat * w["key_value_gamma"] + w["key_value_beta"])


def with_constants(w: Tensors, settings: Settings) -> Tensors:
    """Add to the weights what every step needs and no step changes."""
    units, heads = settings.units, settings.num_heads
    like = w["bias"]

    def constant(value: Any) -> Any:
        return ops.convert_to_tensor(value, like.dtype)

    # Sums within heads, and its transpose, which repeats for each head, are
    # products with a block matrix: the fastest form on all backends.
    blocks = np.repeat(np.eye(heads), units // heads, axis=0)
    double = np.repeat(np.eye(2 * heads), units // heads, axis=0)
    w = {
        **w,
        "head_sums": constant(blocks),
        "score_sums": constant(blocks * (units // heads) ** -0.5),
        "repeat": constant(blocks.T),
        "double_sums": constant(double),
        "double_repeat": constant(double.T),
    }
    if settings.positions and settings.activation:
        bias = w["position_bias"]
        w |= {
            "one": constant(1.0),
            "minus_one": constant(-1.0),
            "position_exp": ops.exp(ops.clip(bias, -80, 80)),
            "position_less_one": bias - 1,
        }
    return w


def finish_rows(w: Tensors, settings: Settings, rows: Any) -> Tensors:
    """Return what the steps read of projected cells (..., 2 * units)."""
    if settings.positions:
        if settings.activation:
            return {"value": rows, "exp": ops.exp(rows)}
        return {"value": rows}
    # Every step sees the same: activated, and normalized by itself.
    rows = rows + w["row_bias"]
    if settings.activation:
        rows = ops.elu(rows)
    if settings.key_value_norm == "layer":
        hat, *_ = _standardize(settings, _pairs(settings, rows), (), None, None)
        rows = _key_value_affine(w, settings, hat)
    return {"value": rows}


def _activated_window(
    w: Tensors, settings: Settings, window: Tensors
) -> tuple[Any, Any]:
    """The window's keys and values, and the slope of their activation.

    With positions elu(a + p) = max(a + p - 1, -1) + min(exp(a) exp(p), 1),
    where exp(a) is known since the row was made. The second term is the
    slope. (So a and p must stay below 80, where float32's exp ends at 88.)
    """
    if not settings.positions:
        return window["value"], None
    if not settings.activation:
        return window["value"] + w["position_bias"], None
    slope = ops.minimum(window["exp"] * w["position_exp"], w["one"])
    above = ops.maximum(
        window["value"] + w["position_less_one"], w["minus_one"]
    )
    return above + slope, slope


class Step(NamedTuple):
    """What a step computes."""

    hidden: Any
    cell: Any
    row: Any  # The cell's projection.
    scores: Any  # As applied: after dropout.
    saved: Tensors  # For the gradient.
    statistics: Tensors  # Of normalizations.


def drive(w: Tensors, inputs: Any) -> Any:
    """What the inputs contribute to gates and query."""
    return inputs @ w["input_kernel"] + w["bias"]


def step(
    w: Tensors,
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
        empty: (window, batch or 1, 1), 0, or `EMPTY` where no cell is.
        weight: (batch, 1), which sequences count, for "batch".
    """
    units = settings.units
    statistics: Tensors = {}
    if "hidden_mask" in w:
        hidden = hidden * w["hidden_mask"]
    u = driven + hidden @ w["state_kernel"]
    query = ops.elu(u[:, 4 * units :])

    keys_values, _ = _activated_window(w, settings, window)
    if settings.window_norm is not None:
        hat, _, mean, variance = _standardize(
            settings,
            _pairs(settings, keys_values),
            (0, 1),
            _slot_weight(settings, empty, weight),
            _moving(w, "key_value"),
        )
        statistics |= {"key_value_mean": mean, "key_value_variance": variance}
        keys_values = _key_value_affine(w, settings, hat)
    scores = (keys_values[..., :units] * query) @ w["score_sums"]
    scores, log_sum = _softmax_over_slots(scores + empty)
    if "attention_mask" in w:
        scores = scores * w["attention_mask"]
    attended = ops.sum(
        (scores @ w["repeat"]) * keys_values[..., units:], axis=0
    )

    projected = ops.elu(attended @ w["output_kernel"] + w["output_bias"])
    attention = _normalize(
        w, settings, "attention", projected, weight, statistics
    )
    gates = u[:, : 4 * units] + attention @ w["attention_kernel"]
    candidate = ops.tanh(gates[:, :units])
    gates = ops.sigmoid(gates[:, units:])
    forget, write, read = _split(settings, gates)
    cell = candidate * write + cell * forget
    cell = _normalize(w, settings, "cell", cell, weight, statistics)
    hidden = _normalize(
        w, settings, "hidden", read * ops.elu(cell), weight, statistics
    )
    saved = {
        "candidate": candidate,
        "gates": gates,
        "query": query,
        "log_sum": log_sum,
        "attended": attended,
        "projected": projected,
    }
    row = cell @ w["key_value_kernel"]
    return Step(hidden, cell, row, scores, saved, statistics)


def _slot_weight(settings: Settings, empty: Any, weight: Any) -> Any:
    """(window, batch, 1, 1), which slots count for "batch"."""
    if settings.normalization != "batch":
        return None
    return ops.expand_dims(ops.cast(empty == 0, weight.dtype) * weight, -1)


# --- The sequence.


def run_sequence(
    w: Tensors,
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
        w: Weights by name.
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
        `None`; and for batch statistics the means and variances of each
        step by name, or `None`.
    """
    names = sorted(w)
    if weight is None:
        weight = ops.ones_like(inputs[:, :, :1])
    batch = ops.shape(inputs)[1]
    units = settings.units

    # One output, tensors alone as arguments: what is portable.
    @ops.custom_gradient  # type: ignore[untyped-decorator]
    def run(*tensors: Any) -> Any:
        *state, empty, weight = tensors[:6]
        weights = with_constants(
            dict(zip(names, tensors[6:], strict=True)), settings
        )
        packed, saved = _forward(
            weights, settings, state, empty, weight, return_scores
        )

        def gradient(*arguments: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = arguments
            upstream = upstream[:, :batch]
            by_state, by_weight = _backward(
                weights,
                settings,
                state,
                empty,
                weight,
                saved,
                upstream[..., :units],
                upstream[..., units : 2 * units],
            )
            return (
                *by_state,
                ops.zeros_like(empty),
                ops.zeros_like(weight),
                *(
                    by_weight[name]
                    if name in by_weight
                    else ops.zeros_like(weights[name])
                    for name in names
                ),
            )

        return packed, gradient

    packed = run(
        inputs, hidden, cell, window, empty, weight, *(w[n] for n in names)
    )
    states = packed[:, :batch]
    scores = ops.stop_gradient(states[..., 2 * units :])
    statistics = None
    if settings.batch_statistics:
        rows = ops.stop_gradient(packed[:, batch:])
        statistics = {
            name: _pairs(settings, rows[:, i, : 2 * units])
            if name.startswith("key_value")
            else rows[:, i, :units]
            for i, name in enumerate(_statistics_names(settings))
        }
    return (
        states[..., :units],
        states[..., units : 2 * units],
        scores if return_scores else None,
        statistics,
    )


def _statistics_names(settings: Settings) -> list[str]:
    return [
        f"{name}_{kind}"
        for name in settings.norms
        for kind in ("mean", "variance")
    ]


def _forward(
    w: Tensors,
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
    # In one product before the loop; XLA is faster without it where there
    # are few features, as the result need not go through memory.
    hoisted = (
        keras.backend.backend() != "jax" or inputs.shape[-1] > settings.units
    )
    rows = {"inputs": drive(w, inputs) if hoisted else inputs}
    if settings.normalization == "batch":
        rows["weight"] = weight

    def body(index: Any, carry: Any, row: Tensors, window: Tensors) -> Any:
        hidden, cell = carry
        done = step(
            w,
            settings,
            row["inputs"] if hoisted else drive(w, row["inputs"]),
            hidden,
            cell,
            window,
            read_rows(empty, index, size),
            row.get("weight"),
        )
        outputs = {"hidden": done.hidden, "cell": done.cell, **done.saved}
        if settings.batch_statistics:
            # Below the sequences, a row of 2 * units for each statistic.
            outputs["statistics"] = ops.concatenate(
                [
                    _widened(settings, done.statistics[name])
                    for name in _statistics_names(settings)
                ],
                axis=0,
            )
        if return_scores:
            outputs["scores"] = ops.reshape(
                ops.transpose(done.scores, (1, 0, 2)),
                (-1, size * settings.num_heads),
            )
        return (
            (done.hidden, done.cell),
            outputs,
            finish_rows(w, settings, done.row),
        )

    _, saved, saved["history"] = scan(body, (hidden, cell), rows, history)
    packed = _join(saved["hidden"], saved["cell"])
    if return_scores:
        packed = _join(packed, saved.pop("scores"))
    if settings.batch_statistics:
        statistics = saved.pop("statistics")
        missing = packed.shape[-1] - statistics.shape[-1]
        packed = ops.concatenate(
            [packed, ops.pad(statistics, ((0, 0), (0, 0), (0, missing)))],
            axis=1,
        )
    return packed, saved


def _widened(settings: Settings, x: Any) -> Any:
    x = ops.reshape(x, (1, -1))
    return x if x.shape[-1] == 2 * settings.units else _join(x, 0 * x)


def _backward(
    w: Tensors,
    settings: Settings,
    state: Any,
    empty: Any,
    weight: Any,
    saved: Tensors,
    upstream_hidden: Any,
    upstream_cell: Any,
) -> tuple[tuple[Any, ...], Tensors]:
    """Return the gradients of the state, in order, and of the weights."""
    inputs, hidden, cell, window = state
    units, heads = settings.units, settings.num_heads
    norm = settings.normalization
    size = window.shape[0]
    history = saved["history"]

    hidden_before = ops.concatenate([hidden[None], saved["hidden"][:-1]])
    if "hidden_mask" in w:
        hidden_before = hidden_before * w["hidden_mask"]
    cell_before = ops.concatenate([cell[None], saved["cell"][:-1]])
    rows = {
        name: saved[name]
        for name in (
            "candidate", "gates", "query", "attended", "projected", "log_sum"
        )
    }  # fmt: skip
    rows |= {
        "cell_before": cell_before,
        "squashed": ops.elu(saved["cell"]),
        "upstream_hidden": upstream_hidden,
        "upstream_cell": upstream_cell,
    }
    # What follows from the forward pass alone: for all steps at once, but
    # where a compiler fuses it into the step.
    fused = keras.backend.backend() == "jax"
    if not fused:
        rows = _slopes(settings, rows)
    if settings.normalization == "batch":
        rows["weight"] = weight
    if norm is not None:
        for name, value in (
            ("cell", _cell_sum(settings, saved, cell_before)),
            (
                "hidden",
                _split(settings, saved["gates"])[2] * ops.elu(saved["cell"]),
            ),
            ("attention", saved["projected"]),
        ):
            hat, factor, *_ = _standardize(
                settings, value, (1,), weight, _moving(w, name)
            )
            rows[f"{name}_hat"] = hat
            rows[f"{name}_scale"] = factor + 0 * hat[:, :1, :1]
    if settings.activation and not settings.positions:
        activated = ops.elu(
            saved["cell"] @ w["key_value_kernel"] + w["row_bias"]
        )
        rows["row_slope"] = _elu_slope(activated)
        if settings.key_value_norm == "layer":
            rows["row_hat"], rows["row_scale"], *_ = _standardize(
                settings, _pairs(settings, activated), (), None, None
            )
    to_attention = ops.transpose(w["attention_kernel"])
    to_attended = ops.transpose(w["output_kernel"])
    to_hidden = ops.transpose(w["state_kernel"])
    to_cell = ops.transpose(w["key_value_kernel"])

    def denormalize(name: str, d: Any, row: Tensors) -> Any:
        if norm is None:
            return d
        return _standardize_gradient(
            settings,
            d * w[f"{name}_gamma"],
            row[f"{name}_hat"],
            row[f"{name}_scale"],
            (0,),
            row.get("weight"),
        )

    # --- One step back.
    def body(index: Any, carry: Any, row: Tensors, d_row: Any) -> Any:
        d_hidden, d_cell, totals = carry
        if fused:
            row = _slopes(settings, row)
        if not settings.positions:
            d_row, totals = _row_gradient(w, settings, d_row, row, totals)
        d_hidden = d_hidden + row["upstream_hidden"]
        d_cell = d_cell + row["upstream_cell"] + d_row @ to_cell
        d_read = denormalize("hidden", d_hidden, row)
        d_cell = d_cell + d_read * row["read_slope"]
        d_sum = denormalize("cell", d_cell, row)
        d_gates = _join(d_sum, d_sum, d_sum, d_read) * row["gate_slopes"]
        d_attention = d_gates @ to_attention
        d_projected = denormalize("attention", d_attention, row)
        d_projected = d_projected * row["projected_slope"]
        d_attended = d_projected @ to_attended

        # Attention, recomputed. Keys go with the query as values go with the
        # gradient of what they were summed to: both in one product.
        slots = read_rows(empty, index, size)
        keys_values, slope = _activated_window(
            w,
            settings,
            {name: read_rows(x, index, size) for name, x in history.items()},
        )
        if settings.window_norm is not None:
            slot_weight = _slot_weight(settings, slots, row.get("weight"))
            hat, factor, *_ = _standardize(
                settings,
                _pairs(settings, keys_values),
                (0, 1),
                slot_weight,
                _moving(w, "key_value"),
            )
            keys_values = _key_value_affine(w, settings, hat)
        partners = _join(row["scaled_query"], d_attended)
        both = (keys_values * partners) @ w["double_sums"]
        scores = ops.exp(both[..., :heads] + slots - row["log_sum"])
        mean = (row["attended"] * d_attended) @ w["head_sums"]
        d_scores = both[..., heads:]
        if "attention_mask" in w:
            kept = scores * w["attention_mask"]
            d_scores = kept * d_scores - scores * mean
        else:
            kept = scores
            d_scores = scores * (d_scores - mean)
        both = _join(d_scores, kept) @ w["double_repeat"]
        d_query = ops.sum(both[..., :units] * keys_values[..., :units], axis=0)
        d_window = both * partners
        if settings.window_norm is not None:
            pairs = _pairs(settings, d_window)
            totals = {
                **totals,
                "gamma": totals["gamma"] + ops.sum(pairs * hat, axis=(0, 1)),
                "beta": totals["beta"] + ops.sum(pairs, axis=(0, 1)),
            }
            d_window = _flat(
                settings,
                _standardize_gradient(
                    settings,
                    pairs * w["key_value_gamma"],
                    hat,
                    factor,
                    (0, 1),
                    slot_weight,
                ),
            )
        if slope is not None:
            d_window = d_window * slope
        if settings.positions:
            totals = {
                **totals,
                "position": totals["position"] + ops.sum(d_window, axis=1),
            }

        d_u = _join(d_gates, d_query * row["query_slope"])
        outputs = {"u": d_u, "projected": d_projected, "row": d_row}
        if norm is not None:
            outputs |= {
                "cell": d_cell,
                "hidden": d_hidden,
                "attention": d_attention,
            }
        d_hidden = d_u @ to_hidden
        if "hidden_mask" in w:
            d_hidden = d_hidden * w["hidden_mask"]
        return (d_hidden, d_sum * row["forget"], totals), outputs, d_window

    totals: Tensors = {}
    if settings.positions:
        totals["position"] = ops.zeros_like(window[:, 0])
    if settings.key_value_norm is not None:
        totals["gamma"] = ops.zeros_like(_pairs(settings, window[0, 0]))
        totals["beta"] = ops.zeros_like(totals["gamma"])
    (d_hidden, d_cell, totals), d, d_window = scan_back(
        body,
        (ops.zeros_like(hidden), ops.zeros_like(cell), totals),
        rows,
        ops.zeros_like(window),
    )

    # --- The weights, over all steps at once.
    def product(a: Any, b: Any) -> Any:
        a = ops.reshape(a, (-1, a.shape[-1]))
        return ops.transpose(a) @ ops.reshape(b, (-1, b.shape[-1]))

    attention = saved["projected"]
    if norm is not None:
        attention = (
            rows["attention_hat"] * w["attention_gamma"] + w["attention_beta"]
        )
    found = {
        "input_kernel": product(inputs, d["u"]),
        "state_kernel": product(hidden_before, d["u"]),
        "bias": ops.sum(d["u"], axis=(0, 1)),
        "attention_kernel": product(attention, d["u"][..., : 4 * units]),
        "output_kernel": product(saved["attended"], d["projected"]),
        "output_bias": ops.sum(d["projected"], axis=(0, 1)),
        "key_value_kernel": product(saved["cell"], d["row"]),
    }
    if settings.positions:
        found["position_bias"] = totals["position"][:, None]
    else:
        found["row_bias"] = ops.sum(d["row"], axis=(0, 1))
    if norm is not None:
        for name in ("cell", "hidden", "attention"):
            found[f"{name}_gamma"] = ops.sum(
                d[name] * rows[f"{name}_hat"], axis=(0, 1)
            )
            found[f"{name}_beta"] = ops.sum(d[name], axis=(0, 1))
    if settings.key_value_norm is not None:
        found["key_value_gamma"] = ops.sum(totals["gamma"], axis=0)
        found["key_value_beta"] = ops.sum(totals["beta"], axis=0)
    d_inputs = d["u"] @ ops.transpose(w["input_kernel"])
    return (d_inputs, d_hidden, d_cell, d_window), found


def _split(settings: Settings, gates: Any) -> tuple[Any, Any, Any]:
    """Forget, input (write) and output (read) gate."""
    units = settings.units
    return (
        gates[..., :units],
        gates[..., units : 2 * units],
        gates[..., 2 * units :],
    )


def _cell_sum(settings: Settings, saved: Tensors, before: Any) -> Any:
    forget, write, _ = _split(settings, saved["gates"])
    return saved["candidate"] * write + before * forget


_REPLACED = (
    "candidate", "gates", "squashed", "cell_before", "query", "projected"
)  # fmt: skip


def _slopes(settings: Settings, row: Tensors) -> Tensors:
    """Add to one or all steps' saved tensors what their gradient needs."""
    scale = (settings.units // settings.num_heads) ** -0.5
    forget, write, read = _split(settings, row["gates"])
    candidate, squashed = row["candidate"], row["squashed"]
    kept = {name: value for name, value in row.items() if name not in _REPLACED}
    return {
        **kept,
        "scaled_query": row["query"] * scale,
        "query_slope": _elu_slope(row["query"]) * scale,
        "projected_slope": _elu_slope(row["projected"]),
        "forget": forget,
        "gate_slopes": _join(
            write * (1 - candidate * candidate),
            row["cell_before"] * forget * (1 - forget),
            candidate * write * (1 - write),
            squashed * read * (1 - read),
        ),
        "read_slope": read * _elu_slope(squashed),
    }


def _row_gradient(
    w: Tensors, settings: Settings, d: Any, row: Tensors, totals: Tensors
) -> tuple[Any, Tensors]:
    """The gradient of `finish_rows`, without positions, at one row."""
    if settings.key_value_norm == "layer":
        pairs = _pairs(settings, d)
        totals = {
            **totals,
            "gamma": totals["gamma"] + ops.sum(pairs * row["row_hat"], axis=0),
            "beta": totals["beta"] + ops.sum(pairs, axis=0),
        }
        d = _flat(
            settings,
            _standardize_gradient(
                settings,
                pairs * w["key_value_gamma"],
                row["row_hat"],
                row["row_scale"],
                (),
                None,
            ),
        )
    if settings.activation:
        d = d * row["row_slope"]
    return d, totals
