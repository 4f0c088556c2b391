"""A person's hold on a stream: push a step, get an output."""

import hashlib
import os
import pathlib
import tempfile
import zipfile
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn.argument_checks import check_positive_integer
from keras_seqattn.streaming.compiled_step import compiled_step
from keras_seqattn.streaming.step_model import MASK
from keras_seqattn.streaming.step_model import NEXT
from keras_seqattn.streaming.step_model import initial_state
from keras_seqattn.streaming.step_model import state_inputs

FINGERPRINT = "fingerprint"


class StreamingSession:
    """Runs a step model, and keeps its states between the steps.

    The step is compiled when the session begins, for its number of streams,
    so that the first push is as fast as the others. It is run with the
    weights of that moment: begin a new session after training on.

    Args:
        step: From `step_model`, also loaded from a file.
        batch: Positive integer, number of independent streams. Default: 1.

    Attributes:
        fingerprint: Text that tells this model, with its weights, from
            others. The same on every backend.

    Raises:
        ValueError: A model that is not one of `step_model`.

    Example:
    ```python
    import numpy as np
    import keras_seqattn as ks

    model = ks.models.build_memory_network("additive")
    session = ks.streaming.StreamingSession(ks.streaming.step_model(model))
    signal = np.random.default_rng(0).normal(size=(10, 7))
    outputs = [session.push(x) for x in signal]
    print(outputs[-1].shape)  # (4,)
    expected = model.predict(signal[None], verbose=0)[0]
    print(np.abs(np.stack(outputs) - expected).max() < 1e-5)  # True

    session.save("session.npz")
    print(np.array_equal(session.push(None), outputs[-1]))  # True
    session.load("session.npz")
    ```
    """

    def __init__(self, step: keras.Model, batch: int = 1) -> None:
        self.batch = check_positive_integer("batch", batch)
        self._first = initial_state(step, batch)
        self._given = {
            name: x
            for name, x in step.input.items()
            if name not in self._first and name != MASK
        }
        self._has_mask = MASK in step.input
        self._outputs = [k for k in step.output if k not in self._next_names()]
        self._types = {
            name: keras.backend.standardize_dtype(x.dtype)
            for name, x in step.input.items()
        }
        self.fingerprint = _fingerprint(step)
        self.reset()
        nothing = {
            name: np.zeros((batch, *x.shape[1:])) for name, x in self._given.items()
        }
        self._run = compiled_step(
            step, self._inputs(nothing, np.ones(batch, bool))
        )

    def push(self, x: Any = None, mask: Any = None) -> Any:
        """Take one step.

        Args:
            x: Array `(batch, features)`, or `(features,)` for a single
                stream. A dictionary by name, if the model has several inputs.
                `None`: the step is missing.
            mask: Optional booleans `(batch,)`, `False` where the step of a
                stream is missing: its states stay and its output is the one
                before, whatever `x` holds.

        Returns:
            The output as a NumPy array, with a batch axis where `x` has one
            (or where there are several streams); a dictionary by name, if
            the model has several.

        Raises:
            ValueError: Another shape, or numbers that are not finite where
                no step is missing.
        """
        values, single = self._values(x)
        mask = self._present(mask, x is None)
        for name, value in values.items():
            lost = ~np.isfinite(value.reshape(self.batch, -1)).all(axis=1)
            if np.any(lost & mask):
                raise ValueError(
                    f"`{name}` must be finite: NaN would stay in the states "
                    "for ever. For a missing step push `None`, or give a "
                    "`mask` that is False for its stream. Received: NaN or "
                    f"infinity in the streams {np.flatnonzero(lost & mask)}"
                )
            value[~mask] = 0
        results = self._run(self._inputs(values, mask))
        self._states = {name: results[NEXT + name] for name in self._states}
        outputs = {
            name: ops.convert_to_numpy(results[name])[0 if single else slice(None)]
            for name in self._outputs
        }
        return outputs if len(outputs) > 1 else outputs[self._outputs[0]]

    def reset(self, stream: int | None = None) -> None:
        """Begin anew.

        Args:
            stream: Number of the stream. Default: all.
        """
        states = dict(self._first)
        if stream is not None:
            if not -self.batch <= stream < self.batch:
                raise ValueError(
                    f"There are {self.batch} streams. "
                    f"Received: stream={stream}"
                )
            for name, value in self._numpy_states().items():
                states[name] = value.copy()
                states[name][stream] = 0
        self._set_states(states)

    def state_dict(self) -> dict[str, Any]:
        """Return the states as NumPy arrays, and `"fingerprint"`."""
        return {FINGERPRINT: self.fingerprint, **self._numpy_states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another session of this model was.

        Args:
            state: From `state_dict`, on any backend.

        Raises:
            ValueError: A state of another model, of another number of
                streams, or that is not one.
        """
        state = dict(state)
        found = str(state.pop(FINGERPRINT, None))
        if found != self.fingerprint:
            raise ValueError(
                "This is the state of another model, or of this one with "
                "other weights: it means nothing here. Load the model that "
                f"it was saved with. Received: fingerprint={found!r}, "
                f"expected: {self.fingerprint!r}"
            )
        shapes = {name: np.shape(value) for name, value in state.items()}
        expected = {name: value.shape for name, value in self._first.items()}
        if shapes != expected:
            raise ValueError(
                f"The states must be arrays of the shapes {expected}: of as "
                f"many streams as this session has. Received: {shapes}"
            )
        for name, value in state.items():
            if not np.isfinite(value).all():
                raise ValueError(
                    f"States must be finite. Received: {name} with NaN or "
                    "infinity"
                )
        self._set_states(state)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states to an `.npz` file, whole or not at all.

        Args:
            path: File to write; an existing one is replaced.
        """
        path = pathlib.Path(path)
        handle, scratch = tempfile.mkstemp(dir=path.parent, suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **self.state_dict())
            os.replace(scratch, path)
        except BaseException:
            os.unlink(scratch)
            raise

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the states from a file that `save` wrote.

        Args:
            path: The file.

        Raises:
            ValueError: A file that is not one, or as `load_state_dict`.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                state = dict(file)
        except FileNotFoundError:
            raise
        except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as e:
            raise ValueError(
                f"{os.fspath(path)!r} is not a file of `StreamingSession.save`,"
                " or it is damaged."
            ) from e
        self.load_state_dict(state)

    def _next_names(self) -> set[str]:
        return {NEXT + name for name in self._first}

    def _inputs(self, values: Any, mask: np.ndarray) -> dict[str, Any]:
        given = {**values, **({MASK: mask} if self._has_mask else {})}
        given = {
            name: ops.convert_to_tensor(value, self._types[name])
            for name, value in given.items()
        }
        return {**given, **self._states}

    def _values(self, x: Any) -> tuple[dict[str, np.ndarray], bool]:
        """Arrays with a batch axis, and whether there was none."""
        shapes = {k: (self.batch, *v.shape[1:]) for k, v in self._given.items()}
        if x is None:
            zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
            return zeros, self.batch == 1
        if not isinstance(x, dict):
            x = dict.fromkeys(shapes, x) if len(shapes) == 1 else {"x": x}
        values = {name: np.array(value, "float32") for name, value in x.items()}
        single = self.batch == 1 and {k: (1, *v.shape) for k, v in values.items()} == shapes
        if single:
            values = {name: value[None] for name, value in values.items()}
        received = {name: value.shape for name, value in values.items()}
        if received != shapes:
            raise ValueError(
                f"A step must have the shape {shapes}: (streams, features)"
                f"{', or without the streams' + chr(39) + ' axis' if self.batch == 1 else ''}. Received: {received}"
            )
        return values, single

    def _present(self, mask: Any, nothing: bool) -> np.ndarray:
        present = np.full(self.batch, not nothing)
        if mask is not None:
            mask = np.asarray(mask)
            if mask.shape != (self.batch,) or mask.dtype != bool:
                raise ValueError(
                    f"`mask` must be {self.batch} booleans, one a stream. "
                    f"Received: mask={mask!r}"
                )
            present &= mask
        if not self._has_mask and not present.all():
            raise ValueError(
                "This step model takes no missing steps: build it by "
                "`step_model(model, mask=True)`."
            )
        return present

    def _numpy_states(self) -> dict[str, np.ndarray]:
        # In float32 what NumPy has no type for, or another backend no such.
        return {
            name: ops.convert_to_numpy(
                ops.cast(value, "float32") if "float" in self._types[name] else value
            )
            for name, value in self._states.items()
        }

    def _set_states(self, states: dict[str, Any]) -> None:
        self._states = {
            name: ops.convert_to_tensor(value, self._types[name])
            for name, value in states.items()
        }


def _fingerprint(step: keras.Model) -> str:
    """A hash of the states' names and of the weights, in any order."""
    parts = [
        f"{name} {x.shape[1:]}".encode()
        for name, x in state_inputs(step).items()
    ]
    for weight in step.weights:
        value = np.ascontiguousarray(ops.convert_to_numpy(weight))
        parts.append(f"{value.shape} {value.dtype}".encode() + value.tobytes())
    digests = sorted(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(b"".join(digests)).hexdigest()
