"""What Keras knows of a model's parts and does not make public."""

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
