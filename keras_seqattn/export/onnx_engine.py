"""A session's step, exported and run by onnxruntime."""

import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_seqattn.export.onnx import export_onnx
from keras_seqattn.streaming.engine import Engine
from keras_seqattn.streaming.names import NEXT
from keras_seqattn.streaming.names import step_names


def onnx_engine(
    step: keras.Model,
    inputs: Sequence[np.ndarray],
    states: Sequence[np.ndarray],
) -> Engine:
    """Export a step model, prove it, and run it by onnxruntime.

    For `StreamingSession(step, engine=onnx_engine)`. It takes some seconds to
    begin, as `export_onnx` does; a step is then the fastest there is, on one
    thread.

    Args:
        step: From `step_model`.
        inputs: Arrays as they will come.
        states: The first, in the order of `initial_state`.

    Raises:
        ImportError: tensorflow, tf2onnx or onnxruntime is not installed.
        ValueError: The model cannot be exported.
        RuntimeError: The export failed, or its numbers differ.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_neural_decoder(
        timesteps=None, channels=30, units=8, attention=None
    )
    session = ks.streaming.StreamingSession(
        ks.streaming.step_model(model), engine=ks.export.onnx_engine
    )
    print(session.push(np.zeros(30)).shape)  # (2,)
    ```
    """
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "step.onnx")
        export_onnx(step, path)
        return _OnnxEngine(path.read_bytes(), step, states)


class _OnnxEngine:
    def __init__(
        self, model: bytes, step: keras.Model, states: Sequence[np.ndarray]
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # A step is too small for two threads.
        options.intra_op_num_threads = 1
        self._run = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        ).run
        names = step_names(step)
        self._inputs = [*names.inputs, *names.states]
        self._found = [*names.outputs, *(NEXT + name for name in names.states)]
        self._count = len(names.outputs)
        self._states: Sequence[np.ndarray] = []
        self.set_states(states)

    def place(self, x: np.ndarray) -> Any:
        return x

    def step(self, inputs: Sequence[Any]) -> list[np.ndarray]:
        given = zip(self._inputs, [*inputs, *self._states], strict=True)
        found = self._run(self._found, dict(given))
        self._states = found[self._count :]
        return found[: self._count]

    def get_states(self) -> list[np.ndarray]:
        return [x.copy() for x in self._states]

    def set_states(self, states: Sequence[np.ndarray]) -> None:
        self._states = [np.array(x) for x in states]
