"""GainModulatedNeuronCell: one step of `GainModulatedNeuron`."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._backend.capabilities import runs_plain_rnn_faster
from keras_seqattn._checks import check_choice
from keras_seqattn._checks import check_flag
from keras_seqattn._checks import check_positive_integer
from keras_seqattn.layers._folding import Folding
from keras_seqattn.layers._initializers import stacked_initializer
from keras_seqattn.layers._modulation import Modulation
from keras_seqattn.layers._neuronwise_cell import _NeuronwiseCell

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
        controller_units, controller, controller_input: See there.
        activation, modulated, signed, resting_values: See there.
        shared_controller, lag, first_step, connection: See there.
        use_bias, unit_forget_bias: See there.
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
        self.lag = check_choice("lag", lag, (0, 1, 2))
        self.first_step = check_choice(
            "first_step", first_step, ("regular", "skip", "wrap")
        )
        self.connection = check_choice(
            "connection", connection, ("dense", "one_to_one")
        )
        for name in ("shared_controller", "use_bias", "unit_forget_bias"):
            setattr(self, name, check_flag(name, given[name]))
        self._set_weight_options(given)
        # All neurons that see the same input, with the same weights, have the
        # same parameters: computed once.
        self._common = (
            self.shared_controller
            and self.controller_input == "input"
            and self.connection == "dense"
        )
        self.controllers = 1 if self._common else self.units
        self._folding = Folding(
            self.shared_controller, self.controllers, self.controller_units
        )
        # A Keras layer, for its fast path; its cell is for single steps.
        self.network = self._make_network()
        # From Keras 3.16 on it would warn that the mask ends there.
        self.network.supports_masking = True
        self._network_states = 2 if controller == "lstm" else 1
        self._parameter_count = len(self.modulation.modulated)
        self.output_size = self.units
        self.state_size = self._state_widths()

    def _set_weight_options(self, given: dict[str, Any]) -> None:
        for kind, module in _KINDS:
            for weight in _WEIGHTS:
                name = f"{weight}_{kind}"
                setattr(self, name, module.get(given[name]))

    def _state_widths(self) -> list[int]:
        # The first state is the output.
        queue = self.lag * self.controllers * self._parameter_count
        return [
            self.units,
            *[self.controllers * self.controller_units] * self._network_states,
            *[queue] * bool(self.lag),
            *[1] * (self.first_step != "regular"),
        ]

    def _make_network(self) -> keras.layers.RNN:
        options = {
            f"{weight}_{kind}": getattr(self, f"controller_{weight}_{kind}")
            for kind, _ in _KINDS
            for weight in ("kernel", "recurrent", "bias")
        }
        layer: dict[str, Any] = {
            "name": "controller",
            "dtype": self.dtype_policy,
        }
        layer |= {"return_sequences": True, "return_state": True}
        if self.shared_controller:
            if self.controller == "lstm":
                options["unit_forget_bias"] = self.unit_forget_bias
            if self.controller != "rnn" and runs_plain_rnn_faster():
                options["use_cudnn"] = False
            return _CONTROLLERS[self.controller](
                self.controller_units, **options, **layer
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
        return keras.layers.RNN(cell, **layer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        features = input_shape[-1]
        if not features:
            raise ValueError(
                f"`{type(self).__name__}` needs at least one feature and a "
                "fixed number of them (last axis). "
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
        x = ops.cast(x, self.compute_dtype)  # Integers may come.
        if self.connection == "one_to_one":
            a = x * self.kernel[0]
        else:
            a = ops.matmul(x, self.kernel)
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
        folded = self._folding.fold(u)
        before = self._folding.fold_states(self.network_states(states))
        if single:
            hidden, after = self.network.cell(folded[:, 0], before)
            if mask is not None:
                keep = self._folding.fold_mask(mask)
                after = [
                    ops.where(keep, new, old)
                    for new, old in zip(after, before, strict=True)
                ]
            hidden = hidden[:, None]
        else:
            hidden, *after = self.network(
                folded,
                initial_state=before,
                mask=None if mask is None else self._folding.fold_mask(mask),
            )
        raw = self._read_head(hidden)
        if mask is not None:
            raw = ops.where(mask[:, :, None, None], raw, 0)
        return raw, self._folding.unfold_states(after)

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
