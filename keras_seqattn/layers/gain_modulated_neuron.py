"""GainModulatedNeuron: a recurrent controller sets each neuron's activation."""

import math
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._keras_internals import loop_over_steps
from keras_seqattn.layers._masked_order import MaskedOrder
from keras_seqattn.layers._masked_order import last_rows
from keras_seqattn.layers._recurrent_layer import RecurrentLayer
from keras_seqattn.layers._recurrent_layer import cell_options
from keras_seqattn.layers.gain_modulated_neuron_cell import (
    GainModulatedNeuronCell,
)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class GainModulatedNeuron(RecurrentLayer):
    """Neurons whose activation a recurrent controller modulates in time.

    Each neuron has a controller, a small recurrent network, that sets the
    gain of its activation function (or its threshold, its softness) step by
    step. What the neuron remembers is there: nothing else connects one step
    with the next, and no neuron with another. All controllers share their
    weights; each has a state of its own.

    With input `x_t`, output `y_t`, for each neuron `n`:

    ```
    a_t = x_t W_n + b_n                      pre-activation
    h_t = controller(u_t, h_(t-1))           u_t = a_t, x_t, or [x_t, y_(t-1)]
    p_t = rest + (h_t W_head + b_head)       gain, threshold: as it is
        = 0.05 + softplus(... + c)           softness, n
        = sigmoid(... + c)                   s
    e_t = p_(t-lag), or rest before there is one
    y_t = activation(a_t, e_t)
    ```

    with `c` such that 0 stands for rest. The head begins with zeros, so that
    at first every parameter has its resting value. Unless the outputs are fed
    back, the controllers of all neurons run as one `keras.layers.LSTM` (or
    GRU, SimpleRNN) over the whole sequence, with the neurons in the batch.

    Take it when each value comes on a feature of its own, is kept for long,
    and the input may be noisier, shifted or scaled than in training; where
    it is not, an LSTM recalls as well and trains faster
    (`docs/when_to_take_which.md`).

    Reference:
        The gain-modulated neurons of [LSTM_MemoryTask](
        https://github.com/lauraflyra/LSTM_MemoryTask). The closest published
        model, with `activation="adaptive"` and `lag=0`: [Geadah et al., PLoS
        Comput. Biol. 2024](https://doi.org/10.1371/journal.pcbi.1012567). The
        original has three timings: see `first_step`.

    Weights:
        `kernel` (features, units), `bias` (units,), with
        `connection="one_to_one"` (1, 1) and (1,); those of the controller, as
        in Keras' layer; `head_kernel` (controller_units, parameters),
        `head_bias` (parameters,). With `shared_controller=False` controller
        and head have a leading axis of neurons.

    Args:
        units: Positive integer, number of neurons.
        controller_units: Positive integer, width of a controller. Default:
            64.
        controller: `"lstm"` (default), `"gru"` or `"rnn"`.
        activation: `"gain_softplus"` (default), `"adaptive"`
            (`activations.adaptive_softplus_sigmoid`), or a registered
            function of the pre-activation and, by name, of the parameters.
        modulated: Names of the parameters that are modulated, out of `gain`,
            `threshold` and `softness`, or `n` and `s`. Default: `("gain",)`
            and `("n", "s")`. A function of yours needs it.
        controller_input: What a controller sees: the `"preactivation"` of its
            neuron (default), the `"input"`, or `"input_and_output"`, the
            input and the neuron's last output. The last one needs a loop over
            steps, and takes several times as long.
        shared_controller: Whether all controllers have the same weights.
            Default: `True`.
        lag: 0, 1 (default) or 2: how many steps pass until what a controller
            computes is in effect.
        first_step: `"regular"` (default); or as in the original `"skip"`,
            where the controllers sleep through the first step (its one
            neuron, with `lag` 1; with 0 its adaptive one), or `"wrap"`, where
            the first step is governed by its own parameters (its factorial
            and additive networks, with `lag=2`).
        connection: `"dense"` (default), or `"one_to_one"`: neuron `n` sees
            feature `n` alone, through one weight and bias that all share.
        signed: Whether every parameter may take any value, as in the
            original. Near softness 0 (or `n` 0) outputs leap. Default:
            `False`.
        resting_values: Numbers by the name of a parameter. Those that are not
            modulated keep theirs. Default: 1, but `s` 0.5.
        use_bias: Whether pre-activations have a bias. Default: `True`.
        unit_forget_bias: Whether the forget gate's bias of an LSTM begins at
            1. Default: `True`; the original has `False`.
        kernel_initializer, bias_initializer: Of the pre-activation. Default:
            `"glorot_uniform"`, `"zeros"`.
        controller_kernel_initializer, controller_recurrent_initializer,
            controller_bias_initializer: Of the controllers. Default: Keras',
            `"glorot_uniform"`, `"orthogonal"`, `"zeros"`.
        head_kernel_initializer, head_bias_initializer: Of the head. Default:
            `"zeros"`, so that all parameters begin at rest.
        kernel_regularizer, bias_regularizer, controller_kernel_regularizer,
            controller_recurrent_regularizer, controller_bias_regularizer,
            head_kernel_regularizer, head_bias_regularizer: Of the same.
        return_sequences: Whether to return every step's output, or the last
            one's. Default: `True`.
        return_state: Whether to return the last states too. Default: `False`.
        go_backwards: Whether to run from the last step to the first.
        stateful: Whether a batch begins with the states that the batch
            before ended with.
        unroll: Whether to unroll the loop over the steps.
        zero_output_for_mask: Whether outputs of masked steps are zeros.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        sequences: Float tensor of shape `(batch, time, features)`.
        initial_state: List of tensors, as `return_state=True` returns and
            `GainModulatedNeuronCell` describes.
        mask: Optional boolean tensor of shape `(batch, time)`, `True` where a
            step counts. Keras passes the mask of the layer before.
        training: Python boolean, without effect.
        return_modulation: Python boolean. If `True`, the parameters computed
            at each step and those in effect follow the output. Default:
            `False`.

    Input shape:
        `(batch, time, features)`. The time axis may be free (`None`).

    Output shape:
        `(batch, time, units)`, with `return_sequences=False` `(batch,
        units)`. With `return_modulation=True` also twice `(batch, time,
        units, parameters)`, in the order of `modulated`: computed, and in
        effect (with `return_sequences=False` the last step's, without the
        time axis). With `return_state=True` also the states.

    Masking:
        A masked step changes no state, whatever it holds, NaN too, and gets
        no gradient; it does not count for the lag. Its output is the one
        before it (before the first step: the initial one, 0), or zeros; its
        modulation is 0. NaN in a step that counts shows in that sequence's
        outputs.

    Raises:
        ValueError: An argument out of its range, a parameter that the
            activation does not have, a resting value out of bounds, an input
            that is not of rank 3, an unknown number of features, with
            `connection="one_to_one"` one that is not `units`, a time axis of
            length 0, or a mask that is not `(batch, time)`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    signal = np.random.default_rng(0).normal(size=(2, 30, 7))
    layer = ks.layers.GainModulatedNeuron(5, controller_units=8)
    output, computed, in_effect = layer(signal, return_modulation=True)
    print(tuple(output.shape), tuple(in_effect.shape))
    # (2, 30, 5) (2, 30, 5, 1)
    ```
    """

    def __init__(
        self,
        units: int,
        controller_units: int = 64,
        controller: str = "lstm",
        activation: str | Callable[..., Any] = "gain_softplus",
        modulated: Sequence[str] | None = None,
        controller_input: str = "preactivation",
        shared_controller: bool = True,
        lag: int = 1,
        first_step: str = "regular",
        connection: str = "dense",
        signed: bool = False,
        resting_values: dict[str, float] | None = None,
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        controller_kernel_initializer: Any = "glorot_uniform",
        controller_recurrent_initializer: Any = "orthogonal",
        controller_bias_initializer: Any = "zeros",
        head_kernel_initializer: Any = "zeros",
        head_bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        controller_kernel_regularizer: Any = None,
        controller_recurrent_regularizer: Any = None,
        controller_bias_regularizer: Any = None,
        head_kernel_regularizer: Any = None,
        head_bias_regularizer: Any = None,
        return_sequences: bool = True,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = GainModulatedNeuronCell(
            units=units,
            controller_units=controller_units,
            controller=controller,
            activation=activation,
            modulated=modulated,
            controller_input=controller_input,
            shared_controller=shared_controller,
            lag=lag,
            first_step=first_step,
            connection=connection,
            signed=signed,
            resting_values=resting_values,
            use_bias=use_bias,
            unit_forget_bias=unit_forget_bias,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            controller_kernel_initializer=controller_kernel_initializer,
            controller_recurrent_initializer=controller_recurrent_initializer,
            controller_bias_initializer=controller_bias_initializer,
            head_kernel_initializer=head_kernel_initializer,
            head_bias_initializer=head_bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            controller_kernel_regularizer=controller_kernel_regularizer,
            controller_recurrent_regularizer=controller_recurrent_regularizer,
            controller_bias_regularizer=controller_bias_regularizer,
            head_kernel_regularizer=head_kernel_regularizer,
            head_bias_regularizer=head_bias_regularizer,
            **cell_options("cell", kwargs),
        )
        cell.network.unroll = unroll
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
        return_modulation: bool = False,
    ) -> Any:
        mask = self._check_sequences(sequences, mask)
        if initial_state is not None:
            initial_state = self._check_state(initial_state, sequences)
        elif self.stateful and self.states is not None:
            self._check_state(self.states, sequences)
        # Keras' own call takes what `inner_loop` returns for the output.
        result = super().call(sequences, initial_state, mask, training)
        result, *states = result if self.return_state else [result]
        units, parameters = self.cell.units, len(self.cell.modulation.modulated)
        output = result[..., :units]
        if not return_modulation:
            return (output, *states) if states else output
        shape: tuple[Any, ...] = (-1, 2, units, parameters)
        if self.return_sequences:
            shape = (-1, ops.shape(result)[1], *shape[1:])
        modulation = ops.reshape(result[..., units:], shape)
        return (
            output,
            modulation[..., 0, :, :],
            modulation[..., 1, :, :],
            *states,
        )

    def inner_loop(
        self,
        sequences: Any,
        initial_state: Any,
        mask: Any,
        training: bool = False,
    ) -> tuple[Any, Any, list[Any]]:
        """Keras' hook: last output, outputs and last states.

        An output is followed by the parameters computed and in effect.
        """
        cell, states = self.cell, self._own_states(initial_state)
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        order = None if mask is None else MaskedOrder(mask)
        counts = None
        if order is not None:
            sequences = order.to_front(sequences)
            counts = order.counts()

        feedback = cell.controller_input == "input_and_output"
        if feedback:
            y, raw, network = self._loop(sequences, states, counts)
        else:
            a = cell.drive(sequences)
            u = cell.controller_inputs(sequences, a)
            raw, network = cell.control(u, states, counts)
        effective, queue = cell.in_effect(raw, states)
        computed = cell.modulation.values(raw)
        effective = cell.modulation.values(effective)
        if not feedback:
            y = cell.modulation.activate(a, effective)

        modulation = ops.stack([computed, effective], axis=2)
        modulation = modulation + ops.zeros_like(y)[:, :, None, :, None]
        width = 2 * cell.units * len(cell.modulation.modulated)
        modulation = ops.reshape(modulation, (-1, ops.shape(y)[1], width))
        outputs = ops.concatenate([y, modulation], axis=-1)
        # In front, what there was before the first step.
        before = ops.pad(states[0], ((0, 0), (0, width)))
        outputs = ops.concatenate([before[:, None], outputs], axis=1)
        last = _newest(outputs, order, 1)[:, 0]
        new = cell.pack(
            last[:, : cell.units],
            network,
            _newest(queue, order, cell.lag),
            self._stepped(states, order),
        )
        if order is None:
            return last, outputs[:, 1:], new
        y = outputs[..., : cell.units]
        y = order.to_steps(y, self.zero_output_for_mask)
        modulation = order.to_steps(outputs[..., cell.units :], zeros=True)
        return last, ops.concatenate([y, modulation], axis=-1), new

    def _stepped(self, states: list[Any], order: MaskedOrder | None) -> Any:
        """(batch, 1): 1 after a step that counts."""
        if order is None:
            return ops.ones_like(states[0][:, :1])
        now = ops.cast(order.total > 0, states[0].dtype)[:, None]
        return ops.maximum(states[-1], now)

    def _loop(
        self, sequences: Any, states: list[Any], mask: Any
    ) -> tuple[Any, Any, list[Any]]:
        """Step by step: outputs, what was computed, the network's states."""
        cell = self.cell
        shape = (cell.controllers, len(cell.modulation.modulated))

        # On JAX the output must look like the first state.
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            states = [states[0][:, : cell.units], *states[1:]]
            y, raw, states = cell.step(x, states)
            both = ops.concatenate(
                [y, ops.reshape(raw, (-1, shape[0] * shape[1]))], axis=-1
            )
            return both, [both, *states[1:]]

        first = ops.pad(states[0], ((0, 0), (0, shape[0] * shape[1])))
        outputs, states = loop_over_steps(
            step,
            sequences,
            [first, *states[1:]],
            mask,
            stateful=self.stateful,
            unroll=self.unroll,
        )
        raw = ops.reshape(
            outputs[..., cell.units :], (-1, ops.shape(outputs)[1], *shape)
        )
        return outputs[..., : cell.units], raw, cell.network_states(states)

    def compute_output_spec(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
        return_modulation: bool = False,
    ) -> Any:
        further = []
        if return_modulation:
            batch, time, _ = sequences.shape
            shape = (batch, time) if self.return_sequences else (batch,)
            parameters = len(self.cell.modulation.modulated)
            further = 2 * [(*shape, self.cell.units, parameters)]
        return self._output_specs(sequences, further)


def _newest(x: Any, order: MaskedOrder | None, count: int) -> Any:
    """The last `count` of the rows (batch, time, ...) that count."""
    if order is None or count == 0:
        return x[:, ops.shape(x)[1] - count :]
    x = ops.reshape(x, (*ops.shape(x)[:2], math.prod(x.shape[2:])))
    x = last_rows(ops.transpose(x, (1, 0, 2)), order, count)
    return ops.transpose(x, (1, 0, 2))
