"""The mathematics of the LARNN: one step, and a sequence with its gradient.

Time first: (time, batch, features), windows (window, batch, features), oldest
row first. A row of the history holds the projection of one past cell, keys
beside values, of width 2 * units; it is computed once.

The gradient of `run_sequence` is written by hand: it recomputes the window's
activations and attention from the history, so that what a training step keeps
grows with time * units, not with time * window * units; and it leaves the
weights' gradients to products over all steps at once.
"""

import functools
from typing import Any
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_seqattn.scan import read_rows
from keras_seqattn.scan import scan

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
    def rows_are_final(self) -> bool:
        """Whether a row looks the same from every step, positions aside."""
        return not self.positions

    @property
    def window_norm(self) -> str | None:
        """The normalization that depends on the window a row is in."""
        norm = self.key_value_norm
        return None if norm == "layer" and self.rows_are_final else norm


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
    return np.concatenate(
        [np.cos(angle[:, :-1]), np.sin(angle[:, 1:])], axis=1
    )


# --- Pieces of a step. Slopes are taken from a function's value.


def _elu_slope(value: Any) -> Any:
    return ops.minimum(value, 0) + 1


def _activate(settings: Settings, x: Any) -> Any:
    return ops.elu(x) if settings.activation else x


@functools.lru_cache
def _head_sum_matrix(units: int, num_heads: int, copies: int) -> np.ndarray:
    """Matrix (copies * units, copies * num_heads) that sums within heads."""
    width = units // num_heads
    return np.repeat(np.eye(copies * num_heads), width, axis=0)


def _head_sums(settings: Settings, like: Any, copies: int = 1) -> Any:
    matrix = _head_sum_matrix(settings.units, settings.num_heads, copies)
    return ops.convert_to_tensor(matrix, like.dtype)


def _standardize(
    settings: Settings,
    x: Any,
    axes: tuple[int, ...],
    weight: Any,
    moving: tuple[Any, Any] | None,
) -> tuple[Any, Any, Any, Any]:
    """Return standardized x, 1 / deviation, mean, variance.

    Over the features ("layer"), over `axes` with the rows' `weight` ("batch"
    in training), or by moving statistics.
    """
    if settings.normalization == "layer":
        mean = ops.mean(x, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
    elif settings.batch_statistics:
        share = weight / ops.maximum(ops.sum(weight, axes, keepdims=True), 1)
        mean = ops.sum(share * x, axis=axes, keepdims=True)
        variance = ops.sum(
            share * ops.square(x - mean), axis=axes, keepdims=True
        )
    else:
        assert moving is not None
        mean, variance = moving
    scale = ops.rsqrt(variance + settings.epsilon)
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
        share = weight / ops.maximum(ops.sum(weight, axes, keepdims=True), 1)
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
    statistics: list[Any],
) -> Any:
    if settings.normalization is None:
        return x
    hat, _, mean, variance = _standardize(
        settings, x, (0,), weight, _moving(w, name)
    )
    statistics += [mean, variance]
    return hat * w[f"{name}_gamma"] + w[f"{name}_beta"]


def _pairs(settings: Settings, x: Any) -> Any:
    """(..., 2 * units) -> (..., 2, units): keys, values."""
    return ops.reshape(x, (*ops.shape(x)[:-1], 2, settings.units))


def _flat(settings: Settings, x: Any) -> Any:
    return ops.reshape(x, (*ops.shape(x)[:-2], 2 * settings.units))


def _affine(w: Tensors, settings: Settings, hat: Any) -> Any:
    return _flat(settings, hat * w["key_value_gamma"] + w["key_value_beta"])


def finish_rows(w: Tensors, settings: Settings, rows: Any) -> Any:
    """What every step sees of projected cells, if it sees the same."""
    if not settings.rows_are_final:
        return rows
    rows = _activate(settings, rows + w["row_bias"])
    if settings.key_value_norm != "layer":
        return rows
    hat, *_ = _standardize(settings, _pairs(settings, rows), (), None, None)
    return _affine(w, settings, hat)


def _activated_window(w: Tensors, settings: Settings, window: Any) -> Any:
    if settings.rows_are_final:
        return window
    return _activate(settings, window + w["position_bias"])


def _keys_and_values(
    w: Tensors, settings: Settings, window: Any, weight: Any, statistics: Any
) -> Any:
    window = _activated_window(w, settings, window)
    if settings.window_norm is None:
        if settings.normalization is not None:
            statistics += [None, None]
        return window
    hat, _, mean, variance = _standardize(
        settings,
        _pairs(settings, window),
        (0, 1),
        weight,
        _moving(w, "key_value"),
    )
    statistics += [mean, variance]
    return _affine(w, settings, hat)


def attend(
    w: Tensors, settings: Settings, query: Any, keys_values: Any, empty: Any
) -> tuple[Any, Any, Any]:
    """Attention of one query over a window.

    Args:
        w: Weights.
        settings: Settings.
        query: (batch, units).
        keys_values: (window, batch, 2 * units).
        empty: (window, batch or 1, 1), 0, or `EMPTY` where no cell is.

    Returns:
        The attended values (batch, units), the attention scores as applied
        (window, batch, heads), and the log of the scores' sum (batch, heads).
    """
    units = settings.units
    sums = _head_sums(settings, query)
    query = query * (units // settings.num_heads) ** -0.5
    scores = ops.matmul(keys_values[..., :units] * query, sums) + empty
    top = ops.max(scores, axis=0)
    scores = ops.exp(scores - top)
    total = ops.sum(scores, axis=0)
    scores = scores / total
    kept = scores * w["attention_mask"] if "attention_mask" in w else scores
    values = keys_values[..., units:] * ops.matmul(kept, ops.transpose(sums))
    return ops.sum(values, axis=0), kept, top + ops.log(total)


class Step(NamedTuple):
    """What a step computes; the last four are kept for the gradient."""

    hidden: Any
    cell: Any
    row: Any
    scores: Any
    gates: Any
    query: Any
    attended: Any
    projected: Any
    log_sum: Any
    statistics: list[Any]


def step(
    w: Tensors,
    settings: Settings,
    inputs: Any,
    hidden: Any,
    cell: Any,
    window: Any,
    empty: Any,
    weight: Any = None,
) -> Step:
    """One step, from the state before it and the projected past cells.

    `weight` (batch, 1) says which sequences count in batch statistics.
    """
    units = settings.units
    statistics: list[Any] = []
    if "hidden_mask" in w:
        hidden = hidden * w["hidden_mask"]
    u = (
        ops.matmul(inputs, w["input_kernel"])
        + ops.matmul(hidden, w["state_kernel"])
        + w["bias"]
    )
    query = ops.elu(u[:, 4 * units :])
    slot_weight = None
    if settings.batch_statistics:
        slot_weight = ops.cast(empty == 0, u.dtype) * weight
        slot_weight = ops.expand_dims(slot_weight, -1)
    keys_values = _keys_and_values(
        w, settings, window, slot_weight, statistics
    )
    attended, scores, log_sum = attend(w, settings, query, keys_values, empty)
    projected = ops.elu(
        ops.matmul(attended, w["output_kernel"]) + w["output_bias"]
    )
    attention = _normalize(
        w, settings, "attention", projected, weight, statistics
    )
    g = u[:, : 4 * units] + ops.matmul(attention, w["attention_kernel"])
    candidate = ops.tanh(g[:, :units])
    others = ops.sigmoid(g[:, units:])
    forget, write, read = (
        others[:, i * units : (i + 1) * units] for i in range(3)
    )
    cell = candidate * write + cell * forget
    cell = _normalize(w, settings, "cell", cell, weight, statistics)
    hidden = _normalize(
        w, settings, "hidden", read * ops.elu(cell), weight, statistics
    )
    row = ops.matmul(cell, w["key_value_kernel"])
    gates = ops.concatenate([candidate, others], axis=1)
    return Step(
        hidden,
        cell,
        row,
        scores,
        gates,
        query,
        attended,
        projected,
        log_sum,
        statistics,
    )


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
        hidden, cell: (batch, units), the state before the first step.
        window: (window, batch, 2 * units), the projected cells before the
            first step, as `finish_rows` gives them.
        empty: (time + window, batch or 1, 1), 0, or `EMPTY` for the slots
            that hold no cell.
        weight: (time, batch, 1), which steps count in batch statistics.
        return_scores: Whether to return the attention scores.

    Returns:
        Hidden and cell states (time, batch, units); the attention scores
        (time, batch, window * heads), through which no gradient flows, or
        `None`; and for batch statistics their means and variances by name,
        (time, features), or `None`.
    """
    names = sorted(w)
    if weight is None:
        weight = ops.ones_like(inputs[:, :, :1])
    batch = ops.shape(inputs)[1]
    units = settings.units

    @ops.custom_gradient
    def run(*tensors: Any) -> Any:
        inputs, hidden, cell, window, empty, weight, *values = tensors
        weights = dict(zip(names, values, strict=True))
        packed, saved = _forward(
            weights,
            settings,
            inputs,
            hidden,
            cell,
            window,
            empty,
            weight,
            return_scores,
        )

        def gradient(*_: Any, upstream: Any = None) -> Any:
            if upstream is None:
                (upstream,) = _
            found = _backward(
                weights,
                settings,
                inputs,
                hidden,
                cell,
                empty,
                weight,
                saved,
                upstream[:, :batch, : 2 * units],
            )
            return (
                *found[:4],
                ops.zeros_like(empty),
                ops.zeros_like(weight),
                *(found[4].get(n, 0 * weights[n]) for n in names),
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
            "attention_mean": rows[:, 0, :units],
            "attention_variance": rows[:, 0, units : 2 * units],
            "cell_mean": rows[:, 1, :units],
            "cell_variance": rows[:, 1, units : 2 * units],
            "hidden_mean": rows[:, 2, :units],
            "hidden_variance": rows[:, 2, units : 2 * units],
            "key_value_mean": _pairs(settings, rows[:, 3, : 2 * units]),
            "key_value_variance": _pairs(settings, rows[:, 4, : 2 * units]),
        }
    return (
        states[..., :units],
        states[..., units : 2 * units],
        scores if return_scores else None,
        statistics,
    )


def _forward(
    w: Tensors,
    settings: Settings,
    inputs: Any,
    hidden: Any,
    cell: Any,
    window: Any,
    empty: Any,
    weight: Any,
    return_scores: bool,
) -> tuple[Any, Tensors]:
    size = window.shape[0]

    def body(index: Any, carry: Any, row: Any, window: Any) -> Any:
        x, weight = row
        done = step(
            w,
            settings,
            x,
            *carry,
            window,
            read_rows(empty, index, size),
            weight,
        )
        outputs = {
            "hidden": done.hidden,
            "cell": done.cell,
            "gates": done.gates,
            "query": done.query,
            "attended": done.attended,
            "projected": done.projected,
            "log_sum": done.log_sum,
        }
        if settings.batch_statistics:
            outputs["statistics"] = _pack_statistics(settings, done.statistics)
        if return_scores:
            scores = ops.transpose(done.scores, (1, 0, 2))
            outputs["scores"] = ops.reshape(
                scores, (-1, size * settings.num_heads)
            )
        return (
            (done.hidden, done.cell),
            outputs,
            finish_rows(w, settings, done.row),
        )

    _, saved, history = scan(body, (hidden, cell), (inputs, weight), window)
    columns = [saved["hidden"], saved["cell"]]
    if return_scores:
        columns.append(saved.pop("scores"))
    packed = ops.concatenate(columns, axis=-1)
    if settings.batch_statistics:
        rows = saved.pop("statistics")
        if return_scores:
            rows = ops.pad(
                rows, ((0, 0), (0, 0), (0, packed.shape[-1] - rows.shape[-1]))
            )
        packed = ops.concatenate([packed, rows], axis=1)
    return packed, {**saved, "history": history, "size": size}


def _pack_statistics(settings: Settings, statistics: list[Any]) -> Any:
    """In the order of computation: key_value, attention, cell, hidden."""
    units = settings.units
    pairs, rest = statistics[:2], statistics[2:]
    rows = [
        ops.concatenate([rest[i], rest[i + 1]], axis=-1) for i in (0, 2, 4)
    ]
    rows += [
        ops.zeros_like(rows[0])
        if pair is None
        else ops.reshape(pair, (1, 2 * units))
        for pair in pairs
    ]
    return ops.concatenate(rows, axis=0)


def _backward(
    w: Tensors,
    settings: Settings,
    inputs: Any,
    hidden: Any,
    cell: Any,
    empty: Any,
    weight: Any,
    saved: Tensors,
    upstream: Any,
) -> tuple[Any, Any, Any, Any, Tensors]:
    """Return gradients of inputs, hidden, cell, window and the weights."""
    units, heads = settings.units, settings.num_heads
    history = saved["history"]
    size = saved["size"]
    norm = settings.normalization
    scale = (units // heads) ** -0.5
    hidden_before = ops.concatenate([hidden[None], saved["hidden"][:-1]])
    if "hidden_mask" in w:
        hidden_before = hidden_before * w["hidden_mask"]
    cell_before = ops.concatenate([cell[None], saved["cell"][:-1]])
    gates = saved["gates"]
    candidate, forget, write, read = (
        gates[..., i * units : (i + 1) * units] for i in range(4)
    )
    squashed = ops.elu(saved["cell"])
    # What follows from the forward pass alone is computed for all steps.
    rows = {
        "query": saved["query"],
        "attended": saved["attended"],
        "log_sum": saved["log_sum"],
        "forget": forget,
        "gate_slopes": ops.concatenate(
            [
                write * (1 - candidate * candidate),
                cell_before * forget * (1 - forget),
                candidate * write * (1 - write),
                squashed * read * (1 - read),
            ],
            axis=-1,
        ),
        "read_slope": read * _elu_slope(squashed),
        "projected_slope": _elu_slope(saved["projected"]),
        "upstream": upstream,
        "weight": weight,
    }
    if norm is not None:
        for name, value in (
            ("cell", candidate * write + cell_before * forget),
            ("hidden", read * squashed),
            ("attention", saved["projected"]),
        ):
            hat, factor, *_ = _standardize(
                settings, value, (1,), weight, _moving(w, name)
            )
            rows[f"{name}_hat"] = hat
            rows[f"{name}_scale"] = factor + ops.zeros_like(hat[:, :1, :1])
    if settings.rows_are_final and settings.activation:
        activated = ops.elu(
            ops.matmul(saved["cell"], w["key_value_kernel"]) + w["row_bias"]
        )
        rows["row_slope"] = _elu_slope(activated)
        if settings.key_value_norm == "layer":
            rows["row_hat"], rows["row_scale"], *_ = _standardize(
                settings, _pairs(settings, activated), (), None, None
            )
    transposed = {
        name: ops.transpose(w[name])
        for name in (
            "attention_kernel",
            "output_kernel",
            "state_kernel",
            "key_value_kernel",
        )
    }
    sums = _head_sums(settings, hidden, 2)
    spread = ops.transpose(sums)
    head_sums = _head_sums(settings, hidden)

    def denormalize(name: str, d: Any, row: Tensors) -> Any:
        if norm is None:
            return d
        return _standardize_gradient(
            settings,
            d * w[f"{name}_gamma"],
            row[f"{name}_hat"],
            row[f"{name}_scale"],
            (0,),
            row["weight"],
        )

    def body(index: Any, carry: Any, row: Tensors, _: Any) -> Any:
        d_hidden, d_cell, d_window, totals = carry
        outputs = {}
        # The newest row of the next step's window is this step's: complete.
        d_row, totals = _row_gradient(
            w, settings, d_window[-1], row, totals
        )
        d_hidden = d_hidden + row["upstream"][:, :units]
        d_cell = (
            d_cell
            + row["upstream"][:, units:]
            + ops.matmul(d_row, transposed["key_value_kernel"])
        )
        d_read = denormalize("hidden", d_hidden, row)
        d_cell = d_cell + d_read * row["read_slope"]
        d_sum = denormalize("cell", d_cell, row)
        d_gates = (
            ops.concatenate([d_sum, d_sum, d_sum, d_read], axis=1)
            * row["gate_slopes"]
        )
        d_attention = ops.matmul(d_gates, transposed["attention_kernel"])
        d_projected = (
            denormalize("attention", d_attention, row)
            * row["projected_slope"]
        )
        d_attended = ops.matmul(d_projected, transposed["output_kernel"])
        # Attention, recomputed: scores and their gradients in one product.
        slots = read_rows(empty, index, size)
        window = read_rows(history, index, size)
        activated = _activated_window(w, settings, window)
        keys_values = activated
        if settings.window_norm is not None:
            slot_weight = ops.cast(slots == 0, d_cell.dtype) * row["weight"]
            slot_weight = ops.expand_dims(slot_weight, -1)
            hat, factor, *_ = _standardize(
                settings,
                _pairs(settings, activated),
                (0, 1),
                slot_weight,
                _moving(w, "key_value"),
            )
            keys_values = _affine(w, settings, hat)
        pair = ops.concatenate([row["query"] * scale, d_attended], axis=1)
        both = ops.matmul(keys_values * pair, sums)
        scores = ops.exp(both[..., :heads] + slots - row["log_sum"])
        d_scores = both[..., heads:]
        kept = scores
        if "attention_mask" in w:
            kept = scores * w["attention_mask"]
        mean = ops.matmul(row["attended"] * d_attended, head_sums)
        d_scores = kept * d_scores - scores * mean
        both = ops.matmul(
            ops.concatenate([d_scores, kept], axis=-1), spread
        )
        d_query = scale * ops.sum(
            both[..., :units] * keys_values[..., :units], axis=0
        )
        d_slots = both * pair
        if settings.window_norm is not None:
            d_pairs = _pairs(settings, d_slots)
            totals = {
                **totals,
                "gamma": totals["gamma"] + ops.sum(d_pairs * hat, (0, 1)),
                "beta": totals["beta"] + ops.sum(d_pairs, (0, 1)),
            }
            d_slots = _flat(
                settings,
                _standardize_gradient(
                    settings,
                    d_pairs * w["key_value_gamma"],
                    hat,
                    factor,
                    (0, 1),
                    slot_weight,
                ),
            )
        if not settings.rows_are_final:
            if settings.activation:
                d_slots = d_slots * _elu_slope(activated)
            totals = {
                **totals,
                "position": totals["position"] + ops.sum(d_slots, axis=1),
            }
        d_window = d_slots + ops.concatenate(
            [ops.zeros_like(d_window[:1]), d_window[:-1]]
        )
        d_u = ops.concatenate(
            [d_gates, d_query * _elu_slope(row["query"])], axis=1
        )
        outputs = {"u": d_u, "projected": d_projected, "row": d_row}
        if norm is not None:
            outputs["cell"] = d_cell
            outputs["hidden"] = d_hidden
            outputs["attention"] = d_attention
        d_hidden = ops.matmul(d_u, transposed["state_kernel"])
        if "hidden_mask" in w:
            d_hidden = d_hidden * w["hidden_mask"]
        return (
            (d_hidden, d_sum * row["forget"], d_window, totals),
            outputs,
            None,
        )

    totals: Tensors = {}
    if settings.positions:
        totals["position"] = ops.zeros_like(w["position_bias"][:, 0])
    if settings.key_value_norm is not None:
        totals["gamma"] = ops.zeros_like(_pairs(settings, history[0, 0]))
        totals["beta"] = totals["gamma"]
    (d_hidden, d_cell, d_window, totals), d, _ = scan(
        body,
        (
            ops.zeros_like(hidden),
            ops.zeros_like(cell),
            ops.zeros_like(history[:size]),
            totals,
        ),
        rows,
        reverse=True,
    )

    def product(a: Any, b: Any) -> Any:
        a = ops.reshape(a, (-1, a.shape[-1]))
        return ops.matmul(ops.transpose(a), ops.reshape(b, (-1, b.shape[-1])))

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
            found[f"{name}_gamma"] = ops.sum(d[name] * rows[f"{name}_hat"], (0, 1))
            found[f"{name}_beta"] = ops.sum(d[name], (0, 1))
    if settings.key_value_norm is not None:
        found["key_value_gamma"] = ops.sum(totals["gamma"], axis=0)
        found["key_value_beta"] = ops.sum(totals["beta"], axis=0)
    d_inputs = ops.matmul(d["u"], ops.transpose(w["input_kernel"]))
    return d_inputs, d_hidden, d_cell, d_window, found


def _row_gradient(
    w: Tensors, settings: Settings, d: Any, row: Tensors, totals: Tensors
) -> tuple[Any, Tensors]:
    """The gradient of `finish_rows` at one step's row."""
    if not settings.rows_are_final:
        return d, totals
    if settings.key_value_norm == "layer":
        pairs = _pairs(settings, d)
        totals = {
            **totals,
            "gamma": totals["gamma"] + ops.sum(pairs * row["row_hat"], 0),
            "beta": totals["beta"] + ops.sum(pairs, 0),
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
