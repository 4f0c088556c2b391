"""Activation functions whose parameters a network may set, step by step."""

from typing import Any

import keras
from keras import ops

MINIMUM_SOFTNESS = 0.05
"""Where the pole begins: a smaller softness counts as this one."""


@keras.saving.register_keras_serializable(  # type: ignore[untyped-decorator]
    package="keras_seqattn"
)
def gain_softplus(
    x: Any,
    gain: Any = 1.0,
    threshold: Any = 1.0,
    softness: Any = 1.0,
    signed: bool = False,
) -> Any:
    """A rectifier with a gain, a threshold and a softness of its bend.

    ```
    y = gain * softplus(softness * (x - threshold)) / softness
    ```

    A large softness makes it a ReLU with its bend at the threshold.

    At softness 0 the function has a pole: its value is near
    `0.69 gain / softness`. So a softness below 0.05 counts as 0.05, and gets
    no gradient. With `signed=True` only its size does, and its sign stays: a
    negative softness gives `-f(-(x - threshold))`, a soft minimum of 0 and `x
    - threshold`. There the value leaps by 28 gain where the sign changes.

    Reference:
        After H. Sprekeler, in [LSTM_MemoryTask](
        https://github.com/lauraflyra/LSTM_MemoryTask). Its derivatives, with
        `u = x - threshold`, `a = softness`, `s = sigmoid(a u)`: by `x` `gain
        s`, by `gain` `softplus(a u) / a`, by `threshold` `-gain s`, by `a`
        `gain (a u s - softplus(a u)) / a^2`. All are computed without
        cancellation, also in float16 and for `|a u|` of 1e4.

    Args:
        x: Float tensor, the pre-activation. Infinity gives NaN.
        gain: Float tensor that broadcasts with `x`, or a number.
        threshold: The same, in the units of `x`.
        softness: The same, in units of 1 / `x`.
        signed: Whether `softness` may be negative. Default: `False`.

    Returns:
        Tensor of the type of `x`.

    Example:
    ```python
    import keras
    import keras_seqattn as ks

    y = ks.activations.gain_softplus(keras.ops.array([1.0, 3.0]), gain=2.0)
    print([round(float(v), 3) for v in y])  # [1.386, 4.254]
    layer = keras.layers.Dense(8, activation=ks.activations.gain_softplus)
    ```
    """
    x = _as_float(x)
    gain, threshold, softness = _alike(x, gain, threshold, softness)
    softness = _off_the_pole(softness, signed)
    return gain * _soft_rectifier(x - threshold, softness)


@keras.saving.register_keras_serializable(  # type: ignore[untyped-decorator]
    package="keras_seqattn"
)
def adaptive_softplus_sigmoid(
    x: Any, n: Any = 1.0, s: Any = 1.0, signed: bool = False
) -> Any:
    """Between a softplus (`s` = 0) and a sigmoid (`s` = 1), of gain `n`.

    ```
    y = (1 - s) softplus(n x) / n + s sigmoid(n x)
    ```

    With a large `n` it is a ReLU, or a step.

    `n` below 0.05 counts as 0.05 and gets no gradient, because of the pole at
    0; `s` outside 0 .. 1 counts as the nearer end. With `signed=True` only
    the size of `n` is held off 0, and `s` is taken as it comes.

    Reference:
        [Geadah, Kerg, Horoi, Wolf & Lajoie, arXiv:2006.12253](
        https://arxiv.org/abs/2006.12253); a controller that sets `n` and `s`
        step by step: [Geadah et al., PLoS Comput. Biol. 2024](
        https://doi.org/10.1371/journal.pcbi.1012567).

    Args:
        x: Float tensor, the pre-activation. Infinity gives NaN.
        n: Float tensor that broadcasts with `x`, or a number: the gain.
        s: The same: the saturation.
        signed: Whether `n` may be negative and `s` outside 0 .. 1. Default:
            `False`.

    Returns:
        Tensor of the type of `x`.

    Example:
    ```python
    import keras
    import keras_seqattn as ks

    x = keras.ops.array([0.0, 2.0])
    y = ks.activations.adaptive_softplus_sigmoid(x, n=1.0, s=0.5)
    print([round(float(v), 3) for v in y])  # [0.597, 1.504]
    ```
    """
    x = _as_float(x)
    n, s = _alike(x, n, s)
    n = _off_the_pole(n, signed)
    if not signed:
        s = ops.where(s < 0, 0, ops.where(s > 1, 1, s))
    return (1 - s) * _soft_rectifier(x, n) + s * ops.sigmoid(n * x)


def _soft_rectifier(u: Any, softness: Any) -> Any:
    """softplus(softness * u) / softness, for either sign of softness.

    As max(u, 0), or min(u, 0) for a negative softness, plus what rounds the
    bend. Neither overflows, and both derivatives by the softness have one
    sign, where those of the quotient cancel.
    """
    size = ops.abs(u)
    side = ops.where(softness < 0, -0.5, 0.5)
    bend = ops.log1p(ops.exp(-ops.abs(softness) * size)) / softness
    # Half and half: the derivative at u = 0 is 1/2 on every backend.
    return 0.5 * u + ops.cast(side, u.dtype) * size + bend


def _off_the_pole(softness: Any, signed: bool) -> Any:
    # `where`, not `maximum`: the same gradient at the edge on every backend.
    least: Any = MINIMUM_SOFTNESS
    size = softness
    if signed:
        least = ops.where(softness < 0, -MINIMUM_SOFTNESS, MINIMUM_SOFTNESS)
        size = ops.abs(softness)
    least = ops.cast(least, softness.dtype)
    return ops.where(size < MINIMUM_SOFTNESS, least, softness)


def _as_float(x: Any) -> Any:
    x = ops.convert_to_tensor(x)
    if "float" not in keras.backend.standardize_dtype(x.dtype):
        x = ops.cast(x, keras.config.floatx())
    return x


def _alike(x: Any, *parameters: Any) -> list[Any]:
    return [ops.convert_to_tensor(p, dtype=x.dtype) for p in parameters]
