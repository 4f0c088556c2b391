"""A loop over time, on the three backends.

`keras.ops.scan` is not portable: on TensorFlow the outputs must look like the
carry. This one returns outputs of any structure, and lets each step see the
newest rows of a history that grows by one row a step. It is meant for
functions whose gradient is written by hand: none is promised through it.
"""

from collections.abc import Callable
from typing import Any

import keras

Step = Callable[[Any, Any, Any, Any], tuple[Any, Any, Any]]


def scan(
    step: Step,
    carry: Any,
    inputs: Any,
    history: Any = None,
    reverse: bool = False,
) -> tuple[Any, Any, Any]:
    """Call `step` once for each row of `inputs`.

    Args:
        step: `step(index, carry, row, window)` returns `(carry, outputs,
            new_row)`: the next carry, of the same structure, shapes and
            types; the outputs of this step; and the row that the history
            grows by. `window` holds the newest rows of the history, as many
            as it began with. Without a history `window` and `new_row` are
            `None`.
        carry: Structure of tensors.
        inputs: Structure of tensors of shape `(time, ...)`, `time` above 0.
        history: Tensor of shape `(window, ...)`, the rows before the first
            step, oldest first. Default: no history.
        reverse: Whether to go from the last row to the first, without a
            history. Default: `False`.

    Returns:
        `(carry, outputs, history)`: the last carry; the outputs, stacked to
        `(time, ...)` in the order of the inputs; and all `(window + time,
        ...)` rows of the history, or `None`.
    """
    return _DRIVERS[keras.backend.backend()](
        step, carry, inputs, history, reverse
    )


def read_rows(tensor: Any, start: Any, count: int) -> Any:
    """Return `tensor[start : start + count]`, `start` from within a step."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.lax.dynamic_slice_in_dim(tensor, start, count)
    rows = tensor[start : start + count]
    if keras.backend.backend() == "tensorflow":
        rows.set_shape((count, *tensor.shape[1:]))
    return rows


def _scan_jax(
    step: Step, carry: Any, inputs: Any, history: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    import jax
    from jax import numpy as jnp

    length = jax.tree.leaves(inputs)[0].shape[0]
    size = 0 if history is None else history.shape[0]
    if history is not None:
        # The whole history from the start: a row is written in place.
        history = jnp.concatenate(
            [history, jnp.zeros((length, *history.shape[1:]), history.dtype)]
        )

    def body(state: Any, row: Any) -> tuple[Any, Any]:
        carry, history = state
        index, row = row
        window = None
        if history is not None:
            window = jax.lax.dynamic_slice_in_dim(history, index, size)
        carry, outputs, new_row = step(index, carry, row, window)
        if history is not None:
            history = jax.lax.dynamic_update_index_in_dim(
                history, new_row, index + size, 0
            )
        return (carry, history), outputs

    (carry, history), outputs = jax.lax.scan(
        body, (carry, history), (jnp.arange(length), inputs), reverse=reverse
    )
    return carry, outputs, history


def _scan_torch(
    step: Step, carry: Any, inputs: Any, history: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    import torch

    length = len(keras.tree.flatten(inputs)[0])
    size = 0 if history is None else len(history)
    if history is not None:
        history = torch.cat(
            [history, history.new_empty((length, *history.shape[1:]))]
        )
    rows: list[Any] = [None] * length
    for index in reversed(range(length)) if reverse else range(length):
        row = keras.tree.map_structure(lambda x, i=index: x[i], inputs)
        window = None if history is None else history[index : index + size]
        carry, outputs, new_row = step(index, carry, row, window)
        if history is not None:
            history[index + size] = new_row
        rows[index] = outputs
    stacked = [
        torch.stack(column)
        for column in zip(*map(keras.tree.flatten, rows), strict=True)
    ]
    return carry, keras.tree.pack_sequence_as(rows[0], stacked), history


def _scan_tensorflow(
    step: Step, carry: Any, inputs: Any, history: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    import tensorflow as tf

    length = tf.shape(tf.nest.flatten(inputs)[0])[0]

    def run(index: Any, carry: Any, window: Any) -> Any:
        row = tf.nest.map_structure(lambda x: x[index], inputs)
        return step(index, carry, row, window)

    # The structure of a step's outputs, from a graph that is never run.
    traced = tf.function(lambda: run(0, carry, history), autograph=False)
    _, outputs, new_row = traced.get_concrete_function().structured_outputs
    arrays = [
        tf.TensorArray(spec.dtype, length, element_shape=spec.shape)
        for spec in tf.nest.flatten((outputs, new_row))
        if spec is not None
    ]

    def body(count: Any, carry: Any, window: Any, arrays: Any) -> Any:
        index = length - 1 - count if reverse else count
        carry, outputs, new_row = run(index, carry, *(window or [None]))
        columns = [
            column
            for column in tf.nest.flatten((outputs, new_row))
            if column is not None
        ]
        arrays = [
            array.write(index, column)
            for array, column in zip(arrays, columns, strict=True)
        ]
        if window:
            window = [tf.concat([window[0][1:], new_row[None]], axis=0)]
        return count + 1, carry, window, arrays

    _, carry, _, arrays = tf.while_loop(
        lambda count, *_: count < length,
        body,
        (0, carry, [] if history is None else [history], arrays),
        maximum_iterations=length,
    )
    columns = [array.stack() for array in arrays]
    if history is not None:
        history = tf.concat([history, columns.pop()], axis=0)
    return carry, tf.nest.pack_sequence_as(outputs, columns), history


_DRIVERS: dict[str, Callable[..., tuple[Any, Any, Any]]] = {
    "jax": _scan_jax,
    "tensorflow": _scan_tensorflow,
    "torch": _scan_torch,
}
