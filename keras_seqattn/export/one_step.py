"""The model that 8 bits can hold: a model of sequences becomes its step.

The converter's own loop over time crashes where it is quantized; one step has
no loop.
"""

from typing import Any

import keras

from keras_seqattn._keras_internals import find_layers
from keras_seqattn._keras_internals import name_of
from keras_seqattn._keras_internals import run_through_graph
from keras_seqattn.models.burst_prop_network import BurstPropNetwork
from keras_seqattn.streaming.step_layers import StepLayer
from keras_seqattn.streaming.step_model import step_model


def without_loop(model: keras.Model) -> keras.Model:
    """Return a model as it is, or its one-step twin where it has a loop.

    Raises:
        ValueError: It has a loop and no such twin.
    """
    if not _has_loop(model):
        return model
    try:
        return step_model(_with_free_time(model), mask=False)
    except ValueError as error:
        raise ValueError(
            "A quantized model has no loop over time: a recurrent model is "
            "exported as its one step, so it must be causal, with the newest "
            "output as its answer (`pooling='last'`). Export it without "
            f"`quantize`, or build it so. Received: {model.name}, of which "
            f"`streaming.step_model` says: {error}"
        ) from error


def _has_loop(model: Any) -> bool:
    if isinstance(model, StepLayer):
        return False
    if isinstance(model, keras.Function):
        return any(map(_has_loop, model.operations))
    if not isinstance(model, keras.Layer):
        return False
    return any(
        isinstance(layer, keras.layers.RNN)
        or (isinstance(layer, BurstPropNetwork) and layer.mode == "temporal")
        for layer in find_layers(model)
    )


def _with_free_time(model: keras.Model) -> keras.Model:
    """The same layers, for windows of any length.

    Where the model is causal, its answer to a window is the step's to the
    window's last.
    """
    if isinstance(model, keras.Sequential):
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    shapes = [x.shape for x in getattr(model, "inputs", ())]
    if not isinstance(model, keras.Function) or all(
        len(shape) < 3 or shape[1] is None for shape in shapes
    ):
        return model
    inputs = [
        keras.Input((None, *x.shape[2:]), dtype=x.dtype, name=name_of(x))
        for x in model.inputs
    ]

    def call(operation: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(operation, keras.Sequential):
            operation = keras.Model(operation.inputs, operation.outputs)
        if isinstance(operation, keras.Function):
            given = keras.tree.flatten(args)
            return run_through_graph(operation, given, call)
        return operation(*args, **kwargs)

    outputs = run_through_graph(model, inputs, call)
    return keras.Model(inputs, outputs, name=model.name)
