"""A session's step by onnxruntime."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.onnx import export_onnx
from keras_seqattn.streaming.names import NEXT
from keras_seqattn.streaming.names import step_names

Arrays = Sequence[np.ndarray]


def onnx_engine(
    step: keras.Model,
    inputs: Arrays,
    states: Arrays,
    *,
    tolerance: float = 1e-4,
) -> Any:
    """Run the step of a `StreamingSession` by onnxruntime.

    The step is exported as ONNX and proven, as `export_onnx` does, when the
    session begins; the file is not kept. Pushes, states and files of states
    are those of any session of the model: go on with either.

    Args:
        step: From `streaming.step_model`.
        inputs: Given by the session.
        states: Given by the session.
        tolerance: As in `export_onnx`. For a model in mixed_float16 give
            `engine=functools.partial(onnx_engine, tolerance=1e-2)`.

    Returns:
        What the session runs.

    Raises:
        ImportError: tensorflow, tf2onnx or onnxruntime is not installed.
        ValueError: The step cannot be exported, or computes in bfloat16,
            which onnxruntime does not on a CPU.
        RuntimeError: The export failed, or its numbers differ.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_memory_network("additive")
    step = ks.streaming.step_model(model)
    session = ks.streaming.StreamingSession(step, engine=ks.export.onnx_engine)
    other = ks.streaming.StreamingSession(step)
    x = np.random.default_rng(0).normal(size=7)
    print(np.abs(session.push(x) - other.push(x)).max() < 1e-5)  # True
    ```
    """
    if any("bfloat16" in str(x.dtype) for x in step.input.values()):
        raise ValueError(
            "onnxruntime does not compute in bfloat16 on a CPU: build the "
            "model in float32 or mixed_float16, or leave `engine` out. "
            f"Received: {step.name}, with states in bfloat16"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "step.onnx"
        export_onnx(step, path, tolerance)
        return _OnnxEngine(step, str(path), inputs, states)


class _OnnxEngine:
    """Its arrays are bound once: states go back and forth between two places.

    So a step that fails has not touched the states that it began with.
    """

    def __init__(
        self, step: keras.Model, path: str, inputs: Arrays, states: Arrays
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A step is too small for two threads, and one that waits takes a core.
        options.intra_op_num_threads = 1
        batch = len(states[0]) if states else len(inputs[0])
        options.add_free_dimension_override_by_name("batch", batch)
        self._session = onnxruntime.InferenceSession(
            path, options, providers=["CPUExecutionProvider"]
        )
        names, named = step_names(step), NamedModel(step)
        given = dict(zip(step.input, named.inputs, strict=True))
        found = dict(zip(step.output, named.outputs, strict=True))
        took = [given[name] for name in [*names.inputs, *names.states]]
        gave = [found[name] for name in names.outputs]
        self._inputs = [x.copy() for x in inputs]
        feed = dict(zip(took, [*inputs, *states], strict=True))
        self._outputs = [x.copy() for x in self._session.run(gave, feed)]
        gave += [found[NEXT + name] for name in names.states]
        self._states = [[x.copy() for x in states] for _ in range(2)]
        self._now = 0
        self._bindings = [
            self._bind(
                dict(zip(took, [*self._inputs, *old], strict=True)),
                dict(zip(gave, [*self._outputs, *new], strict=True)),
            )
            for old, new in (self._states, self._states[::-1])
        ]

    def _bind(
        self, inputs: dict[str, np.ndarray], outputs: dict[str, np.ndarray]
    ) -> Any:
        from onnxruntime import OrtValue

        binding = self._session.io_binding()
        # On a CPU the values look into the arrays, which are held.
        for name, x in inputs.items():
            binding.bind_ortvalue_input(name, OrtValue.ortvalue_from_numpy(x))
        for name, x in outputs.items():
            binding.bind_ortvalue_output(name, OrtValue.ortvalue_from_numpy(x))
        return binding

    def place(self, x: np.ndarray) -> Any:
        return x

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        for place, x in zip(self._inputs, inputs, strict=True):
            place[...] = x
        self._session.run_with_iobinding(self._bindings[self._now])
        outputs = [y.copy() for y in self._outputs]
        self._now = 1 - self._now
        return outputs

    def get_states(self) -> list[np.ndarray]:
        return [x.copy() for x in self._states[self._now]]

    def set_states(self, states: Arrays) -> None:
        other = 1 - self._now
        for place, x in zip(self._states[other], states, strict=True):
            place[...] = x
        self._now = other
