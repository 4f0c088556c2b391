"""What Keras knows of a model's parts and does not make public."""

from collections.abc import Callable
from typing import Any

import keras


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
