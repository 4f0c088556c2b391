"""Run a model, or its artifact, on windows: a step model step by step."""

import pathlib
from typing import Any

import numpy as np

from keras_seqattn._checks import check_array
from keras_seqattn._files.array_file import ANY
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn.export.named_model import NamedModel
from keras_seqattn.export.proof import run_python
from keras_seqattn.streaming.names import NEXT

SAMPLES = 1000  # Of inputs that a calibration sees: all ranges are there.
BATCH = 256


class WindowRun:
    """Runs windows through a model with one input and one output.

    A step model is fed a window's samples one by one, from states of zeros.
    Its answer is the output at the last.

    Args:
        named: The model.

    Raises:
        ValueError: It has more inputs, or more outputs, that are no states.
    """

    def __init__(self, named: NamedModel) -> None:
        self.named = named
        self.states = {
            name: spec
            for name, spec in named.inputs.items()
            if named.is_step and NEXT + name in named.outputs
        }
        new = {NEXT + name for name in self.states}
        inputs = [name for name in named.inputs if name not in self.states]
        outputs = [name for name in named.outputs if name not in new]
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(
                "A quantized model must have one input and one output, by "
                "which its loss is measured (and the states of a step). "
                f"Received: {named.model.name}, with the inputs {inputs} and "
                f"the outputs {outputs}"
            )
        (self.input,), (self.output,) = inputs, outputs

    def check_windows(self, given: Any, length: int | None) -> np.ndarray:
        """Return windows as an array, or say what they must be.

        Args:
            given: By the user.
            length: Samples that a step is fed, `None` for any.

        Raises:
            ValueError: Not windows that the model takes.
        """
        spec = self.named.inputs[self.input]
        windows = check_array("representative", given).astype(spec.dtype)
        want: list[int | None] = [None, *spec.shape[1:]]
        if self.states:
            want.insert(1, length)
        fits = len(want) == windows.ndim and all(
            size in (None, got)
            for size, got in zip(want, windows.shape, strict=True)
        )
        if not fits or windows.size == 0 or not np.isfinite(windows).all():
            raise ValueError(
                "`representative` must be windows of finite numbers, of shape "
                f"{tuple(want)} (`None`: any but 0). "
                f"Received: an array of shape {windows.shape}"
            )
        return windows

    def model(
        self, windows: np.ndarray
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Run the model itself.

        Returns:
            Its answers, (windows, ...), and by name some of what it was
            given on the way, states too: (samples, ...).
        """
        steps = windows.shape[1] if self.states else 1
        random = np.random.default_rng(0)
        answers, seen = [], []
        for part in np.split(windows, range(BATCH, len(windows), BATCH)):
            state = self._zeros(len(part))
            share = -(-SAMPLES * len(part) // (steps * len(windows)))
            for step in range(steps):
                x = part[:, step] if self.states else part
                given = {self.input: x, **state}
                found = self.named.predict(given)
                state = {name: found[NEXT + name] for name in state}
                rows = random.permutation(len(part))[:share]
                seen.append({name: x[rows] for name, x in given.items()})
            answers.append(found[self.output])
        inputs = {
            name: np.concatenate([given[name] for given in seen])
            for name in self.named.inputs
        }
        return np.concatenate(answers), inputs

    def artifact(
        self,
        kind: str,
        path: pathlib.Path,
        scratch: pathlib.Path,
        windows: np.ndarray,
    ) -> np.ndarray:
        """Run an artifact in a fresh process; return its answers."""
        count = len(windows)
        batch = self.named.inputs[self.input].shape[0] or min(count, BATCH)
        filled = np.repeat(windows[-1:], -count % batch, axis=0)
        given: dict[str, Any] = {
            NEXT + name: x for name, x in self._zeros(batch).items()
        }
        given[self.input] = np.concatenate([windows, filled])
        files = [scratch / "windows.npz", scratch / "answers.npz"]
        np.savez(files[0], **given)
        run_python(
            "run the quantized model",
            "-P",  # or the package's folder is the first place for imports
            str(pathlib.Path(__file__).with_name("serve.py")),
            *(f"{kind}:{batch}", str(path), *map(str, files)),
        )
        with ArrayFile(files[1]) as file:
            return file.read(self.output, ANY)[:count]

    def _zeros(self, batch: int) -> dict[str, np.ndarray]:
        return {
            name: np.zeros((batch, *spec.shape[1:]), spec.dtype)
            for name, spec in self.states.items()
        }
