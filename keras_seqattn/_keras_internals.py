"""What Keras does not publish, and this package cannot do without.

One file to read when Keras moves: all of it as in Keras 3.15.1.
"""

import types
from collections.abc import Callable
from typing import Any

import keras

# Not public, but the only way to have a mask drawn before the loop of
# keras.layers.RNN, as JAX needs it: RNN asks `isinstance` of this very class.
# To look again when RNN draws them another way.
from keras.src.layers.rnn.dropout_rnn_cell import (
    DropoutRNNCell as DropoutRNNCell,
)


def find_layers(model: keras.Layer) -> list[keras.Layer]:
    """Return a model and all layers within it, each once.

    `layers` alone does not know of cells, nor of layers within wrappers.
    """
    return model._flatten_layers()


def name_of(tensor: Any) -> str:
    """Return the name of the layer that a symbolic tensor comes from.

    A file keeps it, unlike the tensor's own, which stands in where no layer
    made the tensor.
    """
    history = getattr(tensor, "_keras_history", None)
    return str(history.operation.name if history else tensor.name)


def has_mask(tensor: Any) -> bool:
    """Whether the layer that a symbolic tensor comes from gave it a mask."""
    # Keras publishes masks to layers alone, as the argument of their `call`.
    return getattr(tensor, "_keras_mask", None) is not None


def run_through_graph(
    model: keras.Model, inputs: list[Any], call: Callable[..., Any]
) -> list[Any]:
    """Call the operations of a functional model in turn, on other inputs.

    Args:
        model: Functional.
        inputs: In place of the model's.
        call: Function of an operation and its arguments, called instead.

    Returns:
        The outputs, flat.
    """
    # Keras publishes `clone_model`, which takes no further inputs.
    outputs = model._run_through_graph(inputs, call_fn=call)
    return keras.tree.flatten(outputs)


class TrackedStatesRNN(keras.layers.RNN):
    """`keras.layers.RNN` whose states, when stateful, are tracked weights.

    Keras' own untracked ones are lost on JAX. The method that makes them is
    not public. To look again when RNN tracks them itself.
    """

    def _create_state_variables(self, batch_size: int) -> None:
        self.states = [
            self.add_weight(
                name=f"state_{index}",
                shape=(batch_size, size),
                initializer="zeros",
                trainable=False,
                autocast=False,
            )
            for index, size in enumerate(self.state_size)
        ]


def loop_over_steps(
    step: Callable[[Any, list[Any]], tuple[Any, list[Any]]],
    sequences: Any,
    states: list[Any],
    mask: Any,
    stateful: bool,
    unroll: bool,
) -> tuple[Any, list[Any]]:
    """Call a function once for each step, by the loop of keras.layers.RNN.

    The loop itself, `keras.src.backend.rnn`, is not public, and a layer of
    its own would hold a cell. So RNN's hook is called with what it reads of
    `self`. To look again when the hook reads more, which ends in an
    AttributeError.

    Args:
        step: `step(inputs, states)` returns `(output, states)`. On JAX the
            output must look like the first state.
        sequences: `(batch, time, features)`.
        states: Tensors `(batch, width)`.
        mask: Boolean `(batch, time)` or `None`.
        stateful: Whether the layer is, for which torch needs copies.
        unroll: Whether to unroll the loop.

    Returns:
        All outputs `(batch, time, width)`, and the last states.
    """
    layer = types.SimpleNamespace(
        cell=step,
        stateful=stateful,
        go_backwards=False,
        unroll=unroll,
        zero_output_for_mask=False,
        return_sequences=True,
    )
    _, outputs, states = keras.layers.RNN.inner_loop(
        layer, sequences, states, mask
    )
    return outputs, states
