"""A step model as one program, for a fixed number of streams."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensors = dict[str, Any]


def compiled_step(
    step: keras.Model, inputs: Tensors
) -> Callable[[Tensors], Tensors]:
    """Return a function that computes what the model does, many times faster.

    Keras' own call costs more than the arithmetic of a step. On JAX the
    weights become constants, so that what depends on them alone is computed
    once.

    Args:
        step: From `step_model`.
        inputs: Arrays of the shapes and types that will come.
    """
    make = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    return make[keras.backend.backend()](step, inputs)


def _jax(step: keras.Model, inputs: Tensors) -> Callable[[Tensors], Tensors]:
    import jax

    run = jax.jit(lambda given: step(given))
    run(inputs)
    return run


def _tensorflow(
    step: keras.Model, inputs: Tensors
) -> Callable[[Tensors], Tensors]:
    import tensorflow as tf

    def run(given: Tensors) -> Tensors:
        return step(given)

    inputs = {name: tf.convert_to_tensor(x) for name, x in inputs.items()}
    # One kernel instead of a hundred. Not every operation can be in it.
    try:
        fast = tf.function(run, autograph=False, jit_compile=True)
        fast(inputs)
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        fast = tf.function(run, autograph=False)
        fast(inputs)
    return fast


def _torch(step: keras.Model, inputs: Tensors) -> Callable[[Tensors], Tensors]:
    import torch

    # Of what is meant to take its place, torch.compile needs half a minute
    # and a C++ compiler, and a program of torch.export runs no faster than
    # Keras' own call.
    from torch.fx.experimental.proxy_tensor import make_fx

    names = list(inputs)

    def run(*tensors: Any) -> Tensors:
        return dict(step(dict(zip(names, tensors, strict=True))))

    tensors = [ops.convert_to_tensor(x) for x in inputs.values()]
    with torch.no_grad():
        traced = make_fx(run)(*tensors)
    traced.graph.eliminate_dead_code()
    traced.recompile()

    def fast(given: Tensors) -> Tensors:
        with torch.inference_mode():
            return traced(
                *(ops.convert_to_tensor(given[name]) for name in names)
            )

    return fast
