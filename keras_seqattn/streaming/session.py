"""A person's hold on a stream: push a step, get an output."""

import contextlib
import hashlib
import numbers
import os
import threading
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_seqattn._backend.compiled import compiled_step
from keras_seqattn._checks import check_array
from keras_seqattn._files.array_file import ANY
from keras_seqattn._files.array_file import ArrayFile
from keras_seqattn._files.whole_file import whole_file
from keras_seqattn.streaming.names import MASK
from keras_seqattn.streaming.names import NEXT
from keras_seqattn.streaming.names import state_inputs
from keras_seqattn.streaming.step_model import initial_state
from keras_seqattn.streaming.step_model import numpy_type

FINGERPRINT = "fingerprint"


class StreamingSession:
    """Runs a step model, and keeps its states between the steps.

    The step is compiled when the session begins, for its number of streams,
    so that the first push is as fast as the others. It is run with the
    weights of that moment: begin a new session after training on. Threads may
    share it: each push is one step.

    Args:
        step: From `step_model`, also loaded from a file.
        batch: Positive integer, number of independent streams. Default: 1.

    Attributes:
        fingerprint: Text that tells this model, with its layers' settings
            and weights, from others. The same on every backend. Names of
            states are in it, so name the layers of a model that you build
            more than once in a process.

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
        self._first = initial_state(step, batch)
        self.batch = batch
        self.fingerprint = _fingerprint(step)
        self._has_mask = MASK in step.input
        given = {
            name: x
            for name, x in step.input.items()
            if name not in self._first and name != MASK
        }
        self._types = {name: numpy_type(x) for name, x in given.items()}
        self._shapes = {k: (batch, *x.shape[1:]) for k, x in given.items()}
        self._state_types = {
            name: step.input[name].dtype for name in self._first
        }
        self._outputs = [
            name
            for name in step.output
            if name.removeprefix(NEXT) not in self._first
        ]
        self._states: dict[str, Any] = {}
        # A push reads the states and writes them.
        self._lock = threading.RLock()
        self.reset()
        self._run = compiled_step(
            step, self._inputs(self._nothing(), np.zeros(batch, bool))
        )

    def push(self, x: Any = None, mask: Any = None) -> Any:
        """Take one step.

        Args:
            x: Array `(batch, features)`, or `(features,)` for a single
                stream. A dictionary by name, if the model has several inputs.
                `None`: the step is missing.
            mask: Optional booleans `(batch,)`, `False` where the step of a
                stream is missing: its states stay and its output is the one
                before, whatever `x` holds. Before the first step there is
                none: the output is the model's for zeros, and means nothing.

        Returns:
            The output as a NumPy array, with a batch axis where `x` has one
            (or where there are several streams); a dictionary by name, if
            the model has several.

        Raises:
            ValueError: Another shape, or numbers that are not finite where
                no step is missing.
        """
        values, single = self._values(x)
        present = self._present(mask, x is None)
        for name, value in values.items():
            finite = np.isfinite(value.reshape(self.batch, -1)).all(axis=1)
            if not finite[present].all():
                raise ValueError(
                    f"`{name}` must be finite: NaN would stay in the states "
                    "for ever. For a missing step push `None`, or give a "
                    "`mask` that is False for its stream. Received: NaN or "
                    f"infinity in stream {np.argmin(finite | ~present)}"
                )
            value[~present] = 0
        with self._lock:
            results = self._run(self._inputs(values, present))
            self._states = {name: results[NEXT + name] for name in self._states}
        # Copies: on torch an array may share its memory with a state.
        outputs = {
            name: np.array(ops.convert_to_numpy(results[name]))
            for name in self._outputs
        }
        if single:
            outputs = {name: value[0] for name, value in outputs.items()}
        return outputs if len(outputs) > 1 else outputs[self._outputs[0]]

    def reset(self, stream: int | None = None) -> None:
        """Begin anew.

        Args:
            stream: Number of the stream. Default: all.
        """
        states = dict(self._first)
        if stream is not None:
            if (
                not isinstance(stream, numbers.Integral)
                or isinstance(stream, bool)
                or not -self.batch <= stream < self.batch
            ):
                raise ValueError(
                    "`stream` must be the number of one of "
                    f"{self.batch} streams. Received: stream={stream!r}"
                )
        with self._lock:
            if stream is not None:
                for name, value in self._numpy_states().items():
                    states[name] = value.copy()
                    states[name][stream] = 0
            self._set_states(states)

    def state_dict(self) -> dict[str, Any]:
        """Return the states as NumPy arrays, and `"fingerprint"`."""
        with self._lock:
            return {FINGERPRINT: self.fingerprint, **self._numpy_states()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where another session of this model was.

        Args:
            state: From `state_dict`, on any backend.

        Raises:
            ValueError: A state of another model, of another number of
                streams, or that is not one.
        """
        if not isinstance(state, dict):
            raise ValueError(
                "The states must be a dictionary as from `state_dict`. "
                f"Received: state={state!r}"
            )
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
            other = dict(shapes.items() - expected.items())
            raise ValueError(
                "The states must be those of `state_dict`, of as many streams "
                f"as this session has, {self.batch}. Received: of another "
                f"shape {other}, missing {sorted(expected.keys() - shapes)}"
            )
        for name, value in state.items():
            dtype = np.asarray(value).dtype
            if dtype.kind not in "fbiu":
                raise ValueError(
                    "States must be real numbers. "
                    f"Received: {name} of type {dtype}"
                )
            # What is infinite in the state's own type is refused as such.
            with np.errstate(over="ignore"):
                cast = np.asarray(value).astype(self._first[name].dtype)
            if not np.isfinite(cast).all():
                raise ValueError(
                    f"States must be finite in {cast.dtype}. Received: {name} "
                    "with NaN, infinity or more than that holds"
                )
        with self._lock:
            self._set_states(state)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the states to an `.npz` file, whole or not at all.

        Args:
            path: File to write; an existing one is replaced, and keeps its
                permissions. Of a link, what it points to.
        """
        state = self.state_dict()
        with whole_file(path) as scratch, scratch.open("wb") as file:
            np.savez(file, **state)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read the states from a file that `save` wrote.

        Args:
            path: The file.

        Raises:
            ValueError: A file that is not one, or as `load_state_dict`.
        """
        try:
            with ArrayFile(path) as file:
                # Of which types states are, `load_state_dict` knows.
                state = {name: file.read(name, ANY) for name in file.names}
        except ValueError as error:
            raise ValueError(
                "The file was not written by `StreamingSession.save`, or "
                f"it is damaged. Received: {os.fspath(path)!r}. {error}"
            ) from error
        self.load_state_dict(state)

    def _inputs(self, values: Any, present: np.ndarray) -> dict[str, Any]:
        mask = {MASK: present} if self._has_mask else {}
        return {**values, **mask, **self._states}

    def _values(self, x: Any) -> tuple[dict[str, np.ndarray], bool]:
        """Arrays of the session's own, and whether they lacked a batch axis."""
        shapes = self._shapes
        if x is None:
            return self._nothing(), self.batch == 1
        if not isinstance(x, dict):
            x = dict.fromkeys(list(shapes)[:1], x)
        # What is infinite in float32 is refused as such.
        with np.errstate(over="ignore"):
            values = {
                # That is a copy already.
                name: check_array(name, value).astype(
                    self._types.get(name), copy=False
                )
                for name, value in x.items()
            }
        single = self.batch == 1 and all(
            value.ndim + 1 == len(shapes.get(name, ()))
            for name, value in values.items()
        )
        if single:
            values = {name: value[None] for name, value in values.items()}
        received = {name: value.shape for name, value in values.items()}
        if received != shapes:
            raise ValueError(
                "A step must be an array (batch, features), one row a stream, "
                "or for a single stream (features,); of several inputs, a "
                f"dictionary. Expected: {shapes}. Received: {received}"
            )
        return values, single

    def _nothing(self) -> dict[str, np.ndarray]:
        return {
            name: np.zeros(shape, self._types[name])
            for name, shape in self._shapes.items()
        }

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
        # Half precision as float32: NumPy has no bfloat16.
        return {
            name: ops.convert_to_numpy(
                ops.cast(value, self._first[name].dtype.name)
            )
            for name, value in self._states.items()
        }

    def _set_states(self, states: dict[str, Any]) -> None:
        self._states = {
            name: ops.convert_to_tensor(states[name], dtype)
            for name, dtype in self._state_types.items()
        }


# What a layer is called, and how it began or was trained, is not in its steps.
_ASIDE = ("name", "registered_name", "build_config", "compile_config", "module")
_ASIDE_ENDS = ("initializer", "regularizer", "constraint", "trainable", "seed")


def _fingerprint(step: keras.Model) -> str:
    """A hash of states' names, layers and weights, in any order."""
    parts = [
        f"{name} {x.shape[1:]}".encode()
        for name, x in state_inputs(step).items()
    ]
    for operation in step.operations:
        part = type(operation).__name__.encode()
        if isinstance(operation, keras.layers.Layer):
            with contextlib.suppress(NotImplementedError):
                part += repr(_settings(operation.get_config())).encode()
        for weight in getattr(operation, "weights", []):
            value = np.ascontiguousarray(ops.convert_to_numpy(weight))
            part += f"{value.shape} {value.dtype}".encode() + value.tobytes()
        parts.append(part)
    digests = sorted(hashlib.sha256(part).digest() for part in parts)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _settings(config: Any) -> Any:
    """What a layer computes, the same before and after saving."""
    if isinstance(config, dict):
        if config.get("class_name") == "__tuple__":
            return _settings(config["items"])
        return [
            (key, _settings(value))
            for key, value in sorted(config.items())
            if key not in _ASIDE and not key.endswith(_ASIDE_ENDS)
        ]
    if isinstance(config, (list, tuple)):
        return [_settings(value) for value in config]
    # Other objects would be shown with their place in memory.
    plain = (str, bool, int, float, type(None))
    return config if isinstance(config, plain) else type(config).__name__
