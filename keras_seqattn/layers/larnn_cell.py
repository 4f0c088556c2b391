"""LARNNCell: one step of an LSTM with attention over its own last cells.

Long because: a third is the docstring, with the equations, the weights and
every argument, and the constructor names each of these again.
"""

from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn._checks import check_rate
from keras_seqattn._keras_internals import DropoutRNNCell
from keras_seqattn.layers._initializers import own_initializer
from keras_seqattn.layers._larnn.normalization import NormWeights
from keras_seqattn.layers._larnn.settings import Settings
from keras_seqattn.layers._larnn.settings import Weights
from keras_seqattn.layers._larnn.settings import with_constants
from keras_seqattn.layers._larnn.step import drive
from keras_seqattn.layers._larnn.step import step
from keras_seqattn.layers._larnn.window import EMPTY
from keras_seqattn.layers._larnn.window import finish_rows
from keras_seqattn.layers._larnn.window import position_features
from keras_seqattn.layers._precision import at_least_float32

# The groups that share an initializer, a regularizer and a constraint.
_GROUPS = ("kernel", "recurrent", "attention", "bias")
_KINDS = (
    ("initializer", keras.initializers),
    ("regularizer", keras.regularizers),
    ("constraint", keras.constraints),
)


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
        given = locals()
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
        self.use_positional_encoding = check_flag(
            "use_positional_encoding", use_positional_encoding
        )
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
        self.unit_forget_bias = check_flag("unit_forget_bias", unit_forget_bias)
        self._set_groups(given)
        self.dropout = check_rate("dropout", dropout)
        self.recurrent_dropout = check_rate(
            "recurrent_dropout", recurrent_dropout
        )
        self.attention_dropout = check_rate(
            "attention_dropout", attention_dropout
        )
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self._hidden_mask: Any = None
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

    def _set_groups(self, given: dict[str, Any]) -> None:
        """Set initializers, regularizers and constraints, given by name."""
        for group in (*_GROUPS, "gamma", "beta"):
            name = f"{group}_initializer"
            setattr(self, name, _initializer(given[name], self.units))
        for kind, module in _KINDS[1:]:
            for group in _GROUPS:
                name = f"{group}_{kind}"
                setattr(self, name, module.get(given[name]))

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
            self._position_features = position_features(self.window_size)
            shape = (self._position_features.shape[1], units)
            self._add("key_position_kernel", shape, "attention")
            self._add("value_position_kernel", shape, "attention")
        self._add("key_bias", (units,), "bias")
        self._add("value_bias", (units,), "bias")
        self._add("output_kernel", (units, units), "attention")
        self._add("output_bias", (units,), "bias")
        for name in self.settings().norms:
            norm = NormWeights(
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
        """What steps and sequences need to know of this cell."""
        return Settings(
            self.units,
            self.num_heads,
            self.use_positional_encoding,
            self.key_value_activation is not None,
            self.normalization,
            batch_statistics,
        )

    def tensors(self, training: bool = False) -> Weights:
        """The weights as a sequence takes them, with dropout masks."""

        # Also of one: TensorFlow wants no variables in a custom gradient.
        def join(*names: str) -> Any:
            return ops.concatenate(
                [ops.convert_to_tensor(getattr(self, n)) for n in names], -1
            )

        w = Weights(
            input_kernel=join("kernel", "query_kernel"),
            state_kernel=join("recurrent_kernel", "query_recurrent_kernel"),
            bias=join("bias", "query_bias"),
            attention_kernel=join("attention_kernel"),
            output_kernel=join("output_kernel"),
            output_bias=join("output_bias"),
            key_value_kernel=join("key_kernel", "value_kernel"),
            **{
                f"{name}_norm": getattr(self, f"{name}_norm").tensors()
                for name in self.settings().norms
            },
        )
        bias = join("key_bias", "value_bias")
        if self.use_positional_encoding:
            features = ops.convert_to_tensor(
                self._position_features, bias.dtype
            )
            kernel = join("key_position_kernel", "value_position_kernel")
            bias = (ops.matmul(features, kernel) + bias)[:, None]
            w = w._replace(position_bias=bias)
        else:
            w = w._replace(row_bias=bias)
        if training and self._hidden_mask is not None:
            w = w._replace(hidden_mask=at_least_float32(self._hidden_mask))
        if training and self._attention_mask is not None:
            mask = at_least_float32(self._attention_mask)
            w = w._replace(attention_mask=mask)
        return w

    def get_recurrent_dropout_mask(self, step_input: Any) -> Any:
        # keras.layers.RNN calls this before the loop: also for attention.
        if self.attention_dropout > 0 and self._attention_mask is None:
            shape = (
                self.window_size,
                ops.shape(step_input)[0],
                self.num_heads,
            )
            self._attention_mask = keras.random.dropout(
                ops.ones(shape, step_input.dtype),
                self.attention_dropout,
                seed=self.seed_generator,
            )
        self._hidden_mask = super().get_recurrent_dropout_mask(step_input)
        return self._hidden_mask

    def reset_recurrent_dropout_mask(self) -> None:
        self._hidden_mask = self._attention_mask = None
        super().reset_recurrent_dropout_mask()

    def call(
        self, inputs: Any, states: Any, training: bool = False
    ) -> tuple[Any, list[Any]]:
        if training:
            mask = self.get_dropout_mask(inputs)
            if mask is not None:
                inputs = inputs * mask
            self.get_recurrent_dropout_mask(states[0])
        settings = self.settings()._replace(one_step=True)
        w = with_constants(self.tensors(training), settings)
        inputs = at_least_float32(ops.cast(inputs, self.compute_dtype))
        hidden, cell, window, empty = self.unpack(states, empty_slot=-1.0)
        weight = None
        if self.normalization == "batch":  # of the layer, by moving averages
            weight = ops.ones_like(hidden[:, :1])
        done = step(
            w,
            settings,
            drive(w, inputs),
            hidden,
            cell,
            finish_rows(w, settings, window),
            empty,
            weight,
        )
        window = ops.concatenate([window[1:], done.row[None]], axis=0)
        empty = ops.concatenate([empty[1:], ops.zeros_like(empty[:1])], axis=0)
        return (
            ops.cast(done.hidden, self.compute_dtype),
            self.pack(done.hidden, done.cell, window, empty),
        )

    def unpack(
        self, states: Any, empty_slot: float = EMPTY
    ) -> tuple[Any, Any, Any, Any]:
        """Flat states (batch, ...) to hidden, cell, window, empty slots."""
        hidden, cell, window, filled = map(at_least_float32, states)
        window = ops.reshape(window, (-1, self.window_size, 2 * self.units))
        window = ops.transpose(window, (1, 0, 2))
        empty = ops.where(filled[:, :-1] > 0.5, 0.0, empty_slot)
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
