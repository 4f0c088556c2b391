"""A loop over time and its adjoint, on the three backends.

`keras.ops.scan` is not portable: on TensorFlow the outputs must look like the
carry. This one returns any outputs by name, and lets each step see the newest
rows of a history that grows by one row a step. It is meant for functions
whose gradient is written by hand: none is promised through it.
"""

import functools
from collections.abc import Callable
from typing import Any

import keras

Tensors = dict[str, Any]


def scan(
    step: Callable[[Any, Tensors, Tensors], tuple[Any, Tensors, Tensors]],
    carry: Any,
    inputs: Tensors,
    history: Tensors,
    fixed: Tensors | None = None,
    fused: bool = False,
) -> tuple[Any, Tensors, Tensors]:
    """Call `step` once for each row of the inputs, first to last.

    Args:
        step: `step(carry, row, window)` returns `(carry, outputs, new_row)`:
            the next carry, of the same shapes and types; the outputs of this
            step; and the row that the history grows by. `window` holds the
            newest rows of the history, as many as it began with, oldest
            first, and as many of `fixed`.
        carry: Tensors, in a tuple or another structure.
        inputs: Tensors of shape `(time, ...)`, `time` above 0.
        history: Tensors of shape `(window, ...)`, the rows before the first
            step. It may be empty.
        fixed: Tensors of shape `(window + time, ...)`, of which a step reads
            the rows that it would read if they were history.
        fused: Whether TensorFlow compiles a step as one program, for each
            batch size anew. For where `fuses_on_request`, but not in a graph
            that is exported.

    Returns:
        `(carry, outputs, history)`: the last carry; the outputs, stacked to
        `(time, ...)`; and all `(window + time, ...)` rows of the history.
    """
    run, _ = _drivers(fused)
    return run(step, carry, inputs, history, fixed or {})


def scan_back(
    step: Callable[[Any, Tensors, Tensors, Any], tuple[Any, Tensors, Any]],
    carry: tuple[Any, ...],
    inputs: Tensors,
    window_gradient: Any,
    fixed: Tensors | None = None,
    fused: bool = False,
) -> tuple[Any, Tensors, Any]:
    """Call `step` once for each row of the inputs, last to first.

    The adjoint of `scan`: what a step adds to the gradient of its window is
    summed up row by row.

    Args:
        step: `step(carry, row, window, row_gradient)` returns `(carry,
            outputs, window_gradient)`. `window` holds rows of `fixed`;
            `row_gradient` is the gradient of the row that the history grew by
            in this step, from all later steps; the returned gradient is what
            this step adds to its window's.
        carry: Tuple of tensors.
        inputs: Tensors of shape `(time, ...)`.
        window_gradient: Tensor of shape `(window, ...)`, the gradient of the
            newest rows of the whole history from elsewhere.
        fixed: As in `scan`: the history of the way forward, for example.
        fused: As in `scan`.

    Returns:
        `(carry, outputs, window_gradient)`: the last carry, the outputs in
        the order of the inputs, and the gradient of the first window.
    """
    _, run = _drivers(fused)
    return run(step, carry, inputs, window_gradient, fixed or {})


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of tensors as one program, where the backend has such.

    Called eagerly, JAX compiles a loop anew each time, and TensorFlow runs it
    one operation after another.
    """
    if keras.backend.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, autograph=False)
    return function


def cond(
    predicate: Any, true: Callable[[], Any], false: Callable[[], Any]
) -> Any:
    """`keras.ops.cond`, which on torch takes as long as twenty operations."""
    if keras.backend.backend() == "torch":
        return true() if predicate else false()
    return keras.ops.cond(predicate, true, false)


def _program(function: Callable[..., Any]) -> Callable[..., Any]:
    import tensorflow as tf

    return tf.function(function, autograph=False, jit_compile=True)


# --- JAX: lax.scan. The history is written in place.


def _jax_scan(
    step: Any,
    carry: Any,
    inputs: Tensors,
    history: Tensors,
    fixed: Tensors,
) -> tuple[Any, Tensors, Tensors]:
    import jax
    from jax import numpy as jnp

    length = next(iter(inputs.values())).shape[0]
    first = history
    size = {name: x.shape[0] for name, x in history.items()}
    # A window of one row travels in the loop. Read from the history, XLA
    # would read it again after the next row was written, and copy the whole
    # history at each step for that.
    one = 1 in size.values()
    if not one:
        history = {
            name: jnp.concatenate(
                [x, jnp.zeros((length, *x.shape[1:]), x.dtype)]
            )
            for name, x in history.items()
        }

    def body(state: Any, row: Any) -> tuple[Any, Any]:
        carry, history = state
        index, row = row
        window = history
        if not one:
            window = {
                name: jax.lax.dynamic_slice_in_dim(x, index, size[name])
                for name, x in history.items()
            }
        window = window | _jax_rows(fixed, index, length)
        carry, outputs, new_row = step(carry, row, window)
        if one:
            history = {name: x[None] for name, x in new_row.items()}
            return (carry, history), (outputs, new_row)
        history = {
            name: jax.lax.dynamic_update_index_in_dim(
                x, new_row[name], index + size[name], 0
            )
            for name, x in history.items()
        }
        return (carry, history), (outputs, {})

    (carry, history), (outputs, rows) = jax.lax.scan(
        body, (carry, history), (jnp.arange(length), inputs)
    )
    if one:
        history = {
            name: jnp.concatenate([x, rows[name]]) for name, x in first.items()
        }
    return carry, outputs, history


def _jax_rows(fixed: Tensors, index: Any, length: int) -> Tensors:
    import jax

    return {
        name: jax.lax.dynamic_slice_in_dim(x, index, x.shape[0] - length)
        for name, x in fixed.items()
    }


def _jax_scan_back(
    step: Any,
    carry: Any,
    inputs: Tensors,
    window_gradient: Any,
    fixed: Tensors,
) -> tuple[Any, Tensors, Any]:
    import jax
    from jax import numpy as jnp

    length = next(iter(inputs.values())).shape[0]

    def body(state: Any, row: Any) -> tuple[Any, Any]:
        carry, total = state
        index, row = row
        window = _jax_rows(fixed, index, length)
        carry, outputs, added = step(carry, row, window, total[-1])
        older = jnp.concatenate([jnp.zeros_like(total[:1]), total[:-1]])
        return (carry, older + added), outputs

    (carry, total), outputs = jax.lax.scan(
        body,
        (carry, window_gradient),
        (jnp.arange(length), inputs),
        reverse=True,
    )
    return carry, outputs, total


# --- torch: a Python loop. History and gradient are written in place.


def _torch_scan(
    step: Any,
    carry: Any,
    inputs: Tensors,
    history: Tensors,
    fixed: Tensors,
) -> tuple[Any, Tensors, Tensors]:
    import torch

    columns = {name: x.unbind() for name, x in inputs.items()}
    length = len(next(iter(columns.values())))
    size = {name: len(x) for name, x in history.items()}
    history = {
        name: torch.cat([x, x.new_empty((length, *x.shape[1:]))])
        for name, x in history.items()
    }
    seen = history | fixed
    found = []
    for index in range(length):
        row = {name: column[index] for name, column in columns.items()}
        window = {
            name: x[index : len(x) - length + index] for name, x in seen.items()
        }
        carry, outputs, new_row = step(carry, row, window)
        for name, x in history.items():
            x[index + size[name]] = new_row[name]
        found.append(outputs)
    return carry, _torch_stack(found), history


def _torch_scan_back(
    step: Any,
    carry: Any,
    inputs: Tensors,
    window_gradient: Any,
    fixed: Tensors,
) -> tuple[Any, Tensors, Any]:
    columns = {name: x.unbind() for name, x in inputs.items()}
    length = len(next(iter(columns.values())))
    size = len(window_gradient)
    total = window_gradient.new_zeros(
        (length + size, *window_gradient.shape[1:])
    )
    total[length:] = window_gradient
    found = []
    for index in reversed(range(length)):
        row = {name: column[index] for name, column in columns.items()}
        window = {name: x[index : index + size] for name, x in fixed.items()}
        carry, outputs, added = step(carry, row, window, total[index + size])
        total[index : index + size] += added
        found.append(outputs)
    return carry, _torch_stack(found[::-1]), total[:size]


def _torch_stack(rows: list[Tensors]) -> Tensors:
    import torch

    return {name: torch.stack([r[name] for r in rows]) for name in rows[0]}


# --- TensorFlow: while_loop. The window travels in the loop.


def _tensorflow_scan(
    program: Callable[..., Any],
    step: Any,
    carry: Any,
    inputs: Tensors,
    history: Tensors,
    fixed: Tensors,
) -> tuple[Any, Tensors, Tensors]:
    import tensorflow as tf

    size = next((x.shape[0] for x in history.values()), 0)

    @program
    def advance(
        carry: Any, row: Tensors, window: Tensors, rows: Tensors
    ) -> Any:
        carry, outputs, new_row = step(carry, row, window | rows)
        window = {
            name: tf.concat([x[1:], new_row[name][None]], axis=0)
            for name, x in window.items()
        }
        return carry, {"outputs": outputs, "rows": new_row}, window

    # What is read at an index within a program is compiled for each index.
    def move(index: Any, carry: Any, window: Tensors) -> Any:
        row = {name: x[index] for name, x in inputs.items()}
        rows = _tensorflow_rows(fixed, index, size)
        return advance(carry, row, window, rows)

    carry, found, _ = _tensorflow_loop(move, carry, inputs, history, False)
    history = {
        name: tf.concat([x, found["rows"][name]], axis=0)
        for name, x in history.items()
    }
    return carry, found["outputs"], history


def _tensorflow_scan_back(
    program: Callable[..., Any],
    step: Any,
    carry: Any,
    inputs: Tensors,
    window_gradient: Any,
    fixed: Tensors,
) -> tuple[Any, Tensors, Any]:
    import tensorflow as tf

    size = window_gradient.shape[0]

    @program
    def advance(carry: Any, row: Tensors, window: Tensors, total: Any) -> Any:
        carry, outputs, added = step(carry, row, window, total[-1])
        older = tf.concat([tf.zeros_like(total[:1]), total[:-1]], axis=0)
        return carry, outputs, older + added

    def move(index: Any, carry: Any, total: Any) -> Any:
        row = {name: x[index] for name, x in inputs.items()}
        window = _tensorflow_rows(fixed, index, size)
        return advance(carry, row, window, total)

    return _tensorflow_loop(move, carry, inputs, window_gradient, True)


def _tensorflow_rows(fixed: Tensors, index: Any, size: int) -> Tensors:
    import tensorflow as tf

    rows = {}
    for name, x in fixed.items():
        # For XLA a -1 would be dynamic, and slower.
        shape = tf.shape(x)
        rest = [
            shape[1 + i] if n is None else n for i, n in enumerate(x.shape[1:])
        ]
        rows[name] = tf.slice(x, [index] + [0] * len(rest), [size, *rest])
    return rows


def _tensorflow_loop(
    move: Any, carry: Any, inputs: Tensors, state: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    """Loop over `move(index, carry, state)`: carry, outputs, state."""
    import tensorflow as tf

    first = next(iter(inputs.values()))
    length = tf.shape(first)[0]
    # The structure of a step's outputs, from a graph that is never run.
    traced = tf.function(lambda: move(0, carry, state)[1], autograph=False)
    specs = traced.get_concrete_function().structured_outputs
    arrays = [
        tf.TensorArray(spec.dtype, length, element_shape=spec.shape)
        for spec in tf.nest.flatten(specs)
    ]

    def body(count: Any, carry: Any, state: Any, arrays: Any) -> Any:
        index = length - 1 - count if reverse else count
        carry, outputs, state = move(index, carry, state)
        arrays = [
            array.write(index, column)
            for array, column in zip(
                arrays, tf.nest.flatten(outputs), strict=True
            )
        ]
        return count + 1, carry, state, arrays

    # The condition does not read the length: ONNX has no constant that is the
    # number of iterations (64 bit) and a value in the loop (32 bit) as well.
    _, carry, state, arrays = tf.while_loop(
        lambda *_: True,
        body,
        (0, carry, state, arrays),
        maximum_iterations=length,
    )
    outputs = [array.stack() for array in arrays]
    for column in outputs:  # A length that is known stays known.
        column.set_shape([first.shape[0], *column.shape[1:]])
    return carry, tf.nest.pack_sequence_as(specs, outputs), state


def _drivers(fused: bool) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The backend's loops; TensorFlow's steps compiled by XLA if asked for.

    Not its whole loops: those could not be differentiated once more, nor
    vectorized.
    """
    if keras.backend.backend() == "jax":
        return _jax_scan, _jax_scan_back
    if keras.backend.backend() == "torch":
        return _torch_scan, _torch_scan_back
    program = _program if fused else lambda function: function
    return (
        functools.partial(_tensorflow_scan, program),
        functools.partial(_tensorflow_scan_back, program),
    )
