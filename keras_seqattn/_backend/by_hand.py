"""What TensorFlow and torch need around a gradient that is written by hand.

`keras.ops.custom_gradient` gives the first derivative. What it keeps from the
way forward, JAX differentiates once more; the others take it for constants,
and their second derivatives are wrong numbers.
"""

import functools
from typing import Any

import keras
import numpy as np


def unwatched(tensors: Any) -> Any:
    """Tensors that go into, or come out of, a loop in a custom gradient.

    TensorFlow's persistent and nested tapes would differentiate the loop too,
    which as one program cannot be, and is not needed.
    """
    if keras.backend.backend() != "tensorflow":
        return tensors
    return keras.tree.map_structure(keras.ops.stop_gradient, tensors)


def once_differentiable(found: Any, by: Any, message: str) -> Any:
    """A gradient by hand that only JAX may differentiate once more.

    Args:
        found: Structure of tensors, the gradient.
        by: Structure of the tensors that it depends on.
        message: Of the error where a second derivative is asked for.
    """
    once = {"tensorflow": _tensorflow_once, "torch": _torch_once}.get(
        keras.backend.backend()
    )
    if once is None:
        return found
    tensors = keras.tree.flatten(found)
    same = once(message, len(tensors), *tensors, *keras.tree.flatten(by))
    return keras.tree.pack_sequence_as(found, same)


def _tensorflow_once(message: str, count: int, *tensors: Any) -> Any:
    import tensorflow as tf

    def refuse(*_: Any) -> Any:
        if tf.executing_eagerly():
            raise NotImplementedError(message)
        # Not before it is run: nested tapes build what nobody asked for. XLA
        # has no assertions, and gets NaN.
        with tf.control_dependencies([tf.debugging.Assert(False, [message])]):
            return [tf.zeros_like(x) + np.nan for x in tensors]

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def once(*tensors: Any) -> Any:
        return tensors[:count], refuse

    return once(*tensors)


def _torch_once(message: str, count: int, *tensors: Any) -> Any:
    return _torch_function().apply(message, count, *tensors)


@functools.cache
def _torch_function() -> Any:
    import torch

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, message: str, count: int, *tensors: Any) -> Any:
            ctx.message = message
            return tuple(x.view_as(x) for x in tensors[:count])

        @staticmethod
        def backward(ctx: Any, *_: Any) -> Any:
            raise NotImplementedError(ctx.message)

    return Once
