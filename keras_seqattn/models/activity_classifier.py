"""Activity classifier: convolutional stem, recurrent layers, softmax."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_positive_number
from keras_seqattn._checks import check_rate
from keras_seqattn.layers.larnn import LARNN
from keras_seqattn.layers.temporal_attention import TemporalAttention

KERAS_CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
FAITHFUL: dict[str, Any] = {
    "cell": "larnn",
    "units": 81,
    "num_layers": 3,
    "num_heads": 27,
    "window_size": 38,
    "use_positional_encoding": False,
    "normalization": "batch",
    "residual": True,
    "projection_units": 81,
    "stem_filters": (),
    "compression": None,
    "dropout": 0.0,
    "recurrent_dropout": 0.08885391813337816,
    "attention_dropout": 0.1,
}
"""The original's best shape: `build_activity_classifier(..., **FAITHFUL)`.

Its three layers are three here, with their own weights and all of them
trained; the original ran its first one three times and trained none. It drew
dropout anew at each step, for the output too, and began with other weights.
"""


def build_activity_classifier(
    timesteps: int | None,
    channels: int,
    classes: int,
    *,
    cell: str = "larnn",
    units: int = 64,
    num_layers: int = 1,
    num_heads: int = 8,
    window_size: int = 10,
    use_positional_encoding: bool = True,
    key_value_activation: str | None = "elu",
    normalization: str | None = None,
    residual: bool = False,
    projection_units: int | None = None,
    stem_filters: Sequence[int] = (64, 64),
    stem_kernel_size: int = 5,
    stem_strides: int = 2,
    compression: float | None = 20.0,
    pooling: str = "last",
    dropout: float = 0.3,
    recurrent_dropout: float = 0.0,
    attention_dropout: float = 0.0,
    name: str = "activity_classifier",
) -> keras.Model:
    """Build a classifier from windows of motion signals to activities.

    In order: each channel beside its compressed self; a causal convolutional
    stem, which also shortens the sequence; a projection; recurrent layers,
    each with its own weights, added to their input where the widths match;
    the last step, or `TemporalAttention` over all; dropout; softmax.

    No step sees a later one, up to the pooling.

    Reference:
        [Chevalier, LARNN, arXiv:1808.05578](
        https://arxiv.org/abs/1808.05578). `FAITHFUL` holds its settings.

    Args:
        timesteps: Window length in samples, or `None` for any length.
        channels: Number of channels.
        classes: Number of activities, at least 2.
        cell: `"larnn"` (default), or `"lstm"` or `"gru"`, to compare with.
            With `"gru"` and 32 units there are under 40,000 parameters.
        units: Width of each recurrent layer. Default: 64.
        num_layers: Number of recurrent layers. Default: 1.
        num_heads: As in `layers.LARNN`; like the next ones without effect
            with another cell. Default: 8.
        window_size: As in `layers.LARNN`. Default: 10 (steps after the stem).
        use_positional_encoding: As in `layers.LARNN`.
        key_value_activation: As in `layers.LARNN`.
        normalization: As in `layers.LARNN`.
        residual: Whether to add a recurrent layer's input to its output
            where both are equally wide. Default: `False`.
        projection_units: Width of a dense ELU layer before the recurrent
            ones. Default: none.
        stem_filters: Filters of each causal convolution, with ReLU. `()`
            leaves the stem out. Default: `(64, 64)`.
        stem_kernel_size: Samples a convolution sees. Default: 5.
        stem_strides: Each convolution keeps every `stem_strides`-th step.
            Default: 2, so that two leave a quarter of the steps.
        compression: If given, `asinh(compression * x) / 2` joins every
            channel `x`: small movements, which tell sitting from standing,
            become as large as steps. Expects channels of mean 0 and
            deviation 1. Default: 20.
        pooling: `"last"` (default) or `"attention"`.
        dropout: Rate in [0, 1) before the softmax. Default: 0.3.
        recurrent_dropout: As in `layers.LARNN` and `keras.layers.LSTM`.
        attention_dropout: As in `layers.LARNN`.
        name: Name of the model.

    Returns:
        An uncompiled functional `keras.Model` from standardized windows
        `(batch, timesteps, channels)` to probabilities `(batch, classes)`.

    Raises:
        ValueError: An argument out of its range.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_activity_classifier(128, channels=9, classes=6)
    model.compile("adam", "sparse_categorical_crossentropy")
    print(model.output_shape)  # (None, 6)
    ```
    """
    if timesteps is not None:
        timesteps = check_positive_integer("timesteps", timesteps)
    channels = check_positive_integer("channels", channels)
    if check_positive_integer("classes", classes) < 2:
        raise ValueError(
            "`classes` must be 2 or more: one class leaves nothing to tell "
            f"apart. Received: classes={classes}"
        )
    check_choice("cell", cell, ("larnn", *KERAS_CELLS))
    check_choice("pooling", pooling, ("last", "attention"))
    residual = check_flag("residual", residual)
    num_layers = check_positive_integer("num_layers", num_layers)
    dropout = check_rate("dropout", dropout)

    inputs = keras.Input((timesteps, channels), name="signal")
    x = _stem(inputs, compression, stem_filters, stem_kernel_size, stem_strides)
    if projection_units is not None:
        x = keras.layers.Dense(
            check_positive_integer("projection_units", projection_units),
            activation="elu",
            name="projection",
        )(x)
    for index in range(num_layers):
        is_last = index == num_layers - 1
        is_residual = residual and x.shape[-1] == units
        shared: dict[str, Any] = {
            "recurrent_dropout": recurrent_dropout,
            "return_sequences": not is_last or pooling == "attention",
            "name": f"{cell}_{index}",
        }
        if cell in KERAS_CELLS:
            layer = KERAS_CELLS[cell](units, **shared)
        else:
            layer = LARNN(
                units,
                num_heads=num_heads,
                window_size=window_size,
                use_positional_encoding=use_positional_encoding,
                key_value_activation=key_value_activation,
                normalization=normalization,
                attention_dropout=attention_dropout,
                **shared,
            )
        y = layer(x)
        if is_residual:
            bypass = x if shared["return_sequences"] else x[:, -1]
            y = keras.layers.Add(name=f"residual_{index}")([bypass, y])
        x = y
    if pooling == "attention":
        x = TemporalAttention(name="temporal_attention")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    x = keras.layers.Dense(
        classes, activation="softmax", dtype="float32", name="probabilities"
    )(x)
    return keras.Model(inputs, x, name=name)


def _stem(
    x: Any,
    compression: float | None,
    filters: Sequence[int],
    kernel_size: int,
    strides: int,
) -> Any:
    """The compressed channels and the convolutions, with their checks."""
    if not isinstance(filters, Sequence):
        raise ValueError(
            "`stem_filters` must be a sequence, one number a convolution. "
            f"Received: stem_filters={filters!r}"
        )
    kernel_size = check_positive_integer("stem_kernel_size", kernel_size)
    strides = check_positive_integer("stem_strides", strides)
    if compression is not None:
        compression = check_positive_number("compression", compression)
        compressed = 0.5 * _asinh(compression * x)
        x = keras.layers.Concatenate(name="compressed")([x, compressed])
    for index, count in enumerate(filters):
        x = keras.layers.Conv1D(
            check_positive_integer("stem_filters", count),
            kernel_size,
            strides=strides,
            padding="causal",
            activation="relu",
            name=f"stem_{index}",
        )(x)
    return x


def _asinh(x: Any) -> Any:
    # Not ops.arcsinh, which JAX cannot write into a SavedModel.
    size = ops.abs(x)
    square = size * size
    return ops.sign(x) * ops.log1p(size + square / (1 + ops.sqrt(1 + square)))


def past_attention_model(model: keras.Model, layer: int = -1) -> keras.Model:
    """Return the model that shows what a classifier's LARNN attends to.

    It shares the classifier's weights: train the classifier, then call
    `predict` of this one.

    Args:
        model: A functional model with `LARNN` layers.
        layer: Which of them, as a Python index. Default: the last one.

    Returns:
        A `keras.Model` with the same input. Its output, of shape `(batch,
        steps, heads, window)`, holds each step's attention over the past
        cells, oldest first; slots that hold no cell yet have 0.

    Raises:
        ValueError: The model has no such layer.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_activity_classifier(128, channels=9, classes=6)
    scores = ks.models.past_attention_model(model)
    signal = np.random.default_rng(0).normal(size=(2, 128, 9))
    print(scores.predict(signal, verbose=0).shape)  # (2, 32, 8, 10)
    ```
    """
    layers = [x for x in model.layers if isinstance(x, LARNN)]
    if not -len(layers) <= layer < len(layers):
        raise ValueError(
            f"The model has {len(layers)} `LARNN` layers. Build it with "
            f"`cell='larnn'`, or name one it has. Received: layer={layer}"
        )
    found = layers[layer]
    scores = _PastAttention(found)(found.input)
    return keras.Model(model.input, scores, name="past_attention")


class _PastAttention(keras.layers.Layer):
    """The scores alone.

    Keras finds no second output of a layer that was first called for one.
    """

    def __init__(self, larnn: LARNN) -> None:
        super().__init__()
        self.larnn = larnn

    def call(self, inputs: Any) -> Any:
        return self.larnn(inputs, return_attention_scores=True)[1]
