"""One step of each layer that remembers, with its states as tensors.

Sequences keep their time axis, of length 1, so that the layers between need
no change. All states are `(batch, width)`, and zeros before the first step.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_seqattn._checks import check_positive_integer

StateSpec = tuple[int, str]


class StepLayer(keras.layers.Layer):
    """One step of a layer. It holds the layer itself, and so its weights.

    Args:
        layer: The layer, built.
    """

    def __init__(self, layer: keras.layers.Layer, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", layer.dtype_policy)
        super().__init__(**kwargs)
        self.layer = layer
        self.supports_masking = True

    @property
    def has_strides(self) -> bool:
        """Whether not every step has an output of its own."""
        return False

    def state_specs(self) -> list[StateSpec]:
        """Return width and type of each state."""
        raise NotImplementedError

    def call(self, inputs: Any, states: list[Any], masks: list[Any]) -> Any:
        """Return the output and the new states, as one tuple.

        Args:
            inputs: `(batch, 1, features)`.
            states: List of `(batch, width)`.
            masks: List of booleans, `(batch,)` or `(batch, 1)`. Where one is
                `False` the states stay, and the output is the one before.
        """
        raise NotImplementedError

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        layer = keras.saving.serialize_keras_object(self.layer)
        # How a network was trained is nothing to its steps.
        layer.pop("compile_config", None)
        return {**super().get_config(), "layer": layer}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "StepLayer":
        layer = keras.saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


def _all(masks: Sequence[Any]) -> Any:
    """`(batch, 1)`, or `None` where all steps count."""
    found = None
    for mask in masks:
        mask = ops.reshape(mask, (-1, 1))
        found = mask if found is None else ops.logical_and(found, mask)
    return found


def _where(mask: Any, new: Any, old: Any) -> Any:
    return new if mask is None else ops.where(mask, new, old)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class RecurrentStep(StepLayer):
    """One step of a `keras.layers.RNN`: of an LSTM, a GRU, a LARNN, ..."""

    @property
    def _gives_zeros(self) -> bool:
        return bool(
            self.layer.zero_output_for_mask and self.layer.return_sequences
        )

    def state_specs(self) -> list[StateSpec]:
        specs = [
            (state.shape[-1], keras.backend.standardize_dtype(state.dtype))
            for state in keras.tree.flatten(self.layer.get_initial_state(1))
        ]
        if self._gives_zeros:  # What stands behind them is not in the states.
            cell = self.layer.cell
            specs.append((cell.output_size, self.compute_dtype))
        return specs

    def call(
        self,
        inputs: Any,
        states: list[Any],
        masks: list[Any],
        own_mask: Any = None,
    ) -> Any:
        """As in `StepLayer`.

        Args:
            inputs: `(batch, 1, features)`.
            states: List of `(batch, width)`.
            masks: As in `StepLayer`.
            own_mask: Of the model's own masks, that which the layer is
                called with.
        """
        cell, mask = self.layer.cell, _all(masks)
        counts = _all([*masks, *[own_mask] * (own_mask is not None)])
        states = list(states)
        before = states.pop() if self._gives_zeros else None
        sizes = cell.state_size
        sizes = list(sizes) if isinstance(sizes, (list, tuple)) else [sizes]
        output, new = cell(
            inputs[:, 0], keras.tree.pack_sequence_as(sizes, states)
        )
        # In Keras a cell's first state is its output. Where it is not, the
        # model and its twin differ, and `check_equal` says so.
        stacked = isinstance(cell, keras.layers.StackedRNNCells)
        last = len(keras.tree.flatten(sizes[-1])) if stacked else len(states)
        new = [
            _where(counts, *pair)
            for pair in zip(keras.tree.flatten(new), states, strict=True)
        ]
        if before is not None:
            if own_mask is not None:
                own = _all([own_mask])
                output = ops.where(own, output, ops.zeros_like(output))
            output = _where(mask, output, before)
            new.append(output)
        else:
            output = _where(counts, output, states[-last])
        return (
            output[:, None] if self.layer.return_sequences else output,
            *new,
        )


@keras.saving.register_keras_serializable(package="keras_seqattn")
class ConvolutionStep(StepLayer):
    """One step of a causal `keras.layers.Conv1D`.

    Its states: the inputs that the kernel will see again, the last output,
    and with strides the steps since then. Between two outputs it repeats the
    last one. With strides, the mask of the steps that have an output of their
    own follows the states.
    """

    @property
    def has_strides(self) -> bool:
        return self.layer.strides[0] > 1

    @property
    def _past(self) -> int:
        return (self.layer.kernel_size[0] - 1) * self.layer.dilation_rate[0]

    def state_specs(self) -> list[StateSpec]:
        features = self.layer.kernel.shape[1] * self.layer.groups
        widths = [self._past * features, self.layer.filters, self.has_strides]
        return [(int(width), self.compute_dtype) for width in widths if width]

    def call(self, inputs: Any, states: list[Any], masks: list[Any]) -> Any:
        layer, mask, states = self.layer, _all(masks), list(states)
        rows, new = inputs, []
        if self._past:
            before = ops.reshape(states[0], (-1, self._past, inputs.shape[-1]))
            rows = ops.concatenate([before, inputs], axis=1)
            new.append(ops.reshape(rows[:, 1:], (-1, states[0].shape[-1])))
        output = ops.conv(
            rows,
            ops.cast(layer.kernel, self.compute_dtype),
            padding="valid",
            dilation_rate=layer.dilation_rate[0],
            data_format="channels_last",
        )[:, 0]
        if layer.use_bias:
            output = output + ops.cast(layer.bias, self.compute_dtype)
        output = layer.activation(output)
        if self.has_strides:
            now = states[-1] < 0.5
            output = ops.where(now, output, states[-2])
            # Not by what is added: in 8 bits it ends where the state does.
            is_last = states[-1] > layer.strides[0] - 1.5
            later = ops.where(is_last, 0, states[-1] + 1)
            new += [output, later]
        else:
            new.append(output)
        new = [_where(mask, *pair) for pair in zip(new, states, strict=True)]
        output = new[-2 if self.has_strides else -1][:, None]
        if self.has_strides:
            return (output, *new, _all([now, *masks]))
        return (output, *new)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class BurstPropStep(StepLayer):
    """One step of a `BurstPropNetwork` in time, without a teacher."""

    def state_specs(self) -> list[StateSpec]:
        parts = keras.tree.flatten(self.layer.free_state(1))
        return [(part.shape[-1], self.layer.variable_dtype) for part in parts]

    def call(self, inputs: Any, states: list[Any], masks: list[Any]) -> Any:
        network, mask = self.layer, _all(masks)
        old = keras.tree.pack_sequence_as(network.free_state(1), list(states))
        output, state = network.free_step(inputs[:, 0], old)
        # The events of the last layer are the output.
        output = _where(mask, output, old["events"][-1])
        new = [
            _where(mask, *pair)
            for pair in zip(keras.tree.flatten(state), states, strict=True)
        ]
        return (output[:, None], *new)


@keras.saving.register_keras_serializable(package="keras_seqattn")
class Window(keras.layers.Layer):
    """The last steps as a sequence, oldest first.

    Until there have been as many, the first step stands for those missing.

    Args:
        size: Positive integer, how many steps.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # What passes through keeps its type.
        self.size = check_positive_integer("size", size)
        self.supports_masking = True

    def state_specs(self, inputs: Any) -> list[StateSpec]:
        """Return width and type of each state, for inputs like these."""
        width = self.size * math.prod(inputs.shape[2:])
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        # The second says whether there has been a step.
        return [(width, dtype), (1, "float32")][: min(self.size, 2)]

    def call(self, inputs: Any, states: list[Any], masks: list[Any]) -> Any:
        """Return `(batch, size, ...)` and the new states: a `StepLayer`."""
        mask, shape = _all(masks), (-1, self.size, *inputs.shape[2:])
        new = [ops.reshape(inputs, (-1, math.prod(inputs.shape[2:])))]
        if self.size > 1:
            width = new[0].shape[-1]
            later = ops.concatenate([states[0][:, width:], new[0]], axis=1)
            first = ops.tile(new[0], (1, self.size))
            rows = ops.where(states[1] > 0.5, later, first)
            new = [rows, ops.ones_like(states[1])]
        new = [_where(mask, *pair) for pair in zip(new, states, strict=True)]
        return (ops.reshape(new[0], shape), *new)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="keras_seqattn")
class OneStep(keras.layers.Layer):
    """A step as a sequence of length 1."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False

    def call(self, inputs: Any) -> Any:
        return inputs[:, None]


@keras.saving.register_keras_serializable(package="keras_seqattn")
class Newest(keras.layers.Layer):
    """The last step of a sequence."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False

    def call(self, inputs: Any) -> Any:
        return inputs[:, -1]
