"""A step as one program that keeps its states, on each backend.

Keras' own call of a step model costs more than its arithmetic; so do, next,
arguments by name and states that come and go.
"""

import itertools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._backend.torch_graph import simplify

Call = Callable[[Sequence[Any], Sequence[Any]], tuple[list[Any], list[Any]]]
Arrays = Sequence[np.ndarray]


def compiled_engine(
    call: Call, inputs: Arrays, states: Arrays, types: Sequence[str]
) -> Any:
    """Return an engine, as `streaming.engine` says what one is.

    Args:
        call: Function of inputs and states, that gives outputs and new
            states.
        inputs: Arrays as they will come.
        states: The first, as they will be set.
        types: What the program takes each state as.
    """
    engines = {"jax": _Jax, "tensorflow": _TensorFlow, "torch": _Torch}
    return engines[keras.backend.backend()](call, inputs, states, types)


class _Jax:
    def __init__(
        self, call: Call, inputs: Arrays, states: Arrays, types: Sequence[str]
    ) -> None:
        import jax

        self._types = types
        self._run = jax.jit(
            lambda states, *inputs: call(inputs, states), donate_argnums=0
        )
        self.set_states(states)
        self.step(inputs)
        self.set_states(states)

    def place(self, x: np.ndarray) -> Any:
        return ops.convert_to_tensor(x)

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        # The states given are gone, so Ctrl-C must not come before the new
        # ones are held: no step of Python is in between.
        held = self._held
        held[:] = itertools.starmap(self._run, [(held[0][1], *inputs)])
        return [np.array(y) for y in held[0][0]]

    def get_states(self) -> list[np.ndarray]:
        # Copies first: an array of NumPy would look into the state's memory.
        return [ops.convert_to_numpy(ops.copy(x)) for x in self._held[0][1]]

    def set_states(self, states: Arrays) -> None:
        import jax.numpy as jnp

        new = [
            jnp.array(x, dtype)
            for x, dtype in zip(states, self._types, strict=True)
        ]
        self._held: list[Any] = [([], new)]


class _TensorFlow:
    def __init__(
        self, call: Call, inputs: Arrays, states: Arrays, types: Sequence[str]
    ) -> None:
        import tensorflow as tf

        variables = self._variables = [
            tf.Variable(tf.cast(x, dtype), trainable=False)
            for x, dtype in zip(states, types, strict=True)
        ]

        def step(*inputs: Any) -> list[Any]:
            outputs, new = call(inputs, [v.value() for v in variables])
            # A step that fails changes no state.
            with tf.control_dependencies([*outputs, *new]):
                for variable, value in zip(variables, new, strict=True):
                    variable.assign(value)
            return outputs

        def compiled(**how: Any) -> Any:
            function = tf.function(
                step,
                autograph=False,
                input_signature=[
                    tf.TensorSpec(x.shape, x.dtype) for x in inputs
                ],
                **how,
            )
            return function.get_concrete_function()

        # One program instead of a hundred calls. XLA does not know every layer.
        self._run = compiled(jit_compile=True)
        try:
            self.step(inputs)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
            self._run = compiled()
            self.step(inputs)
        self.set_states(states)

    def place(self, x: np.ndarray) -> Any:
        return ops.convert_to_tensor(x)

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        import tensorflow as tf

        return [
            y.numpy() for y in self._run(*map(tf.convert_to_tensor, inputs))
        ]

    def get_states(self) -> list[np.ndarray]:
        return [ops.convert_to_numpy(v.value()) for v in self._variables]

    def set_states(self, states: Arrays) -> None:
        import tensorflow as tf

        for variable, value in zip(self._variables, states, strict=True):
            variable.assign(tf.cast(value, variable.dtype))


class _Torch:
    def __init__(
        self, call: Call, inputs: Arrays, states: Arrays, types: Sequence[str]
    ) -> None:
        import torch

        # Not public. But torch.compile takes half a minute and needs a C++
        # compiler, what torch.export writes runs no faster than Keras' own
        # call, and torch.jit, the fastest, is to be removed.
        from torch.fx.experimental.proxy_tensor import make_fx

        self._types = types
        self._states: list[Any] = []
        self.set_states(states)
        examples = [self.place(x) for x in inputs]
        self._like = [{"dtype": x.dtype, "device": x.device} for x in examples]

        def flat(*given: Any) -> list[Any]:
            outputs, new = call(given[: len(inputs)], given[len(inputs) :])
            return [*outputs, *new]

        with torch.no_grad():
            given = [*examples, *self._states]
            self._run = simplify(make_fx(flat)(*given), given)
        self._inference = torch.inference_mode
        self._tensor = torch.as_tensor
        self._bfloat16 = torch.bfloat16

    def place(self, x: np.ndarray) -> Any:
        return ops.convert_to_tensor(x)

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        with self._inference():
            given = [
                self._tensor(x, **like)
                for x, like in zip(inputs, self._like, strict=True)
            ]
            found = self._run(*given, *self._states)
        count = len(found) - len(self._states)
        outputs = [
            # NumPy has no bfloat16; Keras brings its own, in longer time.
            ops.convert_to_numpy(y)
            if y.dtype is self._bfloat16
            else np.array(y.numpy(force=True))
            for y in found[:count]
        ]
        self._states = found[count:]
        return outputs

    def get_states(self) -> list[np.ndarray]:
        return [ops.convert_to_numpy(x) for x in self._states]

    def set_states(self, states: Arrays) -> None:
        self._states = [
            # A copy: torch would look into the array's memory.
            ops.copy(ops.convert_to_tensor(x, dtype))
            for x, dtype in zip(states, self._types, strict=True)
        ]
