"""The window: what is kept of past cells, and how a step reads it.

Windows are (window, batch, features), oldest row first. A row holds the
projection of one past cell, keys beside values, of width 2 * units; it is
computed once.
"""

from typing import Any
from typing import NamedTuple

import numpy as np
from keras import ops

from keras_seqattn.layers._larnn.normalization import standardize
from keras_seqattn.layers._larnn.settings import Norm
from keras_seqattn.layers._larnn.settings import Settings
from keras_seqattn.layers._larnn.settings import Weights

Tensors = dict[str, Any]
EMPTY = -1e30  # The score of a slot that holds no cell yet.


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


def pairs(settings: Settings, x: Any) -> Any:
    """(..., 2 * units) -> (..., 2, units): keys, values."""
    return ops.reshape(x, (*ops.shape(x)[:-1], 2, settings.units))


def flat(settings: Settings, x: Any) -> Any:
    """The inverse of `pairs`."""
    return ops.reshape(x, (*ops.shape(x)[:-2], 2 * settings.units))


def sum_slots(settings: Settings, x: Any) -> Any:
    """The sum over the first axis.

    By halves in TensorFlow's fused steps: XLA would fuse into a sum all that
    its terms are computed from, and take each number's terms one by one, from
    rows far apart.
    """
    if not settings.fused:
        return ops.sum(x, axis=0)
    rest = []
    while (size := x.shape[0]) > 1:
        if size % 2:
            rest.append(x[-1])
        x = x[: size // 2] + x[size // 2 : size // 2 * 2]
    return sum(rest, x[0])


def _affine(norm: Norm, settings: Settings, hat: Any) -> Any:
    return flat(settings, hat * norm.gamma + norm.beta)


def finish_rows(w: Weights, settings: Settings, rows: Any) -> Tensors:
    """Return what the steps read of projected cells (..., 2 * units)."""
    if settings.positions:
        if settings.activation and not settings.one_step:
            return {"value": rows, "exp": ops.exp(rows)}
        return {"value": rows}
    # Every step sees the same: activated, and normalized by itself.
    rows = rows + w.row_bias
    if settings.activation:
        rows = ops.elu(rows)
    if settings.key_value_norm == "layer":
        norm = w.key_value_norm
        hat, *_ = standardize(settings, norm, pairs(settings, rows), (), None)
        rows = _affine(norm, settings, hat)
    return {"value": rows}


class KeysValues(NamedTuple):
    """What a step reads of its window.

    Attributes:
        value: (window, batch, 2 * units), keys beside values.
        slope: Of their activation, from its value; `None` without.
        hat: (window, batch, 2, units), standardized, where it is the window
            that is normalized, as all that follows.
        scale: 1 / deviation.
        weight: (window, batch, 1, 1), which slots count, for "batch".
        statistics: Mean and variance.
    """

    value: Any
    slope: Any = None
    hat: Any = None
    scale: Any = None
    weight: Any = None
    statistics: tuple[Any, Any] | None = None


def read_window(
    w: Weights, settings: Settings, window: Tensors, empty: Any, weight: Any
) -> KeysValues:
    """Return the window's keys and values, activated and normalized.

    Args:
        w: Weights, from `with_constants`.
        settings: Settings.
        window: (window, batch, ...), from `finish_rows`.
        empty: (window, batch or 1, 1), 0, or `EMPTY` where no cell is.
        weight: (batch, 1), which sequences count, for "batch".
    """
    value, slope = _activate(w, settings, window)
    if settings.window_norm is None:
        return KeysValues(value, slope)
    norm, slot_weight = w.key_value_norm, None
    if settings.normalization == "batch":
        slot_weight = ops.cast(empty == 0, weight.dtype) * weight
        slot_weight = ops.expand_dims(slot_weight, -1)
    hat, scale, mean, variance = standardize(
        settings, norm, pairs(settings, value), (0, 1), slot_weight
    )
    value = _affine(norm, settings, hat)
    return KeysValues(value, slope, hat, scale, slot_weight, (mean, variance))


def _activate(
    w: Weights, settings: Settings, window: Tensors
) -> tuple[Any, Any]:
    """The window's keys and values, and the slope of their activation.

    With positions elu(a + p) = max(a + p - 1, -1) + min(exp(a) exp(p), 1),
    where exp(a) is known since the row was made. The second term is the
    slope. (So a and p must stay below 80, where float32's exp ends at 88.)
    One step alone would save nothing by it.
    """
    if not settings.positions:
        return window["value"], None
    if not settings.activation:
        return window["value"] + w.position_bias, None
    if settings.one_step:
        return ops.elu(window["value"] + w.position_bias), None
    slope = ops.minimum(window["exp"] * w.position_exp, w.one)
    above = ops.maximum(window["value"] + w.position_less_one, w.minus_one)
    return above + slope, slope
