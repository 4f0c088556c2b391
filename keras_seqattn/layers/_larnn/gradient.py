"""The gradient of a sequence, by hand, in the pieces of the step.

Each piece is named as the one of `step` or `window` that it is the adjoint
of; `d` stands for the gradient of what the name says. The window's
activations are recomputed from the history; and the weights' gradients are
left to products over all steps at once.
"""

from typing import Any
from typing import NamedTuple

from keras import ops

from keras_seqattn._backend.capabilities import fuses_loop_bodies
from keras_seqattn._backend.capabilities import fuses_on_request
from keras_seqattn._backend.scan import scan_back
from keras_seqattn.layers._larnn.normalization import standardize
from keras_seqattn.layers._larnn.normalization import standardize_gradient
from keras_seqattn.layers._larnn.settings import Norm
from keras_seqattn.layers._larnn.settings import Settings
from keras_seqattn.layers._larnn.settings import Weights
from keras_seqattn.layers._larnn.step import split_gates
from keras_seqattn.layers._larnn.window import KeysValues
from keras_seqattn.layers._larnn.window import Tensors
from keras_seqattn.layers._larnn.window import flat
from keras_seqattn.layers._larnn.window import pairs
from keras_seqattn.layers._larnn.window import read_window
from keras_seqattn.layers._larnn.window import sum_slots


class _Transposed(NamedTuple):
    """The kernels that gradients go back through, transposed once."""

    attention_kernel: Any
    output_kernel: Any
    state_kernel: Any
    key_value_kernel: Any


def sequence_gradient(
    w: Weights,
    settings: Settings,
    state: Any,
    empty: Any,
    weight: Any,
    saved: Tensors,
    upstream_hidden: Any,
    upstream_cell: Any,
) -> tuple[tuple[Any, ...], Weights]:
    """Return the gradients of the state, in order, and of the weights.

    Args:
        w: Weights, from `with_constants`.
        settings: Settings.
        state: Inputs, hidden, cell and window, as `run_sequence` has them.
        empty: (window + time, batch or 1, 1), likewise.
        weight: (time, batch, 1), likewise.
        saved: What the steps saved, (time, batch, ...), and the history.
        upstream_hidden: (time, batch, units), of the hidden states.
        upstream_cell: (time, batch, units), of the cells.
    """
    settings = settings._replace(fused=fuses_on_request())
    inputs, hidden, cell, window = state
    rows = _step_rows(w, settings, cell, weight, saved)
    rows |= {"upstream_hidden": upstream_hidden, "upstream_cell": upstream_cell}
    # What follows from the forward pass alone: for all steps at once, but
    # where a compiler fuses it into the step.
    fused = settings.fused or fuses_loop_bodies()
    if not fused:
        rows = _slopes(settings, rows)
    back = _Transposed(
        *(ops.transpose(getattr(w, name)) for name in _Transposed._fields)
    )

    def body(carry: Any, row: Tensors, window: Tensors, d_row: Any) -> Any:
        d_hidden, d_cell, totals = carry
        if fused:
            row = _slopes(settings, row)
        return step_gradient(
            w,
            back,
            settings,
            row,
            window,
            window["empty"],
            d_hidden,
            d_cell,
            totals,
            d_row,
        )

    # Of weights that act on each slot or row: summed up on the way.
    totals: Tensors = {}
    size, _, width = window.shape
    if settings.positions:
        totals["position"] = ops.zeros((size, width), window.dtype)
    if settings.key_value_norm is not None:
        totals["gamma"] = ops.zeros((2, settings.units), window.dtype)
        totals["beta"] = ops.zeros_like(totals["gamma"])
    (d_hidden, d_cell, totals), d, d_window = scan_back(
        body,
        (ops.zeros_like(hidden), ops.zeros_like(cell), totals),
        rows,
        ops.zeros_like(window),
        fixed={"empty": empty, **saved["history"]},
        fused=settings.fused,
    )
    by_weight = _weights_gradient(
        w, settings, inputs, hidden, saved, rows, d, totals
    )
    d_inputs = d["u"] @ ops.transpose(w.input_kernel)
    return (d_inputs, d_hidden, d_cell, d_window), by_weight


def step_gradient(
    w: Weights,
    back: _Transposed,
    settings: Settings,
    row: Tensors,
    window: Tensors,
    empty: Any,
    d_hidden: Any,
    d_cell: Any,
    totals: Tensors,
    d_row: Any,
) -> tuple[tuple[Any, Any, Tensors], Tensors, Any]:
    """One step back: the carry, what the weights need, and the window's.

    Args:
        w: Weights.
        back: The same, transposed.
        settings: Settings.
        row: What the step needs of itself, from `_slopes`.
        window: (window, batch, ...), that the step read.
        empty: (window, batch or 1, 1), as the step had it.
        d_hidden: (batch, units), from the steps after it.
        d_cell: (batch, units), from the steps after it.
        totals: Sums over the steps after it.
        d_row: (batch, 2 * units), from the steps that read the step's row.
    """
    d_row, totals = finish_rows_gradient(w, settings, d_row, row, totals)
    d_hidden = d_hidden + row["upstream_hidden"]
    d_cell = d_cell + row["upstream_cell"] + d_row @ back.key_value_kernel
    d_cell, d_sum, d_read = update_gradient(w, settings, d_hidden, d_cell, row)
    d_gates, d_attention = open_gates_gradient(back, d_sum, d_read, row)
    d_projected, d_attended = project_gradient(
        w, back, settings, d_attention, row
    )
    keys_values = read_window(w, settings, window, empty, row.get("weight"))
    d_query, d_keys_values = attend_gradient(
        w, settings, d_attended, keys_values.value, row
    )
    d_window, totals = read_window_gradient(
        w, settings, d_keys_values, keys_values, totals
    )
    d_u, d_before = ask_gradient(w, back, d_gates, d_query, row)
    outputs = {"u": d_u, "projected": d_projected, "row": d_row}
    if settings.normalization is not None:
        outputs |= {
            "cell": d_cell,
            "hidden": d_hidden,
            "attention": d_attention,
        }
    return (d_before, d_sum * row["forget"], totals), outputs, d_window


def finish_rows_gradient(
    w: Weights, settings: Settings, d: Any, row: Tensors, totals: Tensors
) -> tuple[Any, Tensors]:
    """Of one row. With positions each step finishes it by itself."""
    if settings.positions:
        return d, totals
    if settings.key_value_norm == "layer":
        d = pairs(settings, d)
        totals = {
            **totals,
            "gamma": totals["gamma"] + ops.sum(d * row["row_hat"], axis=0),
            "beta": totals["beta"] + ops.sum(d, axis=0),
        }
        d = flat(
            settings,
            standardize_gradient(
                settings,
                d * w.key_value_norm.gamma,
                row["row_hat"],
                row["row_scale"],
                (),
                None,
            ),
        )
    if settings.activation:
        d = d * row["row_slope"]
    return d, totals


def update_gradient(
    w: Weights, settings: Settings, d_hidden: Any, d_cell: Any, row: Tensors
) -> tuple[Any, Any, Any]:
    """Of the cell, and of what was normalized to cell and hidden state."""
    d_read = normalize_gradient(
        settings, w.hidden_norm, "hidden", d_hidden, row
    )
    d_cell = d_cell + d_read * row["read_slope"]
    d_sum = normalize_gradient(settings, w.cell_norm, "cell", d_cell, row)
    return d_cell, d_sum, d_read


def open_gates_gradient(
    back: _Transposed, d_sum: Any, d_read: Any, row: Tensors
) -> tuple[Any, Any]:
    """Of the candidate's and the gates' pre-activations, and of attention."""
    d_gates = _join(d_sum, d_sum, d_sum, d_read) * row["gate_slopes"]
    return d_gates, d_gates @ back.attention_kernel


def project_gradient(
    w: Weights,
    back: _Transposed,
    settings: Settings,
    d_attention: Any,
    row: Tensors,
) -> tuple[Any, Any]:
    """Of the projection before its activation, and of what was heard."""
    d_projected = normalize_gradient(
        settings, w.attention_norm, "attention", d_attention, row
    )
    d_projected = d_projected * row["projected_slope"]
    return d_projected, d_projected @ back.output_kernel


def attend_gradient(
    w: Weights,
    settings: Settings,
    d_attended: Any,
    keys_values: Any,
    row: Tensors,
) -> tuple[Any, Any]:
    """Of the query, but for its scale, and of keys and values."""
    units, scores = settings.units, row["scores"]
    d_scores = (keys_values[..., units:] * d_attended) @ w.head_sums
    mean = (row["attended"] * d_attended) @ w.head_sums
    if w.attention_mask is not None:
        kept = scores * w.attention_mask
        d_scores = kept * d_scores - scores * mean
    else:
        kept = scores
        d_scores = scores * (d_scores - mean)
    both = _join(d_scores, kept) @ w.double_repeat
    d_query = sum_slots(settings, both[..., :units] * keys_values[..., :units])
    return d_query, both * _join(row["scaled_query"], d_attended)


def read_window_gradient(
    w: Weights,
    settings: Settings,
    d: Any,
    keys_values: KeysValues,
    totals: Tensors,
) -> tuple[Any, Tensors]:
    """Of the window, from that of the keys and values read."""
    if settings.window_norm is not None:
        d = pairs(settings, d)
        totals = {
            **totals,
            "gamma": totals["gamma"]
            + ops.sum(d * keys_values.hat, axis=(0, 1)),
            "beta": totals["beta"] + ops.sum(d, axis=(0, 1)),
        }
        d = flat(
            settings,
            standardize_gradient(
                settings,
                d * w.key_value_norm.gamma,
                keys_values.hat,
                keys_values.scale,
                (0, 1),
                keys_values.weight,
            ),
        )
    if keys_values.slope is not None:
        d = d * keys_values.slope
    if settings.positions:
        totals = {**totals, "position": totals["position"] + ops.sum(d, axis=1)}
    return d, totals


def ask_gradient(
    w: Weights, back: _Transposed, d_gates: Any, d_query: Any, row: Tensors
) -> tuple[Any, Any]:
    """Of what gates and query are computed from, and of the hidden state."""
    d_u = _join(d_gates, d_query * row["query_slope"])
    d_hidden = d_u @ back.state_kernel
    if w.hidden_mask is not None:
        d_hidden = d_hidden * w.hidden_mask
    return d_u, d_hidden


def normalize_gradient(
    settings: Settings, norm: Norm | None, name: str, d: Any, row: Tensors
) -> Any:
    """Of what was normalized, by what `_step_rows` keeps under this name."""
    if norm is None:
        return d
    return standardize_gradient(
        settings,
        d * norm.gamma,
        row[f"{name}_hat"],
        row[f"{name}_scale"],
        (0,),
        row.get("weight"),
    )


# --- What a step needs of the forward pass. Slopes are taken from a
# function's value.


def _step_rows(
    w: Weights, settings: Settings, cell: Any, weight: Any, saved: Tensors
) -> Tensors:
    """What each step needs of itself, (time, ...)."""
    rows = {
        name: saved[name]
        for name in (
            "candidate", "gates", "query", "attended", "projected", "scores"
        )
    }  # fmt: skip
    rows["cell_before"] = ops.concatenate([cell[None], saved["cell"][:-1]])
    rows["squashed"] = ops.elu(saved["cell"])
    if settings.normalization == "batch":
        rows["weight"] = weight
    if settings.normalization is not None:
        forget, write, read = split_gates(settings, rows["gates"])
        kept = rows["cell_before"] * forget
        for name, norm, value in (
            ("cell", w.cell_norm, rows["candidate"] * write + kept),
            ("hidden", w.hidden_norm, read * rows["squashed"]),
            ("attention", w.attention_norm, rows["projected"]),
        ):
            hat, scale, *_ = standardize(settings, norm, value, (1,), weight)
            rows[f"{name}_hat"] = hat
            rows[f"{name}_scale"] = scale + 0 * hat[:, :1, :1]
    if settings.activation and not settings.positions:
        activated = ops.elu(saved["cell"] @ w.key_value_kernel + w.row_bias)
        rows["row_slope"] = _elu_slope(activated)
        if settings.key_value_norm == "layer":
            rows["row_hat"], rows["row_scale"], *_ = standardize(
                settings, w.key_value_norm, pairs(settings, activated), (), None
            )
    return rows


def _slopes(settings: Settings, row: Tensors) -> Tensors:
    """Replace one or all steps' saved tensors by what their gradient needs."""
    row = dict(row)
    candidate, gates, squashed, before, query, projected = (
        row.pop(name)
        for name in (
            "candidate", "gates", "squashed", "cell_before", "query",
            "projected",
        )
    )  # fmt: skip
    forget, write, read = split_gates(settings, gates)
    scale = (settings.units // settings.num_heads) ** -0.5
    return {
        **row,
        "scaled_query": query * scale,
        "query_slope": _elu_slope(query) * scale,
        "projected_slope": _elu_slope(projected),
        "forget": forget,
        "gate_slopes": _join(
            write * (1 - candidate * candidate),
            before * forget * (1 - forget),
            candidate * write * (1 - write),
            squashed * read * (1 - read),
        ),
        "read_slope": read * _elu_slope(squashed),
    }


def _elu_slope(value: Any) -> Any:
    return ops.minimum(value, 0) + 1


def _join(*tensors: Any) -> Any:
    return ops.concatenate(tensors, axis=-1)


# --- The weights, over all steps at once.


def _weights_gradient(
    w: Weights,
    settings: Settings,
    inputs: Any,
    hidden: Any,
    saved: Tensors,
    rows: Tensors,
    d: Tensors,
    totals: Tensors,
) -> Weights:
    """From all steps' gradients `d`; `None` for what is not learned."""
    before = ops.concatenate([hidden[None], saved["hidden"][:-1]])
    if w.hidden_mask is not None:
        before = before * w.hidden_mask
    attention, norms = saved["projected"], {}
    if settings.normalization is not None:
        attention = (
            rows["attention_hat"] * w.attention_norm.gamma
            + w.attention_norm.beta
        )
        for name in ("cell", "hidden", "attention"):
            norms[f"{name}_norm"] = Norm(
                gamma=ops.sum(d[name] * rows[f"{name}_hat"], axis=(0, 1)),
                beta=ops.sum(d[name], axis=(0, 1)),
            )
    if settings.key_value_norm is not None:
        norms["key_value_norm"] = Norm(
            gamma=ops.sum(totals["gamma"], axis=0),
            beta=ops.sum(totals["beta"], axis=0),
        )
    found = Weights(
        input_kernel=_product(inputs, d["u"]),
        state_kernel=_product(before, d["u"]),
        bias=ops.sum(d["u"], axis=(0, 1)),
        attention_kernel=_product(attention, d["u"][..., : 4 * settings.units]),
        output_kernel=_product(saved["attended"], d["projected"]),
        output_bias=ops.sum(d["projected"], axis=(0, 1)),
        key_value_kernel=_product(saved["cell"], d["row"]),
        **norms,
    )
    if settings.positions:
        return found._replace(position_bias=totals["position"][:, None])
    return found._replace(row_bias=ops.sum(d["row"], axis=(0, 1)))


def _product(a: Any, b: Any) -> Any:
    """Of (time, batch, m) and (time, batch, n): (m, n)."""
    a = ops.reshape(a, (-1, a.shape[-1]))
    return ops.transpose(a) @ ops.reshape(b, (-1, b.shape[-1]))
