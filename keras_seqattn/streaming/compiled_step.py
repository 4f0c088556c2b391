"""A step model as one program, for a fixed number of streams."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensors = dict[str, Any]
Run = Callable[[Tensors], Tensors]


def compiled_step(step: keras.Model, inputs: Tensors) -> Run:
    """Return a function that computes what the model does, many times faster.

    Keras' own call costs more than the arithmetic of a step. On JAX the
    weights become constants, and what depends on them alone is computed once.

    Args:
        step: From `step_model`.
        inputs: NumPy arrays and tensors as they will come.
    """
    make = {"jax": _jax, "tensorflow": _tensorflow, "torch": _torch}
    return make[keras.backend.backend()](step, inputs)


def _jax(step: keras.Model, inputs: Tensors) -> Run:
    import jax

    run = jax.jit(lambda given: step(given))
    run(inputs)
    return run


def _tensorflow(step: keras.Model, inputs: Tensors) -> Run:
    import tensorflow as tf

    def run(given: Tensors) -> Tensors:
        return step(given)

    def tensors(given: Tensors) -> Tensors:
        return {name: tf.convert_to_tensor(x) for name, x in given.items()}

    # One program instead of a hundred calls. XLA does not know every layer.
    fast = tf.function(run, autograph=False, jit_compile=True)
    try:
        fast(tensors(inputs))
    except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
        fast = tf.function(run, autograph=False)
        fast(tensors(inputs))
    return lambda given: fast(tensors(given))


def _torch(step: keras.Model, inputs: Tensors) -> Run:
    import torch

    # Not public. But torch.compile takes half a minute and needs a C++
    # compiler, what torch.export writes runs no faster than Keras' own call,
    # and torch.jit, the fastest, is to be removed.
    from torch.fx.experimental.proxy_tensor import make_fx

    def tensors(given: Tensors) -> list[Any]:
        return [ops.convert_to_tensor(given[name]) for name in inputs]

    def run(*given: Any) -> Tensors:
        return step(dict(zip(inputs, given, strict=True)))

    with torch.no_grad():
        traced = make_fx(run)(*tensors(inputs))
    traced.graph.eliminate_dead_code()
    traced.recompile()

    @torch.inference_mode()
    def fast(given: Tensors) -> Tensors:
        return traced(*tensors(given))

    return fast
