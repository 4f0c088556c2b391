"""GainModulatedNeuron: a recurrent controller sets each neuron's activation."""

import math
import types
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_positive_integer
from keras_seqattn.layers._initializers import stacked_initializer
from keras_seqattn.layers._masked_order import MaskedOrder
from keras_seqattn.layers._masked_order import last_rows
from keras_seqattn.layers._modulation import Modulation
from keras_seqattn.layers._neuronwise_cell import _NeuronwiseCell
from keras_seqattn.layers._recurrent_layer import RecurrentLayer

# The weights with an initializer and a regularizer of their own.
_WEIGHTS = (
    *("kernel", "bias"),
    *("controller_kernel", "controller_recurrent", "controller_bias"),
    *("head_kernel", "head_bias"),
)
_KINDS = (
    ("initializer", keras.initializers),
    ("regularizer", keras.regularizers),
)
_CONTROLLERS = {
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
    "rnn": keras.layers.SimpleRNN,
}


@keras.saving.register_keras_serializable(package="keras_seqattn")
class GainModulatedNeuronCell(keras.layers.Layer):
    """One step of `GainModulatedNeuron`.

    For `keras.layers.RNN`, `Bidirectional` and `StackedRNNCells`, and for
    streaming with explicit states. The layer computes the same for a whole
    sequence, several times faster, and describes it.

    Reference:
        As `GainModulatedNeuron`.

    Args:
        units: As in `GainModulatedNeuron`, like all other arguments.
        controller_units: See there.
        controller: See there.
        activation: See there.
        modulated: See there.
        controller_input: See there.
        shared_controller: See there.
        lag: See there.
        first_step: See there.
        connection: See there.
        signed: See there.
        resting_values: See there.
        use_bias: See there.
        unit_forget_bias: See there.
        kernel_initializer, bias_initializer: See there.
        controller_kernel_initializer, controller_recurrent_initializer: See
            there.
        controller_bias_initializer: See there.
        head_kernel_initializer, head_bias_initializer: See there.
        kernel_regularizer, bias_regularizer: See there.
        controller_kernel_regularizer, controller_recurrent_regularizer: See
            there.
        controller_bias_regularizer: See there.
        head_kernel_regularizer, head_bias_regularizer: See there.
        **kwargs: `name`, `dtype`, `trainable`, as in every Keras layer.

    Call arguments:
        inputs: Float tensor of shape `(batch, features)`.
        states: List of tensors: output `(batch, units)`; the controllers'
            states `(batch, controllers * controller_units)`, two for an LSTM,
            else one; with `lag` above 0 what the last `lag` steps computed
            `(batch, lag * controllers * parameters)`, as differences from
            rest, oldest first; and unless `first_step="regular"` whether
            there was a step before `(batch, 1)`. All zeros is the state
            before the first step. There are `units` controllers, or one
            where all see the same input and have the same weights.
        training: Python boolean, without effect.

    Input shape:
        `(batch, features)`.

    Output shape:
        `(batch, units)`, and the list of new states.

    Masking:
        `keras.layers.RNN` leaves state and output of a masked step as they
        were.

    Raises:
        ValueError: As in `GainModulatedNeuron`.

    Example:
    ```python
    import keras
    import numpy as np
    import keras_seqattn as ks

    cell = ks.layers.GainModulatedNeuronCell(5, controller_units=8)
    signal = np.random.default_rng(0).normal(size=(2, 30, 7))
    print(tuple(keras.layers.RNN(cell)(signal).shape))  # (2, 5)

    # Step by step.
    state = cell.get_initial_state(batch_size=2)
    for step in range(30):
        output, state = cell(signal[:, step], state)
    print(tuple(output.shape))  # (2, 5)
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
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        given = locals()
        self.units = check_positive_integer("units", units)
        self.controller_units = check_positive_integer(
            "controller_units", controller_units
        )
        self.controller = check_choice("controller", controller, _CONTROLLERS)
        if isinstance(activation, dict):
            activation = keras.saving.deserialize_keras_object(activation)
        self.modulation = Modulation(
            activation, modulated, resting_values, signed
        )
        self.controller_input = check_choice(
            "controller_input",
            controller_input,
            ("preactivation", "input", "input_and_output"),
        )
        self.shared_controller = bool(shared_controller)
        self.lag = check_choice("lag", lag, (0, 1, 2))
        self.first_step = check_choice(
            "first_step", first_step, ("regular", "skip", "wrap")
        )
        self.connection = check_choice(
            "connection", connection, ("dense", "one_to_one")
        )
        self.use_bias = bool(use_bias)
        self.unit_forget_bias = bool(unit_forget_bias)
        for kind, module in _KINDS:
            for weight in _WEIGHTS:
                name = f"{weight}_{kind}"
                setattr(self, name, module.get(given[name]))

        # All neurons that see the same input, with the same weights, have the
        # same parameters: computed once.
        self._common = (
            self.shared_controller
            and self.controller_input == "input"
            and self.connection == "dense"
        )
        self.controllers = 1 if self._common else self.units
        # A Keras layer, for its fast path; its cell is for single steps.
        self.network = self._make_network()
        self._network_states = 2 if controller == "lstm" else 1
        self._parameter_count = len(self.modulation.modulated)
        self.output_size = self.units
        # The first state is the output.
        self.state_size = [
            self.units,
            *[self.controllers * self.controller_units] * self._network_states,
            *[self.lag * self.controllers * self._parameter_count] * bool(lag),
            *[1] * (self.first_step != "regular"),
        ]

    def _make_network(self) -> keras.layers.RNN:
        options = {
            f"{weight}_{kind}": getattr(self, f"controller_{weight}_{kind}")
            for kind, _ in _KINDS
            for weight in ("kernel", "recurrent", "bias")
        }
        returns = {"return_sequences": True, "return_state": True}
        if self.shared_controller:
            if self.controller == "lstm":
                options["unit_forget_bias"] = self.unit_forget_bias
            if self.controller != "rnn" and _is_torch_on_cpu():
                # Keras' other path for torch fills a gradient of the whole
                # sequence at every step: its plain loop is 5 times faster.
                options["use_cudnn"] = False
            return _CONTROLLERS[self.controller](
                self.controller_units,
                dtype=self.dtype_policy,
                name="controller",
                **options,
                **returns,
            )
        cell = _NeuronwiseCell(
            self.controller,
            self.controller_units,
            self.units,
            unit_forget_bias=self.unit_forget_bias,
            dtype=self.dtype_policy,
            name="cell",
            **options,
        )
        return keras.layers.RNN(
            cell, dtype=self.dtype_policy, name="controller", **returns
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        name = type(self).__name__
        if not features:
            raise ValueError(
                f"`{name}` needs at least one feature and a fixed number of "
                "them (last axis). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        if self.connection == "one_to_one":
            if features != self.units:
                raise ValueError(
                    "With `connection='one_to_one'` every neuron sees one "
                    "feature, so there must be as many features as units. "
                    f"Received: units={self.units}, "
                    f"input_shape={tuple(input_shape)}"
                )
            kernel, bias = (1, 1), (1,)
        else:
            kernel, bias = (features, self.units), (self.units,)
        self.kernel = self._add("kernel", kernel)
        if self.use_bias:
            self.bias = self._add("bias", bias)
        width = 1 if self.controller_input == "preactivation" else kernel[0]
        width += self.controller_input == "input_and_output"
        if not self.shared_controller:
            width *= self.units
        self.network.build((None, None, width))
        neurons = () if self.shared_controller else (self.units,)
        self.head_kernel = self._add(
            "head_kernel",
            (*neurons, self.controller_units, self._parameter_count),
        )
        self.head_bias = self._add(
            "head_bias", (*neurons, self._parameter_count)
        )

    def _add(self, name: str, shape: tuple[int, ...]) -> Any:
        initializer = getattr(self, f"{name}_initializer")
        if name.startswith("head") and not self.shared_controller:
            initializer = stacked_initializer(initializer, self.units)
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            regularizer=getattr(self, f"{name}_regularizer"),
        )

    def drive(self, x: Any) -> Any:
        """Inputs (..., features) to pre-activations (..., units)."""
        a = (
            x * self.kernel[0]
            if self.connection == "one_to_one"
            else ops.matmul(x, self.kernel)
        )
        return a + self.bias if self.use_bias else a

    def controller_inputs(self, x: Any, a: Any, y: Any = None) -> Any:
        """What each controller sees, (..., controllers, width)."""
        if self.controller_input == "preactivation":
            return a[..., None]
        if self.connection == "one_to_one":
            seen = x[..., None]
        else:
            seen = x[..., None, :]
            if not self._common:
                seen = ops.repeat(seen, self.units, axis=-2)
        if self.controller_input == "input":
            return seen
        return ops.concatenate([seen, y[..., None]], axis=-1)

    # Controllers with the same weights lie in the batch. Those with weights
    # of their own lie in the features, where their cell tells them apart.

    def _fold(self, u: Any) -> Any:
        """(batch, time, controllers, width) to what the network takes."""
        time, width = ops.shape(u)[1], u.shape[-1]
        if self.shared_controller:
            u = ops.transpose(u, (0, 2, 1, 3))
            return ops.reshape(u, (-1, time, width))
        return ops.reshape(u, (-1, time, self.controllers * width))

    def _fold_states(self, states: list[Any]) -> list[Any]:
        states = self.network_states(states)
        if not self.shared_controller:
            return states
        return [ops.reshape(s, (-1, self.controller_units)) for s in states]

    def _fold_mask(self, mask: Any) -> Any:
        if not self.shared_controller:
            return mask
        time = ops.shape(mask)[1]
        mask = ops.repeat(mask[:, None], self.controllers, axis=1)
        return ops.reshape(mask, (-1, time))

    def _unfold_states(self, states: Any) -> list[Any]:
        width = self.controllers * self.controller_units
        return [ops.reshape(s, (-1, width)) for s in states]

    def _read_head(self, hidden: Any) -> Any:
        """Folded (..., time, width) to (batch, time, controllers, P)."""
        time = ops.shape(hidden)[1]
        if self.shared_controller:
            # Rank 2: in a loop, XLA on TensorFlow has no gradient of more.
            hidden = ops.reshape(hidden, (-1, self.controller_units))
            raw = ops.matmul(hidden, self.head_kernel) + self.head_bias
            shape = (-1, self.controllers, time, self._parameter_count)
            return ops.transpose(ops.reshape(raw, shape), (0, 2, 1, 3))
        shape = (-1, time, self.controllers, self.controller_units)
        hidden = ops.reshape(hidden, shape)
        raw = ops.einsum("btnh,nhp->btnp", hidden, self.head_kernel)
        return raw + self.head_bias

    def control(
        self, u: Any, states: list[Any], mask: Any = None, single: bool = False
    ) -> tuple[Any, list[Any]]:
        """Run the controllers over (batch, time, controllers, width).

        Args:
            u: What they see, from `controller_inputs`.
            states: The cell's, before the first of these steps.
            mask: Optional boolean tensor (batch, time), whether they step.
            single: Whether it is one step within a loop.

        Returns:
            What they compute, as differences from rest, (batch, time,
            controllers, parameters), and their new states.
        """
        if self.first_step == "skip":
            later = ops.logical_not(self._is_first(states, ops.shape(u)[1]))
            mask = later if mask is None else ops.logical_and(mask, later)
        folded, before = self._fold(u), self._fold_states(states)
        if single:
            hidden, after = self.network.cell(folded[:, 0], before)
            if mask is not None:
                keep = self._fold_mask(mask)
                after = [
                    ops.where(keep, new, old)
                    for new, old in zip(after, before, strict=True)
                ]
            hidden = hidden[:, None]
        else:
            hidden, *after = self.network(
                folded,
                initial_state=before,
                mask=None if mask is None else self._fold_mask(mask),
            )
        raw = self._read_head(hidden)
        if mask is not None:
            raw = ops.where(mask[:, :, None, None], raw, 0)
        return raw, self._unfold_states(after)

    def _is_first(self, states: list[Any], time: Any) -> Any:
        """(batch, time): whether nothing came before this step."""
        return ops.logical_and(states[-1] < 0.5, ops.arange(time)[None] == 0)

    def in_effect(self, raw: Any, states: list[Any]) -> tuple[Any, Any]:
        """Delay by the lag what was computed.

        Args:
            raw: As `control` returns it.
            states: The cell's, before the first of these steps.

        Returns:
            What is in effect, of the same shape; and what was computed, with
            the `lag` steps before: (batch, lag + time, ...).
        """
        queue = raw
        if self.lag:
            shape = (-1, self.lag, self.controllers, self._parameter_count)
            before = states[1 + self._network_states]
            before = ops.reshape(before, shape)
            queue = ops.concatenate([before, raw], axis=1)
        time = ops.shape(raw)[1]
        effective = queue[:, :time]
        if self.first_step == "wrap":
            first = self._is_first(states, time)[:, :, None, None]
            effective = ops.where(first, raw, effective)
        return effective, queue

    def step(
        self, inputs: Any, states: list[Any]
    ) -> tuple[Any, Any, list[Any]]:
        """One step: output, what was computed, and the new states."""
        a = self.drive(inputs)
        u = self.controller_inputs(inputs, a, states[0])
        raw, network = self.control(u[:, None], states, single=True)
        effective, queue = self.in_effect(raw, states)
        output = self.modulation.activate(
            a, self.modulation.values(effective[:, 0])
        )
        stepped = ops.ones_like(output[:, :1])
        states = self.pack(output, network, queue[:, 1:], stepped)
        return output, raw[:, 0], states

    def pack(
        self, output: Any, network: list[Any], queue: Any, stepped: Any
    ) -> list[Any]:
        """The states after a step, or after several if `stepped`."""
        states = [output, *network]
        if self.lag:
            width = self.lag * self.controllers * self._parameter_count
            states.append(ops.reshape(queue, (-1, width)))
        if self.first_step != "regular":
            states.append(stepped)
        return states

    def network_states(self, states: list[Any]) -> list[Any]:
        """Those of the states that are the controllers'."""
        return states[1 : 1 + self._network_states]

    def call(
        self, inputs: Any, states: Any, training: bool = False
    ) -> tuple[Any, list[Any]]:
        inputs = ops.cast(inputs, self.compute_dtype)
        output, _, states = self.step(inputs, list(states))
        return output, states

    def get_initial_state(self, batch_size: int | None = None) -> list[Any]:
        return [
            ops.zeros((batch_size, size), dtype=self.compute_dtype)
            for size in self.state_size
        ]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "controller_units": self.controller_units,
            "controller": self.controller,
            **self.modulation.get_config(),
            "controller_input": self.controller_input,
            "shared_controller": self.shared_controller,
            "lag": self.lag,
            "first_step": self.first_step,
            "connection": self.connection,
            "use_bias": self.use_bias,
            "unit_forget_bias": self.unit_forget_bias,
            **{
                f"{weight}_{kind}": module.serialize(
                    getattr(self, f"{weight}_{kind}")
                )
                for kind, module in _KINDS
                for weight in _WEIGHTS
            },
        }


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
            dtype=kwargs.get("dtype"),
            trainable=kwargs.get("trainable", True),
            name="cell",
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
        self._check_sequences(sequences, mask)
        if initial_state is not None:
            initial_state = self._check_state(initial_state)
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

        # Keras' loop on JAX wants the output to be the first state.
        def step(x: Any, states: list[Any]) -> tuple[Any, list[Any]]:
            states = [states[0][:, : cell.units], *states[1:]]
            y, raw, states = cell.step(x, states)
            both = ops.concatenate(
                [y, ops.reshape(raw, (-1, shape[0] * shape[1]))], axis=-1
            )
            return both, [both, *states[1:]]

        loop = types.SimpleNamespace(
            cell=step,
            stateful=self.stateful,
            go_backwards=False,
            unroll=self.unroll,
            zero_output_for_mask=False,
            return_sequences=True,
        )
        first = ops.pad(states[0], ((0, 0), (0, shape[0] * shape[1])))
        _, outputs, states = keras.layers.RNN.inner_loop(
            loop, sequences, [first, *states[1:]], mask
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


def _is_torch_on_cpu() -> bool:
    if keras.backend.backend() != "torch":
        return False
    import torch

    return not torch.cuda.is_available()


def _newest(x: Any, order: MaskedOrder | None, count: int) -> Any:
    """The last `count` of the rows (batch, time, ...) that count."""
    if order is None or count == 0:
        return x[:, ops.shape(x)[1] - count :]
    x = ops.reshape(x, (*ops.shape(x)[:2], math.prod(x.shape[2:])))
    x = last_rows(ops.transpose(x, (1, 0, 2)), order, count)
    return ops.transpose(x, (1, 0, 2))
