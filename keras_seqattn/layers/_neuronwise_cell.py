"""Many small recurrent networks side by side, each with its own weights."""

from typing import Any

import keras
from keras import ops

from keras_seqattn.layers._initializers import stacked_initializer

_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


class _NeuronwiseCell(keras.layers.Layer):
    """One Keras `LSTMCell`, `GRUCell` or `SimpleRNNCell` for every neuron.

    Their equations and order of gates are Keras' (with `reset_after=True`).
    Weights have a leading axis of neurons; inputs `(batch, neurons *
    features)` and states `(batch, neurons * units)` are flat, as
    `keras.layers.RNN` wants them.
    """

    def __init__(
        self,
        kind: str,
        units: int,
        neurons: int,
        kernel_initializer: Any,
        recurrent_initializer: Any,
        bias_initializer: Any,
        unit_forget_bias: bool,
        kernel_regularizer: Any,
        recurrent_regularizer: Any,
        bias_regularizer: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.units = units
        self.neurons = neurons
        self.unit_forget_bias = unit_forget_bias
        self._initializers = {
            "kernel": kernel_initializer,
            "recurrent": recurrent_initializer,
            "bias": bias_initializer,
        }
        self._regularizers = {
            "kernel": kernel_regularizer,
            "recurrent": recurrent_regularizer,
            "bias": bias_regularizer,
        }
        self.output_size = neurons * units
        self.state_size = [self.output_size] * (2 if kind == "lstm" else 1)

    def build(self, input_shape: Any) -> None:
        features = input_shape[-1] // self.neurons
        width = _GATES[self.kind] * self.units
        self.kernel = self._add("kernel", (features, width), "kernel")
        self.recurrent_kernel = self._add(
            "recurrent_kernel", (self.units, width), "recurrent"
        )
        bias = (2, width) if self.kind == "gru" else (width,)
        self.bias = self._add("bias", bias, "bias")

    def _add(self, name: str, shape: tuple[int, ...], group: str) -> Any:
        draw = stacked_initializer(self._initializers[group], self.neurons)

        def draw_open(shape: Any, dtype: Any = None) -> Any:
            # Gates: input, forget, candidate, output.
            bias, i = draw(shape, dtype), self.units
            ones = ops.ones((self.neurons, i), dtype)
            return ops.concatenate(
                [bias[:, :i], ones, bias[:, 2 * i :]], axis=1
            )

        is_open = (
            group == "bias" and self.kind == "lstm" and self.unit_forget_bias
        )
        return self.add_weight(
            name=name,
            shape=(self.neurons, *shape),
            initializer=draw_open if is_open else draw,
            regularizer=self._regularizers[group],
        )

    def call(self, inputs: Any, states: Any) -> tuple[Any, list[Any]]:
        def apply(x: Any, width: int, kernel: Any) -> Any:
            x = ops.reshape(x, (-1, self.neurons, width))
            return ops.einsum("bnd,ndk->bnk", x, kernel)

        features = inputs.shape[-1] // self.neurons
        z = apply(inputs, features, self.kernel)
        recurrent = apply(states[0], self.units, self.recurrent_kernel)
        state = [ops.reshape(s, (-1, self.neurons, self.units)) for s in states]
        if self.kind == "lstm":
            i, f, g, o = ops.split(z + recurrent + self.bias, 4, axis=-1)
            cell = ops.sigmoid(f) * state[1] + ops.sigmoid(i) * ops.tanh(g)
            new = [ops.sigmoid(o) * ops.tanh(cell), cell]
        elif self.kind == "gru":
            keep_x, reset_x, x = ops.split(z + self.bias[:, 0], 3, axis=-1)
            keep_h, reset_h, h = ops.split(
                recurrent + self.bias[:, 1], 3, axis=-1
            )
            keep = ops.sigmoid(keep_x + keep_h)
            x = ops.tanh(x + ops.sigmoid(reset_x + reset_h) * h)
            new = [keep * state[0] + (1 - keep) * x]
        else:
            new = [ops.tanh(z + recurrent + self.bias)]
        new = [ops.reshape(s, (-1, self.output_size)) for s in new]
        return new[0], new
