"""A gradient that is written by hand, differentiated once more."""

import functools
from typing import Any

import keras


def once_differentiable(found: Any, by: Any, message: str) -> Any:
    """The gradient, of which torch refuses a derivative.

    TensorFlow and JAX differentiate through what the gradient keeps from the
    way forward. Torch takes that for constants, as it was computed where
    nothing is recorded, and would return wrong numbers.

    Args:
        found: Structure of tensors, the gradient.
        by: Structure of the tensors that it depends on.
        message: Of the `NotImplementedError`.
    """
    if keras.backend.backend() != "torch":
        return found
    tensors = keras.tree.flatten(found)
    same = _once().apply(
        message, len(tensors), *tensors, *keras.tree.flatten(by)
    )
    return keras.tree.pack_sequence_as(found, same)


@functools.cache
def _once() -> Any:
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
