"""Neural decoder: recurrent encoder, attention or last state, dense head."""

from typing import Any

import keras

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_rate
from keras_seqattn.layers.temporal_attention import TemporalAttention

CELLS: dict[str, type[keras.layers.RNN]] = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "rnn": keras.layers.SimpleRNN,
}

FAITHFUL: dict[str, Any] = {
    "cell": "lstm",
    "units": 256,
    "num_layers": 2,
    "bidirectional": True,
    "head_units": 64,
    "use_score_bias": True,
}
"""The original decoder's settings: `build_neural_decoder(..., **FAITHFUL)`.

With 96 channels and one output the model has 1,561,218 parameters with
attention and 1,527,937 without, as the original has.
"""


def build_neural_decoder(
    timesteps: int | None,
    channels: int,
    outputs: int = 2,
    *,
    pooling: str = "attention",
    cell: str = "lstm",
    units: int = 128,
    num_layers: int = 1,
    bins_per_step: int = 1,
    bidirectional: bool = False,
    head_units: int = 64,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    attention_units: int | None = None,
    attention_activation: Any = "tanh",
    use_score_bias: bool = False,
    name: str = "neural_decoder",
) -> keras.Model:
    """Build a decoder from a window of binned spikes to movement.

    `num_layers` recurrent layers, with a layer normalization after each but
    the last, then `TemporalAttention` over the states or the last state
    alone, then a ReLU layer and a linear output. With `pooling="every"` all
    states get that output: the model has the weights of `"last"`, whose
    value is that of the newest bin, and can be trained on every bin.

    Reference:
        [Yang et al., Sensors 21(19), 6372, 2021](
        https://doi.org/10.3390/s21196372). `FAITHFUL` holds their settings.

    Args:
        timesteps: Window length in bins, or `None` for any length.
        channels: Number of channels (units) of the recording.
        outputs: Number of decoded values. Default: 2, both axes jointly.
        pooling: `"attention"` (default), `"last"`, the last state, or
            `"every"`, each state by itself, for one direction alone.
        cell: `"lstm"` (default), `"gru"` or `"rnn"`.
        units: Width of each recurrent layer (of each direction). Default: 128.
        num_layers: Number of recurrent layers. Default: 1.
        bins_per_step: How many bins are averaged to one step of the recurrent
            layers, which have as many times less to do. The steps end with
            the newest bin; the oldest bins that fill no step are left out.
            Default: 1.
        bidirectional: Whether the first recurrent layer also runs from the
            newest bin to the oldest. Then no state stands for its own bin,
            and the model cannot be run bin by bin. Default: `False`.
        head_units: Width of the ReLU layer. Default: 64.
        dropout: Rate in [0, 1) on the input of each recurrent layer, the
            same channels in all bins of a window. In the first layer these
            are whole units: one that is lost on another day costs less.
        recurrent_dropout: The same on the states that a recurrent layer
            passes on to its next bin. With a rate above 0, Keras runs no
            layer by cuDNN.
        attention_units: `units` of `TemporalAttention`.
        attention_activation: `activation` of `TemporalAttention`.
        use_score_bias: `use_score_bias` of `TemporalAttention`.
        name: Name of the model.

    Returns:
        An uncompiled functional `keras.Model` from `(batch, timesteps,
        channels)` to `(batch, outputs)`, or `(batch, steps, outputs)` with
        `pooling="every"`, where a step is `bins_per_step` bins.

    Raises:
        ValueError: An argument out of its range, or `pooling="every"` of a
            bidirectional decoder.

    Example:
    ```python
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(timesteps=20, channels=96)
    model.compile("adam", "mse")
    print(model.output_shape)  # (None, 2)
    ```
    """
    if timesteps is not None:
        timesteps = check_positive_integer("timesteps", timesteps)
    channels = check_positive_integer("channels", channels)
    outputs = check_positive_integer("outputs", outputs)
    check_choice("pooling", pooling, ("attention", "last", "every"))
    bidirectional = check_flag("bidirectional", bidirectional)
    if pooling == "every" and bidirectional:
        raise ValueError(
            "`pooling='every'` needs states that end at their own bin: use "
            "`bidirectional=False`. Received: bidirectional=True"
        )
    recurrent = CELLS[check_choice("cell", cell, CELLS)]
    units = check_positive_integer("units", units)
    num_layers = check_positive_integer("num_layers", num_layers)
    bins_per_step = check_positive_integer("bins_per_step", bins_per_step)
    if bins_per_step > 1 and (timesteps is None or timesteps < bins_per_step):
        raise ValueError(
            "`bins_per_step` above 1 needs a window of as many timesteps or "
            f"more. Received: timesteps={timesteps}, "
            f"bins_per_step={bins_per_step}"
        )
    head_units = check_positive_integer("head_units", head_units)
    dropout = check_rate("dropout", dropout)
    recurrent_dropout = check_rate("recurrent_dropout", recurrent_dropout)

    inputs = keras.Input((timesteps, channels), name="spikes")
    x = inputs
    if timesteps is not None and bins_per_step > 1:
        # Left out are the oldest, never the newest.
        if rest := timesteps % bins_per_step:
            x = keras.layers.Cropping1D((rest, 0), name="whole_steps")(x)
        x = keras.layers.AveragePooling1D(bins_per_step, name="steps")(x)
    for index in range(num_layers):
        is_last = index == num_layers - 1
        layer = recurrent(
            units,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            return_sequences=pooling != "last" or not is_last,
            name=f"{cell}_{index}",
        )
        if bidirectional and index == 0:
            layer = keras.layers.Bidirectional(layer, name=f"{cell}_0")
        x = layer(x)
        if not is_last:
            x = keras.layers.LayerNormalization(name=f"norm_{index}")(x)
    if pooling == "attention":
        x, _ = TemporalAttention(
            units=attention_units,
            activation=attention_activation,
            use_score_bias=use_score_bias,
            name="temporal_attention",
        )(x, return_attention_scores=True)
    x = keras.layers.Dense(head_units, activation="relu", name="head")(x)
    x = keras.layers.Dense(outputs, dtype="float32", name="decoded")(x)
    return keras.Model(inputs, x, name=name)


def attention_scores_model(model: keras.Model) -> keras.Model:
    """Return the model that gives a decoder's attention scores.

    It shares the decoder's weights: train the decoder, then call `predict`
    of this one.

    Args:
        model: A functional model with one `TemporalAttention` layer that is
            called with `return_attention_scores=True`, such as
            `build_neural_decoder` builds.

    Returns:
        A `keras.Model` with the same input and the scores, of shape `(batch,
        timesteps)`, as output.

    Raises:
        ValueError: The model has no such layer, or more than one.
    """
    layers = [
        layer for layer in model.layers if isinstance(layer, TemporalAttention)
    ]
    if len(layers) != 1 or not isinstance(layers[0].output, (list, tuple)):
        raise ValueError(
            "The model must have one `TemporalAttention` layer, called with "
            "`return_attention_scores=True`. Received: a model with the "
            f"layers {[type(layer).__name__ for layer in model.layers]}"
        )
    return keras.Model(model.input, layers[0].output[1])
