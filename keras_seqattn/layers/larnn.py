"""LARNNCell and LARNN: an LSTM with attention over its own last cells."""

from typing import Any

import keras
from keras import ops

# Not public, but the only way to have a mask drawn before the loop of
# keras.layers.RNN, as JAX needs it.
from keras.src.layers.rnn.dropout_rnn_cell import DropoutRNNCell

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_rate
from keras_seqattn.layers._initializers import own_initializer
from keras_seqattn.layers._larnn import sequence as sequence
from keras_seqattn.layers._larnn.sequence import EMPTY
from keras_seqattn.layers._larnn.sequence import Settings
from keras_seqattn.layers._masked_order import MaskedOrder
from keras_seqattn.layers._masked_order import last_rows
from keras_seqattn.layers._precision import at_least_float32
from keras_seqattn.layers._recurrent_layer import RecurrentLayer

# The groups that share an initializer, a regularizer and a constraint.
_GROUPS = ("kernel", "recurrent", "attention", "bias")
_KINDS = (
    ("initializer", keras.initializers),
    ("regularizer", keras.regularizers),
    ("constraint", keras.constraints),
)
_MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="keras_seqattn")
class LARNNCell(keras.layers.Layer, DropoutRNNCell):
    """One step of a LARNN: an LSTM that attends to its own last cells.

    Every step asks, with a query from its input and hidden state, the last
    `window_size` cell states, by multi-head attention. What it hears joins
    the input and the hidden state in the gates. For `keras.layers.RNN`,
    `Bidirectional` and `StackedRNNCells`; `LARNN` computes the same for a
    whole sequence, several times faster.

    With input `x_t`, output `h_t`, cell `c_t`, `d = units / num_heads`:

    ```
    q = elu(x_t W_q + h_(t-1) U_q + b_q)
    k_j = act(c_j W_k + p(t - j) E_k + b_k)    j = t-1 ... t-window_size
    v_j = act(c_j W_v + p(t - j) E_v + b_v)    act = elu or identity
    s_j = softmax_j(q . k_j / sqrt(d))         in each head
    a = norm(elu(concat_heads(sum_j s_j v_j) W_o + b_o))
    g, f, i, o = x_t W + h_(t-1) U + a A + b   candidate, forget, input, output
    c_t = norm(tanh(g) sigmoid(i) + c_(t-1) sigmoid(f))
    h_t = norm(sigmoid(o) elu(c_t))
    ```

    Before the first step there is one cell, of zeros. `p` holds cosines and
    sines of the age, with periods of 2, 4, 8 ... steps. Keys and values
    that went through `elu` are normalized too. The projection `c_j W_k` of a
    cell is computed once and kept in the state: a step costs the same
    whatever came before.

    Reference:
        [Chevalier, LARNN, arXiv:1808.05578](
        https://arxiv.org/abs/1808.05578). Its two ways to join (`residual`,
        `layer`) are this one affine map. The authors' code never trained its
        cells, ran its first one for all of a stack, and left dropout and
        batch statistics on at test time.

    Weights:
        `kernel` (features, 4 units), `recurrent_kernel`, `attention_kernel`
        (units, 4 units), `bias` (4 units,), in the order candidate, forget,
        input, output; `query_kernel` (features, units),
        `query_recurrent_kernel` (units, units), `query_bias`; `key_kernel`,
        `value_kernel` (units, units), `key_position_kernel`,
        `value_position_kernel` (positions, units), `key_bias`, `value_bias`;
        `output_kernel` (units, units), `output_bias`; and `gamma`, `beta` of
        `cell_norm`, `hidden_norm`, `attention_norm`, `key_value_norm`.

    Args:
        units: Positive integer, width of the state and of the output.
        num_heads: Positive integer that divides `units`. Default: 4.
        window_size: Positive integer `k`, how many past cells a step attends
            to. Default: 16.
        use_positional_encoding: Whether keys and values also know the age
            of their cell. Default: `True`.
        key_value_activation: `"elu"` (default) or `None`, what keys and
            values go through.
        normalization: `"layer"` (over the features, epsilon 1e-3) or `None`
            (default), of attention, cell, hidden state, keys and values.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of
            `kernel` and `query_kernel`, which read the input.
        recurrent_initializer, recurrent_regularizer, recurrent_constraint:
            Of `recurrent_kernel` and `query_recurrent_kernel`.
        attention_initializer, attention_regularizer, attention_constraint:
            Of the other kernels.
        bias_initializer, bias_regularizer, bias_constraint: Of all biases.
        gamma_initializer, beta_initializer: Of the normalizations' scale and
            offset. Every initializer may be `"reference"`, the original's:
            uniform within 1 / sqrt(units).
        unit_forget_bias: Whether the forget gate's bias begins at 1.
            Default: `True`; the original has `False`.
        dropout: Rate in [0, 1) at which inputs are dropped in training.
        recurrent_dropout: The same for the hidden state that a step reads.
        attention_dropout: The same for attention scores, by age and head.
            As in Keras' LSTM every mask is drawn once a sequence, not once a
            step.
        seed: Optional integer, seeds the dropout.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        inputs: Float tensor of shape `(batch, features)`.
        states: List of four tensors: output `(batch, units)`, cell `(batch,
            units)`, the window of projected cells `(batch, window_size * 2 *
            units)`, oldest first, and for each slot whether it holds a cell
            `(batch, window_size)`. All zeros is the state before the first
            step. (The newest slot's flag is not read: it always holds one.)
        training: Python boolean, whether dropout is on.

    Input shape:
        `(batch, features)`.

    Output shape:
        `(batch, units)`, and the list of new states.

    Masking:
        `keras.layers.RNN` leaves state and output of a masked step as they
        were.

    Precision:
        Under a float16 or bfloat16 policy the step is computed in float32;
        inputs, outputs and states are half precision. In float32 the
        projections of a cell and of an age must stay below 80 in size.

    Raises:
        ValueError: An argument out of its range, `units` that `num_heads`
            does not divide, an unknown number of features, or
            `normalization="batch"`.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_seqattn as ks

    cell = ks.layers.LARNNCell(16, num_heads=4, window_size=5)
    signal = np.random.default_rng(0).normal(size=(2, 30, 9))
    print(tuple(keras.layers.RNN(cell)(signal).shape))  # (2, 16)

    # Step by step.
    state = cell.get_initial_state(batch_size=2)
    for step in range(30):
        output, state = cell(signal[:, step], state)
    print(tuple(output.shape))  # (2, 16)
    ```
    """

    _normalizations: tuple[str | None, ...] = (None, "layer")

    def __init__(
        self,
        units: int,
        num_heads: int = 4,
        window_size: int = 16,
        use_positional_encoding: bool = True,
        key_value_activation: str | None = "elu",
        normalization: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        attention_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        attention_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        attention_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units = check_positive_integer("units", units)
        self.num_heads = check_positive_integer("num_heads", num_heads)
        if self.units % self.num_heads:
            raise ValueError(
                "`units` must be a multiple of `num_heads`: every head gets "
                f"the same number of units. Received: units={units}, "
                f"num_heads={num_heads}"
            )
        self.window_size = check_positive_integer("window_size", window_size)
        self.use_positional_encoding = bool(use_positional_encoding)
        self.key_value_activation = check_choice(
            "key_value_activation", key_value_activation, ("elu", None)
        )
        if normalization == "batch" and "batch" not in self._normalizations:
            raise ValueError(
                "A cell cannot keep the moving statistics of `normalization="
                "'batch'`: use the layer `LARNN`. "
                "Received: normalization='batch'"
            )
        self.normalization = check_choice(
            "normalization", normalization, self._normalizations
        )
        self.unit_forget_bias = bool(unit_forget_bias)
        given = locals()
        for group in (*_GROUPS, "gamma", "beta"):
            setattr(
                self,
                f"{group}_initializer",
                _initializer(given[f"{group}_initializer"], self.units),
            )
        for kind, module in _KINDS[1:]:
            for group in _GROUPS:
                name = f"{group}_{kind}"
                setattr(self, name, module.get(given[name]))
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate(
            "recurrent_dropout", recurrent_dropout
        )
        self.attention_dropout = check_rate(
            "attention_dropout", attention_dropout
        )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._attention_mask: Any = None
        self.output_size = self.units
        # The first state is the output. All zeros is the state before the
        # first step: of the flags that say which slots hold a cell the newest
        # is not read, since the newest slot always does.
        self.state_size = [
            self.units,
            self.units,
            self.window_size * 2 * self.units,
            self.window_size,
        ]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        if not features:
            raise ValueError(
                f"`{type(self).__name__}` needs at least one feature and a "
                "fixed number of them (last axis). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        units = self.units
        self._add("kernel", (features, 4 * units), "kernel")
        self._add("recurrent_kernel", (units, 4 * units), "recurrent")
        self._add("attention_kernel", (units, 4 * units), "attention")
        self._add("bias", (4 * units,), "bias")
        if self.unit_forget_bias:
            # Gates: candidate, forget, input, output.
            self.bias.assign(
                ops.concatenate(
                    [
                        self.bias[:units],
                        ops.ones((units,), self.bias.dtype),
                        self.bias[2 * units :],
                    ]
                )
            )
        self._add("query_kernel", (features, units), "kernel")
        self._add("query_recurrent_kernel", (units, units), "recurrent")
        self._add("query_bias", (units,), "bias")
        self._add("key_kernel", (units, units), "attention")
        self._add("value_kernel", (units, units), "attention")
        if self.use_positional_encoding:
            self._position_features = sequence.position_features(
                self.window_size
            )
            shape = (self._position_features.shape[1], units)
            self._add("key_position_kernel", shape, "attention")
            self._add("value_position_kernel", shape, "attention")
        self._add("key_bias", (units,), "bias")
        self._add("value_bias", (units,), "bias")
        self._add("output_kernel", (units, units), "attention")
        self._add("output_bias", (units,), "bias")
        for name in self.settings().norms:
            norm = _Norm(
                self.normalization == "batch",
                2 if name == "key_value" else 1,
                self.gamma_initializer,
                self.beta_initializer,
                name=f"{name}_norm",
                dtype=self.dtype_policy,
            )
            norm.build((units,))
            setattr(self, f"{name}_norm", norm)

    def _add(self, name: str, shape: tuple[int, ...], group: str) -> None:
        # No autocast: the recurrence is computed in float32.
        weight = self.add_weight(
            name=name,
            shape=shape,
            initializer=own_initializer(getattr(self, f"{group}_initializer")),
            regularizer=getattr(self, f"{group}_regularizer"),
            constraint=getattr(self, f"{group}_constraint"),
            autocast=False,
        )
        setattr(self, name, weight)

    def settings(self, batch_statistics: bool = False) -> Settings:
        """What `larnn_sequence` needs to know of this cell."""
        return Settings(
            self.units,
            self.num_heads,
            self.use_positional_encoding,
            self.key_value_activation is not None,
            self.normalization,
            batch_statistics,
        )

    def tensors(self, training: bool = False) -> dict[str, Any]:
        """The weights as `larnn_sequence` takes them, with dropout masks."""

        # Also of one: TensorFlow wants no variables in a custom gradient.
        def join(*names: str) -> Any:
            return ops.concatenate(
                [ops.convert_to_tensor(getattr(self, n)) for n in names], -1
            )

        w = {
            "input_kernel": join("kernel", "query_kernel"),
            "state_kernel": join("recurrent_kernel", "query_recurrent_kernel"),
            "bias": join("bias", "query_bias"),
            "attention_kernel": join("attention_kernel"),
            "output_kernel": join("output_kernel"),
            "output_bias": join("output_bias"),
            "key_value_kernel": join("key_kernel", "value_kernel"),
        }
        bias = join("key_bias", "value_bias")
        if self.use_positional_encoding:
            features = ops.convert_to_tensor(
                self._position_features, bias.dtype
            )
            kernel = join("key_position_kernel", "value_position_kernel")
            w["position_bias"] = (ops.matmul(features, kernel) + bias)[:, None]
        else:
            w["row_bias"] = bias
        for name in self.settings().norms:
            for kind, value in getattr(self, f"{name}_norm").tensors().items():
                w[f"{name}_{kind}"] = value
        if training:
            if self._recurrent_dropout_mask is not None:
                w["hidden_mask"] = at_least_float32(
                    self._recurrent_dropout_mask
                )
            if self._attention_mask is not None:
                w["attention_mask"] = at_least_float32(self._attention_mask)
        return w

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        # keras.layers.RNN calls this before the loop: also for attention.
        if self.attention_dropout > 0 and self._attention_mask is None:
            shape = (
                self.window_size,
                ops.shape(step_input)[0],
                self.num_heads,
            )
            self._attention_mask = self._create_dropout_mask(
                ops.ones(shape, step_input.dtype), self.attention_dropout
            )
        return super().get_recurrent_dropout_mask(step_input)

    def reset_recurrent_dropout_mask(self) -> None:
        self._attention_mask = None
        super().reset_recurrent_dropout_mask()

    def call(
        self, inputs: Any, states: Any, training: bool = False
    ) -> tuple[Any, list[Any]]:
        if training:
            mask = self.get_dropout_mask(inputs)
            if mask is not None:
                inputs = inputs * mask
            self.get_recurrent_dropout_mask(states[0])
        settings = self.settings()
        w = sequence.with_constants(self.tensors(training), settings)
        inputs = at_least_float32(ops.cast(inputs, self.compute_dtype))
        hidden, cell, window, empty = self.unpack(states)
        weight = None
        if self.normalization == "batch":  # of the layer, by moving averages
            weight = ops.ones_like(hidden[:, :1])
        done = sequence.step(
            w,
            settings,
            sequence.drive(w, inputs),
            hidden,
            cell,
            sequence.finish_rows(w, settings, window),
            empty,
            weight,
        )
        window = ops.concatenate([window[1:], done.row[None]], axis=0)
        empty = ops.concatenate([empty[1:], ops.zeros_like(empty[:1])], axis=0)
        return (
            ops.cast(done.hidden, self.compute_dtype),
            self.pack(done.hidden, done.cell, window, empty),
        )

    def unpack(self, states: Any) -> tuple[Any, Any, Any, Any]:
        """Flat states (batch, ...) to hidden, cell, window, empty slots."""
        hidden, cell, window, filled = map(at_least_float32, states)
        window = ops.reshape(window, (-1, self.window_size, 2 * self.units))
        window = ops.transpose(window, (1, 0, 2))
        empty = ops.where(filled[:, :-1] > 0.5, 0.0, EMPTY)
        empty = ops.cast(empty, filled.dtype)
        empty = ops.concatenate([empty, ops.zeros_like(filled[:, -1:])], 1)
        return hidden, cell, window, ops.transpose(empty)[..., None]

    def pack(
        self, hidden: Any, cell: Any, window: Any, empty: Any
    ) -> list[Any]:
        """The inverse of `unpack`."""
        window = ops.reshape(
            ops.transpose(window, (1, 0, 2)), (-1, self.state_size[2])
        )
        filled = ops.cast(ops.transpose(empty[..., 0]) == 0, hidden.dtype)
        return [
            ops.cast(state, self.compute_dtype)
            for state in (hidden, cell, window, filled)
        ]

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        return [
            ops.zeros((batch_size, size), dtype=self.compute_dtype)
            for size in self.state_size
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "num_heads": self.num_heads,
            "window_size": self.window_size,
            "use_positional_encoding": self.use_positional_encoding,
            "key_value_activation": self.key_value_activation,
            "normalization": self.normalization,
            "unit_forget_bias": self.unit_forget_bias,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "attention_dropout": self.attention_dropout,
            "seed": self.seed,
            **{
                f"{group}_initializer": keras.initializers.serialize(
                    getattr(self, f"{group}_initializer")
                )
                for group in ("gamma", "beta")
            },
            **{
                f"{group}_{kind}": module.serialize(
                    getattr(self, f"{group}_{kind}")
                )
                for kind, module in _KINDS
                for group in _GROUPS
            },
        }


def _initializer(given: Any, units: int) -> Any:
    if given == "reference":
        limit = units**-0.5
        return keras.initializers.RandomUniform(-limit, limit)
    return keras.initializers.get(given)


class _Norm(keras.layers.Layer):
    """The weights of one normalization."""

    def __init__(
        self,
        has_statistics: bool,
        groups: int,
        gamma_initializer: Any,
        beta_initializer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.has_statistics = has_statistics
        self.groups = groups
        self.gamma_initializer = gamma_initializer
        self.beta_initializer = beta_initializer

    def build(self, shape: tuple[int, ...]) -> None:
        for name in ("gamma", "beta"):
            weight = self.add_weight(
                name=name,
                shape=shape,
                initializer=own_initializer(
                    getattr(self, f"{name}_initializer")
                ),
                autocast=False,
            )
            setattr(self, name, weight)
        # Keys and values share gamma and beta, but not their statistics.
        shape = shape if self.groups == 1 else (self.groups, *shape)
        if self.has_statistics:
            for name, value in (("mean", "zeros"), ("variance", "ones")):
                weight = self.add_weight(
                    name=f"moving_{name}",
                    shape=shape,
                    initializer=value,
                    trainable=False,
                    autocast=False,
                    # Under a tf.distribute strategy: not one replica's.
                    aggregation="mean",
                )
                setattr(self, f"moving_{name}", weight)

    def tensors(self) -> dict[str, Any]:
        names = {"gamma": "gamma", "beta": "beta"}
        if self.has_statistics:
            names |= {"mean": "moving_mean", "variance": "moving_variance"}
        return {
            short: ops.multiply(getattr(self, name), 1)
            for short, name in names.items()
        }


class _LARNNLayerCell(LARNNCell):
    """The cell inside `LARNN`, which can keep moving statistics."""

    _normalizations = (None, "layer", "batch")


@keras.saving.register_keras_serializable(package="keras_seqattn")
class LARNN(RecurrentLayer):
    """Runs a LARNN, an LSTM that attends to its own last cells.

    Equal to `keras.layers.RNN(LARNNCell(...))`, with the same weights under
    the same names (but for what masked steps output before the first step
    that counts, see Masking), and several times faster to train. The gradient
    is written by hand, and memory grows with `time * units`, not with `time *
    window_size * units`. For the equations and the weights see `LARNNCell`.

    Reference:
        [Chevalier, LARNN, arXiv:1808.05578](
        https://arxiv.org/abs/1808.05578).

    Args:
        units: Positive integer, width of the state and of the output.
        num_heads: Positive integer that divides `units`. Default: 4.
        window_size: Positive integer `k`, how many past cells a step attends
            to. Default: 16.
        use_positional_encoding: Whether keys and values also know the age
            of their cell. Default: `True`.
        key_value_activation: `"elu"` (default) or `None`, what keys and
            values go through.
        normalization: `"layer"`, `"batch"` or `None` (default), as in
            `LARNNCell`. `"batch"` is the original's (epsilon 1e-5): in
            training each step is normalized by the statistics of the batch,
            at inference by moving averages (momentum 0.9) of their mean over
            the steps.
        kernel_initializer, kernel_regularizer, kernel_constraint: Of
            `kernel` and `query_kernel`, which read the input.
        recurrent_initializer, recurrent_regularizer, recurrent_constraint:
            Of `recurrent_kernel` and `query_recurrent_kernel`.
        attention_initializer, attention_regularizer, attention_constraint:
            Of the other kernels.
        bias_initializer, bias_regularizer, bias_constraint: Of all biases.
        gamma_initializer, beta_initializer: Of the normalizations' scale and
            offset. Every initializer may be `"reference"`, the original's:
            uniform within 1 / sqrt(units).
        unit_forget_bias: Whether the forget gate's bias begins at 1.
            Default: `True`; the original has `False`.
        dropout: Rate in [0, 1) at which inputs are dropped in training.
        recurrent_dropout: The same for the hidden state that a step reads.
        attention_dropout: The same for attention scores, by age and head.
            As in Keras' LSTM every mask is drawn once a sequence, not once a
            step.
        seed: Optional integer, seeds the dropout.
        return_sequences: Whether to return all outputs or the last one.
            Default: `False`.
        return_state: Whether to return the last state too. Default: `False`.
        go_backwards: Whether to go from the last step to the first. Default:
            `False`.
        stateful: Whether a batch goes on from where the one before ended.
            Default: `False`.
        unroll: Accepted as in other recurrent layers; changes nothing.
        zero_output_for_mask: Whether masked steps give zeros, not the output
            before them, with `return_sequences=True`. Default: `False`.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        sequences: Float tensor of shape `(batch, time, features)`.
        initial_state: List of four tensors, as `return_state=True` returns
            and `LARNNCell` describes.
        mask: Optional boolean tensor of shape `(batch, time)`, `True` where a
            step counts. Keras passes the mask of the layer before.
        training: Python boolean, whether dropout and batch statistics are on.
        return_attention_scores: Python boolean. If `True`, the scores follow
            the output. No gradient flows through them. Default: `False`.

    Input shape:
        `(batch, time, features)`. The time axis may be free (`None`).

    Output shape:
        `(batch, units)`, with `return_sequences=True` `(batch, time, units)`.
        With `return_attention_scores=True` also `(batch, time, num_heads,
        window_size)`, by the attended cell's age, oldest first, 0 in slots
        that hold no cell and at masked steps; in training as dropout left
        them. With `return_state=True` also the four states.

    Masking:
        A masked step changes neither the state nor the window, whatever it
        holds, NaN too, and gets no gradient. Its output is the one before it
        (before the first step: the initial hidden state), or zeros. NaN or
        infinite values in a step that counts show in that sequence's outputs
        from there on, and in no other sequence (with batch statistics: in
        all).

    Precision:
        As in `LARNNCell`.

    Second derivatives:
        On TensorFlow and JAX; torch raises. JAX has no forward mode here.

    Raises:
        ValueError: An argument out of its range, `units` that `num_heads`
            does not divide, an input that is not of rank 3, an unknown
            number of features, a time axis of length 0, or a mask that is
            not `(batch, time)`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    signal = np.random.default_rng(0).normal(size=(2, 30, 9))
    layer = ks.layers.LARNN(16, num_heads=4, window_size=5)
    output, scores = layer(signal, return_attention_scores=True)
    print(tuple(output.shape), tuple(scores.shape))  # (2, 16) (2, 30, 4, 5)
    ```
    """

    def __init__(
        self,
        units: int,
        num_heads: int = 4,
        window_size: int = 16,
        use_positional_encoding: bool = True,
        key_value_activation: str | None = "elu",
        normalization: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        attention_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        attention_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        attention_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        attention_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = _LARNNLayerCell(
            units,
            num_heads,
            window_size,
            use_positional_encoding,
            key_value_activation,
            normalization,
            kernel_initializer,
            recurrent_initializer,
            attention_initializer,
            bias_initializer,
            gamma_initializer,
            beta_initializer,
            unit_forget_bias,
            kernel_regularizer,
            recurrent_regularizer,
            attention_regularizer,
            bias_regularizer,
            kernel_constraint,
            recurrent_constraint,
            attention_constraint,
            bias_constraint,
            dropout,
            recurrent_dropout,
            attention_dropout,
            seed,
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="larnn_cell",
        )
        super().__init__(
            cell,
            return_sequences=return_sequences,
            return_state=return_state,
            go_backwards=go_backwards,
            stateful=stateful,
            unroll=unroll,
            zero_output_for_mask=zero_output_for_mask,
            **kwargs,
        )

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
    ) -> Any:
        cell = self.cell
        self._check_sequences(sequences, mask)
        if initial_state is None:
            initial_state = (
                self.states
                if self.stateful
                else cell.get_initial_state(ops.shape(sequences)[0])
            )
        state = self._own_states(self._check_state(initial_state))
        sequences = ops.cast(sequences, self.compute_dtype)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        order = None if mask is None else MaskedOrder(mask)
        if order is not None:
            sequences = order.to_front(sequences)
        training = bool(training)
        if training:
            sequences = self._drop(sequences, state)
        # Frozen, it is at inference, as Keras' BatchNormalization.
        settings = cell.settings(
            batch_statistics=training
            and self.trainable
            and cell.normalization == "batch"
        )
        w = cell.tensors(training)
        cell.reset_dropout_mask()
        cell.reset_recurrent_dropout_mask()

        inputs = ops.transpose(at_least_float32(sequences), (1, 0, 2))
        hidden, carried, window, empty = cell.unpack(state)
        weight = None
        if cell.normalization == "batch":
            weight = ops.ones_like(inputs[:, :, :1])
            if order is not None:
                counts = ops.cast(order.counts(), inputs.dtype)
                weight = weight * ops.transpose(counts)[..., None]
        # All slots that come later hold a cell.
        empty = ops.concatenate(
            [empty, ops.zeros_like(inputs[:, :, :1]) + 0 * empty[:1]], axis=0
        )
        outputs, cells, scores, statistics = sequence.run_sequence(
            w,
            settings,
            inputs,
            hidden,
            carried,
            sequence.finish_rows(w, settings, window)["value"],
            empty,
            weight,
            return_attention_scores,
        )
        if statistics is not None:
            self._update_statistics(statistics, weight)
        outputs = ops.concatenate([hidden[None], outputs], axis=0)
        cells = ops.concatenate([carried[None], cells], axis=0)

        result = []
        if self.return_sequences:
            sequence_outputs = ops.transpose(outputs, (1, 0, 2))
            result.append(
                sequence_outputs[:, 1:]
                if order is None
                else order.to_steps(sequence_outputs, self.zero_output_for_mask)
            )
        else:
            result.append(last_rows(outputs, order, 1)[0])
        if return_attention_scores:
            result.append(self._arrange_scores(scores, order))
        if self.return_state or self.stateful:
            rows = ops.matmul(cells[1:], w["key_value_kernel"])
            rows = ops.concatenate([window, rows], axis=0)
            new_state = cell.pack(
                last_rows(outputs, order, 1)[0],
                last_rows(cells, order, 1)[0],
                last_rows(rows, order, cell.window_size),
                last_rows(empty, order, cell.window_size),
            )
            if self.stateful:
                for variable, value in zip(self.states, new_state, strict=True):
                    variable.assign(value)
            if self.return_state:
                result += new_state
        result = [ops.cast(x, self.compute_dtype) for x in result]
        return result[0] if len(result) == 1 else tuple(result)

    def _drop(self, sequences: Any, state: list[Any]) -> Any:
        # In the order of keras.layers.RNN, so that a seed means the same.
        mask = self.cell.get_dropout_mask(sequences[:, 0])
        self.cell.get_recurrent_dropout_mask(state[0])
        return sequences if mask is None else sequences * mask[:, None]

    def _arrange_scores(self, scores: Any, order: Any) -> Any:
        """To (batch, time, heads, window), 0 at masked steps."""
        cell = self.cell
        scores = ops.transpose(scores, (1, 0, 2))
        if order is not None:
            # There are no scores before the first step.
            scores = ops.pad(scores, ((0, 0), (1, 0), (0, 0)))
            scores = order.to_steps(scores, zeros=True)
        scores = ops.reshape(
            scores,
            (*ops.shape(scores)[:2], cell.window_size, cell.num_heads),
        )
        return ops.transpose(scores, (0, 1, 3, 2))

    def _update_statistics(self, statistics: Any, weight: Any) -> None:
        """Move the moving statistics towards their mean over the steps."""
        used = ops.cast(ops.sum(weight, axis=1) > 0, weight.dtype)
        count = ops.sum(used)
        # A batch that is all masked moves nothing.
        rate = (1 - _MOMENTUM) * ops.cast(count > 0, count.dtype)
        for name in self.cell.settings().norms:
            norm = getattr(self.cell, f"{name}_norm")
            for kind in ("mean", "variance"):
                values = statistics[f"{name}_{kind}"]
                share = ops.reshape(used, (-1,) + (1,) * (values.ndim - 1))
                mean = ops.sum(share * values, axis=0) / ops.maximum(count, 1)
                moving = getattr(norm, f"moving_{kind}")
                moving.assign(moving + rate * (mean - moving))

    def compute_output_spec(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        return_attention_scores: bool = False,
    ) -> Any:
        further = []
        if return_attention_scores:
            batch, time, _ = sequences.shape
            cell = self.cell
            further = [(batch, time, cell.num_heads, cell.window_size)]
        return self._output_specs(sequences, further)
